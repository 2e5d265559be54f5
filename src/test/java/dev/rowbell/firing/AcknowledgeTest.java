package dev.rowbell.firing;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.CommandLine;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is acknowledged is quiet until it has ended. */
class AcknowledgeTest {

    private static final String ROLE = "rowbell_test_acknowledger";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void aRule() {
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
        database.execute(
                "create table public.feed (id int primary key, c int)",
                // fires at each write while the row is bad, and says when it is good again
                "insert into rowbell.rule (name, feed, condition, fires, resolved) values ('over', 'public.feed', 'NEW.c > 10', 'every', true)");
    }

    @AfterEach
    void drop() {
        database.execute("do $$ begin if exists (select from pg_roles where rolname = '" + ROLE
                + "') then execute 'drop owned by " + ROLE + "'; execute 'drop role " + ROLE + "'; end if; end $$");
        settings.keySet().forEach(System::clearProperty);
    }

    private void write(int id, int c) {
        database.execute(
                "insert into public.feed values (%1$d, %2$d) on conflict (id) do update set c = %2$d".formatted(id, c));
        awaitListed();
    }

    private void awaitListed() {
        await().until(() -> database.count("rowbell.feedback") == 0
                && database.count("rowbell.firing_event") == 0
                && database.isDelivered());
    }

    /** By key and status, in their order. */
    private List<String> sent() {
        List<Object> keys = AlertFiles.values(dir, "key");
        List<Object> statuses = AlertFiles.values(dir, "status");
        return IntStream.range(0, keys.size())
                .mapToObj(i -> keys.get(i) + " " + statuses.get(i))
                .toList();
    }

    /** It takes effect within a second. */
    private void acknowledge(String arguments) {
        assertEquals(List.of("1"), database.query("select rowbell.acknowledge(" + arguments + ")"));
        await().pollDelay(Duration.ofMillis(1100)).until(() -> true);
    }

    @Test
    @Tag("long")
    void anAcknowledgedAlertIsNotSentAgainUntilItHasEnded() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            write(1, 11);
            write(2, 11);
            acknowledge("'over', 'id=1', 'the valve sticks', 'ann'");
            write(1, 12);
            write(2, 12);
            assertEquals(List.of("id=1 firing", "id=2 firing", "id=2 firing"), sent());
            assertEquals(
                    List.of("id=1 2 1 the valve sticks ann true", "id=2 2 0"),
                    database.query(
                            "select concat_ws(' ', key, times, silenced, note, assignee, (acknowledged_by = session_user and acknowledged > since)::text)"
                                    + " from rowbell.firing order by key"));
            // the end is sent, and what comes after it
            write(1, 0);
            write(1, 11);
            assertEquals(List.of("id=1 firing", "id=2 firing", "id=2 firing", "id=1 resolved", "id=1 firing"), sent());
            assertEquals(0, database.count("rowbell.firing where acknowledged is not null"));

            // end and new beginning in one batch
            acknowledge("'over', 'id=1'");
            database.execute(
                    "update public.feed set c = 13 where id = 1; update public.feed set c = 0 where id = 1; update public.feed set c = 14 where id = 1");
            awaitListed();
            assertEquals(List.of("id=1 resolved", "id=1 firing"), sent().subList(5, sent().size()));

