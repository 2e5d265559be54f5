package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.Threads;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Alerts of Rowbell's own after a start, which warm up the code that real ones go through. */
@Tag("long")
class RehearsalTest {

    private static final int ROUNDS = 30;
    private static final String THREAD = "rowbell rehearsal";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.create();
    private Map<String, String> settings;

    @BeforeEach
    void set() {
        settings = database.settings();
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.rehearsal", String.valueOf(ROUNDS));
    }

    @Test
    void whatIsRehearsedLeavesNoTrace() throws IOException {
        try (LogLines log = new LogLines("dev.rowbell");
                LogLines camel = new LogLines("org.apache.camel");
                RunningRowbell rowbell = RunningRowbell.start(settings)) {
            Rowbell.of(rowbell.context()).rehearseRoutes();
            log.clear();
            camel.clear();
            awaitFiled(ROUNDS);
            await().until(() -> !isRehearsing());
            assertEquals(List.of(), camel.lines());
            await().until(() -> Threads.named("rowbell-rehearsal") == 0);
            assertEquals(0, database.count("rowbell.delivery"));
            assertEquals(0, database.count("rowbell.dead_letter"));
            assertEquals(0, database.count("rowbell.feedback"));
            assertEquals(0, database.count("rowbell.sink where name = 'rehearsal'"));
            assertEquals(List.of(), log.lines());
            assertEquals(List.of(), meters(rowbell));
            try (Stream<Path> files = Files.list(dir)) {
                assertEquals(List.of(), files.toList());
            }
            assertEquals(0, database.count("rowbell.rule_state where hits > 0"));
        }
    }

    @Test
    void aRealAlertIsRoutedWhileOthersAreRehearsed() throws IOException {
        settings.put("rowbell.rehearsal", "1000000");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitFiled(ROUNDS);
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"a1\", \"rule\": \"r\", \"new\": {\"id\": 1}}')");
            await().until(() ->
                    lines().size() == 1 && database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertTrue(lines().get(0).contains("\"a1\""), lines()::toString);
            assertTrue(isRehearsing());
            rowbell.close();
            await().until(() -> !isRehearsing());
        }
    }

    @Test
    void manyRealAlertsEndTheRehearsal() {
        settings.put("rowbell.rehearsal", "1000000");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitFiled(ROUNDS);
            database.execute("""
                    insert into rowbell.feedback (alert)
                    select json_build_object('id', 'a' || i, 'rule', 'r', 'new', json_build_object('id', i)) from generate_series(1, 500) i
                    """);
            await().until(() -> !isRehearsing() && lines().size() == 500);
        }
    }

    /** PostgreSQL counts rows that were inserted even where that was rolled back. */
    private void awaitFiled(int alerts) {
        await().until(() -> Long.parseLong(database.query(
                                "select n_tup_ins from pg_stat_all_tables where relid = 'rowbell.delivery'::regclass")
                        .get(0))
                >= alerts);
    }

    private static boolean isRehearsing() {
        return Threads.named(THREAD) > 0;
    }

    private static List<String> meters(RunningRowbell rowbell) {
        MeterRegistry registry = rowbell.context().getRegistry().findSingleByType(MeterRegistry.class);
        return registry == null
                ? List.of()
                : registry.getMeters().stream()
                        .map(meter -> meter.getId().toString())
                        .filter(meter -> meter.contains("rehearsal"))
                        .toList();
    }

    private List<String> lines() throws IOException {
        List<String> lines = new ArrayList<>();
        try (Stream<Path> files = Files.list(dir)) {
            for (Path file : files.toList()) {
                lines.addAll(Files.readAllLines(file));
            }
        }
        return lines;
    }
}
