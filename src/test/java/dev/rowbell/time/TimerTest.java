package dev.rowbell.time;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.health.QueueMonitor;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** What a rule with {@code for} promises. */
class TimerTest extends TimedDatabase {

    private static final int WRITERS = 8;

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void itFiresOnceWhenTheConditionHasHeldForSoLongAndResolvesWhenItEnds(String each) {
        orders(each);
        database.execute(
                UNPAID,
                "insert into orders values (1, 'placed'), (2, 'placed'), (3, 'paid')",
                "update orders set state = 'paid' where id = 2");
        pass("29 min");
        assertEquals(List.of(), alerts());
        database.execute("update orders set n = 5 where id = 1");
        pass("1 min");
        pass("1 hour");
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"placed\"}"), alerts());
        database.execute("update orders set state = 'paid'");
        assertEquals(List.of("resolved unpaid {\"id\":1,\"state\":\"paid\"}"), alerts());
        database.execute("update orders set state = 'placed' where id = 1");
        pass("31 min");
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"placed\"}"), alerts());
        database.execute("delete from orders where id = 1");
        assertEquals(List.of("resolved unpaid {\"id\":1}"), alerts());
        assertEquals(0, database.count("rowbell.timer"));
    }

    /** To a row trigger, a row may take the key of another before that one has left it. */
    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void twoRowsThatEndUnderOneKeyInOneTransactionResolveTwice(String each) {
        orders(each);
        database.execute(
                "alter table orders drop constraint orders_pkey, add primary key (id) deferrable",
                UNPAID,
                "insert into orders values (3, 'placed'), (2, 'placed')");
        pass("31 min");
        assertEquals(2, alerts().size());
        database.execute(
                "begin; update orders set id = 5 - id, state = case id when 2 then 'paid' else 'placed' end where id in (2, 3);"
                        + " delete from orders where id = 2; commit");
        assertEquals(List.of("resolved unpaid {\"id\":2}", "resolved unpaid {\"id\":2}"), alerts());
    }

    /** The plans of a session that began while few waited compare all that wait with each that is due, which takes minutes. */
    @Test
    @Tag("long")
    void thoseThatAreDueAreFoundThoughTheSessionBeganWhileFewWaited() {
        orders("statement");
        database.execute("alter table rowbell.timer set (autovacuum_enabled = off)", UNPAID);
        for (int i = 0; i < 10; i++) {
            database.execute("insert into orders values (" + -i + ", 'placed')");
            pass("31 min");
        }
        database.execute("delete from orders", "insert into orders select i, 'placed' from generate_series(1, 3000) i");
        pass("20 min");
        database.execute("insert into orders select i, 'placed' from generate_series(3001, 120000) i");
        alerts();
        assertTimeout(Duration.ofSeconds(30), () -> pass("11 min"));
        assertEquals(3000, alerts().size());
    }

    @Test
    void theDocumentSaysSinceWhenItHasHeld() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (7, 'placed')");
        pass("30 min");
        assertEquals(
                List.of(
                        "TIMER null public.orders {\"id\":7,\"state\":\"placed\",\"placed_at\":null,\"n\":null} [\"id\"] t"),
                database.query("""
                        select concat_ws(' ', alert ->> 'operation', coalesce(alert ->> 'old', 'null'), alert ->> 'table', alert ->> 'new', alert ->> 'key',
                          (alert ->> 'since')::timestamptz = (select since from rowbell.timer))
                        from rowbell.feedback
                        """));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aRollbackUndoesWhatATransactionArmedAndDisarmed(String each) {
        orders(each);
        database.execute(
                UNPAID,
                "insert into orders values (1, 'placed')",
                "begin; insert into orders values (2, 'placed'); update orders set state = 'paid' where id = 1; rollback",
                "begin; savepoint a; update orders set state = 'paid' where id = 1; rollback to a; commit");
        assertEquals(List.of("{\"id\":1}"), armed());
    }

    @Test
    void aCommitLaterThanDueFiresAtOnce() throws SQLException {
        orders("statement");
        database.execute(UNPAID, "update rowbell.rule set \"for\" = '1 ms'");
        try (Connection writer = database.connect();
                Statement statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("insert into orders values (1, 'placed'); select pg_sleep(0.01)");
            assertEquals(List.of(), alerts());
            writer.commit();
        }
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"placed\"}"), alerts());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aBreakStartsTheTimeAnewAndAChangeThatLeavesTheConditionTrueDoesNot(String each) {
        orders(each);
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'placed'), (3, 'placed')");
        pass("20 min");
        database.execute(
                "update orders set n = 1, state = 'placed' where id = 1",
                "begin; update orders set state = 'paid' where id = 2; update orders set state = 'placed' where id = 2; commit",
                "insert into orders values (3, 'placed') on conflict (id) do update set n = 3");
        pass("20 min");
        assertEquals(
                List.of(
                        "firing unpaid {\"id\":1,\"state\":\"placed\"}",
                        "firing unpaid {\"id\":3,\"state\":\"placed\"}"),
                alerts());
        assertEquals(List.of("{\"id\":2}"), armed());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aChangeOfTheKeyCarriesTheTimeAlong(String each) {
        orders(each);
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'placed')");
        pass("20 min");
        database.execute(
                "update orders set id = id + 10", "update orders set id = id + 10, state = 'paid' where id = 12");
        assertEquals(List.of("{\"id\":11}"), armed());
        pass("10 min");
        assertEquals(List.of("firing unpaid {\"id\":11,\"state\":\"placed\"}"), alerts());
        database.execute("update orders set id = 100 where id = 11", "update orders set state = 'paid' where id = 100");
        assertEquals(List.of("resolved unpaid {\"id\":100,\"state\":\"paid\"}"), alerts());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void rowsThatExchangeTheirKeysExchangeTheirTimes(String each) {
        database.execute(
                "create table public.orders (id int primary key deferrable, state text)",
                "select rowbell.for_each('public.orders', '" + each + "')",
                UNPAID,
                "insert into orders values (1, 'placed')");
        pass("20 min");
        database.execute("insert into orders values (2, 'placed')", "update orders set id = 3 - id");
        pass("10 min");
        assertEquals(List.of("firing unpaid {\"id\":2,\"state\":\"placed\"}"), alerts());
        database.execute("update orders set id = id + 1");
        pass("20 min");
        assertEquals(List.of("firing unpaid {\"id\":2,\"state\":\"placed\"}"), alerts());
        database.execute("update orders set state = 'paid'");
        assertEquals(2, alerts().size());
    }

    @Test
    void aMoveToAnotherPartitionCarriesTheTimeAlong() {
        database.execute(
                "create table public.orders (id int, state text, region text, primary key (id, region)) partition by list (region)",
                "create table orders_n partition of orders for values in ('n')",
                "create table orders_s partition of orders for values in ('s')",
                UNPAID,
                "insert into orders values (1, 'placed', 'n')",
                "insert into orders_n values (2, 'placed', 'n')");
        pass("20 min");
        database.execute("update orders set region = 's'");
        pass("10 min");
        assertEquals(
                List.of(
                        "firing unpaid {\"id\":1,\"state\":\"placed\",\"region\":\"s\"}",
                        "firing unpaid {\"id\":2,\"state\":\"placed\",\"region\":\"s\"}"),
                alerts());
        database.execute("update orders_s set state = 'paid'");
        assertEquals(2, alerts().size());
    }

    @Test
    void aRowThatItsTransactionDeletesAndInsertsAgainKeepsItsTime() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'placed')");
        pass("20 min");
        database.execute(
                "begin; delete from orders where id = 1; insert into orders values (1, 'placed'); commit",
                "delete from orders where id = 2",
                "insert into orders values (2, 'placed')");
        pass("10 min");
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"placed\"}"), alerts());
    }

    @Test
    void rowsOfBeforeTheRuleAreArmedWhenItIsMade() {
        orders("statement");
        database.execute(
                "insert into orders select n, case when n % 2 = 0 then 'placed' else 'paid' end, now() - interval '20 min' from generate_series(1, 12000) n",
                UNPAID);
        assertEquals(6000, armed().size());
        pass("29 min");
        assertEquals(List.of(), alerts());
        pass("1 min");
        assertEquals(6000, alerts().size());
        work();
        database.execute("update rowbell.rule set condition = 'NEW.id <= 2', resolved = false");
        pass("30 min");
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"paid\"}"), alerts());
        assertEquals(2, database.count("rowbell.timer"));
    }

    @Test
    void rowsOfBeforeAreArmedSinceTheTimeOfAColumnOrNotAtAll() {
        orders("statement");
        database.execute(
                "insert into orders values (1, 'placed', now() - interval '29 min'), (2, 'placed', now() - interval '31 min'), (3, 'placed', null),"
                        + " (4, 'placed', 'infinity')",
                "insert into rowbell.rule (name, feed, condition, \"for\", since) values ('a', 'public.orders', 'NEW.state = ''placed''', '30 min', 'NEW.placed_at')",
                "insert into rowbell.rule (name, feed, condition, \"for\", existing) values ('b', 'public.orders', 'NEW.state = ''placed''', '30 min', false)");
        assertEquals(List.of("firing a {\"id\":2,\"state\":\"placed\"}"), alerts());
        pass("1 min");
        assertEquals(List.of("firing a {\"id\":1,\"state\":\"placed\"}"), alerts());
        pass("30 min");
        assertEquals(2, alerts().size());
    }

    @Test
    void rowsOfATransactionThatIsOlderThanTheRuleAreArmedToo() throws SQLException {
        orders("statement");
        database.execute(
                "insert into rowbell.rule (name, feed, condition, operations) values ('other', 'public.orders', 'NEW.id < 0', '{insert,update,delete}')");
        try (Connection writer = database.connect();
                Statement statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("insert into orders values (1, 'placed')");
            database.execute(UNPAID);
            assertEquals(List.of(), armed());
            writer.commit();
        }
        assertEquals(List.of("{\"id\":1}"), armed());
        assertEquals(
                List.of("done"),
                database.query("select coalesce(scan::text, 'done') from rowbell.rule_state where rule = 'unpaid'"));
    }

    @Test
    void theRowsThatARuleWaitsForAreShownWithTheirState() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'paid')");
        pass("30 min");
        database.execute("insert into orders values (3, 'placed'), (4, 'placed')");
        work();
        database.execute(
                "update rowbell.timer set began = began - interval '30 min' where key = '{\"id\":4}'",
                "insert into orders values (5, 'placed')");
        assertEquals(List.of("1 firing t", "3 waiting t", "4 due t", "5 not armed"), database.query("""
                        select concat_ws(' ', t -> 'row' ->> 'id', t ->> 'state', (t ->> 'due')::timestamptz >= (t ->> 'since')::timestamptz)
                        from rowbell.test_rule('unpaid') t
                        order by 1
                        """));
    }

    @Test
    void aRuleOfTheFileReachesItsSinkWhenItIsDueAndWhenItEnds(@TempDir Path dir) throws IOException {
        orders("statement");
        Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: unpaid
                    feed: public.orders
                    condition: NEW.state = 'placed'
                    for: 500ms
                    since: NEW.placed_at
                    resolved: true
                """);
        database.execute(
                "insert into orders values (1, 'placed', now() - interval '1 hour'), (2, 'placed', now() + interval '1 hour')");
        Map<String, String> settings = database.settings();
        settings.put("rowbell.rules.file", dir.resolve("rules.yaml").toString());
        settings.put("rowbell.file.dir", dir.toString());
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> AlertFiles.read(dir).size() == 2);
            database.execute(
                    "update orders set state = 'paid' where id = 1", "insert into orders values (3, 'placed')");
            await().until(() -> AlertFiles.read(dir).size() == 4);
        }
        assertEquals(
                List.of("firing id=1", "firing id=2", "firing id=3", "resolved id=1"),
                AlertFiles.read(dir).stream()
                        .map(alert -> alert.get("status") + " " + alert.get("key"))
                        .sorted()
                        .toList());
    }

    @Test
    void whatIsOverdueIsSeenByHealthAndMetrics() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'placed')");
        work();
        database.execute("update rowbell.timer set began = began - interval '1 hour' where key = '{\"id\":1}'");
        QueueMonitor queues = TimedDatabase.queues(database);
        assertEquals(
                List.of("timer: the oldest of 1 has been waiting for 1800 s"),
                queues.late(Set.of()).stream()
                        .map(late -> late.replaceAll("18\\d\\d s", "1800 s"))
                        .toList());
        assertEquals(
                List.of("armed 2"),
                queues.snapshot().queues().stream()
                        .filter(queue -> queue.name().equals("armed"))
                        .map(queue -> queue.name() + " " + queue.rows())
                        .toList());
    }

    @Test
    void anotherDurationMovesWhatIsArmed() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed')");
        pass("20 min");
        database.execute("update rowbell.rule set \"for\" = '1 hour'");
        pass("20 min");
        assertEquals(List.of(), alerts());
        database.execute("update rowbell.rule set \"for\" = '40 min'");
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"placed\"}"), alerts());
    }

    @Test
    void aMonthHas30Days() {
        orders("statement");
        database.execute(UNPAID.replace("30 min", "1 month"), "insert into orders values (1, 'placed')");
        pass("29 days 23 hours");
        assertEquals(List.of(), alerts());
        pass("2 hours");
        assertEquals(1, alerts().size());
    }

    @Test
    void aRuleThatIsPausedGoesOnWhereItWas() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'placed')");
        pass("20 min");
        database.execute("select rowbell.pause('unpaid')", "update orders set state = 'paid' where id = 2");
        // paused for an hour
        database.execute("update rowbell.rule_state set paused = paused - interval '1 hour'");
        pass("1 hour");
        database.execute("insert into orders values (3, 'placed')");
        assertEquals(List.of(), alerts());
        assertEquals(
                List.of("none"),
                database.query("select distinct coalesce(due_in::text, 'none') from rowbell.timer_feeds()"));
        assertEquals(List.of("t"), database.query("select rowbell.resume('unpaid')"));
        assertEquals(List.of(), alerts());
        pass("9 min");
        assertEquals(List.of(), alerts());
        pass("1 min");
        assertEquals(List.of("firing unpaid {\"id\":1,\"state\":\"placed\"}"), alerts());
        pass("20 min");
        assertEquals(List.of("firing unpaid {\"id\":3,\"state\":\"placed\"}"), alerts());
        assertEquals(List.of("f"), database.query("select rowbell.resume('unpaid')"));
    }

    @Test
    void theRowIsLookedAtAgainWhenItIsDue() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed'), (2, 'placed'), (3, 'placed')");
        work();
        database.execute(
                "alter table orders disable trigger user",
                "update orders set state = 'paid' where id = 1",
                "delete from orders where id = 2",
                "update orders set n = 9 where id = 3",
                "alter table orders enable trigger user");
        pass("30 min");
        assertEquals(List.of("firing unpaid {\"id\":3,\"state\":\"placed\"}"), alerts());
        assertEquals(1, database.count("rowbell.timer"));
        database.execute("truncate orders", "insert into orders values (3, 'placed')");
        pass("30 min");
        assertEquals(
                List.of(
                        "firing unpaid {\"id\":3,\"state\":\"placed\"}",
                        "resolved unpaid {\"id\":3,\"state\":\"placed\"}"),
                alerts().stream().sorted().toList());
    }

    @Test
    void aRowThatTheRuleCannotJudgeHidesNoOtherAndIsLookedAtAgain() {
        orders("statement");
        database.execute(
                "create function public.odd(n int) returns boolean language plpgsql as 'begin if exists (select from public.bad b where b.id = n) then raise ''bad row''; end if; return true; end'",
                "create table public.bad (id int)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('odd', 'public.orders', 'public.odd(NEW.id)', '1 min')",
                "grant select on public.bad to public",
                "insert into orders values (1), (2), (3)",
                "insert into bad values (2)");
        pass("1 min");
        assertEquals(List.of("firing odd {\"id\":1,\"state\":null}", "firing odd {\"id\":3,\"state\":null}"), alerts());
        assertEquals(List.of("odd bad row"), database.query("select rule || ' ' || failure from rowbell.rule_failure"));
        database.execute("delete from bad");
        pass("1 min");
        assertEquals(List.of("firing odd {\"id\":2,\"state\":null}"), alerts());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'NEW.n > OLD.n', 'once', 'durable', '{insert,update}', '1 s', null, true   | condition: compares with OLD",
                "'NEW.n > 1', 'every', 'durable', '{insert,update}', '1 s', null, true      | fires: a rule with \"for\" fires once",
                "'NEW.n > 1', 'changed', 'durable', '{insert,update}', '1 s', null, true    | fires: a rule with \"for\" fires once",
                "'NEW.n > 1', 'once', 'notify', '{insert,update}', '1 s', null, true        | delivery: a rule with \"for\" is durable",
                "'NEW.n > 1', 'once', 'durable', '{insert}', '1 s', null, true              | operations: a rule with \"for\" has to see each write",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '0', null, true         | for: give a duration above 0",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '290000 years', null, true | for: give a duration above 0 and of at most 100 years",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '1 s', 'NEW.state', true| since: is no point in time, but text",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '1 s', 'NEW.wait', true | since: is no point in time, but interval",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '1 s', 'NEW.clock', true| since: is no point in time, but time without time zone",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '1 mon -29 days', null, true | for: give a duration without negative parts",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '-1 mon 31 days', null, true | for: give a duration without negative parts",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', '1 s', 'NEW.gone', true | since: column new.gone does not exist",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', null, 'NEW.placed_at', true | since: is about rows",
                "'NEW.n > 1', 'once', 'durable', '{insert,update}', null, null, false       | existing: is about rows",
            })
    void whatCannotBeIsRefusedWithAReason(String values, String problem) {
        orders("statement");
        database.execute("alter table orders add wait interval, add clock time");
        IllegalStateException refused = assertThrows(
                IllegalStateException.class,
                () -> database.execute(
                        "insert into rowbell.rule (name, feed, columns, condition, fires, delivery, operations, \"for\", since, existing) values ('r', 'public.orders', '{n}', "
                                + values + ")"));
        assertTrue(refused.getMessage().contains(problem), refused.getMessage());
    }

    @Test
    void aFeedWithoutAKeyIsRefused() {
        database.execute("create table public.orders (id int, state text)");
        IllegalStateException refused = assertThrows(IllegalStateException.class, () -> database.execute(UNPAID));
        assertTrue(refused.getMessage().contains("for: public.orders has no primary key"), refused.getMessage());
    }

    @Test
    void columnsOfTheFeedMayHaveAnyName() {
        database.execute(
                "create table public.odd (id int primary key, most int, after int, keys int, rule text, key text, k int)",
                "insert into odd values (1, 9, 3), (2, 9, null)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('odd', 'public.odd', 'NEW.most > 5', '1 min')");
        assertEquals(List.of("{\"id\":1}", "{\"id\":2}"), armed());
        pass("1 min");
        assertEquals(2, alerts().size());
    }

    @Test
    void rowsOfTwoChildrenWithOneKeyFireOnce() {
        database.execute(
                "create table public.parent (id int primary key, n int)",
                "create table public.child (primary key (id)) inherits (public.parent)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('r', 'public.parent', 'NEW.n > 5', '1 min')",
                "insert into parent values (1, 9)",
                "insert into child values (1, 9)");
        pass("1 min");
        assertEquals(1, alerts().size());
    }

    @Test
    void keysOfAnyTypeAndContentAreFoundAgain() {
        database.execute(
                "create type public.color as enum ('red')",
                "create domain public.code as text check (value <> '')",
                "create table public.\"Odd \"\"one\"\"\" (\"the \"\"key\"\"\\\" public.code, at timestamptz, c public.color, x numeric, d json,"
                        + " primary key (\"the \"\"key\"\"\\\", at, c, x))",
                "insert into rowbell.rule (name, feed, condition, \"for\", resolved) values ('odd', 'public.\"Odd \"\"one\"\"\"', 'NEW.d is null or true', '1 min', true)",
                "insert into \"Odd \"\"one\"\"\" values (E'a\"b\\\\c\\nd', '2026-01-01 12:00:00.123456+05', 'red', 1.0, '{\"a\":\"\\u0000\"}'), ('', '2026-01-01', 'red', 2, null)"
                        .replace("('', '2026", "('e', '2026"));
        pass("1 min");
        assertEquals(2, database.count("rowbell.feedback"));
        database.execute("update \"Odd \"\"one\"\"\" set x = 1.00 where x = 1", "delete from \"Odd \"\"one\"\"\"");
        work();
        assertEquals(4, database.count("rowbell.feedback"));
        assertEquals(0, database.count("rowbell.timer"));
    }

    @Test
    void whatIsArmedForARuleThatIsGoneOrDisabledIsDropped() {
        orders("statement");
        database.execute(UNPAID, "insert into orders values (1, 'placed')");
        work();
        database.execute("update rowbell.rule set enabled = false", "select rowbell.forget_timers()");
        assertEquals(0, database.count("rowbell.timer"));
        database.execute("update rowbell.rule set enabled = true");
        assertEquals(List.of("{\"id\":1}"), armed());
        database.execute("delete from rowbell.rule", "select rowbell.forget_timers()");
        assertEquals(0, database.count("rowbell.timer"));
        database.execute("insert into orders values (2, 'placed')");
        work();
        assertEquals(0, database.count("rowbell.timer_event"));
    }

    @Test
    void aProcessThatDiesWhileItFiresLosesAndDoublesNothing() throws SQLException {
        orders("statement");
        database.execute(UNPAID, "insert into orders select n, 'placed' from generate_series(1, 100) n");
        work();
        database.execute(
                "update rowbell.timer set began = began - interval '1 hour'",
                "update rowbell.timer_feed set folded = clock_timestamp()");
        try (Connection dies = database.connect();
                Statement statement = dies.createStatement()) {
            dies.setAutoCommit(false);
            statement.execute("select rowbell.run_timers(id) from rowbell.rule_state");
            // another process has nothing to do meanwhile, and waits for nothing
            assertEquals(List.of("f"), database.query("select rowbell.begin_fold(1)"));
            assertEquals(List.of("f"), database.query("select rowbell.run_timers(id) from rowbell.rule_state"));
            database.execute(
                    "insert into orders values (101, 'placed')", "update orders set state = 'paid' where id = 1");
            database.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select rowbell.run_timers%' and state like 'idle in%'");
        }
        // the server ends the session a moment later
        await().until(() -> {
            work();
            return database.count("rowbell.feedback") > 0;
        });
        assertEquals(99, alerts().size());
        assertEquals(List.of(), alerts());
        assertEquals(List.of("{\"id\":101}"), armed());
    }

    /** Either it fires and then resolves, or neither. */
    @ParameterizedTest
    @Tag("scaled")
    @CsvSource({
        "read committed, statement",
        "read committed, row",
        "repeatable read, statement",
        "serializable, statement",
        "serializable, row"
    })
    void theWriterThatPaysAndTheTimerThatFiresAgree(String level, String each) {
        int orders = 7 * Integer.getInteger("rowbell.cases", 50);
        ExecutorService threads = Executors.newCachedThreadPool();
        orders(each);
        database.execute(UNPAID, "update rowbell.rule set \"for\" = '5 ms'");
        List<CompletableFuture<Void>> writers = IntStream.range(0, WRITERS)
                .mapToObj(writer -> CompletableFuture.runAsync(() -> pay(level, writer, orders / WRITERS), threads))
                .toList();
        List<CompletableFuture<Void>> processes = IntStream.range(0, 2)
                .mapToObj(process -> CompletableFuture.runAsync(
                        () -> {
                            SingleConnectionDataSource connection = database.singleConnection();
                            Timers timers = new Timers(connection);
                            while (!writers.stream().allMatch(CompletableFuture::isDone)) {
                                timers.work();
                            }
                            connection.destroy();
                        },
                        threads))
                .toList();
        writers.forEach(CompletableFuture::join);
        processes.forEach(CompletableFuture::join);
        threads.shutdown();
        work();
        database.execute("insert into orders values (-1, 'placed')", "select pg_sleep(0.01)");
        work();
        database.execute("update orders set state = 'paid' where id = -1");
        work();
        assertEquals(0, database.count("rowbell.timer_event"));
        assertEquals(0, database.count("rowbell.timer"));
        assertEquals(List.of(), database.query("""
                        select id || ': ' || string_agg(status, ' ' order by crt_time, time)
                        from (select alert -> 'new' ->> 'id' as id, alert ->> 'status' as status, alert ->> 'time' as time, crt_time from rowbell.feedback) a
                        group by id
                        having string_agg(status, ' ' order by crt_time, time) <> 'firing resolved'
                        """));
        assertTrue(database.count("rowbell.feedback") >= 2);
    }

    private void pay(String level, int writer, int orders) {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("set session characteristics as transaction isolation level " + level);
            for (int i = 0; i < orders; i++) {
                int id = writer * orders + i;
                write(statement, "insert into orders values (%d, 'placed')".formatted(id));
                int wait = ThreadLocalRandom.current().nextInt(2_000, 9_000);
                write(statement, "select pg_sleep(%d / 1000000.0)".formatted(wait));
                write(statement, "update orders set state = 'paid' where id = %d".formatted(id));
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Until it succeeds: PostgreSQL ends serializable transactions that only look as if they depended on each other. */
    private static void write(Statement statement, String sql) throws SQLException {
        while (true) {
            try {
                statement.execute(sql);
                return;
            } catch (SQLException e) {
                if (!"40001".equals(e.getSQLState()) || !e.getMessage().contains("read/write dependencies")) {
                    throw e;
                }
            }
        }
    }
}
