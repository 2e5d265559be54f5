package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.testing.CommandLine;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.time.Timers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** Each reason for which an alert does not come is found, by SQL and by command, and who changed a rule. */
class ExplainTest {

    private static final String MEETS = "note the row meets the condition now: {\"id\":1,\"v\":9}";
    private static final String ONCE =
            "note the rule fires once, at the write that makes the condition true: a write that leaves it true does not fire again";

    private final TestDatabase database = TestDatabase.createWithSchema();
    private String rulesFile = "";

    @BeforeEach
    void aRowThatMeetsTheCondition() {
        database.execute(
                "create table public.orders (id int primary key, v int)",
                "insert into rowbell.rule (name, feed, condition) values ('high', 'public.orders', 'NEW.v > 5')",
                "insert into orders values (1, 9), (2, 1)",
                "delete from rowbell.feedback",
                "insert into rowbell.sink values (gen_random_uuid(), 'mail', now())");
    }

    @Test
    void aRowThatMeetsTheConditionAlreadyDoesNotFireAgain() {
        assertEquals(
                List.of("ok the rule is enabled", "note it has not fired yet, as far as it was counted", MEETS, ONCE),
                explain("'high', '1'"));
    }

    @Test
    void aRowThatDoesNotMeetTheConditionIsShown() {
        database.execute("insert into orders values (3)");
        says("'high', '2'", "note the row does not meet the condition now: \\{\"id\":2,\"v\":1}");
        says("'high', '3'", "note the row does not meet the condition now \\(it is NULL\\): \\{\"id\":3,\"v\":null}");
        says("'high', '4'", "note public.orders has no row with id=4 now");
    }

    @Test
    void aRuleThatIsOffIsSaid() {
        database.execute("update rowbell.rule set enabled = false");
        says("'high'", "wrong the rule is disabled");
    }

    @Test
    void aRuleThatIsBrokenIsSaid() {
        database.execute("alter table orders drop column v", "select rowbell.refresh()");
        says("'high'", "wrong the rule is left out until it is changed: condition: column new.v does not exist.*");
    }

    @Test
    void aRuleThatFailedIsSaid() {
        database.execute(
                "update rowbell.rule set condition = '1 / NEW.v > 5'",
                "insert into orders values (3, 0)",
                "select rowbell.report_failures()");
        says("'high'", "wrong it failed last at 20.*: division by zero");
        says("'high', '3'", "wrong the row cannot be judged: division by zero");
    }

    @Test
    void aTriggerThatIsDisabledOrMissingIsSaid() {
        database.execute("alter table orders disable trigger rowbell_1_update");
        says("'high'", "wrong the trigger rowbell_1_update of public.orders is disabled, .*");
        database.execute("drop trigger rowbell_1_update on orders");
        says("'high'", "wrong public.orders has not all triggers of the rule: writes are not judged");
    }

    @Test
    void aSinkThatIsPausedIsSaid() {
        database.execute(
                "select rowbell.pause_sink('mail', 'deploy')",
                "insert into rowbell.delivery (sink, documents) values ('mail', array['{\"id\":\"a\",\"rule\":\"high\"}'])");
        says(
                "'high'",
                "wrong alerts of it that wait for the sink mail: 1; the sink mail is paused since 20.* by .*: deploy");
        matches(
                explainAlert("a"),
                "wrong it waits for the sink mail since 20.*; the sink mail is paused since 20.* by .*: deploy");
        // it has no alert of the row
        assertTrue(explain("'high', '1'").stream().noneMatch(line -> line.contains("mail")));
        sums("'high', '1'", "No new alert: the row meets the condition already, and the rule fires once");
        sums("'high'", "Waits: the sink mail is paused since 20.* by .*: deploy");
    }

