package dev.rowbell.database;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Application;
import dev.rowbell.command.Commands;
import dev.rowbell.error.Errors;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A right that is missing is named with what to grant to whom, and noticed when it is there. */
class RightsTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final String role = "rights_of_" + database.name();

    @BeforeEach
    void role() {
        database.execute("create role %s login password 'pw'".formatted(role));
        settings.putAll(Map.of(
                "rowbell.migrate", "false",
                "rowbell.jdbc.user", role,
                "rowbell.jdbc.password", "pw",
                "rowbell.console", "OFF",
                "rowbell.file.dir", dir.toString(),
                "rowbell.outbox.poll", "50ms"));
    }

    @AfterEach
    void drop() {
        database.execute("drop owned by " + role, "drop role " + role);
    }

    private String refusal() {
        return Errors.forUser(assertThrows(
                Exception.class, () -> RunningRowbell.start(settings).close()));
    }

    @Test
    void aStartWithoutRightsSaysWhatToGrant() {
        String refused = refusal();
        assertTrue(refused.contains("permission denied for schema rowbell"), refused);
        assertTrue(refused.contains("grant rowbell_consumer to " + role), refused);
    }

    @Test
    void aStartWithoutTheRightToMakeTheSchemaSaysWhatToGrant() {
        settings.put("rowbell.migrate", "true");
        database.execute(
                "grant rowbell_consumer to " + role,
                "delete from rowbell.flyway_schema_history where script like 'R%'");
        String refused = refusal();
        assertTrue(refused.contains("rowbell.jdbc.user=" + role), refused);
        assertTrue(refused.contains("grant create on the database to it"), refused);
    }

    @Test
    void aFeedbackTableWithoutRightsIsNamedWithThem() {
        database.execute("create table public.odd (crt_time timestamptz, a int)", "grant rowbell_consumer to " + role);
        settings.put("rowbell.feedback.table", "public.odd");
        String refused = refusal();
        assertTrue(refused.contains("grant select, update, delete on public.odd to " + role), refused);
    }

    @Test
    void aCommandWithoutRightsSaysWhatToGrant() {
        database.execute(
                "grant rowbell_consumer to " + role,
                "revoke all on rowbell.dead_letter, rowbell.paused_sink from rowbell_consumer",
                "revoke all on function rowbell.pause_sink(text, text) from rowbell_consumer");
        String grant = ": grant rowbell_consumer to " + role;
        assertEquals("rowbell: permission denied for table dead_letter" + grant, said("deliveries", "list"));
        assertEquals("rowbell: permission denied for function pause_sink" + grant, said("deliveries", "pause", "http"));
        database.execute("grant select on rowbell.dead_letter to rowbell_consumer");
        assertEquals("rowbell: permission denied for table paused_sink" + grant, said("deliveries", "list"));
    }

    /** What a command complains of. */
    private String said(String... arguments) {
        PrintStream before = System.err;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setErr(new PrintStream(said, true, StandardCharsets.UTF_8));
        try {
            Commands.run(
                    () -> {
                        Application camel = new Application();
                        settings.forEach(camel::addOverrideProperty);
                        return camel;
                    },
                    arguments);
        } finally {
            System.setErr(before);
        }
        return said.toString(StandardCharsets.UTF_8).strip();
    }

    @Test
    @Tag("long")
    void aRightThatIsTakenAwayAndGivenBackIsSaidAndNoticed() {
        database.execute("grant rowbell_consumer to " + role);
        for (String table : new String[] {"feedback", "delivery"}) {
            String denied = "permission denied for table %s: grant rowbell_consumer to %s".formatted(table, role);
            try (LogLines polls = new LogLines("dev.rowbell.feedback.PollErrors");
                    LogLines workers = new LogLines("dev.rowbell.outbox.OutboxWorker");
                    RunningRowbell rowbell = RunningRowbell.start(settings)) {
                database.execute(
                        "revoke all on rowbell.%s from rowbell_consumer".formatted(table),
                        "insert into rowbell.feedback (alert) values ('{\"id\": \"%s\", \"rule\": \"r\"}')"
                                .formatted(table));
                await().until(() -> polls.lines().stream().anyMatch(line -> line.contains(denied))
                        || workers.lines().stream().anyMatch(line -> line.contains(denied)));
                database.execute(
                        "grant select, insert, update, delete on rowbell.%s to rowbell_consumer".formatted(table));
                await().until(database::isDelivered);
                await().until(() -> database.count("rowbell.feedback") == 0);
                assertEquals(0, database.count("rowbell.dead_letter"));
            }
        }
    }

    @Test
    void aListenerWithoutRightsSaysWhatToGrantAndNoticesIt() {
        String right = "execute on function rowbell.claim_channels(text)";
        database.execute("grant rowbell_consumer to " + role, "revoke %s from rowbell_consumer".formatted(right));
        try (LogLines log = new LogLines("dev.rowbell.listen.ListenConsumer");
                RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(
                            () -> log.lines().stream()
                                    .anyMatch(
                                            line -> line.contains(
                                                    "channel_1 cannot be listened to, trying again: permission denied for"
                                                            + " function claim_channels: grant rowbell_consumer to the role of this connection")));
            database.execute("grant %s to rowbell_consumer".formatted(right));
            database.awaitListener("channel_1");
        }
    }
}
