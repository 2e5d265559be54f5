package dev.rowbell.time;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What becomes of timers where a rule or its feed is changed. */
class TimerChangeTest extends TimedDatabase {

    private void rule(boolean existing) {
        database.execute(
                "create table public.e (id int primary key, v int)",
                "insert into rowbell.rule (name, feed, condition, \"for\", resolved, existing) values ('r', 'public.e', 'NEW.v > 5', '30 min', true, "
                        + existing + ")");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatHasFiredResolvesWhereAnotherConditionIsNotMet(boolean existing) {
        rule(existing);
        database.execute("insert into e select n, n from generate_series(1, 2500) n");
        pass("30 min");
        assertEquals(2495, alerts().size());
        database.execute("update rowbell.rule set condition = 'NEW.v > 2499'");
        assertEquals(2494, alerts().size());
        database.execute("update e set v = 0");
        assertEquals(List.of("resolved r {\"id\":2500,\"v\":0}"), alerts());
        assertEquals(0, database.count("rowbell.timer"));
    }

    @Test
    void theTimeOfAPauseDoesNotCountWhereTheWriteIsSeenLater() throws SQLException {
        rule(true);
        try (Connection writer = database.connect();
                Statement statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("insert into e values (1, 9)");
            database.execute(
                    "insert into e values (2, 9)",
                    "select rowbell.pause('r')",
                    "update rowbell.rule_state set paused = paused - interval '20 min'",
                    "select rowbell.resume('r')",
                    "insert into e values (3, 9)");
            writer.commit();
        }
        database.execute(
                "update rowbell.timer_event set at = at - interval '50 min' where key <> '{\"id\":3}'",
                "update rowbell.rule_state set pauses = array[tstzrange(now() - interval '40 min', now() - interval '20 min')]");
        work();
        assertEquals(
                List.of("{\"id\":1} 50 30", "{\"id\":2} 50 30", "{\"id\":3} 0 0"),
                database.query(
                        "select concat_ws(' ', key, round(extract(epoch from now() - since) / 60), round(extract(epoch from now() - began) / 60)) from rowbell.timer order by key"));
    }

    @Test
    void aPauseIsRemembered() {
        rule(true);
        database.execute(
                "select rowbell.pause('r')",
                "update rowbell.rule_state set paused = paused - interval '20 min', pauses = array[tstzrange(now() - interval '9 days', now() - interval '8 days')]",
                "select rowbell.resume('r')");
        assertEquals(
                List.of("1 20"),
                database.query(
                        "select cardinality(pauses) || ' ' || round(extract(epoch from upper(pauses[1]) - lower(pauses[1])) / 60) from rowbell.rule_state"));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aFeedThatIsRenamedAndItsRuleInOneStepKeepItsTimes(boolean existing) {
        rule(existing);
        database.execute("insert into e values (1, 9)");
        pass("20 min");
        database.execute(
                "alter table e rename to ee", "update rowbell.rule set feed = 'public.ee', severity = 'critical'");
        pass("10 min");
        assertEquals(List.of("firing r {\"id\":1,\"v\":9}"), alerts());
    }

    @Test
    void aFeedThatIsMadeAgainHasItsRowsArmed() {
        rule(true);
        database.execute("insert into e values (1, 9), (2, 9), (3, 9)");
        pass("30 min");
        assertEquals(3, alerts().size());
        database.execute("insert into e values (4, 9), (5, 9)");
        pass("20 min");
        database.execute(
                "drop table e",
                "create table public.e (id int primary key, v int)",
                "insert into e values (1, 9), (2, 0), (5, 9), (7, 9)",
                "select rowbell.refresh()");
        assertEquals(
                List.of("resolved r {\"id\":2,\"v\":0}", "resolved r {\"id\":3}"),
                alerts().stream().sorted().toList());
        pass("20 min");
        assertEquals(List.of(), alerts());
        pass("10 min");
        assertEquals(List.of("firing r {\"id\":5,\"v\":9}", "firing r {\"id\":7,\"v\":9}"), alerts());
    }

    @Test
    void rowsThatWereWrittenWhileTriggersWereMissingAreArmed() {
        rule(true);
        database.execute("insert into e values (1, 9)");
        pass("20 min");
        String trigger = database.query(
                        "select tgname from pg_trigger where tgrelid = 'e'::regclass and tgname like '%insert'")
                .get(0);
        database.execute(
                "drop trigger " + trigger + " on e", "insert into e values (2, 9)", "select rowbell.refresh()");
        assertEquals(List.of("{\"id\":1}", "{\"id\":2}"), armed());
        pass("10 min");
        assertEquals(List.of("firing r {\"id\":1,\"v\":9}"), alerts());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aRuleThatWorksAgainBeginsAnew(boolean existing) {
        rule(existing);
        String function = "create function public.big(int) returns boolean language sql as 'select $1 > 5'";
        database.execute(function, "update rowbell.rule set condition = 'public.big(NEW.v)'");
        database.execute("insert into e values (1, 9), (2, 9)");
        pass("20 min");
        database.execute(
                "drop function public.big",
                "select rowbell.refresh()",
                "update e set v = 0",
                "update e set v = 9",
                function,
                "select rowbell.refresh()");
        pass("20 min");
        assertEquals(List.of(), alerts());
        pass("10 min");
        assertEquals(2, alerts().size());
    }

    @Test
    void whatWasWrittenBeforeARuleWasDisabledArmsNothingOnceItIsEnabled() {
        rule(false);
        database.execute(
                "insert into e values (1, 9)",
                "update rowbell.rule set enabled = false",
                "update e set v = 0",
                "update e set v = 9",
                "update rowbell.rule set enabled = true");
        assertEquals(List.of(), armed());
    }

    @Test
    void anArmedRowOfARuleThatIsDisabledAndEnabledIsArmedAnew() {
        rule(true);
        database.execute("insert into e values (1, 9)");
        pass("20 min");
        database.execute("update rowbell.rule set enabled = false", "update rowbell.rule set enabled = true");
        pass("20 min");
        assertEquals(List.of(), alerts());
    }
}