    @Test
    void theSummaryNamesTheCause() {
        sums("'high'", "Nothing keeps it quiet: it has not fired yet, as far as it was counted");
        database.execute(
                "insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)"
                        + " values (now(), 'durable', '{z}', '{null}', '{0}', '{\"{}\"}', '{1}', '{high}', '{public.orders}', '{warning}', '{firing}', '{high}', '{mail}')");
        assertEquals(2, explain("'high'").size());
        sums("'high', '2'", "No alert: the row does not meet the condition now");
        sums("'high', '3'", "No alert: public.orders has no row with id=3 now");
        database.execute(
                "insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)"
                        + " values (now(), 'durable', '{a}', '{id=1}', '{0}', '{\"{}\"}', '{1}', '{high}', '{public.orders}', '{warning}', '{firing}', '{high}', '{mail}')",
                "insert into rowbell.history_tried (at, sink, outcomes, attempts, ago, statuses, answers, errors, alert_ids, tries)"
                        + " values ('2026-01-02 03:04:05 UTC', 'mail', '{delivered}', '{1}', '{0}', '{null}', '{null}', '{null}', '{a}', '{1}')");
        String delivered = "delivered to mail at 2026-01-02 03:04:05\\+00";
        sums(
                "'high', '1'",
                "No new alert: the row meets the condition already, and the rule fires once; its last alert: "
                        + delivered);
        assertEquals(
                List.of("alert a"),
                database.query("select about || ' ' || name from rowbell.explain('high', '1') where about = 'alert'"));
        sumsAlert("a", "Delivered to mail at 2026-01-02 03:04:05\\+00");
        database.execute(
                "insert into rowbell.delivery (sink, documents) values ('mial', array['{\"id\":\"a\",\"rule\":\"high\",\"key\":\"id=1\"}'])");
        sumsAlert("a", "Waits: no running process has the sink mial; " + delivered);
        sums("'high', '1'", "Waits: no running process has the sink mial");
        database.execute(
                "delete from rowbell.delivery",
                "insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)"
                        + " values ('http', 'b', '{\"rule\":\"high\",\"key\":\"id=1\"}', 9, now(), '410 Gone')");
        sums("'high', '1'", "Not delivered to http: dead letter 1 since 20.*: 410 Gone");
        sumsAlert("b", "Not delivered to http: dead letter 1 since 20.*: 410 Gone");
        // its next alert was delivered
        database.execute("update rowbell.dead_letter set died = '2026-01-01'");
        sums("'high', '1'", "No new alert: .*; its last alert: " + delivered);
        database.execute("update rowbell.dead_letter set died = now() + interval '1 hour'");
        database.execute(
                "insert into rowbell.silence (rule, key, until, who, why) values ('hi*', 'id=1', '2126-01-01 UTC', 'ann', 'stocktaking')");
        sums("'high', '1'", "No alert: silenced by silence 1 until 2126-01-01 00:00:00\\+00 \\(stocktaking, by ann\\)");
        // it is of one row
        sums("'high'", "Not delivered to http.*");
        database.execute("update rowbell.rule set enabled = false");
        sums("'high', '1'", "No alert: the rule is disabled");
    }

    @Test
    void aCircuitThatIsOpenSaysWhenItIsTriedNext() {
        database.execute(
                "insert into rowbell.delivery (sink, documents, attempts, last_error)"
                        + " values ('mail', array['{\"id\":\"a\",\"rule\":\"high\",\"key\":\"id=1\"}'], 1, 'connection refused')",
                "update rowbell.sink set circuit_error = 'still refused', circuit_failures = 7, next_try = now() + interval '5 minutes'");
        String open =
                "the circuit of the sink mail is open, 7 tries in a row failed, next try in \\d+ s: still refused";
        sums("'high', '1'", "Waits: " + open);
        sumsAlert("a", "Waits: " + open);
        says(
                "'high', '1'",
                "wrong alerts of it that wait for the sink mail: 1, tried 1 time: connection refused; " + open);
        assertEquals(
                List.of("sink mail"),
                database.query("select about || ' ' || name from rowbell.explain('high', '1') where level = 'wrong'"));
        // another process may still deliver
        database.execute("insert into rowbell.sink values (gen_random_uuid(), 'mail', now())");
        sums("'high', '1'", "Waits: the sink mail failed, next try now: connection refused");
    }

    @Test
    void theRowIsNotLookedAtWhereThatIsNotWanted() {
        assertEquals(
                List.of(
                        "summary Nothing is known that keeps it quiet, but the row was not looked at row 1",
                        "ok the rule is enabled",
                        "note it has not fired yet, as far as it was counted",
                        "note the row was not looked at: the condition or the type of a column may call functions of other roles row 1"),
                database.query(
                        "select concat_ws(' ', level, finding, case about when 'row' then about || ' ' || name end) from rowbell.explain('high', '1', false)"));
    }

    @Test
    void aProcessThatDoesNotRunIsSaid() {
        database.execute("update rowbell.sink set seen = '2026-01-02 03:04:05 UTC'");
        says("'high'", "wrong no process of Rowbell is running since 2026-01-02 03:04:05\\+00");
        database.execute("insert into rowbell.doorbell_lease values (1, '-infinity', now() + interval '9 s')");
        assertEquals(2, explain("'high'").size());
    }

