package dev.rowbell.feedback;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.SmtpServer;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rows weigh what their writers want, and the heap has an end. */
@Tag("long")
class WeightTest {

    @TempDir
    Path dir;

    private static final int ALERTS = 400;

    private final TestDatabase database = TestDatabase.createWithSchema();

    private Program small(Map<String, String> settings) {
        return Program.java(
                dir,
                settings,
                "-Xmx512m",
                "-XX:+ExitOnOutOfMemoryError",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.rowbell.Main");
    }

    /**
     * In the table, as after an outage of the mail server, and in memory, for a receiver that does not answer. Stored compressed, as on a server with
     * LZ4, a megabyte of them takes some kilobytes.
     */
    @Test
    void heavyAlertsThatWaitForASinkFitIntoAHeapOf512Megabytes() throws IOException {
        database.execute(
                "alter table rowbell.delivery alter column documents set storage extended", """
                insert into rowbell.delivery (sink, documents, characters)
                select 'mail', array[document], length(document)
                from generate_series(1, %d) g
                cross join lateral (select json_build_object('id', 'm' || g, 'rule', 'r', 'new', json_build_object('id', g, 'note', repeat('x', 990000)))::text) d (document)
                """.formatted(ALERTS));
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.rehearsal", "0");
        settings.put("rowbell.mail.starttls", "false");
        settings.put("rowbell.mail.host", "127.0.0.1");
        settings.put("rowbell.mail.to", "desk@example.org");
        settings.put("rowbell.mail.digest", "1ms");
        settings.put("rowbell.http.response-timeout", "10m");
        settings.put("rowbell.outbox.lease", "30m");
        try (SmtpServer mail = new SmtpServer();
                ServerSocket deaf = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            settings.put("rowbell.mail.port", String.valueOf(mail.port()));
            settings.put("rowbell.http.url", "http://127.0.0.1:" + deaf.getLocalPort());
            try (Program rowbell = small(settings)) {
                rowbell.awaitOutput("Rowbell is watching");
                database.execute("""
                        insert into rowbell.feedback (alert)
                        select json_build_object('id', 'f' || g, 'rule', 'r', 'new', json_build_object('id', g, 'note', repeat('x', 990000)))
                        from generate_series(1, %d) g""".formatted(ALERTS));
                await().atMost(Duration.ofMinutes(10))
                        .until(() -> !rowbell.isAlive()
                                || database.count("rowbell.feedback") == 0
                                        && database.alerts("sink in ('file', 'mail')") == 0);
                assertTrue(rowbell.isAlive(), rowbell::output);
                assertEquals(ALERTS, database.alerts("sink = 'http'"));
                assertEquals(
                        List.of("t"),
                        database.query(
                                "select bool_and(characters = length(documents[1])) from rowbell.delivery where alerts = 1"));
            }
        }
    }

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
        try (Program rowbell = small(settings)) {
            await().atMost(Duration.ofMinutes(10))
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
