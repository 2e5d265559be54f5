package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;

/** What a rule promises to whoever writes it, and to whoever writes into its feed. */
class RuleTest {

    private static final String FAILED = "rowbell-rule-failed";

    final TestDatabase database = TestDatabase.createWithSchema();

    /** That of the triggers on the feed. */
    String function() {
        return "on_statement_1";
    }

    @BeforeEach
    void feed() {
        database.execute("create table public.feed (id int8 primary key, c1 int, c2 int, c3 int, note text, doc json)");
    }

    // --- when a rule fires ---

    @Test
    void aFaultRingsOnceWhateverElseChangesInTheRow() {
        rule("name, feed, condition", "'c2', 'public.feed', 'NEW.c2 > 9999'");
        database.execute(
                "insert into feed (id, c2) values (1, 30001), (2, 5)",
                "update feed set c1 = 7",
                "update feed set c2 = 40000",
                "update feed set c2 = 50000",
                "update feed set c2 = 0",
                "update feed set c2 = 10000 where id = 1");
        assertEquals(
                List.of("INSERT 1 30001", "UPDATE 2 40000", "UPDATE 1 10000"),
                takeAlerts("alert->>'operation' || ' ' || (alert->'new'->>'id') || ' ' || (alert->'new'->>'c2')"));
    }

    @Test
    void anUpsertThatMergesColumnsIsJudgedOnTheWholeRow() {
        rule("name, feed, condition", "'both', 'public.feed', 'NEW.c1 > 5 and NEW.c2 > 5'");
        database.execute(
                "insert into feed (id, c1) values (1, 9)",
                "insert into feed (id, c2) values (1, 9), (2, 9) on conflict (id) do update set c2 = excluded.c2");
        assertEquals(
                List.of("{\"id\":1,\"c1\":9,\"c2\":9,\"c3\":null,\"note\":null,\"doc\":null}"),
                takeAlerts("alert->>'new'"));
    }

    @Test
    void everyRingsOnEachWriteAndChangedOnlyWhenItsColumnsChange() {
        rule("name, feed, condition, fires", "'e', 'public.feed', 'NEW.c2 > 9', 'every'");
        rule("name, feed, condition, fires, columns", "'c', 'public.feed', 'NEW.c2 > 9', 'changed', '{c1,doc}'");
        database.execute(
                "insert into feed (id, c2) values (1, 10)",
                "update feed set c3 = 1",
                "update feed set c1 = 1",
                "update feed set doc = '{}'",
                "update feed set c1 = 2, c2 = 0");
        assertEquals(List.of("e", "e", "c", "e", "c", "e"), takeAlerts("alert->>'rule'", "crt_time, alert->>'rule'"));
    }

    @Test
    void theEndOfAFaultIsToldOnceWhereTheRuleAsksForIt() {
        rule(
                "name, feed, condition, resolved, operations",
                "'r', 'public.feed', 'NEW.c2 > 9', true, '{insert,update,delete}'");
        database.execute(
                "insert into feed (id, c2) values (1, 10), (2, 11), (3, 1)",
                "update feed set c2 = 1 where id = 1",
                "update feed set c2 = 2 where id = 1",
                "delete from feed");
        assertEquals(
                List.of("firing INSERT 1", "firing INSERT 2", "resolved UPDATE 1", "resolved DELETE 2"),
                takeAlerts(
                        "concat_ws(' ', alert->>'status', alert->>'operation', coalesce(alert->'new', alert->'old')->>'id')"));
    }