    @Test
    void aSilenceIsSaidWhereItCoversTheRow() {
        database.execute(
                "insert into rowbell.silence (rule, key, until, who, why, silenced) values"
                        + " ('hi*', 'id=1', '2126-01-01 UTC', 'ann', 'stocktaking', 7), ('h_gh', null, '2126-01-01', 'bob', 'another rule', 0)",
                "insert into rowbell.silence (since, until, why) values ('2026-01-01', now(), 'over')");
        String silence =
                "wrong silence 1 keeps it quiet until 2126-01-01 00:00:00\\+00 \\(stocktaking, by ann\\); alerts kept back: 7";
        says("'high', '1'", silence);
        says("'high'", silence);
        assertTrue(explain("'high', '2'").stream().noneMatch(line -> line.contains("silence")));
        database.execute("update rowbell.silence set since = '2125-01-01 UTC' where id = 1");
        says(
                "'high', '1'",
                "note silence 1 is planned to keep it quiet from 2125-01-01 00:00:00\\+00 until 2126-01-01 00:00:00\\+00 \\(stocktaking, by ann\\)");
    }

    @Test
    void anAcknowledgementIsSaidWhereItKeepsQuiet() {
        database.execute(
                "insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, since, last, times, silenced, alert_id)"
                        + " values ('f', 'high', 'public.orders', 'id=1', 'info', '2026-01-02 UTC', '2026-01-02 UTC', 3, 2, 'a')");
        database.query("select rowbell.acknowledge('high', 'id=1', 'stocktaking')");
        says(
                "'high', '1'",
                "note it fires for id=1 since 2026-01-02 00:00:00\\+00, which .+ has acknowledged \\(stocktaking\\): its next alert is new, and sent");
        database.execute("update rowbell.rule set fires = 'every' where name = 'high'");
        says(
                "'high', '1'",
                "wrong it fires for .+ \\(stocktaking\\): no alert is sent until it has ended; alerts kept back: 2");
        assertTrue(explain("'high', '2'").stream().noneMatch(line -> line.contains("acknowledged")));
    }

    @Test
    void aCooldownIsSaid() {
        database.execute(
                "update rowbell.rule set cooldown = '1 h'",
                "select rowbell.passes_cooldown('high', 'durable', 'firing', 'id=1', now(), '1 h') from generate_series(1, 3)");
        says("'high', '1'", "wrong its cooldown keeps it quiet about id=1 until .*; alerts kept back: 2, since .*");
        assertTrue(explain("'high', '2'").stream().noneMatch(line -> line.contains("cooldown")));
    }

    @Test
    void alertsThatWaitOrDiedAreSaid() {
        database.execute(
                "update orders set v = 7 where id = 2",
                "insert into rowbell.delivery (sink, documents, attempts, last_error)"
                        + " values ('mail', array['{\"id\":\"a\",\"rule\":\"high\",\"key\":\"id=1\"}'], 3, 'connection refused')",
                "insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)"
                        + " values ('http', 'b', '{\"rule\":\"high\",\"key\":\"id=1\"}', 9, now(), '410 Gone')");
        String waits =
                "wrong alerts of it that wait for the sink mail: 1, the next is due at 20.*, tried 3 times: connection refused";
        says("'high', '1'", waits);
        says("'high', '1'", "wrong dead letters of the sink http: 1, the last at 20.*: 410 Gone");
        says("'high'", "note alerts of it that wait to be routed: 1, the oldest since 20.*");
        assertTrue(explain("'high', '2'").stream().noneMatch(line -> line.contains("mail") || line.contains("http")));
        String id = database.query("select alert->>'id' from rowbell.feedback").get(0);
        matches(explainAlert(id), "note it waits to be routed since 20.*");
        matches(
                explainAlert("a"),
                "wrong it waits for the sink mail since 20.*, due at 20.*, tried 3 times: connection refused");
        matches(
                explainAlert("b"),
                "wrong it is the dead letter 1 of the sink http since 20.*, tried 9 times: 410 Gone");
        assertEquals(List.of(), explainAlert("c"));
    }

    @Test
    void anAlertThatWaitsToBeRoutedIsFoundByTheKeyOfItsRow() {
        database.execute("insert into orders values (5, 9)");
        sums("'high', '5'", "Waits: to be routed since 20.*");
        sums("'high', '1'", "No new alert: the row meets the condition already.*");
        database.execute(
                "create table public.item (a int, b text, v int, primary key (a, b))",
                "insert into rowbell.rule (name, feed, condition, resolved, operations)"
                        + " values ('item', 'public.item', 'NEW.v > 5', true, '{insert,update,delete}')",
                "insert into item values (1, 'x,\"y', 9), (2, 'z', 9), (3, 'gone', 9)",
                "delete from rowbell.feedback where alert -> 'new' ->> 'a' in ('2', '3')",
                "delete from item where a = 3");
        sums("'item', 'a=1,b=x,\"y'", "Waits: to be routed since 20.*");
        sums("'item', 'a=2,b=z'", "No new alert: the row meets the condition already.*");
        sums("'item', 'a=1,b=z'", "No alert: public.item has no row with a=1,b=z now");
        sums("'item', 'a=3,b=gone'", "Waits: to be routed since 20.*");
        // a dead letter of the routing that is sent again has its key in words
        database.execute(
                "insert into rowbell.feedback (alert) values ('{\"rule\":\"item\",\"key\":\"a=2,b=z\",\"new\":{\"a\":7}}'), ('{\"rule\":\"item\",\"key\":[]}'), ('{\"rule\":\"item\",\"key\":[\"a\"],\"new\":\"x\"}')");
        sums("'item', 'a=2,b=z'", "Waits: to be routed since 20.*");
        says("'item'", "note alerts of it that wait to be routed: 5, .*");
    }