            acknowledge("'over', 'id=2'");
            assertEquals(List.of("1"), database.query("select rowbell.unacknowledge('over', 'id=2')"));
            await().pollDelay(Duration.ofMillis(1100)).until(() -> true);
            write(2, 13);
            assertEquals("id=2 firing", sent().get(7));
            assertEquals(List.of("0"), database.query("select rowbell.unacknowledge('over', 'id=2')"));
            assertEquals(List.of("0"), database.query("select rowbell.acknowledge('over', 'id=3')"));
        }
    }

    /** Rules that say nothing when they end: one fires once until it has ended, the other compares with OLD and has no end. */
    @Test
    @Tag("long")
    void whatFiresAnewIsSentAndWhatHasNoEndIsQuiet() {
        database.execute(
                "delete from rowbell.rule",
                "insert into rowbell.rule (name, feed, condition) values ('once', 'public.feed', 'NEW.c > 10 and ''an old one'' is not null'),"
                        + " ('grows', 'public.feed', 'NEW.c > OLD.c')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            write(1, 1);
            write(1, 11);
            assertEquals(List.of("1"), database.query("select rowbell.acknowledge('once')"));
            acknowledge("'grows'");
            write(1, 0);
            write(1, 12);
            write(1, 13);
            List<Object> rules = AlertFiles.values(dir, "rule");
            assertEquals(2, rules.stream().filter("once"::equals).count());
            assertEquals(1, rules.stream().filter("grows"::equals).count());
            assertEquals(
                    List.of("grows 3 2 t f", "once 1 0 f t"),
                    database.query(
                            "select concat_ws(' ', rule, times, silenced, acknowledged is not null, since = last) from rowbell.firing order by 1"));
        }
    }

    @Test
    @Tag("long")
    void anApplicationAcknowledgesInItsTransactionAndNobodyWaitsForIt() throws Exception {
        database.execute(
                "create role " + ROLE + " login password 'secret'",
                "grant usage on schema rowbell to " + ROLE,
                "grant execute on function rowbell.acknowledge(text, text, text, text) to " + ROLE,
                "grant select, update on public.feed to " + ROLE);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            write(1, 11);
            write(2, 11);
            try (Connection application = database.connectAs(ROLE, "secret");
                    Statement statement = application.createStatement()) {
                statement.execute("set application_name = 'shop'");
                application.setAutoCommit(false);
                statement.execute(
                        "select rowbell.acknowledge('over', 'id=1', 'mended'), rowbell.acknowledge('over', 'id=2')");
                statement.execute("update public.feed set c = 0 where id = 1");
                // the row 2, whose acknowledgement is not committed, fires again, and Rowbell folds the alert
                write(2, 12);
                assertEquals(List.of("2"), database.query("select times from rowbell.firing where key = 'id=2'"));
                application.commit();
                awaitListed();
                assertEquals(
                        List.of("id=2 " + ROLE + " shop"),
                        database.query(
                                "select concat_ws(' ', key, acknowledged_by, acknowledged_from) from rowbell.firing"));
                // the transaction that acknowledged the row 1 ended its fault too, so the row fires anew
                write(1, 11);
                assertEquals("id=1 firing", sent().get(sent().size() - 1));

                application.setAutoCommit(true);
                for (String more : List.of(
                        "select * from rowbell.firing",
                        "select rowbell.unacknowledge('over')",
                        "delete from rowbell.acknowledgement",
                        "select rowbell.end_firing('over')")) {
                    assertTrue(assertThrows(SQLException.class, () -> statement.execute(more))
                            .getMessage()
                            .contains("permission denied"));
                }
            }
        }
    }

    @Test
    @Tag("long")
    void theCommandsShowWhatFiresAndAcknowledgeIt() {
        database.execute(
                "insert into public.feed values (7, 11)",
                "insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, since, last, times, silenced, alert_id) values"
                        + " ('f7', 'over', 'public.feed', 'id=7', 'critical', '2026-11-29 10:00:00+00', '2026-11-29 11:00:00+00', 3, 0, 'a'),"
                        + " ('f8', 'other', null, null, 'info', '2026-11-29 09:00:01+00', '2026-11-29 11:00:00+00', 1, 0, 'b')");
        settings.forEach(System::setProperty);
        assertEquals("0 acknowledged\n", command(1, "acknowledge", "over", "id=8"));
        assertEquals(
                "1 acknowledged\n", command(0, "acknowledge", "over", "id=7", "--note", "on it", "--assignee", "ann"));
        List<String> lines = command(0, "firing").lines().toList();
        assertEquals(3, lines.size());
        assertTrue(
                lines.get(1)
                        .matches(
                                "over +public\\.feed +id=7 +critical +\\S+ \\d\\d:\\d\\d:00 +\\S+ \\d\\d:\\d\\d:00 +3 +\\S+ +ann +on it"),
                lines.get(1));
        assertEquals(2, command(0, "firing", "--rule", "other").lines().count());
        assertEquals(2, command(0, "firing", "--severity", "critical").lines().count());
        assertEquals("nothing fires\n", command(0, "firing", "--rule", "none"));
        assertEquals("1 not acknowledged any more\n", command(0, "acknowledge", "over", "--undo"));
    }

    private String command(int exit, String... arguments) {
        return CommandLine.run(exit, Map.of(), arguments);
    }
}
