package dev.rowbell.feedback;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rows weigh what their writers want, and the heap has an end. */
@Tag("long")
class WeightTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();

    @Test
    void heavyRowsStopNothingInAHeapOf512Megabytes() {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        database.execute(
                "create table feed (id int primary key, note text)",
                "create table other (id int primary key)",
                "insert into rowbell.rule (name, feed, condition) values"
                        + " ('heavy', 'public.feed', 'NEW.id > 0'), ('other', 'public.other', 'NEW.id > 0')",
                "insert into feed values (1, repeat('x', 120000000))",
                "insert into feed select g, repeat('x', 990000) from generate_series(2, 401) g",
                "insert into other values (1)");
        try (Program rowbell = Program.java(
                dir,
                settings,
                "-Xmx512m",
                "-XX:+ExitOnOutOfMemoryError",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.rowbell.Main")) {
            await().atMost(Duration.ofMinutes(3))
                    .until(() ->
                            !rowbell.isAlive() || database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertTrue(rowbell.isAlive(), rowbell::output);
            assertTrue(AlertFiles.values(dir.resolve("alerts"), "rule").contains("other"));
            Map<String, Object> cut = AlertFiles.read(dir.resolve("alerts")).get(0);
            assertTrue(
                    Boolean.TRUE.equals(cut.get("truncated")) && Map.of("id", 1).equals(cut.get("new")), cut::toString);
        }
    }
}