    @Test
    void aGroupWhoseAlertWaitsToBeRoutedIsFound() {
        database.execute(
                "create table public.payment (id int primary key, shop text)",
                "insert into rowbell.rule (name, feed, condition, count, within, by)"
                        + " values ('many', 'public.payment', 'NEW.id > 0', 2, '1 h', '{NEW.shop}')",
                "insert into payment values (1, 'a'), (2, 'a'), (3, 'b'), (4, null), (5, null)",
                "do 'begin while rowbell.run_windows(2) loop end loop; end'");
        sums("'many', 'a'", "Waits: to be routed since 20.*");
        sums("'many', 'shop=null'", "Waits: to be routed since 20.*");
        sums("'many', 'b'", "Shop=b is below");
    }

    @Test
    void aFailureOfLongAgoIsNoCause() {
        database.execute(
                "insert into rowbell.rule_state (rule, failure, failed) values ('high', 'too big', now() - interval '1 hour')"
                        + " on conflict (rule) do update set failure = excluded.failure, failed = excluded.failed");
        sums("'high', '1'", "The rule failed last at 20.*: too big");
        database.execute("update rowbell.rule_state set hits = 1, last_hit = now()");
        sums("'high', '1'", "No new alert: the row meets the condition already.*");
        says("'high', '1'", "note it failed last at 20.*: too big");
        database.execute("update rowbell.rule_state set last_hit = null, failed = now() - interval '2 days'");
        sums("'high', '1'", "No new alert: the row meets the condition already.*");
        sums("'high'", "The rule failed last at 20.*: too big");
    }

    @Test
    void aSinkIsAskedOnceHoweverManyAlertsWaitForIt() {
        database.execute(
                "insert into rowbell.delivery (sink, documents) select 'mail', array['{\"id\":\"a\",\"rule\":\"high\"}'] from generate_series(1, 50)",
                "begin; set local track_functions = 'all'; select from rowbell.explain('high');"
                        + " create table public.calls as select pg_stat_get_xact_function_calls('rowbell.sink_trouble(text)'::regprocedure) as n; commit");
        says("'high'", "note alerts of it that wait for the sink mail: 50, .*");
        assertEquals(List.of("1"), database.query("select n from public.calls"));
    }

    @Test
    void aGroupIsLookedAtThoughTheConditionMayCallFunctionsOfOthers() {
        database.execute(
                "create function public.strange(n int) returns boolean language plpgsql as 'begin return n > 0; end'",
                "create table public.beat (id int primary key, shop text)",
                "insert into rowbell.rule (name, feed, condition, absent, by) values ('quiet', 'public.beat', 'public.strange(NEW.id)', '1 h', '{NEW.shop}')",
                "insert into beat values (1, 'a')",
                "do 'begin while rowbell.run_windows(2) loop end loop; end'");
        sums("'quiet', 'a', false", "Shop=a is waiting");
        sums("'quiet', 'b', false", "No alert: no write of shop=b was seen yet, or it was forgotten");
    }

    @Test
    void anAlertIsFoundInALongQueueAndWhatWasNotLookedAtIsSaid() {
        database.execute("""
                insert into rowbell.delivery (sink, documents, filed, due)
                select 'mail', array[json_build_object('id', id, 'rule', 'other')::text], at, at
                from (
                  select now() - i * interval '1 s' as at,
                    (lpad(to_hex((extract(epoch from now() - i * interval '1 s') * 1000)::bigint), 12, '0') || '7abc8abcdefabcde' || lpad(to_hex(i), 4, '0'))::uuid as id
                  from generate_series(1, 12000) i) a""", """
                insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)
                select filed - interval '1 h' + interval '1 ms', 'durable', array['a'], array['id=1'], '{0}', array['{"id":"a"}'], '{1}', '{high}',
                  '{public.orders}', '{warning}', '{firing}', '{high}', '{mail}'
                from rowbell.delivery order by filed desc offset 6000 limit 1""", """
                insert into rowbell.delivery (sink, documents, filed)
                select 'mail', array['{"id":"a","rule":"high"}'], at - interval '1 ms' from rowbell.history_routed""");
        String inTheMiddle = database.query(
                        "select documents[1]::json ->> 'id' from rowbell.delivery order by filed offset 5999 limit 1")
                .get(0);
        matches(explainAlert(inTheMiddle), "note it waits for the sink mail since 20.*");
        assertTrue(
                explainAlert("a").stream().anyMatch(line -> line.startsWith("note it waits for the sink mail since")));
        assertEquals(
                List.of(
                        "note it was not found, but not all that waits was looked at: so many alerts wait, and the history does not have it"),
                explainAlert("01a20acd-4fe3-4c2e-bcaf-ad88171227b1"));
        says(
                "'high'",
                "note alerts that wait for the sink mail: the first 2000 of them were looked at, and there are more");
    }

