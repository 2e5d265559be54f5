package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rules change while a feed is written to. {@code -Drowbell.seconds} says for how long. */
@Tag("scaled")
class RuleChangeTest {

    private static final int WRITERS = 8;
    private static final Duration LENGTH = Duration.ofSeconds(Integer.getInteger("rowbell.seconds", 4));

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Queue<Integer> hits = new ConcurrentLinkedQueue<>();
    private final AtomicInteger numbers = new AtomicInteger();

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aTriggerOfDeletesThatNoRuleAsksForAnyMoreJudgesNothing(String each) throws SQLException {
        database.execute(
                "create table feed (id int primary key, c2 int)",
                "select rowbell.for_each('public.feed', '" + each + "')",
                "insert into rowbell.rule (name, feed, condition, resolved, operations) values ('r', 'public.feed', 'NEW.c2 > 9', true, '{insert,update,delete}')",
                "update rowbell.rule set resolved = false, operations = '{insert,update}'",
                "insert into feed values (1, 10), (2, 10)");
        assertEquals(1, database.count("pg_trigger where tgrelid = 'feed'::regclass and tgname like 'rowbell%delete'"));
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("set track_functions = 'all'");
            statement.execute("delete from feed");
            try (ResultSet judged = statement.executeQuery(
                    "select funcname, calls from pg_stat_xact_user_functions where schemaname like 'rowbell%'")) {
                assertTrue(judged.next());
                // each delete went through the trigger function, and no error sent it through again_N
                assertEquals(
                        each.equals("row") ? "on_row_1 2" : "on_statement_1 1",
                        judged.getString(1) + " " + judged.getInt(2));
                assertFalse(judged.next());
            }
        }
    }

    @Test
    @Tag("long")
    void writersNeitherFailNorWaitWhileRulesChangeAndNoAlertIsLostOrRepeated() throws Exception {
        database.execute(
                "create table feed (id int8 primary key, c1 int, c2 int, n int)",
                "insert into rowbell.rule (name, feed, condition, fires) values ('still', 'public.feed', 'NEW.c2 > 9', 'every')");
        AtomicInteger changes = new AtomicInteger();
        ScheduledExecutorService administrator = Executors.newScheduledThreadPool(2);
        ExecutorService writers = Executors.newFixedThreadPool(WRITERS);
        try {
            Future<?> changing = administrator.scheduleAtFixedRate(
                    () -> change(changes.incrementAndGet()), 0, 200, TimeUnit.MILLISECONDS);
            Future<?> refreshing = administrator.scheduleAtFixedRate(
                    () -> assertEquals(List.of(), database.query("select event from rowbell.refresh()")),
                    100,
                    300,
                    TimeUnit.MILLISECONDS);
            long end = System.nanoTime() + LENGTH.toNanos();
            List<Future<?>> writing = new ArrayList<>();
            for (int writer = 0; writer < WRITERS; writer++) {
                int first = writer * 1000;
                writing.add(writers.submit(() -> {
                    write(first, end);
                    return null;
                }));
            }
            for (Future<?> writer : writing) {
                writer.get(LENGTH.toSeconds() + 60, TimeUnit.SECONDS);
            }
            assertTrue(!changing.isDone() && !refreshing.isDone(), "an administrator's thread failed");
        } finally {
            administrator.shutdownNow();
            writers.shutdownNow();
            assertTrue(administrator.awaitTermination(20, TimeUnit.SECONDS));
        }
        List<Integer> expected = new ArrayList<>(hits);
        Collections.sort(expected);
        List<Integer> alerts =
                database
                        .query("select alert->'new'->>'n' from rowbell.feedback where alert->>'rule' = 'still'")
                        .stream()
                        .map(Integer::valueOf)
                        .sorted()
                        .toList();
        assertEquals(expected, alerts);
        // enough to prove something; how many there are is a matter of the machine
        assertTrue(changes.get() > LENGTH.toSeconds() / 5, changes + " changes");
        assertEquals(0, database.count("rowbell.rule_failure"));
        assertEquals(List.of(), database.query("select failure from rowbell.rule_state where failure is not null"));
        System.out.printf(
                "%d rule changes, %d alerts of the unchanged rule, each once%n", changes.get(), alerts.size());
    }

    private void change(int n) {
        database.execute(
                switch (n % 4) {
                    case 0 ->
                        "insert into rowbell.rule (name, feed, condition) values ('moving', 'public.feed', 'NEW.c1 > 1')"
                                + " on conflict (name) do update set enabled = true";
                    case 1 -> "update rowbell.rule set condition = 'NEW.c1 > OLD.c1 + " + n + "' where name = 'moving'";
                    case 2 -> "update rowbell.rule set enabled = false where name = 'moving'";
                    default -> "delete from rowbell.rule where name = 'moving'";
                });
    }

    /** A wait of more than half a second for a lock is an error here: rules try for theirs for 20 ms at a time, and a busy machine may stop whoever does. */
    private void write(int first, long end) throws SQLException {
        try (Connection connection = database.connect();
                Statement settings = connection.createStatement();
                PreparedStatement upsert = connection.prepareStatement("""
                        insert into feed (id, c1, c2, n) select ? + i % 500, i, ?, ? + i from generate_series(0, ? - 1) i
                        on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2, n = excluded.n
                        """)) {
            settings.execute("set lock_timeout = '2s'");
            while (System.nanoTime() < end) {
                int rows = ThreadLocalRandom.current().nextInt(10) == 0 ? 200 : 1;
                int c2 = ThreadLocalRandom.current().nextInt(12);
                int number = numbers.getAndAdd(rows);
                upsert.setInt(1, first);
                upsert.setInt(2, c2);
                upsert.setInt(3, number);
                upsert.setInt(4, rows);
                upsert.execute();
                if (c2 > 9) {
                    for (int i = 0; i < rows; i++) {
                        hits.add(number + i);
                    }
                }
            }
        }
    }
}
