package dev.rowbell.time;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.health.QueueMonitor;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a rule with {@code count} or {@code sum} promises. Time passes by {@link #pass}, which moves what was counted into the past. */
class WindowTest {

    private static final String FAILING = rule("'{NEW.shop}'", "count", "3");

    private final TestDatabase database = TestDatabase.createWithSchema();

    private static String rule(String by, String columns, String values) {
        return "insert into rowbell.rule (name, feed, condition, within, resolved, by, " + columns
                + ") values ('failing', 'public.payment', 'NEW.state = ''failed''', '5 min', true, " + by + ", "
                + values
                + ")";
    }

    private void payments(String each) {
        database.execute(
                "create table public.payment (id int generated always as identity primary key, state text, shop text, amount numeric)",
                "select rowbell.for_each('public.payment', '" + each + "')");
    }

    private void pay(String state, String shop, String... amounts) {
        for (String amount : amounts) {
            database.execute("insert into payment (state, shop, amount) values ('%s', %s, %s)"
                    .formatted(state, shop == null ? "null" : "'" + shop + "'", amount));
        }
    }

    private void fail(int times, String shop) {
        database.execute(
                "insert into payment (state, shop, amount) select 'failed', '%s', 1 from generate_series(1, %d)"
                        .formatted(shop, times));
    }

    /** Works until no group is due, nor will be in a moment: one that was judged is not judged again for 10 ms. */
    private void work() {
        String begin;
        do {
            begin = database.query("select clock_timestamp()").get(0);
        } while (database.query("select rowbell.run_windows(f.feed) from rowbell.window_feed f")
                        .contains("t")
                || database.count("rowbell.window_group where due between '" + begin
                                + "' and clock_timestamp() + interval '20 ms'")
                        > 0);
    }

    /** What was folded is moved into the past, and what was not. */
    private void passUnseen(String time) {
        database.execute(
                "update rowbell.window_event set at = at - interval '" + time + "'",
                // so that no two have the same time meanwhile
                "update rowbell.window_count set at = at + interval '9000 days'",
                "update rowbell.window_count set at = at - interval '9000 days' - interval '" + time + "'",
                "update rowbell.window_group set since = since - interval '%1$s', until = until - interval '%1$s', due = due - interval '%1$s'"
                        .formatted(time),
                "update rowbell.window_feed set (judged, failing_judged, retry) = (judged - i, failing_judged - i, retry - i) from (select interval '"
                        + time + "') t (i)",
                "update rowbell.rule_state set counts_since = counts_since - interval '%1$s', judges_since = judges_since - interval '%1$s'"
                        .formatted(time));
    }

    private void pass(String time) {
        work();
        passUnseen(time);
        work();
    }

    /** And takes them away. */
    private List<String> alerts() {
        work();
        List<String> alerts = database.query(
                "select concat_ws(' ', alert ->> 'status', alert ->> 'new', coalesce(alert ->> 'sum', alert ->> 'count'))"
                        + " from rowbell.feedback order by crt_time, alert ->> 'new'");
        database.execute("delete from rowbell.feedback");
        return alerts;
    }

    /** The same without what was counted: in any order. */
    private List<String> statuses() {
        return alerts().stream()
                .map(alert -> alert.replaceAll("\\{\"shop\":\"(.*)\"\\}.*", "$1"))
                .sorted()
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void itFiresOnceWhenTheLineIsCrossedAndResolvesWhenItHasFallenBelow(String each) {
        payments(each);
        database.execute(FAILING);
        fail(2, "a");
        fail(1, "b");
        pay("paid", "a", "1", "1", "1");
        assertEquals(List.of(), alerts());
        pass("2 min");
        fail(2, "a");
        assertEquals(List.of("firing {\"shop\":\"a\"} 4"), alerts());
        fail(20, "a");
        assertEquals(List.of(), alerts());
        pass("4 min");
        assertEquals(List.of(), alerts());
        pass("61 s");
        assertEquals(List.of("resolved {\"shop\":\"a\"} 0"), alerts());
        pass("20 min");
        assertEquals(List.of(), alerts());
        assertEquals(0, database.count("rowbell.window_group"));
        assertEquals(0, database.count("rowbell.window_count"));
        assertEquals(
                List.of("none"), database.query("select coalesce(due_in::text, 'none') from rowbell.window_feeds()"));
        fail(3, "a");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
    }

    @Test
    void theWindowSlides() {
        payments("statement");
        database.execute(FAILING);
        for (int i = 0; i < 5; i++) {
            fail(1, "a");
            pass("151 s");
        }
        assertEquals(List.of(), alerts());
        fail(1, "a");
        pass("1 min");
        fail(1, "a");
        // the one of before, 211 seconds ago
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
    }

    @Test
    void theDocumentSaysWhatWasCounted() {
        payments("statement");
        database.execute(FAILING);
        fail(12, "a");
        work();
        assertEquals(
                List.of("TIMER null public.payment {\"shop\":\"a\"} [\"shop\"] PT5M 12 10 {\"id\":1} t"),
                database.query("""
                        select concat_ws(' ', alert ->> 'operation', coalesce(alert ->> 'old', 'null'), alert ->> 'table', alert ->> 'new', alert ->> 'key',
                          alert ->> 'within', alert ->> 'count', json_array_length(alert -> 'keys'), alert -> 'keys' ->> 0,
                          clock_timestamp() - (alert ->> 'since')::timestamptz between '0' and '1 min')
                        from rowbell.feedback
                        """));
        database.execute("delete from rowbell.feedback");
        assertEquals(List.of("firing since count 12 null"), database.query("""
                        select concat_ws(' ', t ->> 'state', case when t ->> 'since' is not null then 'since' end, 'count', t ->> 'count', coalesce(t ->> 'sum', 'null'))
                        from rowbell.test_rule('failing') t
                        """));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aSumIsExactAndFiresAboveTheLine(String each) {
        payments(each);
        database.execute(rule("'{}'", "sum, over", "'NEW.amount', 0.3"));
        pay("failed", "a", "0.1", "0.2");
        assertEquals(List.of(), alerts());
        pay("failed", "b", "null", "'NaN'", "0.00000000000000000001");
        assertEquals(List.of("firing {} 0.30000000000000000001"), alerts());
        pay("failed", "c", "-1");
        assertEquals(List.of("resolved {} -0.69999999999999999999"), alerts());
        pay("failed", "c", "-1");
        pass("4 min");
        pay("failed", "c", "1");
        assertEquals(List.of(), alerts());
        // what was negative leaves the window, and nothing is written
        pass("61 s");
        assertEquals(List.of("firing {} 1"), alerts());
        pass("4 min");
        assertEquals(List.of("resolved {} 0"), alerts());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void transitionsAreCountedOrEachWrite(String each) {
        payments(each);
        database.execute(
                rule("'{}'", "count, fires", "3, 'once'"),
                rule("'{}'", "count, fires", "3, 'every'").replace("'failing'", "'every'"));
        pay("failed", "a", "1");
        database.execute("update payment set amount = 2", "update payment set amount = 3");
        work();
        assertEquals(
                // one row, written three times
                List.of("every 3 [{\"id\":1}]"),
                database.query(
                        "select concat_ws(' ', alert ->> 'rule', alert ->> 'count', alert ->> 'keys') from rowbell.feedback"));
        database.execute(
                "update payment set state = 'paid'",
                "update payment set state = 'failed'",
                "update payment set state = 'paid'",
                "insert into payment overriding system value values (1, 'failed') on conflict (id) do update set state = excluded.state");
        work();
        assertEquals(
                List.of("every 3", "failing 3"),
                database.query(
                        "select concat(alert ->> 'rule', ' ', alert ->> 'count') from rowbell.feedback order by crt_time"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void deletesAndChangesAreCountedWhereTheRuleAsksForThem(String each) {
        payments(each);
        database.execute(
                "insert into rowbell.rule (name, feed, condition, operations, count, within, by) values"
                        + " ('deleted', 'public.payment', 'OLD.state = ''paid''', '{delete}', 2, '5 min', '{OLD.shop}'),"
                        + " ('lowered', 'public.payment', 'NEW.amount < OLD.amount', '{insert,update}', 2, '5 min', '{NEW.shop, OLD.state as before}')",
                "insert into rowbell.rule (name, feed, condition) values ('plain', 'public.payment', 'NEW.amount < OLD.amount')");
        pay("paid", "a", "5", "5", "5");
        database.execute("update payment set amount = 4 where id < 3", "delete from payment where id > 1");
        work();
        assertEquals(
                List.of(
                        "deleted 2 {\"shop\":\"a\"} [{\"id\":2},{\"id\":3}]",
                        "lowered 2 {\"shop\":\"a\",\"before\":\"paid\"} [{\"id\":1},{\"id\":2}]",
                        "plain  {\"id\":1,\"state\":\"paid\",\"shop\":\"a\",\"amount\":4} ",
                        "plain  {\"id\":2,\"state\":\"paid\",\"shop\":\"a\",\"amount\":4} "),
                database.query(
                        "select concat(alert ->> 'rule', ' ', alert ->> 'count', ' ', alert ->> 'new', ' ', (select '[' || string_agg(k::text, ',' order by k::text) || ']' from json_array_elements(alert -> 'keys') k)) from rowbell.feedback order by 1"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void rulesOfEachKindStandBesideEachOther(String each) {
        payments(each);
        database.execute(
                FAILING,
                "insert into rowbell.rule (name, feed, condition, operations, resolved) values ('a', 'public.payment', 'NEW.amount > 5', '{insert,update,delete}', true)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('b', 'public.payment', 'NEW.amount > 6', '1 hour')");
        database.execute(
                "insert into payment (state, shop, amount) select 'failed', 'a', n from generate_series(5, 7) n",
                "update payment set state = case when amount = 5 then 'paid' else 'failed' end",
                "update payment set state = 'failed', amount = amount - 1",
                "delete from payment");
        work();
        database.execute("select rowbell.run_timers(id) from rowbell.rule_state");
        assertEquals(
                List.of(
                        "a DELETE resolved 6",
                        "a INSERT firing 6",
                        "a INSERT firing 7",
                        "a UPDATE resolved 6",
                        "failing TIMER firing 4"),
                database.query("""
                        select concat_ws(' ', alert ->> 'rule', alert ->> 'operation', alert ->> 'status', coalesce(alert ->> 'count', alert -> 'old' ->> 'amount', alert -> 'new' ->> 'amount'))
                        from rowbell.feedback order by 1
                        """));
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    @Test
    void groupsAreOfAnyTypeAndContentAndOneIsThatOfNull(@TempDir Path dir) {
        database.execute(
                "create type public.color as enum ('red')",
                "create domain public.code as text check (value <> '')",
                "create table public.\"Odd \"\"one\"\"\" (\"the \"\"key\"\"\\\" public.code, at timestamptz, c public.color, x numeric, d json, p point, subject int)",
                "insert into rowbell.rule (name, feed, condition, count, within, by) values ('odd', 'public.\"Odd \"\"one\"\"\"', 'NEW.d is null or true', 2, '5 min',"
                        + " array['NEW.\"the \"\"key\"\"\\\"', 'NEW.at', 'NEW.c', 'NEW.x', 'NEW.d -- of json', 'NEW.p', 'NEW.subject'])",
                "insert into \"Odd \"\"one\"\"\" values (E'a\"b\\\\c\\nd', '2026-01-01 12:00:00.123456+05', 'red', 1.0, '{\"a\":1}', '(1,2)')",
                "set timezone = 'Asia/Tokyo'; insert into \"Odd \"\"one\"\"\" values (E'a\"b\\\\c\\nd', '2026-01-01 12:00:00.123456+05', 'red', 1.0, '{\"a\":1}', '(1,2)')",
                "insert into \"Odd \"\"one\"\"\" values (null), (null), (repeat('x', 5000)), (repeat('x', 5000)), (repeat('x', 4999) || 'y')");
        work();
        assertEquals(
                List.of("\"a\\\"b\\\\c\\nd\" 2 \"2026-01-01T07:00:00.123456+00:00\"", "\"xxxx 2 null", "null 2 null"),
                database.query("""
                        select concat_ws(' ', case when length(alert ->> 'new') > 5000 then left((alert -> 'new' -> 'the "key"\\')::text, 5) else (alert -> 'new' -> 'the "key"\\')::text end,
                          alert ->> 'count', alert -> 'new' -> 'at')
                        from rowbell.feedback order by 1
                        """));
        assertEquals(4, database.count("rowbell.window_group"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void groupsAreToldApartAsTextWhateverTheirNameIs(String each) {
        database.execute(
                "create table public.odd (id int, \"ID\" numeric)",
                "select rowbell.for_each('public.odd', '" + each + "')",
                "insert into rowbell.rule (name, feed, condition, count, within, by) values ('odd', 'public.odd', 'true', 2, '5 min', '{\"NEW.\\\"ID\\\" as id\"}')",
                "insert into odd values (1, 1.0), (1, 1.00), (2, 2.0), (2, 2.0)");
        assertEquals(List.of("firing {\"id\":2.0} 2"), alerts());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aRowThatCannotBeCountedIsAFailureAndHidesNoOther(String each) {
        payments(each);
        database.execute(
                rule("'{10 / NEW.amount as tenth}'", "count", "2"),
                rule("'{}'", "sum, over", "'NEW.shop::numeric', 3").replace("'failing'", "'summed'"));
        database.execute(
                "insert into payment (state, shop, amount) values ('failed', '4', 1), ('failed', 'x', 0), ('failed', '1', 1), ('failed', '1', 10)");
        work();
        assertEquals(
                List.of("failing 2  [{\"id\":1},{\"id\":3}]", "summed 3 6 [{\"id\":1},{\"id\":3},{\"id\":4}]"),
                database.query(
                        "select concat(alert ->> 'rule', ' ', alert ->> 'count', ' ', alert ->> 'sum', ' [', (select string_agg(k::text, ',' order by k::text) from json_array_elements(alert -> 'keys') k), ']') from rowbell.feedback order by 1"));
        assertEquals(
                List.of("failing: division by zero", "summed: invalid input syntax for type numeric: \"x\""),
                database.query("select distinct rule || ': ' || failure from rowbell.rule_failure order by 1"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void whatIsRolledBackCountsNothing(String each) {
        payments(each);
        database.execute(
                FAILING,
                "begin; insert into payment (state, shop) values ('failed', 'a'); savepoint a; insert into payment (state, shop) select 'failed', 'a' from generate_series(1, 9); rollback to a; commit",
                "begin; insert into payment (state, shop) select 'failed', 'a' from generate_series(1, 9); rollback");
        fail(1, "a");
        assertEquals(List.of(), alerts());
        fail(1, "a");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
        database.execute("truncate payment");
        assertEquals(List.of(), alerts());
    }

    @Test
    void aLateCommitCountsInTheWindowOfItsStatement() {
        payments("statement");
        database.execute(FAILING);
        work();
        // committed 4 minutes after its statement
        fail(3, "late");
        fail(2, "half");
        passUnseen("4 min");
        database.execute("update rowbell.window_feed set judged = clock_timestamp()");
        assertEquals(List.of("firing {\"shop\":\"late\"} 3"), alerts());
        pass("90 s");
        fail(1, "half");
        assertEquals(List.of("resolved {\"shop\":\"late\"} 0"), alerts());
        // its window has ended, and that less than 5 minutes ago
        fail(3, "over");
        passUnseen("8 min");
        database.execute("update rowbell.window_feed set judged = clock_timestamp() - interval '4 min'");
        assertEquals(List.of("firing {\"shop\":\"over\"} 3", "resolved {\"shop\":\"over\"} 0"), alerts());
        // that more than 5 minutes ago
        fail(3, "old");
        passUnseen("6 min");
        database.execute("update rowbell.window_feed set judged = clock_timestamp()");
        assertEquals(List.of(), alerts());
    }

    @Test
    void whatWasCommittedWhileNoRowbellRanFiresAfterTheStart() {
        payments("statement");
        database.execute(FAILING, "select rowbell.forget_windows()");
        pass("1 min");
        fail(3, "a");
        passUnseen("3 hours");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3", "resolved {\"shop\":\"a\"} 0"), alerts());
        // while one runs, the time goes on
        database.execute(
                "update rowbell.window_feed set judged = judged - interval '1 hour'",
                "select rowbell.forget_windows()");
        assertEquals(
                List.of("t"),
                database.query("select judged > clock_timestamp() - interval '1 min' from rowbell.window_feed"));
    }

    /** After a long stop, or where more is written than is folded. */
    @ParameterizedTest
    @Tag("long")
    @ValueSource(ints = {1, 2, 3, 50_000})
    void whatFiresDoesNotDependOnHowManyEventsAreFoldedAtATime(int most) {
        payments("statement");
        database.execute(FAILING);
        fail(2, "above");
        fail(3, "above");
        fail(2, "below");
        fail(3, "below");
        assertEquals(List.of("firing {\"shop\":\"above\"} 5", "firing {\"shop\":\"below\"} 5"), alerts());
        passUnseen("4 min");
        fail(2, "above");
        // it falls below while no process runs, and rises again
        passUnseen("20 min");
        for (String shop : List.of("early", "below", "early", "late")) {
            fail(1, shop);
            fail(1, shop);
        }
        passUnseen("20 min");
        fail(2, "late");
        fail(1, "late");
        passUnseen("20 min");
        for (int i = 0; i < 4; i++) {
            fail(1, "above");
            fail(1, "new");
        }
        while (database.query("select rowbell.run_windows(feed, " + most + ") from rowbell.window_feed")
                .contains("t")) {}
        assertEquals(
                List.of(
                        "firing early",
                        "firing late",
                        "firing new",
                        "resolved below",
                        "resolved early",
                        "resolved late"),
                statuses());
        pass("6 min");
        assertEquals(List.of("resolved above", "resolved new"), statuses());
    }

    @Test
    void aSumThatGrewWhileNoRowbellRanFiresAfterTheStart() {
        payments("statement");
        database.execute(rule("'{NEW.shop}'", "sum, over", "'NEW.amount', 9"));
        pay("failed", "a", "-5");
        pass("1 min");
        pay("failed", "a", "12");
        work();
        // the amount below zero left the window after 4 minutes, the other one after 5
        passUnseen("3 hours");
        database.execute("select rowbell.forget_windows()");
        assertEquals(List.of("firing {\"shop\":\"a\"} 12", "resolved {\"shop\":\"a\"} 0"), alerts());
    }

    @Test
    void aClockThatIsSetBackFiresNothingTwice() {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        pass("4 min");
        fail(2, "b");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
        // as if an hour had not been
        passUnseen("-1 hour");
        assertEquals(List.of("0"), database.query("select due_in::text from rowbell.window_feeds()"));
        assertEquals(List.of(), alerts());
        fail(1, "a");
        fail(1, "b");
        assertEquals(List.of("firing {\"shop\":\"b\"} 3"), alerts());
        pass("5 min");
        assertEquals(List.of("resolved {\"shop\":\"a\"} 0", "resolved {\"shop\":\"b\"} 0"), alerts());
        pass("1 hour");
        assertEquals(List.of(), alerts());
    }

    @Test
    void anotherLineHoldsForWhatWasCounted() {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        fail(2, "b");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
        database.execute("update rowbell.rule set count = 2");
        assertEquals(List.of("firing {\"shop\":\"b\"} 2"), alerts());
        database.execute("update rowbell.rule set count = 3, severity = 'critical', name = 'other'");
        assertEquals(List.of("resolved {\"shop\":\"b\"} 2"), alerts());
        pass("2 min");
        database.execute("update rowbell.rule set within = '1 min'");
        assertEquals(List.of("resolved {\"shop\":\"a\"} 0"), alerts());
    }

    @Test
    void aRuleThatCountsSomethingElseBeginsAtZero() {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        fail(2, "b");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
        fail(2, "b");
        database.execute("update rowbell.rule set condition = 'NEW.state = ''lost'''");
        assertEquals(List.of("resolved {\"shop\":\"a\"} 0"), alerts());
        pay("lost", "b", "1", "1");
        assertEquals(List.of(), alerts());
        pay("lost", "b", "1");
        assertEquals(List.of("firing {\"shop\":\"b\"} 3"), alerts());
    }

    /** Else it would not be known what has ended. */
    @Test
    void aGroupOfBeforeOtherGroupsResolvesUnderItsOwnKey() {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        work();
        database.execute("update rowbell.rule set by = '{NEW.state}'");
        work();
        assertEquals(
                List.of("firing {\"shop\":\"a\"} [\"shop\"]", "resolved {\"shop\":\"a\"} [\"shop\"]"),
                database.query(
                        "select concat_ws(' ', alert ->> 'status', alert ->> 'new', alert ->> 'key') from rowbell.feedback order by crt_time"));
    }

    @Test
    void aRuleThatIsDisabledOrGoneForgetsItsGroups() {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        assertEquals(1, alerts().size());
        fail(1, "a");
        database.execute("update rowbell.rule set enabled = false", "select rowbell.forget_windows()");
        assertEquals(List.of(), alerts());
        assertEquals(0, database.count("rowbell.window_group"));
        assertEquals(0, database.count("rowbell.window_count"));
        assertEquals(0, database.count("rowbell.window_event"));
        database.execute("update rowbell.rule set enabled = true");
        fail(2, "a");
        assertEquals(List.of(), alerts());
        fail(1, "a");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
        database.execute("delete from rowbell.rule", "select rowbell.forget_windows()");
        assertEquals(0, database.count("rowbell.window_group"));
        assertEquals(List.of(), alerts());
    }

    @Test
    void writersOfBeforeAChangeThatIsCommittedLateCountNothingForTheNewRule() throws SQLException {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        assertEquals(1, alerts().size());
        try (Connection administrator = database.connect();
                Statement change = administrator.createStatement()) {
            administrator.setAutoCommit(false);
            change.execute("update rowbell.rule set condition = 'NEW.amount > 7'");
            fail(5, "b");
            assertEquals(List.of("firing {\"shop\":\"b\"} 5"), alerts());
            fail(5, "c");
            administrator.commit();
        }
        assertEquals(
                List.of("resolved {\"shop\":\"a\"} 0", "resolved {\"shop\":\"b\"} 0"),
                alerts().stream().sorted().toList());
        pay("failed", "c", "8", "8", "8");
        assertEquals(List.of("firing {\"shop\":\"c\"} 3"), alerts());
    }

    @Test
    void whatCannotBeAddedUpIsAFailureAndHoldsUpNoOther() {
        payments("statement");
        database.execute(
                FAILING, rule("'{NEW.shop}'", "sum, over", "'NEW.amount', 5").replace("'failing'", "'much'"));
        pay("failed", "a", "9e131071", "9e131071");
        pay("failed", "b", "6");
        work();
        pay("failed", "a", "-9e131071", "-9e131071");
        fail(3, "c");
        assertTrue(alerts().containsAll(List.of("firing {\"shop\":\"b\"} 6", "firing {\"shop\":\"c\"} 3")));
        assertEquals(0, database.count("rowbell.window_event"));
        assertEquals(
                List.of("much value overflows numeric format"),
                database.query("select distinct rule || ' ' || failure from rowbell.rule_failure"));
    }

    @Test
    void anAlertThatCannotBeStoredHoldsUpNoOtherRuleAndIsStoredLater() {
        payments("statement");
        database.execute(
                FAILING,
                FAILING.replace("'failing'", "'other'"),
                "create function public.refuse() returns trigger language plpgsql as 'begin if new.alert ->> ''rule'' = ''failing'' then raise ''refused''; end if; return new; end'",
                "create trigger refuse before insert on rowbell.feedback for each row execute function public.refuse()");
        fail(3, "a");
        work();
        String rules = "select alert ->> 'rule' from rowbell.feedback where alert ->> 'status' = 'firing' order by 1";
        assertEquals(List.of("other"), database.query(rules));
        // however long it takes
        passUnseen("1 hour");
        work();
        database.execute(
                "drop trigger refuse on rowbell.feedback", "update rowbell.window_feed set retry = clock_timestamp()");
        work();
        assertEquals(List.of("failing", "other"), database.query(rules));
        assertEquals(List.of("{}"), database.query("select failing from rowbell.window_feed"));
    }

    @Test
    void aRuleWhoseManyAlertsCannotBeStoredIsTriedNowAndThenAndTheOthersOfItsFeedGoOn() {
        payments("statement");
        database.execute(
                FAILING.replace("'failing'", "'refused'"),
                FAILING.replace("NEW.state = ''failed''", "NEW.state = ''late''")
                        .replace("'failing'", "'other'"),
                "create function public.refuse() returns trigger language plpgsql as 'begin if new.alert ->> ''rule'' = ''refused'' then raise ''refused''; end if; return new; end'",
                "create trigger refuse before insert on rowbell.feedback for each row execute function public.refuse()");
        // more than one call takes, in windows that have ended
        for (int i = 0; i < 3; i++) {
            fail(3, "a");
            passUnseen("1 s");
        }
        database.execute("insert into payment (state, shop) select 'late', 'b' from generate_series(1, 3)");
        String call = "select rowbell.run_windows(f.feed, 2) from rowbell.window_feed f";
        while (database.query(call).contains("t"))
            ;
        String rules = "select concat_ws(' ', alert ->> 'rule', alert ->> 'status') from rowbell.feedback order by 1";
        assertEquals(List.of("other firing"), database.query(rules));
        assertEquals(3, database.count("rowbell.window_event"));
        assertEquals(
                List.of("t"),
                database.query("select due_in > 0 from rowbell.window_feeds()"),
                "it is not tried again at once");
        database.execute(
                "drop trigger refuse on rowbell.feedback", "update rowbell.window_feed set retry = clock_timestamp()");
        while (database.query(call).contains("t"))
            ;
        assertEquals(List.of("other firing", "refused firing"), database.query(rules));
        assertEquals(List.of("{}"), database.query("select failing from rowbell.window_feed"));
    }

    /** In several steps where there are many. */
    @Test
    void allGroupsAreJudgedByAnotherLine() {
        payments("statement");
        database.execute(FAILING);
        database.execute("insert into payment (state, shop) select 'failed', n from generate_series(1, 7) n");
        assertEquals(List.of(), alerts());
        database.execute("update rowbell.rule set count = 1");
        while (database.query("select rowbell.run_windows(f.feed, 2) from rowbell.window_feed f")
                .contains("t"))
            ;
        assertEquals(7, database.count("rowbell.feedback"));
    }

    @Test
    void theGroupsFollowAFeedThatIsRenamed() {
        payments("statement");
        database.execute(FAILING);
        fail(2, "a");
        work();
        database.execute("alter table payment rename to paid", "select rowbell.refresh()");
        database.execute("insert into paid (state, shop) values ('failed', 'a')");
        assertEquals(List.of("firing {\"shop\":\"a\"} 3"), alerts());
    }

    @Test
    void aRuleThatIsPausedCountsAndDoesNotFire() {
        payments("statement");
        database.execute(FAILING, "select rowbell.pause('failing')");
        fail(3, "a");
        assertEquals(List.of(), alerts());
        assertEquals(
                List.of("none"), database.query("select coalesce(due_in::text, 'none') from rowbell.window_feeds()"));
        passUnseen("4 min");
        fail(3, "b");
        work();
        passUnseen("2 min");
        database.execute("select rowbell.resume('failing')");
        assertEquals(List.of("firing {\"shop\":\"b\"} 3"), alerts());
        database.execute("select rowbell.pause('failing')");
        passUnseen("3 hours");
        fail(1, "b");
        work();
        fail(1, "b");
        work();
        assertEquals(
                0,
                database.count(
                        "rowbell.window_count c join rowbell.window_group g on g.id = c.group_id where g.key like '%b%' and c.at < now() - interval '1 hour'"));
    }

    @Test
    void moreGroupsThanAllowedAreAFailureThatIsSaidOnce() {
        payments("statement");
        database.execute(rule("'{NEW.shop}'", "count, max_groups", "2, 3"));
        database.execute("insert into payment (state, shop) select 'failed', n from generate_series(1, 5) n");
        database.execute("insert into payment (state, shop) select 'failed', n from generate_series(1, 5) n");
        assertEquals(3, alerts().size());
        assertEquals(
                List.of("there are more than 3 groups; others are not counted"),
                database.query("select failure from rowbell.rule_failure"));
        database.execute("delete from rowbell.rule_failure");
        fail(1, "9");
        work();
        assertEquals(0, database.count("rowbell.rule_failure"));
        pass("11 min");
        pass("1 min");
        fail(2, "9");
        work();
        fail(1, "8");
        work();
        assertEquals(2, database.count("rowbell.window_group"));
        database.execute("insert into payment (state, shop) select 'failed', n from generate_series(1, 5) n");
        work();
        assertEquals(1, database.count("rowbell.rule_failure"));
    }

    @Test
    void writesToPartitionsAreCounted() {
        database.execute(
                "create table public.payment (id int, state text, shop text, primary key (id, shop)) partition by list (shop)",
                "create table payment_a (shop text not null, state text, id int not null)",
                "alter table payment attach partition payment_a for values in ('a')",
                "create table payment_b partition of payment for values in ('b')",
                rule("'{NEW.shop,(NEW::public.payment).id % 2 as odd}'", "count", "2"),
                "insert into payment values (1, 'failed', 'a'), (3, 'failed', 'b')",
                "insert into payment_a values ('a', 'failed', 5)",
                "insert into payment_b values (2, 'failed', 'b')",
                "update payment set shop = 'b' where id = 5");
        assertEquals(List.of("firing {\"shop\":\"a\",\"odd\":1} 2"), alerts());
    }

    @Test
    void aProcessThatDiesLosesAndDoublesNothing() throws SQLException {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        try (Connection dies = database.connect();
                Statement statement = dies.createStatement()) {
            dies.setAutoCommit(false);
            statement.execute("select rowbell.run_windows(1)");
            // another process has nothing to do meanwhile, and waits for nothing
            assertEquals(List.of("f"), database.query("select rowbell.run_windows(1)"));
            fail(1, "a");
            database.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select rowbell.run_windows%' and state like 'idle in%'");
        }
        assertEquals(List.of("firing {\"shop\":\"a\"} 4"), alerts());
        assertEquals(List.of(), alerts());
    }

    @Test
    @Tag("container")
    void whatWasCountedIsInADump() throws IOException, InterruptedException {
        payments("statement");
        database.execute(FAILING);
        fail(2, "a");
        work();
        fail(1, "b");
        TestDatabase restored = database.dumpedAndRestored();
        restored.execute(
                "select rowbell.refresh()",
                "insert into payment (state, shop) values ('failed', 'a'), ('failed', 'b'), ('failed', 'b')",
                "select rowbell.run_windows(1)");
        assertEquals(
                List.of("a 3", "b 3"),
                restored.query(
                        "select concat_ws(' ', alert -> 'new' ->> 'shop', alert ->> 'count') from rowbell.feedback order by 1"));
    }

    @Test
    void aRuleOfTheFileReachesItsSinkWhenItFiresAndWhenItResolves(@TempDir Path dir) throws IOException {
        payments("statement");
        Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: failing
                    feed: public.payment
                    condition: NEW.state = 'failed'
                    sum: NEW.amount
                    over: 2.5
                    within: 1s
                    by: [NEW.shop]
                    resolved: true
                """);
        Map<String, String> settings = database.settings();
        settings.put("rowbell.rules.file", dir.resolve("rules.yaml").toString());
        settings.put("rowbell.file.dir", dir.toString());
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into payment (state, shop, amount) select 'failed', s, 1 from generate_series(1, 3), unnest(array['x', 'null', null]) s");
            await().until(() -> AlertFiles.read(dir).size() == 6);
        }
        assertEquals(
                List.of(
                        "firing shop=\"null\" 3 {}",
                        "firing shop=null 3 {}",
                        "firing shop=x 3 {}",
                        "resolved shop=\"null\" 0 {}",
                        "resolved shop=null 0 {}",
                        "resolved shop=x 0 {}"),
                AlertFiles.read(dir).stream()
                        .map(alert -> "%s %s %s %s"
                                .formatted(alert.get("status"), alert.get("key"), alert.get("sum"), alert.get("old")))
                        .sorted()
                        .toList());
        assertEquals(
                3,
                AlertFiles.read(dir).stream()
                        .map(alert -> alert.get("fingerprint"))
                        .distinct()
                        .count());
        assertEquals(
                List.of(3, 3, 3),
                AlertFiles.read(dir).stream()
                        .filter(alert -> alert.get("keys") instanceof List<?>)
                        .map(alert -> ((List<?>) alert.get("keys")).size())
                        .toList());
    }

    @Test
    void whatIsOverdueIsSeenByHealthAndMetrics() {
        payments("statement");
        database.execute(FAILING);
        fail(3, "a");
        fail(1, "b");
        work();
        fail(1, "c");
        database.execute("update rowbell.window_event set at = at - interval '30 min'");
        QueueMonitor queues = TimedDatabase.queues(database);
        assertEquals(
                List.of("timer: the oldest of 1 has been waiting for 1800 s"),
                queues.late(Set.of()).stream()
                        .map(late -> late.replaceAll("18\\d\\d s", "1800 s"))
                        .toList());
        assertEquals(
                List.of("group 2"),
                queues.snapshot().queues().stream()
                        .filter(queue -> queue.name().equals("group"))
                        .map(queue -> queue.name() + " " + queue.rows())
                        .toList());
    }

    @ParameterizedTest
    @Tag("long")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "count, sum, over, within              | 1, 'NEW.amount', 5, '1 s'           | sum: count and sum",
                "count                                 | 1                                   | within: has no time",
                "within                                | '1 s'                               | within: goes with count or sum",
                "by                                    | '{NEW.shop}'                        | by: goes with count, sum or absent",
                "max_groups                            | 5                                   | max_groups: goes with count, sum or absent",
                "over, within                          | 5, '1 s'                            | over: goes with count or sum",
                "sum, over, within                     | 'NEW.amount', -5, '1 s'             | over: is negative",
                "sum, within                           | 'NEW.amount', '1 s'                 | over: a rule with sum has to say when it fires",
                "count, over, within                   | 1, 5, '1 s'                         | over: goes with sum",
                "sum, over, within                     | 'NEW.amount', 'NaN', '1 s'          | over: give a number",
                "count, within                         | 0, '1 s'                            | count: give a number of at least 1",
                "count, within                         | 1, '0'                              | within: give a duration above 0",
                "count, within                         | 1, '11 years'                       | within: give a duration above 0 and of at most 10 years",
                "count, within, \"for\"                | 1, '1 s', '1 s'                     | for: goes not with count and sum",
                "count, within, fires                  | 1, '1 s', 'changed'                 | fires: changed goes not with count and sum",
                "count, within, delivery               | 1, '1 s', 'notify'                  | delivery: a rule with count or sum is durable",
                "count, within, max_groups             | 1, '1 s', 0                         | max_groups: give a number from 1",
                "count, within, by                     | 1, '1 s', '{1 + 1}'                 | by: 1 + 1 names neither NEW nor OLD",
                "count, within, by                     | 1, '1 s', '{NEW.shop,OLD.shop}'     | by: two have the name shop",
                "count, within, by                     | 1, '1 s', '{NEW.gone}'              | by: column new.gone does not exist",
                "count, within, by                     | 1, '1 s', array['NEW.id, NEW.id']   | by: is more than one expression",
                "count, within, by                     | 1, '1 s', array['NEW.id) + (NEW.id']| by: syntax error",
                "count, within, by                     | 1, '1 s', '{count(NEW.id)}'         | by: aggregate functions are not allowed",
                "count, within, by                     | 1, '1 s', '{NULL}'                  | by: has an expression that is NULL",
                "sum, over, within                     | 'NEW.state = ''a''', 5, '1 s'       | sum: cannot cast type boolean to numeric",
                "sum, over, within                     | 'NEW.amount, 1', 5, '1 s'           | sum: cannot cast type record to numeric",
                "count, within, by, operations         | 1, '1 s', '{OLD.shop}', '{insert}'  | by: on insert there is NEW alone",
            })
    void whatCannotBeIsRefusedWithAReason(String columns, String values, String problem) {
        payments("statement");
        IllegalStateException refused = assertThrows(
                IllegalStateException.class,
                () -> database.execute(
                        "insert into rowbell.rule (name, feed, columns, condition, %s) values ('r', 'public.payment', '{shop}', 'NEW.amount > 1', %s)"
                                .formatted(columns, values)));
        assertTrue(refused.getMessage().contains("\": " + problem), refused.getMessage());
    }

    /** On one hot group, with rollbacks, while two processes fold: the counts are exact, and no writer waits or fails. */
    @ParameterizedTest
    @CsvSource({"read committed, statement", "repeatable read, row", "serializable, statement"})
    @Tag("scaled")
    void writersOfOneGroupAreCountedExactlyAndWaitForNothing(String level, String each) {
        int transactions = Math.min(Integer.getInteger("rowbell.cases", 50), 300);
        ExecutorService threads = Executors.newCachedThreadPool();
        payments(each);
        database.execute(rule("'{NEW.shop}'", "sum, over, fires", "'NEW.amount', 1000000000, 'every'"));
        List<CompletableFuture<Long>> writers = IntStream.range(0, 8)
                .mapToObj(writer -> CompletableFuture.supplyAsync(() -> write(level, writer, transactions), threads))
                .toList();
        List<CompletableFuture<Void>> processes = IntStream.range(0, 2)
                .mapToObj(process -> CompletableFuture.runAsync(
                        () -> {
                            while (!writers.stream().allMatch(CompletableFuture::isDone)) {
                                work();
                            }
                        },
                        threads))
                .toList();
        long written = writers.stream().mapToLong(CompletableFuture::join).sum();
        processes.forEach(CompletableFuture::join);
        threads.shutdown();
        work();
        assertEquals(
                List.of(written + " " + 2 * written),
                database.query("select sum(count) || ' ' || sum(sum)::bigint from rowbell.window_count"));
        assertEquals(1, database.count("rowbell.window_group"));
    }

    /** Returns how many rows were committed. */
    private long write(String level, int seed, int transactions) {
        Random random = new Random(seed);
        long written = 0;
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("set session characteristics as transaction isolation level " + level);
            // a wait of the writer is an error
            statement.execute("set lock_timeout = '10s'; set deadlock_timeout = '1s'");
            connection.setAutoCommit(false);
            for (int i = 0; i < transactions; i++) {
                int rows = 1 + random.nextInt(5);
                statement.execute(
                        "insert into payment (state, shop, amount) select 'failed', 'hot', 2 from generate_series(1, %d)"
                                .formatted(rows));
                if (random.nextInt(4) == 0) {
                    connection.rollback();
                } else {
                    connection.commit();
                    written += rows;
                }
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
        return written;
    }
}