    @Test
    void aSinkThatNoProcessHasIsSaid() {
        database.execute(
                "insert into rowbell.delivery (sink, documents) values ('mial', array['{\"id\":\"a\",\"rule\":\"high\"}'])");
        says("'high'", "wrong alerts of it that wait for the sink mial: 1; no running process has the sink mial");
    }

    @Test
    void aTimerSaysWhenItIsDue() {
        database.execute("update rowbell.rule set \"for\" = '1 h', existing = false");
        says(
                "'high', '1'",
                "note it is not armed: the rule has existing: false, so only a write that makes the condition true arms it");
        database.execute("update orders set v = 0 where id = 1", "update orders set v = 9 where id = 1");
        work();
        says("'high', '1'", "note it is armed: it has met the condition since 20.* and fires at 20.* if that lasts");
        says("'high'", "ok the rule is enabled");
        database.execute("update rowbell.timer set began = began - interval '2 h', since = since - interval '2 h'");
        work();
        says("'high', '1'", "note it has met the condition since 20.* and fired at 20.*; it does not fire again.*");
        database.execute("select rowbell.pause('high')");
        says("'high'", "wrong the rule is paused since 20.*: select rowbell.resume\\('high'\\)");
    }

    private void work() {
        SingleConnectionDataSource connection = database.singleConnection();
        new Timers(connection).work();
        connection.destroy();
    }

    @Test
    void aRuleThatCountsSaysHowFarAGroupIs() {
        database.execute(
                "create table public.payment (id int primary key, shop text)",
                "insert into rowbell.rule (name, feed, condition, count, within, by)"
                        + " values ('many', 'public.payment', 'NEW.id > 0', 2, '1 h', '{NEW.shop}')",
                "insert into payment values (1, 'a'), (2, 'a'), (3, 'b'), (4, null)",
                "do 'begin while rowbell.run_windows(2) loop end loop; end'");
        says("'many'", "note it counts changes: 1 of 3 groups are over the line now");
        says("'many', 'a'", "note shop=a is firing: .*\"count\" : 2,.*");
        says("'many', 'shop=b'", "note shop=b is below: .*\"count\" : 1,.*");
        says("'many', 'shop=null'", "note shop=null is below: .*\"count\" : 1,.*");
        says("'many', 'c'", "note nothing was counted for shop=c lately");
        assertEquals(
                "rowbell: \"{}\" is no key of a group. Give it as shop=VALUE.\n", command(2, "explain", "many", "{}"));
    }

    @Test
    void aQuerySaysWhatItsLastResultWas() {
        database.execute(
                "insert into rowbell.rule (name, query, key, every) values ('off', 'select id, v from public.orders where v > 5', '{id}', '1 h')",
                "insert into rowbell.query_run values ('off', 'x', '2126-01-01 UTC')",
                "insert into rowbell.query_key values ('off', '{\"id\":1}', '2026-01-02 03:04:05 UTC', '{\"id\":1,\"v\":9}')");
        says("'off', '1'", "note it fires for id=1 since 2026-01-02 03:04:05\\+00: \\{\"id\":1,\"v\":9}");
        says("'off', '2'", "note id=2 was not in its last result");
        says("'off'", "note its query is to run at 2126-01-01 00:00:00\\+00");
    }

    @Test
    void anAdministratorReadsWhatItsRoleMayRead() {
        String admin = "select finding from set_config('role', 'rowbell_admin', true) r"
                + " cross join lateral rowbell.explain('high', case when r <> '' then '1' end) offset 3";
        assertEquals(
                List.of("the row cannot be judged: permission denied for table orders"
                        + " (grant select on public.orders to rowbell_admin)"),
                database.query(admin));
        database.execute("grant select on orders to rowbell_admin");
        assertEquals(List.of(MEETS.substring(5), ONCE.substring(5)), database.query(admin));
    }

