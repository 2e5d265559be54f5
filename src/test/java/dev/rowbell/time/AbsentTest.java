package dev.rowbell.time;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a rule with {@code absent} promises. Time passes by {@link #pass}, which moves what was seen into the past. */
class AbsentTest {

    private static final String SILENT = rule("by", "'{NEW.sensor}'");
    private static final String WHOLE = rule("reason", "'nothing is written'");
    private static final String LISTED =
            rule("by, groups", "'{NEW.sensor}', 'select id from public.sensor where active;'");

    private final TestDatabase database = TestDatabase.createWithSchema();

    private static String rule(String columns, String values) {
        return "insert into rowbell.rule (name, feed, absent, resolved, " + columns
                + ") values ('silent', 'public.reading', '10 min', true, " + values + ")";
    }

    private void readings(String each) {
        database.execute(
                "create table public.reading (id int generated always as identity primary key, sensor int, ok boolean not null default true)",
                "create table public.sensor (id bigint primary key, active boolean not null default true)",
                "select rowbell.for_each('public.reading', '" + each + "')");
    }

    private void write(int... sensors) {
        for (int sensor : sensors) {
            database.execute("insert into reading (sensor) values (" + sensor + ")");
        }
    }

    private void work() {
        while (database.query("select rowbell.run_windows(f.feed) from rowbell.window_feed f")
                .contains("t"))
            ;
    }

    /** What {@link QueryLoop} does, each minute. */
    private void askForGroups() {
        database.execute("select rowbell.next_query()", "update rowbell.query_run set due = '-infinity'", """
                do $$ declare t record; begin
                  for t in select * from rowbell.take_query() loop
                    perform rowbell.query_ran(t.rule, array(select q::text from rowbell.query_rows(t.rule ->> 'query', (t.rule ->> 'max_rows')::int + 1) q),
                      clock_timestamp() + interval '1 min');
                  end loop;
                end $$
                """);
    }

    private void passUnseen(String time) {
        database.execute(
                "update rowbell.window_event set at = at - interval '" + time + "'",
                "update rowbell.window_group set since = since - interval '%1$s', due = due - interval '%1$s', last = last - interval '%1$s'"
                        .formatted(time),
                "update rowbell.window_feed set (judged, failing_judged, retry) = (judged - i, failing_judged - i, retry - i) from (select interval '"
                        + time + "') t (i)",
                "update rowbell.query_run set due = due - interval '" + time + "'",
                "update rowbell.rule_state set counts_since = counts_since - interval '%1$s', paused = paused - interval '%1$s', pauses = array(select tstzrange(lower(p) - interval '%1$s', upper(p) - interval '%1$s') from unnest(pauses) p)"
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
                "select concat_ws(' ', alert ->> 'status', alert ->> 'new') from rowbell.feedback where alert ->> 'rule' <> 'rowbell-rule-failed'"
                        + " order by alert ->> 'status', alert ->> 'new'");
        database.execute("delete from rowbell.feedback");
        return alerts;
    }

    private List<String> failures() {
        return database.query("select distinct rule || ': ' || failure from rowbell.rule_failure order by 1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aGroupFiresOnceWhenItIsSilentAndResolvesAtTheNextWrite(String each) {
        readings(each);
        database.execute(SILENT);
        pass("1 hour");
        assertEquals(List.of(), alerts());
        write(1, 2);
        pass("6 min");
        write(1);
        pass("3 min");
        assertEquals(List.of(), alerts());
        pass("61 s");
        assertEquals(List.of("firing {\"sensor\":2}"), alerts());
        pass("9 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        pass("3 hours");
        assertEquals(List.of(), alerts());
        database.execute("update reading set sensor = 2 where sensor = 2");
        assertEquals(List.of("resolved {\"sensor\":2}"), alerts());
        pass("10 min");
        assertEquals(List.of("firing {\"sensor\":2}"), alerts());
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    @ParameterizedTest
    @Tag("long")
    @ValueSource(strings = {"statement", "row"})
    void withoutByTheFeedIsExpectedFromTheStart(String each) {
        readings(each);
        database.execute(WHOLE);
        assertEquals(List.of("0"), database.query("select due_in::text from rowbell.window_feeds()"));
        pass("9 min");
        assertEquals(List.of(), alerts());
        pass("61 s");
        assertEquals(List.of("firing {}"), alerts());
        write(1);
        assertEquals(List.of("resolved {}"), alerts());
        pass("30 days");
        assertEquals(List.of("firing {}"), alerts());
        pass("30 days");
        assertEquals(List.of(), alerts());
    }

    @ParameterizedTest
    @Tag("long")
    @ValueSource(strings = {"statement", "row"})
    void onlyWritesThatMeetTheConditionAndWereCommittedEndTheSilence(String each) {
        readings(each);
        database.execute(
                rule("condition, by", "'NEW.ok', '{NEW.sensor}'"),
                "insert into rowbell.rule (name, feed, condition, count, within) values ('other', 'public.reading', 'NEW.ok', 2, '5 min')",
                "insert into rowbell.rule (name, feed, condition) values ('plain', 'public.reading', 'NEW.sensor > 99')");
        write(1, 2, 3, 4);
        pass("6 min");
        database.execute(
                "delete from rowbell.feedback",
                "insert into reading (sensor, ok) values (1, false), (null, false)",
                "begin; insert into reading (sensor) values (2); rollback",
                "begin; savepoint a; insert into reading (sensor) values (2); rollback to a; commit",
                // it was met before, and is met by each write
                "update reading set ok = true where sensor = 3",
                "update reading set ok = false where sensor = 4");
        pass("5 min");
        assertEquals(List.of("firing {\"sensor\":1}", "firing {\"sensor\":2}", "firing {\"sensor\":4}"), alerts());
        assertEquals(List.of(), failures());
    }

    @Test
    @Tag("long")
    void deletesEndTheSilenceWhereTheRuleAsksForThem() {
        readings("statement");
        database.execute(rule("condition, by, operations", "'OLD.ok', '{OLD.sensor}', '{delete}'"));
        write(1, 1);
        pass("20 min");
        assertEquals(List.of(), alerts());
        database.execute("delete from reading where id = 1");
        pass("10 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        database.execute("delete from reading");
        assertEquals(List.of("resolved {\"sensor\":1}"), alerts());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void theGroupsOfAQueryAreExpectedFromTheStartAndResolveWhenTheyLeaveIt(String each) {
        readings(each);
        database.execute(LISTED, "insert into sensor (id, active) values (1, true), (2, true), (3, false)");
        // no process has asked yet
        write(2);
        work();
        askForGroups();
        write(2, 3);
        pass("6 min");
        write(2);
        database.execute("insert into sensor values (4)");
        askForGroups();
        pass("5 min");
        askForGroups();
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        pass("5 min");
        askForGroups();
        assertEquals(List.of("firing {\"sensor\":2}", "firing {\"sensor\":4}"), alerts());
        database.execute("update sensor set active = id in (3, 4)");
        pass("59 s");
        askForGroups();
        assertEquals(List.of("resolved {\"sensor\":1}", "resolved {\"sensor\":2}"), alerts());
        write(1, 2, 4);
        assertEquals(List.of("resolved {\"sensor\":4}"), alerts());
        database.execute("update sensor set active = true where id = 2");
        askForGroups();
        pass("9 min");
        askForGroups();
        assertEquals(List.of(), alerts());
        pass("2 min");
        askForGroups();
        assertEquals(List.of("firing {\"sensor\":2}", "firing {\"sensor\":3}", "firing {\"sensor\":4}"), alerts());
    }

    @Test
    void theDocumentIsThatOfATimer() {
        readings("statement");
        database.execute(SILENT);
        write(7);
        pass("10 min");
        assertEquals(List.of("TIMER null public.reading {\"sensor\":7} [\"sensor\"] t null"), database.query("""
                        select concat_ws(' ', alert ->> 'operation', coalesce(alert ->> 'old', 'null'), alert ->> 'table', alert ->> 'new', alert ->> 'key',
                          clock_timestamp() - (alert ->> 'since')::timestamptz between '10 min' and '12 min', coalesce(alert ->> 'count', 'null'))
                        from rowbell.feedback
                        """));
    }

    @Test
    void afterAStopWhatIsOverdueFiresOnceAndWhatWasWrittenMeanwhileDoesNot() {
        readings("statement");
        database.execute(SILENT);
        write(1, 2, 3);
        work();
        passUnseen("9 min");
        // appended while no process ran
        write(2, 3, 3, 3, 3);
        passUnseen("1 hour");
        write(2);
        // in steps: a write that was not read yet counts
        while (database.query("select rowbell.run_windows(f.feed, 2) from rowbell.window_feed f")
                .contains("t"))
            ;
        assertEquals(List.of("firing {\"sensor\":1}", "firing {\"sensor\":3}"), alerts());
        // of a group that has fired, too
        write(1, 2, 2, 2);
        while (database.query("select rowbell.run_windows(f.feed, 1) from rowbell.window_feed f")
                .contains("t"))
            ;
        assertEquals(List.of("resolved {\"sensor\":1}"), alerts());
    }

    @Test
    @Tag("long")
    void aGroupThatIsNotExpectedAnyMoreAfterAStopDoesNotFire() {
        readings("statement");
        database.execute(LISTED, "insert into sensor values (1), (2)");
        askForGroups();
        work();
        passUnseen("1 hour");
        database.execute("delete from sensor where id = 1");
        assertEquals(List.of(), alerts());
        askForGroups();
        assertEquals(List.of("firing {\"sensor\":2}"), alerts());
    }

    @Test
    @Tag("long")
    void aQueryThatCannotBeRunAnyMoreKeepsNoGroupFromFiring() {
        readings("statement");
        database.execute(LISTED, "insert into sensor values (1)");
        askForGroups();
        work();
        passUnseen("1 hour");
        assertEquals(List.of(), alerts());
        passUnseen("21 s");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
    }

    @Test
    @Tag("long")
    void anErrorOfTheQueryIsAFailureAndLeavesTheGroupsAsTheyAre() {
        readings("statement");
        database.execute(
                "create view public.expected as select id from public.sensor",
                LISTED.replace("id from public.sensor where active;", "* from public.expected"),
                "insert into sensor values (1)");
        askForGroups();
        work();
        database.execute(
                "drop view expected", "create view public.expected as select id, id as other from public.sensor");
        database.execute("grant select on expected to public", "update sensor set id = 2");
        askForGroups();
        assertEquals(List.of("silent: the result of groups has 2 columns, and by has 1 expressions"), failures());
        passUnseen("10 min");
        database.execute("update rowbell.query_run set due = clock_timestamp() + interval '1 min'");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
    }

    @Test
    @Tag("long")
    void aGroupThatWasSilentForLongIsForgottenAndResolves() {
        readings("statement");
        database.execute(rule("by, forget", "'{NEW.sensor}', '2 days'"));
        write(1, 2);
        pass("10 min");
        assertEquals(2, alerts().size());
        pass("1 day");
        write(2);
        assertEquals(List.of("resolved {\"sensor\":2}"), alerts());
        pass("23 hours");
        pass("51 min");
        assertEquals(
                List.of("silent: forgotten after 2 days"),
                database.query(
                        "select alert ->> 'reason' from rowbell.feedback where alert ->> 'status' = 'resolved'"));
        assertEquals(List.of("firing {\"sensor\":2}", "resolved {\"sensor\":1}"), alerts());
        assertEquals(1, database.count("rowbell.window_group"));
        write(1);
        assertEquals(List.of(), alerts());
        pass("10 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        // after a long stop it fires first
        write(1, 2);
        assertEquals(2, alerts().size());
        pass("30 days");
        assertEquals(List.of("firing {\"sensor\":1}", "firing {\"sensor\":2}"), alerts());
        pass("3 days");
        assertEquals(List.of("resolved {\"sensor\":1}", "resolved {\"sensor\":2}"), alerts());
        assertEquals(0, database.count("rowbell.window_group"));
    }

    @Test
    @Tag("long")
    void anotherAbsentMovesWhatIsDue() {
        readings("statement");
        database.execute(SILENT);
        write(1);
        pass("5 min");
        write(2);
        database.execute("update rowbell.rule set absent = '4 min', severity = 'critical', name = 'other'");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        pass("1 min");
        database.execute("update rowbell.rule set absent = '1 hour'");
        assertEquals(List.of("resolved {\"sensor\":1}"), alerts());
        pass("53 min");
        assertEquals(List.of(), alerts());
        pass("2 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
    }

    @Test
    @Tag("long")
    void anotherConditionHasTheTimeBeginAnewAndOtherGroupsComeToAnEnd() {
        readings("statement");
        database.execute(SILENT);
        write(1);
        pass("10 min");
        write(2);
        pass("9 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        database.execute("update rowbell.rule set condition = 'NEW.ok'");
        assertEquals(List.of("resolved {\"sensor\":1}"), alerts());
        pass("9 min");
        assertEquals(List.of(), alerts());
        pass("1 min");
        assertEquals(List.of("firing {\"sensor\":1}", "firing {\"sensor\":2}"), alerts());
        database.execute("update rowbell.rule set by = '{NEW.sensor % 2 as half}'");
        assertEquals(List.of("resolved {\"sensor\":1}", "resolved {\"sensor\":2}"), alerts());
        write(3);
        pass("10 min");
        assertEquals(List.of("firing {\"half\":1}"), alerts());
        database.execute("update rowbell.rule set by = '{}'");
        assertEquals(List.of("resolved {\"half\":1}"), alerts());
        pass("10 min");
        assertEquals(List.of("firing {}"), alerts());
    }

    @Test
    @Tag("long")
    void aRuleThatIsDisabledOrGoneForgetsItsGroups() {
        readings("statement");
        database.execute(WHOLE);
        pass("10 min");
        assertEquals(1, alerts().size());
        database.execute("update rowbell.rule set enabled = false", "select rowbell.forget_windows()");
        assertEquals(0, database.count("rowbell.window_group"));
        pass("1 hour");
        database.execute("update rowbell.rule set enabled = true");
        assertEquals(List.of(), alerts());
        pass("10 min");
        assertEquals(List.of("firing {}"), alerts());
        database.execute("delete from rowbell.rule", "select rowbell.forget_windows()");
        assertEquals(0, database.count("rowbell.window_group"));
        assertEquals(List.of(), alerts());
    }

    @Test
    @Tag("long")
    void aRuleThatWasBrokenSawNoWritesAndDoesNotFireForThatTime() {
        readings("statement");
        database.execute(rule("condition", "'NEW.ok'"));
        write(1);
        work();
        database.execute("alter table reading rename column ok to fine", "select rowbell.refresh()");
        pass("1 hour");
        assertEquals(List.of(), alerts());
        assertEquals(
                List.of("none"), database.query("select coalesce(due_in::text, 'none') from rowbell.window_feeds()"));
        database.execute("alter table reading rename column fine to ok", "select rowbell.refresh()");
        pass("9 min");
        assertEquals(List.of(), alerts());
        pass("1 min");
        assertEquals(List.of("firing {}"), alerts());
        write(1);
        work();
        database.execute("alter table reading rename column ok to fine", "select rowbell.refresh()");
        pass("1 hour");
        database.execute("update rowbell.rule set condition = 'NEW.fine'");
        assertEquals(List.of("resolved {}"), alerts());
    }

    @Test
    void thePausedTimeDoesNotCount() {
        readings("statement");
        database.execute(SILENT);
        write(1, 2);
        pass("6 min");
        database.execute("select rowbell.pause('silent')");
        pass("5 min");
        write(2);
        pass("1 day");
        assertEquals(List.of(), alerts());
        assertEquals(
                List.of("none"), database.query("select coalesce(due_in::text, 'none') from rowbell.window_feeds()"));
        assertEquals(
                List.of("paused"), database.query("select distinct t ->> 'state' from rowbell.test_rule('silent') t"));
        database.execute("select rowbell.resume('silent')");
        assertEquals(List.of(), alerts());
        pass("3 min");
        assertEquals(List.of(), alerts());
        pass("1 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        pass("5 min");
        assertEquals(List.of(), alerts());
        pass("1 min");
        assertEquals(List.of("firing {\"sensor\":2}"), alerts());
        database.execute("select rowbell.pause('silent')");
        write(1);
        pass("1 hour");
        assertEquals(List.of(), alerts());
        database.execute("select rowbell.resume('silent')");
        assertEquals(List.of("resolved {\"sensor\":1}"), alerts());
    }

    @Test
    @Tag("long")
    void aClockThatIsSetBackFiresNothingTwice() {
        readings("statement");
        database.execute(SILENT);
        write(1, 2);
        pass("10 min");
        write(2);
        assertEquals(3, alerts().size());
        passUnseen("-1 hour");
        assertEquals(List.of("0"), database.query("select due_in::text from rowbell.window_feeds()"));
        assertEquals(
                List.of(), alerts().stream().filter(a -> a.startsWith("firing")).toList());
        pass("9 min");
        assertEquals(
                List.of(), alerts().stream().filter(a -> a.startsWith("firing")).toList());
        pass("1 min");
        assertTrue(alerts().contains("firing {\"sensor\":2}"));
    }

    @Test
    @Tag("long")
    void aLateCommitCountsAtTheTimeOfItsStatement() {
        readings("statement");
        database.execute(SILENT);
        write(1);
        pass("10 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        // committed 7 minutes, and 12 minutes, after its statement
        write(1);
        passUnseen("7 min");
        assertEquals(List.of("resolved {\"sensor\":1}"), alerts());
        pass("3 min");
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        write(1);
        passUnseen("12 min");
        assertEquals(List.of(), alerts());
    }

    @Test
    @Tag("long")
    void moreGroupsThanAllowedAreAFailureThatIsSaidOnce() {
        readings("statement");
        database.execute(rule("by, max_groups", "'{NEW.sensor}', 3"));
        write(1, 2, 3, 4, 5);
        work();
        assertEquals(3, database.count("rowbell.window_group"));
        assertEquals(List.of("silent: there are more than 3 groups; others are not counted"), failures());
        database.execute("delete from rowbell.rule_failure");
        write(6, 1);
        work();
        assertEquals(List.of(), failures());
        database.execute(
                "delete from rowbell.rule",
                LISTED.replace("groups)", "groups, max_groups)").replace("active;')", "active', 2)"),
                "insert into sensor values (1), (2)");
        askForGroups();
        database.execute("insert into sensor values (3)");
        askForGroups();
        askForGroups();
        assertEquals(List.of("silent: there are more than 2 groups; others are not counted"), failures());
        pass("10 min");
        database.execute("update rowbell.query_run set due = clock_timestamp()");
        passUnseen("21 s");
        assertEquals(List.of("firing {\"sensor\":1}", "firing {\"sensor\":2}"), alerts());
        // a group in several rows is one
        database.execute(
                "delete from rowbell.rule_failure",
                "update rowbell.rule set groups = 'select id from public.sensor, generate_series(1, 5) where id > 1 order by id -- of each five'");
        askForGroups();
        work();
        assertEquals(List.of(), failures());
        assertEquals(
                List.of("{\"sensor\":2}", "{\"sensor\":3}"),
                database.query(
                        "select subject from rowbell.window_group g join rowbell.rule_state s on s.id = g.rule order by key"));
    }

    @Test
    void aProcessThatDiesLosesAndDoublesNothing() throws SQLException {
        readings("statement");
        database.execute(SILENT);
        write(1);
        work();
        passUnseen("10 min");
        write(2);
        try (Connection dies = database.connect();
                Statement statement = dies.createStatement()) {
            dies.setAutoCommit(false);
            statement.execute("select rowbell.run_windows(1)");
            // another process has nothing to do meanwhile, and waits for nothing
            assertEquals(List.of("f"), database.query("select rowbell.run_windows(1)"));
            write(3);
            database.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select rowbell.run_windows%' and state like 'idle in%'");
        }
        assertEquals(List.of("firing {\"sensor\":1}"), alerts());
        assertEquals(List.of(), alerts());
        assertEquals(3, database.count("rowbell.window_group"));
    }

    @Test
    @Tag("long")
    void anAlertThatCannotBeStoredHoldsUpNoOtherRuleAndIsStoredLater() {
        readings("statement");
        database.execute(
                SILENT,
                SILENT.replace("'silent'", "'other'"),
                "create function public.refuse() returns trigger language plpgsql as 'begin if new.alert ->> ''rule'' = ''other'' then raise ''refused''; end if; return new; end'",
                "create trigger refuse before insert on rowbell.feedback for each row execute function public.refuse()");
        write(1);
        pass("10 min");
        String rules = "select concat_ws(' ', alert ->> 'rule', alert ->> 'status') from rowbell.feedback order by 1";
        assertEquals(List.of("silent firing"), database.query(rules));
        database.execute(
                "alter table rowbell.feedback disable trigger refuse",
                "update rowbell.window_feed set retry = clock_timestamp()");
        work();
        assertEquals(List.of("other firing", "silent firing"), database.query(rules));
        // nor where groups come to an end
        database.execute("alter table rowbell.feedback enable trigger refuse", "update rowbell.rule set by = '{}'");
        work();
        assertEquals(List.of("other firing", "silent firing", "silent resolved"), database.query(rules));
        database.execute(
                "alter table rowbell.feedback disable trigger refuse",
                "update rowbell.window_feed set retry = clock_timestamp()");
        work();
        assertEquals(
                List.of("other firing", "other resolved", "silent firing", "silent resolved"), database.query(rules));
    }

    @Test
    @Tag("long")
    void groupsAreOfAnyTypeAndContentAndOneIsThatOfNull() {
        database.execute(
                "create table public.\"Odd \"\"one\"\"\" (\"the \"\"key\"\"\\\" text, at timestamptz, n numeric)",
                "create table public.expected (k varchar, at timestamptz)",
                "insert into rowbell.rule (name, feed, absent, by, groups) values ('odd', 'public.\"Odd \"\"one\"\"\"', '10 min', array['NEW.\"the \"\"key\"\"\\\"', 'NEW.at'],"
                        + " 'select k, at from public.expected -- all')",
                "insert into expected values (E'a\"b\\\\c\\nd', '2026-01-01 12:00:00.123456+05'), (repeat('x', 5000), null), (null, null), (null, null)",
                "set timezone = 'Asia/Tokyo'");
        askForGroups();
        assertEquals(3, database.count("rowbell.window_group"));
        pass("6 min");
        database.execute(
                "insert into \"Odd \"\"one\"\"\" select k, at from expected where k is not null",
                "insert into \"Odd \"\"one\"\"\" values ('other', null)");
        pass("5 min");
        database.execute("update rowbell.query_run set due = clock_timestamp()");
        passUnseen("25 s");
        assertEquals(List.of("firing {\"the \\\"key\\\"\\\\\":null,\"at\":null}"), alerts());
    }

    @Test
    @Tag("long")
    void theGroupsOfPartitionsAreThoseOfTheFeedAndFollowItsName() {
        database.execute(
                "create table public.reading (sensor int, ok boolean) partition by list (sensor)",
                "create table reading_1 (ok boolean, sensor int)",
                "alter table reading attach partition reading_1 for values in (1)",
                "create table reading_2 partition of reading for values in (2)",
                SILENT,
                "insert into reading values (1, true)",
                "insert into reading_2 values (2, true)");
        pass("6 min");
        database.execute("alter table reading rename to measured", "select rowbell.refresh()");
        database.execute(
                "insert into reading_1 (sensor) values (1)", "update measured set sensor = 1 where sensor = 2");
        pass("5 min");
        assertEquals(List.of("firing {\"sensor\":2}"), alerts());
    }

    @Test
    @Tag("long")
    void anAdministratorSeesTheGroups() {
        readings("statement");
        database.execute(SILENT);
        write(1, 2);
        pass("10 min");
        write(2);
        work();
        assertEquals(
                List.of("firing {\"sensor\":1}", "waiting {\"sensor\":2}"),
                database.query(
                        "select concat_ws(' ', t ->> 'state', t ->> 'group') from set_config('role', 'rowbell_admin', true) r cross join lateral rowbell.test_rule(left('silent' || r, 6)) t order by 1"));
        assertTrue(String.join(
                        "\n",
                        database.query(
                                "select finding from set_config('role', 'rowbell_admin', true) r cross join lateral rowbell.explain(left('silent' || r, 6), '1')"))
                .contains("sensor=1 is firing"));
        assertTrue(database.query("select finding from rowbell.explain('silent', '99')")
                .contains("no write of sensor=99 was seen yet, or it was forgotten"));
    }

    @Test
    @Tag("container")
    void whatIsWaitedForIsInADump() throws IOException, InterruptedException {
        readings("statement");
        database.execute(SILENT);
        write(1, 2);
        pass("9 min");
        write(2);
        TestDatabase restored = database.dumpedAndRestored();
        restored.execute(
                "update rowbell.window_group set last = last - interval '1 min', due = due - interval '1 min'",
                "update rowbell.rule_state set counts_since = counts_since - interval '1 min'",
                "select rowbell.refresh()",
                "select rowbell.run_windows(1)",
                "insert into reading (sensor) values (1)",
                "select rowbell.run_windows(1)");
        assertEquals(
                List.of("firing 1", "resolved 1"),
                restored.query(
                        "select concat_ws(' ', alert ->> 'status', alert -> 'new' ->> 'sensor') from rowbell.feedback order by 1"));
    }

    @Test
    @Tag("long")
    void aRuleOfTheFileReachesItsSinkWhenItFiresAndWhenItResolves(@TempDir Path dir) throws IOException {
        readings("statement");
        database.execute("insert into sensor values (1)");
        Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: silent
                    feed: public.reading
                    absent: 1s
                    by: [NEW.sensor]
                    groups: select id from public.sensor where active
                    forget: 30d
                    resolved: true
                """);
        Map<String, String> settings = database.settings();
        settings.put("rowbell.rules.file", dir.resolve("rules.yaml").toString());
        settings.put("rowbell.file.dir", dir.toString());
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> AlertFiles.read(dir).size() == 1);
            write(1);
            await().until(() -> AlertFiles.read(dir).size() >= 2);
        }
        assertEquals(
                List.of("firing sensor=1 {} TIMER", "resolved sensor=1 {} TIMER"),
                AlertFiles.read(dir).stream()
                        .limit(2)
                        .map(alert -> "%s %s %s %s"
                                .formatted(
                                        alert.get("status"),
                                        alert.get("key"),
                                        alert.get("old"),
                                        alert.get("operation")))
                        .toList());
    }

    @Test
    @Tag("long")
    void whatIsOverdueIsSeenByHealth() {
        readings("statement");
        database.execute(SILENT);
        write(1);
        work();
        passUnseen("40 min");
        assertEquals(
                List.of("timer: the oldest of 1 has been waiting for 1800 s"),
                TimedDatabase.queues(database).late(Set.of()).stream()
                        .map(late -> late.replaceAll("18\\d\\d s", "1800 s"))
                        .toList());
    }

    @ParameterizedTest
    @Tag("long")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "absent                    | '0'                                   | absent: give a duration above 0",
                "absent                    | '11 years'                            | absent: give a duration above 0 and of at most 10 years",
                "absent, count, within     | '1 s', 1, '1 s'                       | absent: goes not with count and sum",
                "absent, within            | '1 s', '1 s'                          | within: goes with count or sum",
                "absent, \"for\"           | '1 s', '1 s'                          | for: goes not with absent",
                "absent, fires             | '1 s', 'every'                        | fires: a rule with absent fires once",
                "absent, delivery          | '1 s', 'notify'                       | delivery: a rule with absent is durable",
                "absent, existing          | '1 s', false                          | existing: is about rows that a rule with",
                "absent, every             | '1 s', '1 min'                        | every: goes with a query",
                "absent, max_groups        | '1 s', 0                              | max_groups: give a number from 1",
                "absent, groups            | '1 s', 'select 1'                     | groups: goes with by",
                "absent, forget            | '1 s', '1 day'                        | forget: goes with by",
                "absent, by, forget        | '1 h', '{NEW.sensor}', '1 h'          | forget: is not longer than absent",
                "absent, by                | '7 d', '{NEW.sensor}'                 | forget: is not longer than absent",
                "absent, by                | '1 s', '{NEW.gone}'                   | by: column new.gone does not exist",
                "absent, by                | '1 s', '{1 + 1}'                      | by: 1 + 1 names neither NEW nor OLD",
                "absent, operations        | '1 s', '{delete}'                     | condition: on delete there is OLD alone",
                "absent, by, groups        | '1 s', '{NEW.sensor}', 'select 1, 2'  | groups: has not as many columns",
                "absent, by, groups        | '1 s', '{NEW.sensor,NEW.id}', 'select 1' | groups: has not as many columns",
                "absent, by, groups        | '1 s', '{NEW.sensor}', 'select ''a''::text' | groups: column 1 is of type text, and NEW.sensor of type integer",
                "absent, by, groups        | '1 s', '{NEW.sensor}', 'select 1.00' | groups: column 1 is of type numeric, and NEW.sensor of type integer",
                "absent, by, groups        | '1 s', '{NEW.sensor::text}', 'select ''a''::char(3)' | groups: column 1 is of type character, and NEW.sensor::text of type text",
                "absent, by, groups        | '1 s', '{NEW.sensor}', 'select id from gone' | groups: relation \"gone\" does not exist",
                "absent, by, groups        | '1 s', '{NEW.sensor}', 'select 1) as a, (select 2' | groups: syntax error",
                "absent, by, groups        | '1 s', '{NEW.sensor}', 'delete from public.sensor returning id' | groups: only reads",
                "groups                    | 'select 1'                            | groups: goes with absent",
                "forget                    | '1 day'                               | forget: goes with absent",
            })
    void whatCannotBeIsRefusedWithAReason(String columns, String values, String problem) {
        readings("statement");
        IllegalStateException refused = assertThrows(
                IllegalStateException.class,
                () -> database.execute(
                        "insert into rowbell.rule (name, feed, condition, %s) values ('r', 'public.reading', 'true', %s)"
                                .formatted(columns, values)));
        assertTrue(refused.getMessage().contains("\": " + problem), refused.getMessage());
    }

    @Test
    @Tag("long")
    void aQueryHasNoAbsent() {
        IllegalStateException refused = assertThrows(
                IllegalStateException.class,
                () -> database.execute(
                        "insert into rowbell.rule (name, query, key, every, absent) values ('r', 'select 1 as a', '{a}', '1 min', '1 min')"));
        assertTrue(refused.getMessage().contains("\": absent: goes with a feed"), refused.getMessage());
    }
}