    @Test
    void aConditionNeedsNoBlanksAroundItsOperators() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c2>9'");
        rule("name, feed, condition", "'b', 'public.feed', 'NEW.\"c2\">=9 and NEW.c2<>OLD.c2'");
        rule("name, feed, condition", "'c', 'public.feed', '(NEW.c2=10)or NEW.c1>NEW.c2'");
        database.execute("insert into feed (id, c2) values (1, 1)", "update feed set c2 = 10");
        assertEquals(List.of("a", "b", "c"), takeAlerts("alert->>'rule'", "alert->>'rule'"));
    }

    @Test
    void aConditionOverOldAndNewIsJudgedOnEachChange() {
        rule("name, feed, condition", "'rise', 'public.feed', 'NEW.c2 > OLD.c2'");
        rule("name, feed, condition, operations", "'gone', 'public.feed', 'OLD.c2 > 1', '{delete}'");
        database.execute(
                "insert into feed (id, c2) values (1, 1)",
                "update feed set c2 = 2",
                "update feed set c2 = 3",
                "update feed set c2 = 3",
                "delete from feed");
        assertEquals(
                List.of("rise 1 2", "rise 2 3", "gone 3 "),
                takeAlerts("concat(alert->>'rule', ' ', alert->'old'->>'c2', ' ', alert->'new'->>'c2')"));
    }

    @Test
    void aRuleThatIsNotEnabledAnymoreIsSilentAndARemovedOneToo() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c2 > 9'");
        rule("name, feed, condition", "'b', 'public.feed', 'NEW.c2 > 9'");
        database.execute(
                "update rowbell.rule set enabled = false where name = 'a'", "insert into feed (id, c2) values (1, 10)");
        assertEquals(List.of("b"), takeAlerts("alert->>'rule'"));
        database.execute("delete from rowbell.rule", "insert into feed (id, c2) values (2, 10)");
        assertEquals(List.of(), takeAlerts("alert->>'rule'"));
    }

    @Test
    void aRuleTakesEffectInTheTransactionThatChangesIt() throws SQLException {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute(
                    "insert into rowbell.rule (name, feed, condition) values ('t', 'public.feed', 'NEW.c2 > 9')");
            statement.execute("insert into feed (id, c2) values (1, 10)");
            connection.rollback();
        }
        assertEquals(0, database.count("rowbell.feedback"));
        assertEquals(0, database.count("pg_trigger where tgrelid = 'public.feed'::regclass"));
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute(
                    "insert into rowbell.rule (name, feed, condition) values ('t', 'public.feed', 'NEW.c2 > 9')");
            statement.execute("insert into feed (id, c2) values (1, 10)");
            connection.commit();
        }
        assertEquals(1, database.count("rowbell.feedback"));
    }

    // --- which rows belong together ---

    @Test
    void oldAndNewArePairedWhenTheKeyChangesAndWithoutAKey() {
        database.execute("create table nokey (c2 int, note text)");
        rule("name, feed, condition", "'k', 'public.feed', 'NEW.c2 > 9'");
        rule("name, feed, condition", "'n', 'public.nokey', 'NEW.c2 > 9'");
        database.execute(
                "insert into feed (id, c2) select i, i % 10 from generate_series(1, 100) i",
                "update feed set id = 1000 - id, c2 = c2 + 2",
                "insert into nokey select 1, 'same' from generate_series(1, 5)",
                "update nokey set c2 = 10");
        assertEquals(
                List.of("k 20", "n 5"),
                database.query(
                        "select concat(alert->>'rule', ' ', count(*)) from rowbell.feedback group by alert->>'rule' order by 1"));
        assertEquals(
                20,
                database.count("rowbell.feedback where (alert->'old'->>'id')::int + (alert->'new'->>'id')::int = 1000"
                        + " and (alert->'old'->>'c2')::int + 2 = (alert->'new'->>'c2')::int"));
    }

    @Test
    void oldAndNewArePairedWhereAColumnWasDropped() {
        database.execute(
                "create table dropped (id int primary key, gone int, c2 int)", "alter table dropped drop column gone");
        rule("name, feed, condition, fires", "'more', 'public.dropped', 'NEW.c2 > OLD.c2', 'every'");
        rule("name, feed, condition", "'much', 'public.dropped', 'NEW.c2 > 100'");
        database.execute(
                "insert into dropped select i, 7 from generate_series(1, 10) i", "update dropped set c2 = 101");
        assertEquals(
                List.of("more 10", "much 10"),
                database.query("select concat(alert->>'rule', ' ', count(*)) from rowbell.feedback"
                        + " where alert->'new'->>'c2' = '101' group by alert->>'rule' order by 1"));
    }

    /** Each of these was taken for the row, or for what a generated function is given. */
    @Test
    void columnsMayHaveTheNamesThatTheCompilerGives() {
        database.execute(
                "create table named (id int primary key, new int, _row text)",
                "create table named_child (primary key (id)) inherits (named)");
        rule("name, feed, condition", "'n', 'public.named', 'NEW.new > 9'");
        database.execute("insert into named_child values (1, 5, 'x')", "update named set new = 10");
        assertEquals(
                List.of("public.named_child"),
                database.query("select alert->>'partition' from rowbell.feedback where alert->>'rule' = 'n'"));
        assertEquals(
                List.of("{\"id\":1,\"new\":10,\"_row\":\"x\"}"), database.query("select rowbell.test_rule('n', 5)"));
    }

    @Test
    @Tag("long")
    void aHundredThousandRowsOfOneStatementArePaired() {
        rule("name, feed, condition", "'k', 'public.feed', 'NEW.c2 > 9'");
        database.execute(
                "insert into feed (id, c2) select i, 0 from generate_series(1, 100000) i",
                "update feed set id = -id, c2 = 10");
        assertEquals(
                100_000,
                database.count("rowbell.feedback where (alert->'old'->>'id')::int = -(alert->'new'->>'id')::int"));
    }

    @Test
    void rowsAreJudgedOnceWhetherWrittenThroughThePartitionedTableOrIntoAPartition() {
        database.execute(
                "create table orders (id int not null, c2 int, primary key (id)) partition by range (id)",
                "create table orders_1 partition of orders for values from (0) to (100)",
                "create table orders_2 partition of orders for values from (100) to (200) partition by list (id)",
                "create table orders_2a partition of orders_2 for values in (100, 101)");
        rule(
                "name, feed, condition, resolved, operations",
                "'p', 'public.orders', 'NEW.c2 > 9', true, '{insert,update,delete}'");
        database.execute(
                "insert into orders values (1, 10), (100, 11)",
                "insert into orders_1 values (2, 12)",
                "insert into orders_2 values (101, 13)",
                "update orders set id = 3 where id = 100",
                "delete from orders where id = 3",
                "delete from orders_1");
        assertEquals(
                List.of(
                        "public.orders firing public.orders_1 1",
                        "public.orders firing public.orders_2a 100",
                        "public.orders firing public.orders_1 2",
                        "public.orders firing public.orders_2a 101",
                        "public.orders resolved public.orders_1 3",
                        "public.orders resolved public.orders_1 1",
                        "public.orders resolved public.orders_1 2"),
                takeAlerts(
                        "concat_ws(' ', alert->>'table', alert->>'status', alert->>'partition', coalesce(alert->'new', alert->'old')->>'id')"));
    }

    @Test
    void aRowThatIsRefusedOnItsWayToAnotherPartitionMixesUpNobody() {
        database.execute(
                "create table orders (id int primary key, c2 int) partition by range (id)",
                "create table orders_1 partition of orders for values from (0) to (100)",
                "create table orders_2 partition of orders for values from (100) to (200)",
                "create function refuse() returns trigger language plpgsql as 'begin return null; end'",
                "create trigger refuse before insert on orders_2 for each row execute function refuse()");
        rule("name, feed, condition", "'p', 'public.orders', 'NEW.c2 > 9'");
        database.execute(
                "insert into orders select i, i from generate_series(1, 8) i",
                "update orders set id = case when id = 1 then 150 else id end, c2 = c2 + 3");
        assertEquals(List.of("7 10", "8 11"), takeAlerts("concat(alert->'old'->>'c2', ' ', alert->'new'->>'c2')"));
    }

    @Test
    void childrenAreWatchedToo() {
        database.execute("create table feed1 (primary key (id)) inherits (feed)");
        rule("name, feed, condition", "'i', 'public.feed', 'NEW.c2 > 9'");
        database.execute(
                "insert into feed1 (id, c2) values (1, 10), (2, 0)",
                "insert into feed (id, c2) values (3, 10), (4, 0)",
                "update feed set c2 = 20");
        assertEquals(
                List.of("1 public.feed1", "3", "4", "2 public.feed1"),
                takeAlerts("concat_ws(' ', alert->'new'->>'id', alert->>'partition')"));
    }

    @Test
    void childrenThatComeLaterArePickedUpAndThoseThatLeaveAreLeftAlone() {
        rule("name, feed, condition", "'i', 'public.feed', 'NEW.c2 > 9'");
        database.execute("create table feed2 () inherits (feed)");
        refresh();
        database.execute("insert into feed2 (id, c2) values (1, 10)");
        assertEquals(List.of("public.feed2"), takeAlerts("alert->>'partition'"));
        database.execute("alter table feed2 no inherit feed");
        refresh();
        database.execute("insert into feed2 (id, c2) values (2, 10)");
        assertEquals(List.of(), takeAlerts("alert->>'partition'"));
    }

    @Test
    void oneRowIsToldWithAllItsRulesAndWhereItIs() {
        database.execute(
                "create table orders (id int primary key, c1 int, c2 int) partition by range (id)",
                "create table orders_1 partition of orders for values from (0) to (100)");
        for (String table : List.of("feed", "orders")) {
            rule("name, feed, condition, resolved", "'" + table + " a', 'public." + table + "', 'NEW.c1 > 9', true");
            rule("name, feed, condition, fires", "'" + table + " b', 'public." + table + "', 'NEW.c2 > 9', 'every'");
        }
        String upsert =
                "insert into %s (id, c1, c2) values (1, %d, %d) on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2";
        for (String table : List.of("feed", "orders", "orders_1")) {
            database.execute(
                    upsert.formatted(table, 10, 10),
                    upsert.formatted(table, 11, 10),
                    upsert.formatted(table, 0, 10),
                    upsert.formatted(table, 0, 0),
                    "delete from " + table);
        }
        List<String> alerts = List.of(
                "a firing INSERT  10",
                "b firing INSERT  10",
                "b firing UPDATE 10 11",
                "a resolved UPDATE 11 0",
                "b firing UPDATE 11 0");
        List<String> expected = new ArrayList<>();
        alerts.forEach(alert -> expected.add("feed " + alert + " "));
        alerts.forEach(alert -> expected.add("orders " + alert + " public.orders_1"));
        alerts.forEach(alert -> expected.add("orders " + alert + " public.orders_1"));
        assertEquals(
                expected,
                takeAlerts(
                        "concat(alert->>'rule', ' ', alert->>'status', ' ', alert->>'operation', ' ', alert->'old'->>'c1', ' ',"
                                + " alert->'new'->>'c1', ' ', alert->>'partition')",
                        "date_trunc('milliseconds', crt_time), alert->>'time', alert->>'rule'"));
    }

    @Test
    void alertsGoOnWhereTheFunctionKnowsTheFeedByAnotherNumber() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c2 > 9'");
        // as in a database that was restored from a dump
        String number = "'\\m' || 'feed'::regclass::oid || '\\M'";
        database.execute("do $do$ begin execute regexp_replace(pg_get_functiondef('rowbell_alert.raise_1'::regproc), "
                + number + ", '1', 'g'); end $do$");
        String knows = "pg_proc where proname = 'raise_1' and prosrc ~ (" + number + ")";
        assertEquals(0, database.count(knows));
        database.execute(
                "insert into feed (id, c2) values (1, 10)", "insert into feed (id, c2) values (2, 10), (3, 10)");
        assertEquals(List.of("1 ", "2 ", "3 "), takeAlerts("concat(alert->'new'->>'id', ' ', alert->>'partition')"));
        refresh();
        assertEquals(1, database.count(knows));
    }

    /** A function that another one calls may be replaced while a writer is under way: codes keep their rule. */
    @Test
    void alertsAreOfTheirRuleWhereAWriterStillHasTheFunctionOfBefore() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
        rule("name, feed, condition", "'b', 'public.feed', 'NEW.c2 > 5'");
        String before = database.query("select pg_get_functiondef('rowbell." + function() + "'::regproc)")
                .get(0);
        database.execute("delete from rowbell.rule where name = 'a'");
        rule("name, feed, condition", "'A first', 'public.feed', 'NEW.c1 > 100'");
        database.execute(
                before,
                "insert into feed (id, c1, c2) values (1, 10, 10)",
                "insert into feed (id, c1, c2) values (2, 10, 0)");
        assertEquals(List.of("b 1"), takeAlerts("concat(alert->>'rule', ' ', alert->'new'->>'id')"));
    }

    // --- a failing rule never fails the writer ---

    @Test
    void aRowThatARuleCannotJudgeHidesNeitherOtherRowsNorOtherRules() {
        rule("name, feed, condition", "'div', 'public.feed', '10 / NEW.c1 > 1'");
        rule("name, feed, condition", "'cast', 'public.feed', 'NEW.note::int > 5'");
        rule("name, feed, condition, delivery, channel", "'n', 'public.feed', '10 / NEW.c1 > 2', 'notify', 'x'");
        rule("name, feed, condition", "'good', 'public.feed', 'NEW.c2 > 9'");
        List<String> notified = listening(
                "x",
                () -> database.execute(
                        "insert into feed (id, c1, c2, note) values (1, 0, 10, '6'), (2, 2, 0, 'six'), (3, 20, 10, '1')"));
        assertEquals(
                List.of("cast 1", "div 2", "good 1", "good 3"),
                takeAlerts(
                        "concat(alert->>'rule', ' ', alert->'new'->>'id')", "1", "alert->>'rule' <> '" + FAILED + "'"));
        assertEquals(
                List.of(
                        "cast: invalid input syntax for type integer: \"six\" {\"id\":2}",
                        "div: division by zero {\"id\":1}",
                        "n: division by zero {\"id\":1}"),
                takeAlerts(
                        "concat(alert->'payload'->>'rule', ': ', alert->'payload'->>'error', ' ', alert->'payload'->>'key')",
                        "1"));
        assertEquals(1, notified.size());
        assertTrue(notified.get(0).contains("\"rule\":\"n\"") && notified.get(0).contains("\"id\":2"), notified.get(0));
    }

    @Test
    void aConditionThatGuardsItselfIsJudgedInTheOrderItIsWritten() {
        database.execute(
                "create function is_number(t text) returns boolean language plpgsql as 'begin return t ~ ''^[0-9]+$''; end'");
        rule("name, feed, condition", "'guarded', 'public.feed', 'public.is_number(NEW.note) and NEW.note::int > 5'");
        database.execute(
                "insert into feed (id, note) values (1, 'x'), (2, '9')", "insert into feed (id, note) values (3, 'y')");
        assertEquals(List.of("2"), takeAlerts("alert->'new'->>'id'"));
    }

    @Test
    void aRuleThatFailsAllTheTimeIsToldOnceAMinute() {
        rule("name, feed, condition", "'div', 'public.feed', '1 / NEW.c1 > 1'");
        for (int i = 0; i < 20; i++) {
            database.execute("insert into feed (id, c1) values (" + i + ", 0)");
        }
        assertEquals(20, database.count("feed"));
        database.execute(
                "select rowbell.report_failures()", "update feed set c2 = 1", "select rowbell.report_failures()");
        assertEquals(1, database.count("rowbell.feedback"));
        assertEquals(List.of("division by zero"), database.query("select failure from rowbell.rule_state"));
        database.execute(
                "update rowbell.rule_state set reported = reported - interval '1 minute'",
                "update feed set c2 = 2",
                "select rowbell.report_failures()");
        assertEquals(2, database.count("rowbell.feedback"));
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    @Test
    void twoWritersWithTheSameFailingRuleDoNotWaitForEachOther() throws SQLException {
        rule("name, feed, condition", "'div', 'public.feed', '1 / NEW.c1 > 1'");
        try (Connection first = database.connect();
                Statement statement = first.createStatement()) {
            first.setAutoCommit(false);
            statement.execute("insert into feed (id, c1) values (1, 0)");
            database.execute("set lock_timeout = 5000; insert into feed (id, c1) values (2, 0)");
            first.commit();
        }
        // one alert for both, about the last
        assertEquals(List.of("2"), takeAlerts("alert->'payload'->'key'->>'id'"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "public.is_bad(NEW.c1)         | drop function public.is_bad(int)                                  | function public.is_bad(integer) does not exist",
                "NEW.c1 > 5                    | alter table feed drop column c1                                   | column new.c1 does not exist",
                "NEW.c1 > 5                    | alter table feed rename column c1 to c9                           | column new.c1 does not exist",
                "NEW.c1 > 5                    | alter table feed alter c1 type text                               | operator does not exist: text > integer",
                "NEW.c1 > (select max(n) from public.limits) | drop table public.limits                            | relation \"public.limits\" does not exist"
            })
    void aRuleThatBreaksLaterIsLeftOutUntilItWorksAgain(String condition, String breaking, String error) {
        database.execute(
                "create table limits (n int)",
                "insert into limits values (5)",
                "create function is_bad(n int) returns boolean language sql as 'select n > 5'");
        rule("name, feed, condition", "'a', 'public.feed', '" + condition + "'");
        rule("name, feed, condition", "'b', 'public.feed', 'NEW.c2 > 9'");
        database.execute(breaking, "insert into feed (id, c2) values (1, 10)");
        assertEquals(List.of("b"), takeAlerts("alert->>'rule'", "1", "alert->>'rule' <> '" + FAILED + "'"));
        assertEquals(List.of(error), takeAlerts("alert->'payload'->>'error'"));
        assertEquals(List.of("rule \"a\" is broken and is left out: condition: " + error), refresh());
        assertEquals(List.of(), refresh());
        assertEquals(
                List.of("condition: " + error),
                database.query("select broken from rowbell.rule_state where rule = 'a'"));
        assertFalse(database.query("select prosrc from pg_proc where proname = '" + function() + "'")
                .get(0)
                .contains(condition));
        database.execute("insert into feed (id, c2) values (2, 10)");
        assertEquals(List.of("b"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void aColumnThatComesBackMakesItsRuleWorkAgain() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
        database.execute("alter table feed drop column c1");
        refresh();
        database.execute("alter table feed add column c1 int");
        assertEquals(List.of("rule \"a\" works again"), refresh());
        takeAlerts("alert");
        database.execute("insert into feed (id, c1) values (1, 10)");
        assertEquals(List.of("a"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void rulesFollowATableThatIsRenamedAndAreDisabledWhenItIsDropped() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
        database.execute("alter table feed rename to \"Feed 2\"", "insert into \"Feed 2\" (id, c1) values (1, 10)");
        assertEquals(1, database.count("rowbell.feedback"));
        assertEquals(List.of("was renamed: its rules follow it to public.\"Feed 2\""), refresh());
        takeAlerts("alert");
        database.execute("insert into \"Feed 2\" (id, c1) values (2, 10)");
        assertEquals(List.of("public.Feed 2"), takeAlerts("alert->>'table'"));
        database.execute("drop table \"Feed 2\"");
        assertEquals(List.of("was dropped: rule \"a\" is disabled"), refresh());
        assertEquals(List.of("f"), database.query("select enabled from rowbell.rule"));
        assertEquals(List.of("rule a failed: the feed public.\"Feed 2\" was dropped"), takeAlerts("alert->>'reason'"));
        assertEquals(0, database.count("pg_proc where proname ~ '^(on_row|on_statement|raise|again|run)_1$'"));
    }

    @Test
    void aTableThatIsDroppedAndMadeAgainIsWatchedAgain() {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
        database.execute("drop table feed", "create table feed (id int, c1 int)");
        assertEquals(
                List.of(
                        "was dropped and made again: it is watched again",
                        "triggers of public.feed were missing and were made again: writes until now were not judged"),
                refresh());
        database.execute("insert into feed values (1, 10)");
        assertEquals(List.of("a"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void whatOneRuleRingsIsStoredThoughNothingCanBeDoneAboutAnother() {
        rule("name, feed, condition", "'a rings', 'public.feed', 'NEW.c2 > 9'");
        rule("name, feed, condition", "'b fails', 'public.feed', '1 / NEW.c1 > 5'");
        database.execute(
                "do $do$ begin execute format('alter function %s rename to gone', 'rowbell.rule_failed'::regproc::regprocedure); end $do$",
                "insert into feed (id, c1, c2) values (1, 0, 10)");
        assertEquals(1, database.count("feed"));
        assertEquals(List.of("a rings"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void aMissingRightOnTheQueueDoesNotFailTheWriter() throws SQLException {
        String owner = role("owner");
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
            statement.execute("alter function rowbell." + function() + "() owner to " + owner);
            statement.execute("insert into feed (id, c1) values (1, 10)");
            assertTrue(
                    statement.getWarnings().getMessage().contains("the rules of public.feed were not judged"),
                    statement.getWarnings().getMessage());
            statement.clearWarnings();
            statement.execute("grant usage on schema rowbell, rowbell_alert to " + owner);
            statement.execute("insert into feed (id, c1) values (2, 10)");
            assertTrue(
                    statement.getWarnings().getMessage().contains("the rules of public.feed were not judged"),
                    statement.getWarnings().getMessage());
            statement.clearWarnings();
            statement.execute("grant execute on all functions in schema rowbell, rowbell_alert to " + owner);
            statement.execute("grant select on rowbell.feed, rowbell.rule_state to " + owner);
            String raise = database.query(
                            "select 'raise_1'::text || '(' || oidvectortypes(proargtypes) || ')' from pg_proc where proname = 'raise_1'")
                    .get(0);
            statement.execute("alter function rowbell_alert." + raise + " owner to " + owner);
            statement.execute("insert into feed (id, c1) values (3, 10)");
            assertTrue(
                    statement.getWarnings().getMessage().contains("may not insert into rowbell.feedback"),
                    statement.getWarnings().getMessage());
        }
        assertEquals(3, database.count("feed"));
    }

    /** The roles that check and evaluate conditions have no right on such a schema but those that Rowbell grants. */
    @Test
    void aFeedInASchemaThatIsNotOpenToAllIsWatchedLikeAnyOther() {
        database.execute(
                "create schema hr",
                "create type hr.pair as (a int)",
                "create table hr.pay (id int primary key, a int, doc json, p hr.pair)");
        rule("name, feed, condition", "'rise', 'hr.pay', 'NEW.a > OLD.a'");
        rule(
                "name, feed, condition, fires, columns",
                "'doc', 'hr.pay', 'NEW.id > 0 and NEW.a is not null', 'changed', '{doc}'");
        database.execute(
                "insert into hr.pay values (1, 1, '{}')",
                "update hr.pay set a = 2",
                "update hr.pay set a = 1, doc = '[]'");
        assertEquals(
                List.of("doc INSERT", "rise UPDATE", "doc UPDATE"),
                takeAlerts("concat(alert->>'rule', ' ', alert->>'operation')"));
        for (String values : List.of(
                "'x', 'hr.pay', 'NEW.c99 > 1', false, '{insert}'",
                "'x', 'hr.pay', 'NEW.p > 1', false, '{insert}'",
                "'x', 'hr.pay', 'NEW.a > OLD.a', true, '{update}'",
                "'x', 'hr.pay', 'NEW.a > 1', false, '{delete}'")) {
            assertThrows(
                    IllegalStateException.class,
                    () -> rule("name, feed, condition, resolved, operations", values),
                    values);
        }
    }

    // --- notifications ---

    /** json holds texts and numbers that jsonb refuses. */
    @ParameterizedTest
    @ValueSource(strings = {"{\"a\": \"\\u0000\"}", "[1e1000000]"})
    void anAlertThatIsTooLongAndNoJsonbFailsNoWriter(String json) {
        database.execute("create table documents (id int primary key, doc json, note text)");
        rule("name, feed, condition, delivery", "'wide', 'public.documents', 'NEW.id > 0', 'notify'");
        List<String> payloads = listening(
                "channel_1",
                () -> database.execute("insert into documents values (1, '" + json + "', repeat('x', 9000))"));
        assertEquals(1, payloads.size());
        assertTrue(payloads.get(0).contains("truncated"), payloads.toString());
    }

    @Test
    void anAlertThatIsTooLongForANotificationIsCutUntilItFits() throws Exception {
        rule("name, feed, condition, delivery, fires", "'wide', 'public.feed', 'NEW.c1 > 5', 'notify', 'every'");
        database.execute("create table wide_key (id text primary key, n int)");
        rule("name, feed, condition, delivery", "'wide key', 'public.wide_key', 'NEW.n > 5', 'notify'");
        List<String> payloads = listening(
                "channel_1",
                () -> database.execute(
                        "insert into feed (id, c1, note) values (1, 10, repeat('x', 5000))",
                        "update feed set c2 = 1",
                        "update feed set note = repeat('é\"', 4000)",
                        "insert into wide_key values (repeat('k', 10000), 6)"));
        assertEquals(4, payloads.size());
        for (String payload : payloads) {
            assertTrue(payload.getBytes(StandardCharsets.UTF_8).length < 8000);
        }
        String id = "\"id\":1", cut = "\"truncated\":true";
        assertFalse(payloads.get(0).contains("truncated"));
        assertTrue(
                payloads.get(1).contains(cut)
                        && payloads.get(1).contains("xxxx")
                        && !payloads.get(1).contains("\"old\"")
                        && payloads.get(1).contains("\"changed\":[\"c2\"]"),
                payloads.get(1));
        assertTrue(
                payloads.get(2).contains(cut)
                        && payloads.get(2).contains(id)
                        && payloads.get(2).contains("\"c1\":10")
                        && !payloads.get(2).contains("\"note\":\""),
                payloads.get(2));
        assertTrue(payloads.get(3).contains(cut) && payloads.get(3).contains("\"new\":{}"), payloads.get(3));
        assertEquals(4, database.count("feed") + 3);
    }

    // --- refused at once, with what to change ---

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "condition => 'NEW.c99 > 1'                | condition  | column new.c99 does not exist",
                "condition => 'c1 > 1'                     | condition  | column reference \"c1\" is ambiguous",
                "condition => 'NEW.c1'                     | condition  | must be of type boolean, not type integer",
                "condition => 'NEW.c1 >'                   | condition  | syntax error at its end",
                "condition => 'true) or (true'             | condition  | syntax error at or near \")\"",
                "condition => 'true); drop table public.feed; select (true' | condition | syntax error at or near \")\"",
                "condition => 'true, true'                 | condition  | is more than one expression",
                "condition => 'public.nobody(NEW.c1)'      | condition  | function public.nobody(integer) does not exist",
                "condition => 'count(*) > 1'               | condition  | aggregate functions are not allowed in WHERE",
                "condition => 'new_rows.c1 > 1'            | condition  | missing FROM-clause entry for table \"new_rows\"",
                "condition => 'NEW is distinct from OLD'   | condition  | compares columns of types without equality: doc json, docs json[], place point",
                "condition => 'NEW.c1 > 1 or OLD.* = NEW.*' | condition  | compares columns of types without equality: doc json, docs json[], place point",
                "condition => 'NEW.docs <> OLD.docs'       | condition  | compares columns of types without equality: docs json[]",
                "condition => '''{}'' = NEW.\"docs\"'    | condition  | compares columns of types without equality: docs json[]",
                "feed => 'public.nothing'                  | feed       | there is no table public.nothing",
                "feed => 'pg_catalog.pg_class'             | feed       | pg_catalog.pg_class belongs to Rowbell or to PostgreSQL",
                "feed => 'rowbell.feedback'                | feed       | rowbell.feedback belongs to Rowbell or to PostgreSQL",
                "feed => 'public.a_view'                   | feed       | public.a_view is no table",
                "severity => 'fatal'                       | severity   | 'fatal' is none of info, warning, critical",
                "fires => 'twice'                          | fires      | 'twice' is none of once, every, changed",
                "fires => 'changed'                        | columns    | fires: changed needs the columns to look at",
                "columns => '{c1,c77}'                     | columns    | public.feed has no column c77",
                "delivery => 'pigeon'                      | delivery   | 'pigeon' is none of durable, notify",
                "channel => ''                             | channel    | give a name of 1 to 63 bytes",
                "operations => '{insert,truncate}'         | operations | 'truncate' is none of insert, update, delete",
                "operations => '{}'                        | operations | give at least one of insert, update, delete",
                "operations => '{delete}'                  | condition  | on delete there is OLD alone",
                "condition => 'NEW.c1 > OLD.c1', resolved => true | resolved | the condition compares with OLD, so it never ends",
                "name => 'rowbell-mine'                    | name       | names that start with rowbell- are Rowbell's own"
            })
    void aWrongRuleIsRefusedWithItsNameAndColumn(String values, String column, String problem) {
        database.execute("create view a_view as select 1 as c1", "alter table feed add docs json[], add place point");
        List<String> names = new ArrayList<>(List.of("name", "feed", "condition"));
        List<String> all = new ArrayList<>(List.of("'x'", "'public.feed'", "'NEW.c1 > 1'"));
        for (String assignment : values.split(",\\s*(?=\\w+ =>)")) {
            String[] parts = assignment.split(" => ", 2);
            int known = names.indexOf(parts[0]);
            if (known >= 0) {
                all.set(known, parts[1]);
            } else {
                names.add(parts[0]);
                all.add(parts[1]);
            }
        }
        String insert =
                "insert into rowbell.rule (%s) values (%s)".formatted(String.join(", ", names), String.join(", ", all));
        SQLException refused = (SQLException) assertThrows(IllegalStateException.class, () -> database.execute(insert))
                .getCause();
        assertEquals("RB001", refused.getSQLState());
        String name = values.startsWith("name") ? "rowbell-mine" : "x";
        assertEquals(
                "rule \"%s\": %s: %s".formatted(name, column, problem),
                ((PSQLException) refused).getServerErrorMessage().getMessage());
        assertEquals(column, ((PSQLException) refused).getServerErrorMessage().getColumn());
        assertEquals(0, database.count("rowbell.rule"));
        assertEquals(1, database.count("pg_class where relname = 'feed' and relnamespace = 'public'::regnamespace"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "to_jsonb(NEW) <> to_jsonb(OLD)",
                "NEW::text is distinct from OLD::text",
                "NEW *<> OLD",
                "NEW.area = NEW.area",
                "NEW.id = 2 and (NEW.doc ->> 'a') = '1' and OLD is distinct from null",
                "coalesce(cardinality(NEW.docs), 1) = 1 and '2' = (NEW.docs)[1] ->> 'x' is not true",
                "NEW.note is distinct from 'NEW = OLD' -- NEW = OLD",
                "array(select v from (values (NEW.c1)) as renew (v)) <> '{7}' and row(NEW.id, NEW.c1) = row(NEW.id, NEW.c1)"
            })
    void whatComparesNoColumnWithoutEqualityIsJudged(String condition) {
        database.execute("alter table feed add docs json[], add area box default '(1,1),(0,0)'");
        rule("name, feed, condition, fires", "'same', 'public.feed', $$" + condition + "$$, 'every'");
        database.execute("insert into feed (id, c1, doc) values (2, 1, '{\"a\": 1}')");
        takeAlerts("alert");
        database.execute("update feed set c1 = 2, doc = '{\"a\":1}', docs = array['{}'::json]");
        assertEquals(List.of("same"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void aRuleThatComparesRowsIsLeftOutOnceTheyHaveAColumnWithoutEquality() {
        database.execute("alter table feed drop doc");
        rule("name, feed, condition, fires", "'rows', 'public.feed', 'NEW is distinct from OLD', 'every'");
        database.execute("insert into feed (id) values (1)", "update feed set c3 = 1", "update feed set c3 = 1");
        assertEquals(List.of("INSERT", "UPDATE"), takeAlerts("alert->>'operation'"));
        database.execute("alter table feed add doc json");
        assertEquals(
                List.of("rule \"rows\" is broken and is left out: condition: compares columns of types without"
                        + " equality: doc json"),
                database.query("select event from rowbell.refresh()"));
    }

    @Test
    void generatedColumnsAreJudgedWhereATriggerSeesThem() {
        database.execute(
                "create table computed (id int primary key, c1 int, stored int generated always as (c1 * 2) stored)");
        rule("name, feed, condition", "'s', 'public.computed', 'NEW.stored > 5'");
        database.execute("insert into computed (id, c1) values (1, 1), (2, 3)", "update computed set c1 = 4");
        assertEquals(List.of("2", "1"), takeAlerts("alert->'new'->>'id'"));
        if (database.major() >= 18) {
            database.execute("alter table computed add virtual int generated always as (c1 * 3) virtual");
            rule("name, feed, condition", "'c', 'public.computed', 'NEW.c1 > 9'");
            assertEquals(
                    List.of("uses a virtual generated column, which a trigger sees as NULL"),
                    database.query(
                            "select problem from rowbell.check_rule('{\"name\": \"v\", \"feed\": \"public.computed\", \"condition\": \"NEW.virtual > 5\"}')"));
        }
    }

    @Test
    void rulesAreNotChangedWhereTheRulesOfOthersCannotBeSeen() throws SQLException {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            SQLException refused = assertThrows(
                    SQLException.class,
                    () -> statement.execute(
                            "insert into rowbell.rule (name, feed, condition) values ('a', 'public.feed', 'NEW.c1 > 5')"));
            assertEquals("RB002", refused.getSQLState());
        }
    }

    // --- nobody waits for a rule ---

    @Test
    void changingARuleTakesNoLockOnTheFeed() throws SQLException {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
        try (Connection writer = database.connect();
                Statement writing = writer.createStatement();
                Connection admin = database.connect();
                Statement changing = admin.createStatement()) {
            writer.setAutoCommit(false);
            admin.setAutoCommit(false);
            writing.execute("insert into feed (id, c1) values (1, 0)");
            changing.execute("set lock_timeout = 5000");
            changing.execute("update rowbell.rule set condition = 'NEW.c1 > 6'");
            changing.execute(
                    "insert into rowbell.rule (name, feed, condition) values ('b', 'public.feed', 'NEW.c2 > 5')");
            try (ResultSet locks = changing.executeQuery(
                    "select mode from pg_locks where pid = pg_backend_pid() and relation = 'public.feed'::regclass")) {
                assertFalse(locks.next());
            }
            admin.commit();
            writing.execute("insert into feed (id, c1, c2) values (2, 7, 7)");
            writer.commit();
        }
        assertEquals(List.of("a", "b"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void theFirstRuleOfABusyFeedLetsWritersPass() throws Exception {
        try (Connection busy = database.connect();
                Statement writing = busy.createStatement()) {
            busy.setAutoCommit(false);
            writing.execute("insert into feed (id, c1) values (0, 0)");
            CompletableFuture<Void> admin =
                    CompletableFuture.runAsync(() -> rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'"));
            Awaitility.await()
                    .until(() ->
                            database.count("pg_locks where relation = 'public.feed'::regclass and not granted") > 0);
            int late = 0;
            for (int i = 1; i <= 20; i++) {
                try {
                    database.execute("set lock_timeout = '100ms'; insert into feed (id, c1) values (" + i + ", 0)");
                } catch (IllegalStateException e) {
                    late++;
                }
            }
            // all of them where writers had to wait for the end of the transaction; a few on a busy machine
            assertTrue(late <= 5, late + " of 20 writers waited for more than 100 ms");
            assertFalse(admin.isDone());
            busy.commit();
            admin.get(1, TimeUnit.MINUTES);
        }
        database.execute("insert into feed (id, c1) values (100, 10)");
        assertEquals(List.of("a"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void aRuleOfAFileForABusyFeedGetsItsTriggersWhenThereIsRoom() throws SQLException {
        String apply =
                "select problem from rowbell.apply_rules('file:r', '[{\"name\": \"a\", \"feed\": \"public.feed\", \"condition\": \"NEW.c1 > 5\"}]')";
        try (Connection busy = database.connect();
                Statement writing = busy.createStatement()) {
            busy.setAutoCommit(false);
            writing.execute("insert into feed (id, c1) values (0, 0)");
            assertEquals(
                    List.of("transactions write to it all the time, so its triggers are still to be made"),
                    database.query(apply));
            refresh();
            assertEquals(0, database.count("pg_trigger where tgname like 'rowbell_1%'"));
            busy.commit();
        }
        refresh();
        database.execute("insert into feed (id, c1) values (1, 10)");
        assertEquals(List.of("a"), takeAlerts("alert->>'rule'"));
        assertEquals(List.of(), database.query(apply));
    }

    // --- rights and names ---

    @Test
    void writersNeedNoRightsAndRulesTakeTheRoleForThem() throws SQLException {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c1 > 5'");
        String writer = role("writer"), admin = role("admin");
        database.execute("grant insert on feed to " + writer, "grant rowbell_admin to " + admin);
        String insert = "insert into rowbell.rule (name, feed, condition) values ('b', 'public.feed', 'NEW.c2 > 5')";
        try (Connection connection = database.connectAs(writer, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute("insert into public.feed (id, c1) values (1, 10)");
            assertEquals(
                    "42501",
                    assertThrows(SQLException.class, () -> statement.execute(insert))
                            .getSQLState());
            assertEquals(
                    "42501",
                    assertThrows(SQLException.class, () -> statement.execute("select rowbell.refresh()"))
                            .getSQLState());
        }
        try (Connection connection = database.connectAs(admin, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute(insert);
        }
        database.execute("insert into feed (id, c2) values (2, 10)");
        assertEquals(List.of("a", "b"), takeAlerts("alert->>'rule'"));
    }

    @Test
    void operatorsTypesAndTablesOfAWriterAreNeverTakenForPostgresOwn() throws SQLException {
        database.execute(
                "create table other (id int8 primary key, c1 int, c2 int, note text)",
                "create table several (like other including all)",
                "create table changing (like other including all)",
                "create table child () inherits (several)");
        rule("name, feed, condition", "'bound', 'public.feed', 'NEW.c2 > 9'");
        rule("name, feed, condition", "'several low', 'public.several', 'NEW.c2 > 8'");
        rule("name, feed, condition, fires, columns", "'changing', 'public.changing', 'NEW.c2 > 9', 'changed', '{c2}'");
        rule("name, feed, condition", "'several high', 'public.several', 'NEW.c2 > 9'");
        rule("name, feed, condition", "'guarded', 'public.other', 'NEW.c2 > 9 and length(NEW.note) = 1'");
        String writer = role("hostile");
        database.execute(
                "grant insert, update, select on feed, other, several, changing to " + writer,
                // may write alerts by hand as well
                "grant usage on schema rowbell to " + writer,
                "grant insert on rowbell.feedback to " + writer,
                // somebody listens, so that the doorbell rings
                "insert into rowbell.doorbell_lease (relation, listening_until) values ('rowbell.feedback'::regclass, 'infinity')");
        try (Connection connection = database.connectAs(writer, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute("create schema evil");
            statement.execute("create table evil.calls (who text, what text)");
            statement.execute("grant all on schema evil to public");
            statement.execute("grant all on evil.calls to public");
            int n = 0;
            for (String types : List.of(
                    "int, int",
                    "oid, oid",
                    "oid, int",
                    "text, text",
                    "bigint, bigint",
                    "bigint, int",
                    "timestamptz, timestamptz")) {
                for (String operator : List.of(">", "<", ">=", "<=", "=", "<>")) {
                    evil(statement, "f" + ++n + "(" + types + ") returns boolean", operator + " of " + types, "false");
                    statement.execute("create operator evil." + operator + " (leftarg = "
                            + types.replace(", ", ", rightarg = ") + ", function = evil.f" + n + ")");
                }
            }
            for (String types : List.of(
                    "text, text", "text, json", "text, anynonarray", "anynonarray, text", "timestamptz, interval")) {
                String operator = types.endsWith("interval") ? "+" : "||";
                evil(
                        statement,
                        "f" + ++n + "(" + types + ") returns " + (operator.equals("+") ? "timestamptz" : "text"),
                        operator + " of " + types,
                        "null");
                statement.execute("create operator evil." + operator + " (leftarg = "
                        + types.replace(", ", ", rightarg = ") + ", function = evil.f" + n + ")");
            }
            for (String function : List.of(
                    "row_to_json(record) returns json",
                    "current_setting(text) returns text",
                    "cardinality(anyarray) returns int",
                    "set_config(text, text, boolean) returns text",
                    "clock_timestamp() returns timestamptz",
                    "has_table_privilege(text, text) returns boolean",
                    "has_table_privilege(regclass, text) returns boolean",
                    "format(text, variadic text[]) returns text",
                    "uuidv7() returns uuid",
                    "concat(text, text) returns text",
                    "to_char(timestamp, text) returns text",
                    "timezone(text, timestamptz) returns timestamp")) {
                evil(statement, function, function, "null");
            }
            evil(statement, "called(what text) returns boolean", "a domain", "true");
            statement.execute("create temp table new_rows (id int8, c2 int)");
            statement.execute("create temp table old_rows (id int8, c2 int)");
            for (String type : List.of("text", "int8", "record", "bool", "json", "jsonb")) {
                statement.execute(
                        "create domain pg_temp.\"" + type + "\" as pg_catalog.text check (evil.called(value))");
            }
            for (String path : List.of(
                    "evil, pg_catalog, public",
                    "pg_temp, evil, pg_catalog",
                    "\"$user\", evil, \"a, \"\"b\", pg_catalog",
                    "")) {
                statement.execute("select pg_catalog.set_config('search_path', '" + path + "', false)");
                for (String table : List.of("public.feed", "public.other", "public.several", "public.changing")) {
                    statement.execute("insert into " + table
                            + " as t (id, c2, note) values (1, 10, 'x') on conflict (id) do update set c2 = 1 - t.c2");
                    statement.execute("update " + table + " set c2 = 0");
                    statement.execute("update " + table + " set c2 = 10");
                    statement.execute(
                            "insert into " + table
                                    + " (id, c2, note) values (2, 10, 'x'), (3, 10, 'x') on conflict (id) do update set c2 = 10");
                }
                statement.execute("insert into rowbell.feedback (alert) values ('{}')");
                assertEquals(path, path(statement));
            }
        }
        assertEquals(
                List.of(),
                database.query("select concat(who, ' ', what) from evil.calls where who <> '" + writer + "'"));
        for (String rule : List.of("bound", "guarded", "several low", "several high", "changing")) {
            assertEquals(
                    List.of("INSERT 3", "UPDATE 10"),
                    database.query("select concat(alert->>'operation', ' ', count(*)) from rowbell.feedback"
                            + " where alert->>'rule' = '" + rule + "' group by alert->>'operation' order by 1"));
        }
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    @Test
    void aTableOfAWriterIsNeverTakenForWhatADeleteHasNot() throws SQLException {
        rule("name, feed, condition, operations", "'bound', 'public.feed', 'NEW.c2 > 9', '{insert,update,delete}'");
        database.execute("create table other (like feed including all)", "insert into feed (id, c2) values (1, 10)");
        rule(
                "name, feed, condition, operations",
                "'free', 'public.other', 'abs(NEW.c2) > 9', '{insert,update,delete}'");
        String writer = role("hostile");
        database.execute("grant delete on feed, other to " + writer);
        try (Connection connection = database.connectAs(writer, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute("create schema evil");
            statement.execute("create table evil.calls (who text, what text)");
            statement.execute("grant all on schema evil to public");
            statement.execute("grant all on evil.calls to public");
            evil(statement, "c2() returns int", "a view", "10");
            for (String rows : List.of("new_rows", "old_rows")) {
                statement.execute("create temp view " + rows + " as select evil.c2() as c2");
                statement.execute("grant select on " + rows + " to public");
            }
            statement.execute("delete from public.feed");
            statement.execute("delete from public.other");
        }
        assertEquals(List.of(), database.query("select concat(who, ' ', what) from evil.calls"));
        assertEquals(List.of("bound INSERT"), takeAlerts("concat(alert->>'rule', ' ', alert->>'operation')"));
    }

    private static void evil(Statement statement, String function, String what, String answer) throws SQLException {
        statement.execute("create function evil." + function
                + " language plpgsql as $f$ begin insert into evil.calls values (current_user, '" + what + "'); return "
                + answer + "; end $f$");
    }

    @Test
    void theSearchPathOfAWriterIsAfterwardsWhatItWas() throws SQLException {
        rule("name, feed, condition", "'a', 'public.feed', 'NEW.c2 > 9'");
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("set search_path = public, pg_catalog");
            statement.execute("insert into feed (id, c2) values (1, 10)");
            assertEquals("public, pg_catalog", path(statement));
            statement.execute("savepoint s");
            statement.execute("set local search_path = public");
            statement.execute("insert into feed (id, c2) values (2, 10), (3, 10)");
            assertEquals("public", path(statement));
            statement.execute("rollback to s");
            assertEquals("public, pg_catalog", path(statement));
            statement.execute("insert into feed (id, c2) values (4, 10)");
            connection.commit();
            assertEquals("public, pg_catalog", path(statement));
            connection.commit();
            // a rule that fails
            database.execute("alter table feed rename c2 to c9");
            statement.execute("insert into feed (id, c9) values (5, 10)");
            assertEquals("public, pg_catalog", path(statement));
            connection.rollback();
            assertEquals("public, pg_catalog", path(statement));
            connection.commit();
            // an alert that cannot be stored
            database.execute(
                    "alter table feed rename c9 to c2",
                    "alter table rowbell.feedback add constraint no_more check (alert is null) not valid");
            statement.execute("savepoint s");
            assertThrows(SQLException.class, () -> statement.execute("insert into feed (id, c2) values (6, 10)"));
            statement.execute("rollback to s");
            assertEquals("public, pg_catalog", path(statement));
        }
        assertEquals(List.of("1", "4"), takeAlerts("alert->'new'->>'id'"));
    }

    private static String path(Statement statement) throws SQLException {
        try (ResultSet row = statement.executeQuery("show search_path")) {
            row.next();
            return row.getString(1);
        }
    }

    @Test
    void anyNameWillDo() {
        String table = "\"sch\"\"éma 😀\".\"Tab'le % $1 \"\"x\"", column = "\"Co'l %s \"\"y 😀\"";
        database.execute(
                "create schema \"sch\"\"éma 😀\"",
                "create table " + table + " (\"My Key\" int primary key, " + column
                        + " int, \"at\" int, place int, rn int, doc int, _fired int)");
        String name = "it''s \"%I\" {x} $1 🔔";
        rule(
                "name, feed, condition, reason, fires, columns, resolved",
                "'" + name + "', '" + table.replace("'", "''") + "', 'NEW." + column.replace("'", "''")
                        + " > 5 -- a comment', 'why? \"because\" 100% \\', 'changed', array['"
                        + column.substring(1, column.length() - 1)
                                .replace("\"\"", "\"")
                                .replace("'", "''")
                        + "', 'at'], true");
        database.execute(
                "insert into " + table + " values (1, 10, 1, 1, 1, 1, 1)",
                "update " + table + " set " + column + " = 11",
                "update " + table + " set \"at\" = null, " + column + " = 0");
        assertEquals(
                List.of("firing INSERT", "firing UPDATE", "resolved UPDATE"),
                database.query("select concat(alert->>'status', ' ', alert->>'operation')"
                        + " from rowbell.feedback where alert->>'rule' = '" + name
                        + "' and alert->>'table' = 'sch\"éma 😀.Tab''le % $1 \"x' order by crt_time"));
    }

    @Test
    void aFeedMayBeWrittenWithoutItsSchemaOrItsQuotesWhereThatIsClear() {
        database.execute(
                "create table \"Only One\" (c1 int)",
                "create schema other",
                "create table twice (c1 int)",
                "create table other.twice (c1 int)");
        rule("name, feed, condition", "'a', 'Only One', 'NEW.c1 > 5'");
        rule("name, feed, condition", "'b', 'public.Only One', 'NEW.c1 > 5'");
        assertEquals(List.of("public.\"Only One\""), database.query("select distinct feed from rowbell.rule"));
        assertThrows(IllegalStateException.class, () -> rule("name, feed, condition", "'c', 'twice', 'NEW.c1 > 5'"));
    }

    private void rule(String columns, String values) {
        database.execute("insert into rowbell.rule (" + columns + ") values (" + values + ")");
    }

    private List<String> refresh() {
        return database.query("select event from rowbell.refresh()");
    }

    private List<String> takeAlerts(String expression) {
        return takeAlerts(expression, "crt_time");
    }

    private List<String> takeAlerts(String expression, String order) {
        return takeAlerts(expression, order, "true");
    }

    /** Also what housekeeping would report. */
    private List<String> takeAlerts(String expression, String order, String which) {
        database.execute("select rowbell.report_failures()");
        return database.query(
                "with taken as (delete from rowbell.feedback where %s returning *) select %s from taken order by %s"
                        .formatted(which, expression, order));
    }

    /** Roles belong to the server, which other tests use too. */
    private String role(String kind) {
        String name = database.name() + "_" + kind;
        database.execute(
                "create role " + name + " login password 'secret'",
                "grant create, connect on database " + database.name() + " to " + name);
        return name;
    }

    private List<String> listening(String channel, Runnable work) {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("listen " + channel);
            work.run();
            // whatever the work has committed by now comes before the answer
            statement.execute("select");
            List<String> payloads = new ArrayList<>();
            PGNotification[] notifications =
                    connection.unwrap(PGConnection.class).getNotifications();
            for (PGNotification notification : notifications == null ? new PGNotification[0] : notifications) {
                payloads.add(notification.getParameter());
            }
            return payloads;
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