    @ParameterizedTest
    @ValueSource(strings = {"a=1,b=x y", "a=1, b=x y", "{\"a\": 1, \"b\": \"x y\"}"})
    void aKeyOfSeveralColumnsIsWrittenAsAlertsShowIt(String key) {
        database.execute(
                "create table public.item (a int, b text, v int, primary key (a, b))",
                "insert into rowbell.rule (name, feed, condition) values ('item', 'public.item', 'NEW.v > 5')",
                "insert into item values (1, 'x y', 9)");
        says("'item', '" + key + "'", "note the row meets the condition now: \\{\"a\":1,\"b\":\"x y\",\"v\":9}");
    }

    /** Its operators are not in pg_catalog. */
    @Test
    void aKeyOfATypeOfAnExtensionIsFound() {
        database.execute(
                "create extension ltree",
                "create table public.item (k ltree primary key, v int)",
                "insert into rowbell.rule (name, feed, condition) values ('item', 'public.item', 'NEW.v > 5')",
                "insert into item values ('a.b', 9)");
        says("'item', 'a.b'", "note the row meets the condition now: \\{\"k\":\"a.b\",\"v\":9}");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Artikel Nr=\"A, 1\\\"x\",Lager=1",
                "Artikel Nr=\"A, 1\\\"x\", Lager=1",
                "Artikel Nr=A, 1\"x,Lager=1",
                "Artikel Nr=\",Lager=1\\\\\",Lager=2",
                "Artikel Nr=\"\uD83D\uDD14\",Lager=3"
            })
    void aQuotedKeyIsReadAsAlertsShowIt(String key) {
        database.execute(
                "create table public.item (\"Artikel Nr\" text, \"Lager\" int, v int, primary key (\"Artikel Nr\", \"Lager\"))",
                "insert into rowbell.rule (name, feed, condition) values ('item', 'public.item', 'NEW.v > 5')",
                "insert into item values ('A, 1\"x', 1, 9), (',Lager=1\\', 2, 9), ('\uD83D\uDD14', 3, 9)");
        says("'item', '" + key + "'", "note the row meets the condition now: .*");
    }

    @Test
    void theLastAlertIsFoundByAQuotedKey() {
        database.execute(
                "create table public.tag (name text primary key, n int)",
                "insert into rowbell.rule (name, feed, condition) values ('tag', 'public.tag', 'NEW.n > 0')",
                "insert into tag values ('c, b', 1), ('x\"y', 1)",
                "insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)"
                        + " values (now(), 'durable', '{a,b}', array['name=\"c, b\"', 'name=\"x\\\"y\"'], '{0,0}', '{\"{}\",\"{}\"}', '{1,1}', '{tag}', '{public.tag}', '{warning}', '{firing}', '{high}', '{mail}')");
        for (String key : List.of("name=\"c, b\"", "name=c, b", "c, b")) {
            says("'tag', '" + key + "'", "note its last alert: routed to mail");
        }
        for (String key : List.of("name=\"x\\\"y\"", "name=x\"y", "x\"y")) {
            says("'tag', '" + key + "'", "note its last alert: routed to mail");
        }
    }

    /** Beyond 200 characters, of which Java counts two for a bell, alerts have a hash. */
    @ParameterizedTest
    @CsvSource({
        "195,''",
        "196,''",
        "300,''",
        "94,\uD83D\uDD14",
        "150,\uD83D\uDD14",
        "152,\uD83D\uDD14",
        "153,\uD83D\uDD14",
        "154,\uD83D\uDD14"
    })
    void theLastAlertIsFoundByALongKey(int length, String bells) {
        String name = "x".repeat(length) + bells.repeat(51);
        String shown = String.valueOf(new AlertReader(() -> new AlertReader.Source("db", "db"), Clock.systemUTC())
                .fromRow(Map.of(
                        "alert", "{\"rule\": \"tag\", \"key\": [\"name\"], \"new\": {\"name\": \"" + name + "\"}}"))
                .get("key"));
        database.execute(
                "create table public.tag (name text primary key, n int)",
                "insert into rowbell.rule (name, feed, condition) values ('tag', 'public.tag', 'NEW.n > 0')",
                "insert into tag values ('" + name + "', 1)",
                "insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)"
                        + " values (now(), 'durable', '{a}', array['" + shown
                        + "'], '{0}', '{\"{}\"}', '{1}', '{tag}', '{public.tag}', '{warning}', '{firing}', '{high}', '{mail}')");
        says("'tag', '" + name + "'", "note its last alert: routed to mail");
        says("'tag', '" + name + "'", "note the row meets the condition now: .*");
        database.query("select rowbell.keep_history('7 d')");
        assertEquals(
                List.of("1"),
                database.query(
                        "select rowbell.erase_history('public.tag', 'name=' || rowbell.key_part('" + name + "'))"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"custom=1", "x", "99999999999999999999"})
    void aKeyThatIsNoneOfTheTypeOfItsColumnIsRefused(String key) {
        assertEquals(
                "rowbell: \"" + key + "\" is no key of public.orders. Give it as id=VALUE.\n",
                command(2, "explain", "high", key));
    }

    @Test
    void aGroupWithoutAValueIsNotThatOfTheTextNull() {
        database.execute(
                "create table public.payment (id int primary key, shop text)",
                "insert into rowbell.rule (name, feed, condition, count, within, by) values ('many', 'public.payment', 'NEW.id > 0', 2, '1 h', '{NEW.shop}')",
                "insert into payment values (1, null), (2, null), (3, 'null')",
                "insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)"
                        + " values (now(), 'durable', '{a}', array['shop=\"null\"'], '{0}', '{\"{}\"}', '{1}', '{many}', '{public.payment}', '{warning}', '{firing}', '{high}', '{mail}')");
        says("'many', 'shop=\"null\"'", "note its last alert: routed to mail");
        assertTrue(explain("'many', 'shop=null'").stream().noneMatch(line -> line.contains("last alert")));
    }

    @Test
    @Tag("long")
    void theCommandPrintsItAndItsExitCodeSaysWhetherSomethingIsWrong() {
        assertEquals("""
                No new alert: the row meets the condition already, and the rule fires once
                ok     the rule is enabled
                note   it has not fired yet, as far as it was counted
                note   the row meets the condition now: {"id":1,"v":9}
                note   the rule fires once, at the write that makes the condition true: a write that leaves it true does not fire again
                """, command(0, "explain", "high", "id=1"));
        database.execute("update rowbell.rule set enabled = false");
        assertEquals(
                "wrong  the rule is disabled",
                command(1, "explain", "high").lines().skip(1).findFirst().orElseThrow());
        assertEquals("rowbell: there is no rule \"hig\"; did you mean high?\n", command(2, "explain", "hig"));
        assertEquals("rowbell: there is no rule \"another\"; there are high\n", command(2, "explain", "another", "1"));
        assertEquals("rowbell: there is no rule \"another\"; there are high\n", command(2, "explain", "another"));
        assertTrue(command(0, "explain", "01890a5d-ac96-774b-bcce-b302099a8057")
                .startsWith("No alert with this id waits"));
        String refused = command(2, "explain", "high", "{}");
        assertEquals("rowbell: \"{}\" is no key of public.orders. Give it as id=VALUE.\n", refused);
    }

    @Test
    void aRuleThatSomebodyDisabledSaysWhoSinceWhenAndWhy() {
        assertEquals(
                "disabled until it is enabled again\n", command(0, "rules", "disable", "high", "--note", "import"));
        assertEquals("it is disabled already\n", command(1, "rules", "disable", "high"));
        String who = database.query("select session_user").get(0);
        says(
                "'high'",
                "wrong the rule is disabled by %s since 20.* \\(import\\): select rowbell.enable\\('high'\\)"
                        .formatted(who));
        String list = command(0, "rules", "list");
        assertTrue(list.matches("(?s).* off by %s since 20.*: import .*".formatted(who)), list);
        assertEquals("rowbell: there is no rule \"hig\"\n", command(2, "rules", "disable", "hig"));
        assertEquals("enabled\n", command(0, "rules", "enable", "high"));
        assertEquals("it is enabled already\n", command(1, "rules", "enable", "high"));
        assertEquals(
                List.of("enabled: false -> true", "enabled: true -> false, note: none -> import", "made: NEW.v > 5"),
                database.query("select change from rowbell.rule_history('high')"));
    }

    @Test
    void theHistorySaysWhoChangedWhichRuleFromWhatToWhat() {
        database.execute(
                "set application_name = 'shop'; update rowbell.rule set condition = 'NEW.v > 7', severity = 'critical'",
                "update rowbell.rule set severity = 'critical'",
                "insert into rowbell.rule (name, feed, condition) values ('high', 'public.orders', 'NEW.v > 7')"
                        + " on conflict (name) do update set cooldown = '1 h'",
                "begin; update rowbell.rule set enabled = false; rollback",
                "select * from rowbell.apply_rules('rules.yaml', '[{\"name\":\"low\",\"feed\":\"public.orders\",\"condition\":\"NEW.v < 0\"}]')",
                "delete from rowbell.rule where name = 'high'",
                "truncate rowbell.rule cascade");
        assertEquals(
                List.of(
                        "all rules were removed",
                        "high removed: NEW.v > 7",
                        "low made by rules.yaml: NEW.v < 0",
                        "high cooldown: 00:00:00 -> 01:00:00",
                        "high condition: NEW.v > 5 -> NEW.v > 7, severity: warning -> critical",
                        "high made: NEW.v > 5"),
                database.query("select concat_ws(' ', rule_name, change) from rowbell.rule_history()"));
        assertEquals(
                List.of("all rules were removed", "made by rules.yaml: NEW.v < 0"),
                database.query("select change from rowbell.rule_history('low')"));
        assertEquals(
                List.of("true shop"),
                database.query(
                        "select (who = session_user) || ' ' || application from rowbell.rule_history() where change like '%critical'"));
        String printed = command(0, "rules", "history", "high", "--limit", "2");
        database.execute(
                "update rowbell.rule_change set at = at - interval '2 years' where rule = 'high'",
                "insert into rowbell.rule (name, feed, condition) values ('new', 'public.orders', 'NEW.v > 5')");
        assertEquals(
                List.of("new", "", "low"),
                database.query("select coalesce(rule_name, '') from rowbell.rule_history()"));
        assertTrue(
                printed.matches(
                        "(?s)at +by +application +rule +change\n20.*\\(all\\) +all rules were removed\n20.* high +removed: NEW.v > 7\n"),
                printed);
    }

    @Test
    void aRuleThatIsRefusedInItsFileIsExplainedByThat(@TempDir Path dir) throws IOException {
        Path file = dir.resolve("rules.yaml");
        Files.writeString(file, """
                rules:
                  - {name: high, feed: public.orders, condition: NEW.w > 5}
                  - {name: gone, feed: public.gone, condition: NEW.v > 5}
                  - {name: lost, feed: public.orders, condition: NEW.v > 5, delivery: notify, channel: other}
                """);
        rulesFile = file.toString();
        String high = command(1, "explain", "high");
        assertTrue(
                high.matches(
                        "(?s)wrong  it is refused as it stands in .*rules.yaml:2: rule \"high\": condition: .*ok     the rule is enabled.*"),
                high);
        String gone = command(1, "explain", "gone", "1");
        assertTrue(
                gone.matches(
                        "wrong  it is refused as it stands in .*rules.yaml:3: rule \"gone\": feed: there is no table public.gone.*\n"),
                gone);
        String lost = command(1, "explain", "lost");
        assertTrue(
                lost.contains(
                        "rule \"lost\": channel: its alerts would be lost, since Rowbell does not listen to \"other\" (rowbell.channels has channel_1)"),
                lost);
    }

    @Test
    void aTableThatIsGoneAKeyThatIsNoneAndADocumentThatIsNoJsonAreSaid() {
        database.execute(
                "insert into rowbell.delivery (sink, documents) values ('mail', array['no JSON', '{\"id\":\"a\",\"rule\":\"high\"}'])");
        says("'high'", "note alerts of it that wait for the sink mail: 1, .*");
        assertEquals(1, explainAlert("a").size());
        assertEquals(
                "rowbell: \"{\"id\": \"\\u0000\"}\" is no key of public.orders. Give it as id=VALUE.\n",
                command(2, "explain", "high", "{\"id\": \"\\u0000\"}"));
        database.execute("drop table orders");
        says("'high', '1'", "wrong there is no table public.orders");
    }

    @Test
    void noSettingKeepsAChangeOutOfTheHistory() {
        database.execute(
                "set rowbell.triggers = 'refresh'; update rowbell.rule set condition = 'NEW.v > 7', feed = 'orders'");
        assertEquals(
                List.of("condition: NEW.v > 5 -> NEW.v > 7"),
                database.query("select change from rowbell.rule_history() limit 1"));
        database.execute("insert into orders values (7, 7), (8, 8)");
        assertEquals(List.of("8"), database.query("select alert->'new'->>'id' from rowbell.feedback"));
    }

    private String command(int exit, String... arguments) {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.rules.file", rulesFile);
        return CommandLine.run(exit, settings, arguments);
    }

    private List<String> explain(String arguments) {
        return database.query(
                "select level || ' ' || finding from rowbell.explain(" + arguments + ") where level <> 'summary'");
    }

    private void sums(String arguments, String pattern) {
        matches(
                database.query("select finding from rowbell.explain(" + arguments + ") where level = 'summary'"),
                pattern);
    }

    private void sumsAlert(String id, String pattern) {
        matches(
                database.query("select finding from rowbell.explain_alert('" + id + "') where level = 'summary'"),
                pattern);
    }

    private List<String> explainAlert(String id) {
        return database.query(
                "select level || ' ' || finding from rowbell.explain_alert('" + id + "') where level <> 'summary'");
    }

    private void says(String arguments, String pattern) {
        List<String> findings = explain(arguments);
        assertTrue(
                findings.stream().anyMatch(line -> line.matches(pattern)),
                () -> pattern + "\nis not in\n" + String.join("\n", findings));
    }

    private static void matches(List<String> findings, String pattern) {
        assertEquals(1, findings.size(), findings::toString);
        assertTrue(findings.get(0).matches(pattern), findings::toString);
    }
}
