package dev.rowbell.firing;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The list of what fires follows the alerts. */
class FiringTest {

    private static final String LIST =
            "select concat_ws(' ', rule, feed, key, severity, times) from rowbell.firing order by 1";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void fileAlone() {
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
    }

    private void feed(String rules) {
        database.execute(
                "create table public.feed (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition, fires, resolved, operations, severity, delivery) values "
                        + rules);
    }

    private void awaitRouted() {
        await().until(() -> database.count("rowbell.feedback") == 0 && database.count("rowbell.firing_event") == 0);
    }

    @Test
    @Tag("long")
    void whatFiresIsListedUntilItEnds() {
        feed("('over', 'public.feed', 'NEW.c > 10', 'once', true, '{insert,update,delete}', 'critical', 'durable'),"
                + " ('each', 'public.feed', 'NEW.c > 10', 'every', false, '{insert,update}', 'info', 'durable'),"
                + " ('sent', 'public.feed', 'NEW.c > 10', 'once', true, '{insert,update}', 'info', 'notify')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into public.feed values (1, 11), (2, 12), (3, 1)",
                    "update public.feed set c = c + 1 where id < 3");
            awaitRouted();
            assertEquals(
                    List.of(
                            "each public.feed id=1 info 2",
                            "each public.feed id=2 info 2",
                            "over public.feed id=1 critical 1",
                            "over public.feed id=2 critical 1"),
                    database.query(LIST));
            assertEquals(
                    List.of("over id=1 t"),
                    database.query(
                            "select concat_ws(' ', reason, key, since = last and last > clock_timestamp() - interval '1 min'"
                                    + " and length(alert_id) = 36 and fingerprint like '%/over/public.feed/id=1')"
                                    + " from rowbell.firing where rule = 'over' and key = 'id=1'"));
            database.execute("update public.feed set c = 0 where id = 1", "delete from public.feed where id = 2");
            awaitRouted();
            assertEquals(List.of("each public.feed id=1 info 2", "each public.feed id=2 info 2"), database.query(LIST));

            assertEquals(List.of("1"), database.query("select rowbell.end_firing('each', 'id=2')"));
            database.execute("update public.feed set c = 13 where id = 1");
            awaitRouted();
            assertEquals(
                    List.of("each public.feed id=1 info 3", "over public.feed id=1 critical 1"), database.query(LIST));
        }
    }

    @Test
    @Tag("long")
    void aRuleThatIsRemovedOrDisabledEndsWhatItHad() {
        feed("('gone', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable'),"
                + " ('off', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable'),"
                + " ('sent', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable'),"
                + " ('stays', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into public.feed values (1, 11)",
                    "insert into rowbell.feedback (alert) values ('{\"rule\": \"elsewhere\", \"new\": {\"id\": 1}}')");
            await().until(() -> database.count("rowbell.firing") == 5);
            database.execute(
                    "delete from rowbell.rule where name = 'gone'",
                    "update rowbell.rule set enabled = false where name = 'off'",
                    "update rowbell.rule set delivery = 'notify' where name = 'sent'");
            await().until(() ->
                    database.query("select rule from rowbell.firing order by 1").equals(List.of("elsewhere", "stays")));
        }
    }

    @Test
    @Tag("long")
    void aRuleThatIsBackAtOnceEndsWhatItHad() {
        String made = "'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable')";
        feed("('gone', " + made + ", ('off', " + made + ", ('sent', " + made + ", ('stays', " + made);
        database.execute("create table public.other (id int primary key, c int)");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("insert into public.feed values (1, 11)");
            await().until(() -> database.count("rowbell.firing") == 4);
            // in one transaction each, as a deployment does it
            database.execute(
                    "delete from rowbell.rule where name = 'gone';"
                            + " insert into rowbell.rule (name, feed, condition, resolved) values ('gone', 'public.other', 'NEW.c > 10', true)",
                    "update rowbell.rule set enabled = false where name = 'off';"
                            + " update rowbell.rule set enabled = true where name = 'off'",
                    "update rowbell.rule set delivery = 'notify' where name = 'sent';"
                            + " update rowbell.rule set delivery = 'durable' where name = 'sent'",
                    "insert into public.feed values (2, 11)");
            await().until(() -> database.query("select concat_ws(' ', rule, key) from rowbell.firing order by 1")
                    .equals(List.of("off id=2", "sent id=2", "stays id=1", "stays id=2")));
        }
    }

    @Test
    @Tag("long")
    void aRuleOfAnotherKindOrTableEndsWhatItHad() {
        feed("('kind', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable'),"
                + " ('moved', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable'),"
                + " ('stays', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable')");
        database.execute("create table public.other (id int primary key, c int)");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("insert into public.feed values (1, 11)");
            await().until(() -> database.count("rowbell.firing") == 3);
            database.execute(
                    "update rowbell.rule set count = 1, within = '1 h' where name = 'kind'",
                    "update rowbell.rule set feed = 'public.other' where name = 'moved'",
                    "update rowbell.rule set condition = 'NEW.c > 9', severity = 'warning' where name = 'stays'",
                    "insert into public.feed values (2, 11)");
            await().until(() -> database.query("select concat_ws(' ', rule, key) from rowbell.firing order by 1")
                    .equals(List.of("kind", "stays id=1", "stays id=2")));
        }
    }

    @Test
    @Tag("long")
    void whatHasNoEndLeavesTheListAfterAWhile() {
        feed("('each', 'public.feed', 'NEW.c > 10', 'every', false, default, 'info', 'durable'),"
                + " ('ends', 'public.feed', 'NEW.c > 10', 'once', true, default, 'info', 'durable')");
        settings.put("rowbell.firing.keep", "2h");
        database.execute("insert into public.feed values (1, 11), (2, 11)");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.count("rowbell.firing") == 4);
        }
        database.execute(
                "update rowbell.firing_state set since = since - interval '3 h', last = last - interval '3 h' where key = 'id=1'",
                "update rowbell.firing_state set since = since - interval '3 h' where key = 'id=2'");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.query("select concat_ws(' ', rule, key) from rowbell.firing order by 1")
                    .equals(List.of("each id=2", "ends id=1", "ends id=2")));
        }
        settings.put("rowbell.firing.enabled", "false");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.count("rowbell.firing_state") == 0);
            database.execute("insert into public.feed values (3, 11)");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(0, database.count("rowbell.firing_event"));
        }
    }

    @Test
    void anEndIsRememberedAsLongAsAnEarlierAlertMayWait() {
        Event fired = new Event(1, 1, true);
        Event ended = new Event(2, 1, false);
        database.execute(insert(List.of(fired, ended)));
        database.query("select rowbell.fold_firing(10)");
        database.execute("insert into rowbell.feedback (crt_time, alert) values ('epoch', '{}')");
        assertEquals(
                List.of("0"),
                database.query(
                        "select rowbell.forget_firing('1 d', (select min(crt_time) from rowbell.feedback), 10)"));
        database.execute(insert(List.of(fired)));
        database.query("select rowbell.fold_firing(10)");
        assertEquals(0, database.count("rowbell.firing"));
        database.execute("truncate rowbell.feedback");
        assertEquals(
                List.of("1"),
                database.query(
                        "select rowbell.forget_firing('1 d', (select min(crt_time) from rowbell.feedback), 10)"));
        assertEquals(0, database.count("rowbell.firing_state"));

        // a rule that there never was is none that has gone
        database.execute(insert(List.of(fired)));
        database.query("select rowbell.fold_firing(10)");
        database.query("select rowbell.end_firing_of_gone_rules()");
        assertEquals(1, database.count("rowbell.firing"));
    }

    /** What a kill at any point leaves: the alert and its note commit together. */
    @Test
    @Tag("long")
    void anAlertIsNotedInTheTransactionThatTakesIt() throws Exception {
        feed("('each', 'public.feed', 'NEW.c > 10', 'every', false, default, 'info', 'durable')");
        database.execute("insert into public.feed select i, 11 from generate_series(1, 100) i");
        try (Connection locking = database.connect();
                Statement statement = locking.createStatement()) {
            locking.setAutoCommit(false);
            // the lock keeps the poll from noting the alerts, so it must not take them
            statement.execute("lock table rowbell.firing_event in share mode");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                await().until(() -> database.count(
                                "pg_stat_activity where wait_event = 'relation' and query like '%rowbell.firing_event%'")
                        > 0);
                assertEquals(100, database.count("rowbell.feedback"));
                locking.rollback();
                await().until(() -> database.count("rowbell.firing where times = 1") == 100);
            }
        }
        assertEquals(
                100,
                database.query("select sum(times) from rowbell.firing").stream()
                        .mapToInt(Integer::parseInt)
                        .sum());
    }

    /** What an alert says: when, of which thing, and whether it fires. */
    private record Event(int micros, int thing, boolean fires) {}

    /** The time of the alerts decides, in whatever order and by whichever process they are folded. */
    @Test
    void theListFollowsTheAlertsInAnyOrder() throws Exception {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            events.add(new Event(i, random.nextInt(40), random.nextInt(3) > 0));
        }
        List<String> expected = expected(events);
        // batches that were routed at about the same time come in any order
        List<List<Event>> batches = new ArrayList<>();
        for (int from = 0; from < events.size(); from += 25) {
            batches.add(events.subList(from, from + 25));
        }
        for (int from = 0; from < batches.size(); from += 8) {
            Collections.shuffle(batches.subList(from, from + 8), random);
        }
        List<Thread> folders = new ArrayList<>();
        List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
        for (int process = 0; process < 3; process++) {
            int first = process;
            folders.add(new Thread(() -> {
                try (Connection connection = database.connect();
                        Statement statement = connection.createStatement()) {
                    for (int i = first; i < batches.size(); i += 3) {
                        statement.execute(insert(batches.get(i)));
                        statement.execute("select rowbell.fold_firing(2)");
                    }
                } catch (Throwable e) {
                    failures.add(e);
                }
            }));
        }
        folders.forEach(Thread::start);
        for (Thread folder : folders) {
            folder.join();
        }
        assertEquals(List.of(), failures);
        while (database.count("rowbell.firing_event") > 0) {
            database.query("select rowbell.fold_firing(100)");
        }
        assertEquals(
                expected,
                database.query(
                        "select concat_ws(' ', fingerprint, (extract(epoch from last) * 1000000)::bigint) from rowbell.firing"
                                + " order by fingerprint"),
                "seed " + seed);
    }

    private static List<String> expected(List<Event> events) {
        Map<String, Integer> firing = new TreeMap<>();
        for (Event event : events) {
            if (event.fires()) {
                firing.put("thing%02d".formatted(event.thing()), event.micros());
            } else {
                firing.remove("thing%02d".formatted(event.thing()));
            }
        }
        return firing.entrySet().stream()
                .map(entry -> entry.getKey() + " " + entry.getValue())
                .toList();
    }

    private static String insert(List<Event> events) {
        String values = events.stream()
                .map(event -> "('thing%02d', %d, %s)".formatted(event.thing(), event.micros(), event.fires()))
                .collect(Collectors.joining(", "));
        return """
                insert into rowbell.firing_event (fingerprints, alert_ids, keys, times, fires, silenced, kinds, rules, feeds, severities, reasons)
                select array_agg(f), array_agg('a' || t), array_agg('k'::text), array_agg(t), array_agg(b), array_agg(false), array_agg(1),
                  '{r}', '{t}', '{info}', '{why}'
                from (values %s) as v (f, t, b)
                """.formatted(values);
    }
}
