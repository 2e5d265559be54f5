package dev.rowbell.time;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A timer stays with its row, whatever becomes of the row's key. */
class TimerKeyTest extends TimedDatabase {

    private static final String RULE =
            "insert into rowbell.rule (name, feed, condition, \"for\", resolved, existing) values ('r', 'public.e', 'NEW.v > 5', '30 min', true, true)";

    private void feed(String each) {
        database.execute(
                "create table public.e (id int primary key deferrable, v int, u int unique not null default 0)",
                "alter table e drop constraint e_u_key",
                "select rowbell.for_each('public.e', '" + each + "')",
                RULE);
    }

    /** With since when they have met the condition, in minutes. */
    private List<String> timers() {
        work();
        return database.query(
                "select key || ' ' || round(extract(epoch from now() - since) / 60) from rowbell.timer order by 1");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "statement | (2, 9), (1, 9) | update e set id = 3 - id, v = case when id = 1 then 0 else 9 end    | {\"id\":1} 20",
                "row       | (2, 9), (1, 9) | update e set id = 3 - id, v = case when id = 1 then 0 else 9 end    | {\"id\":1} 20",
                "row       | (1, 9), (2, 9) | update e set id = 3 - id, v = case when id = 1 then 0 else 9 end    | {\"id\":1} 20",
                "statement | (1, 0), (2, 9) | update e set id = 3 - id, v = 9                                     | {\"id\":1} 20,{\"id\":2} 0",
                "row       | (1, 0), (2, 9) | update e set id = 3 - id, v = 9                                     | {\"id\":1} 20,{\"id\":2} 0",
                "row       | (2, 9), (1, 0) | update e set id = 3 - id, v = 9                                     | {\"id\":1} 20,{\"id\":2} 0",
                "statement | (1, 9), (2, 0) | update e set id = 3 - id, v = 9 - v                                 | {\"id\":1} 0",
                "row       | (1, 9), (2, 0) | update e set id = 3 - id, v = 9 - v                                 | {\"id\":1} 0",
                "row       | (2, 0), (1, 9) | update e set id = 3 - id, v = 9 - v                                 | {\"id\":1} 0",
                "row       | (1, 9), (2, 9), (3, 9) | update e set id = id + 1                                    | {\"id\":2} 20,{\"id\":3} 20,{\"id\":4} 20",
                "statement | (1, 9), (2, 9), (3, 9) | update e set id = id + 1, v = case when id = 2 then 0 else 9 end | {\"id\":2} 20,{\"id\":4} 20",
                "row       | (1, 9), (2, 9), (3, 9) | update e set id = id + 1, v = case when id = 2 then 0 else 9 end | {\"id\":2} 20,{\"id\":4} 20",
                "row       | (1, 9), (2, 9) | begin; set constraints all deferred; update e set id = 2 where id = 1; update e set id = 1 where id = 2 and ctid = '(0,2)'; commit | {\"id\":1} 20,{\"id\":2} 20",
                "row       | (1, 9), (2, 9) | begin; set constraints all deferred; update e set id = 2 where id = 1; delete from e where ctid = '(0,2)'; commit | {\"id\":2} 20"
            })
    void rowsThatExchangeTheirKeysWhileTheConditionChangesKeepTheirOwnTimes(
            String each, String rows, String change, String expected) {
        feed(each);
        database.execute("insert into e (id, v) values " + rows);
        pass("20 min");
        database.execute(change);
        assertEquals(List.of(expected.split(",(?=\\{)")), timers());
    }

    @ParameterizedTest
    @Tag("long")
    @ValueSource(strings = {"statement", "row"})
    void aTransactionOfAnySizeThatDeletesAndInsertsRowsAgainLeavesThemTheirTimes(String each) {
        feed(each);
        database.execute("insert into e (id, v) select n, 9 from generate_series(1, 3000) n");
        pass("20 min");
        database.execute(
                "begin; create temp table kept as table e; delete from e; insert into e table kept; commit",
                "begin; delete from e where id <= 2; insert into e values (1, 9), (2, 9); commit; update e set v = 0 where id = 10; update e set v = 9 where id = 10");
        pass("10 min");
        assertEquals(2999, alerts().size());
        assertEquals(List.of("{\"id\":10}"), armed());
        database.execute("begin; create temp table kept as table e; delete from e; insert into e table kept; commit");
        assertEquals(List.of(), alerts());
    }

    @Test
    void noRowFiresWhileItsEventsAreStillToBeFolded() {
        feed("statement");
        database.execute("insert into e values (1, 9)");
        work();
        database.execute(
                "update rowbell.timer set began = began - interval '31 min'",
                "update rowbell.timer_feed set folded = folded - interval '2 min'",
                "update e set v = 0",
                "update e set v = 9",
                "select rowbell.run_timers(id) from rowbell.rule_state");
        assertEquals(List.of(), alerts());
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void timersGoOnWhereAColumnOfTheKeyIsRenamed(String each) {
        database.execute(
                "create table public.e (id int, code text, v int, primary key (id, code))",
                "select rowbell.for_each('public.e', '" + each + "')",
                RULE,
                "insert into e values (1, E'a\"\\n', 9), (2, 'b', 9), (3, 'c', 9)");
        pass("30 min");
        assertEquals(3, alerts().size());
        database.execute("insert into e values (4, 'd', 9), (5, 'e', 9)");
        pass("20 min");
        database.execute(
                "alter table e rename column id to ident",
                "update e set v = 0 where ident = 1",
                "insert into e values (6, 'f', 9)");
        work();
        database.execute(
                "select rowbell.refresh()",
                "update e set v = 0 where ident in (2, 4)",
                "update e set ident = 13 where ident = 3");
        assertEquals(
                List.of(
                        "resolved r {\"ident\":1,\"code\":\"a\\\"\\n\",\"v\":0}",
                        "resolved r {\"ident\":2,\"code\":\"b\",\"v\":0}"),
                alerts().stream().sorted().toList());
        assertEquals(
                List.of(
                        "{\"ident\":13,\"code\":\"c\"} 30",
                        "{\"ident\":5,\"code\":\"e\"} 20",
                        "{\"ident\":6,\"code\":\"f\"} 0"),
                timers().stream().map(t -> t.replaceAll(" 50$", " 30")).toList());
        pass("10 min");
        assertEquals(List.of("firing r {\"ident\":5,\"code\":\"e\",\"v\":9}"), alerts());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "alter table e drop constraint e_pkey, add primary key (u)",
                "alter table e alter column id type text",
                "alter table e drop constraint e_pkey, add primary key (id, u)"
            })
    void rowsAreLookedAtAgainWhereTheKeyIsAnotherOne(String change) {
        feed("statement");
        database.execute("insert into e values (1, 9, 11), (2, 9, 12)");
        pass("30 min");
        assertEquals(2, alerts().size());
        database.execute("insert into e values (3, 9, 13)", "update e set v = 0 where u = 12");
        assertEquals(1, alerts().size());
        database.execute(change);
        work();
        database.execute("select rowbell.refresh()");
        assertEquals(
                List.of("resolved"),
                alerts().stream().map(a -> a.replaceAll(" .*", "")).toList());
        pass("30 min");
        assertEquals(
                List.of("firing", "firing"),
                alerts().stream().map(a -> a.replaceAll(" .*", "")).toList());
        database.execute("update e set v = 0");
        assertEquals(2, alerts().size());
        assertEquals(0, database.count("rowbell.timer"));
    }

    @Test
    void rowsThatAreNotLookedAtAgainAreAFailureOfTheRule() {
        feed("statement");
        database.execute("update rowbell.rule set existing = false", "insert into e values (1, 9, 11)");
        work();
        database.execute("alter table e drop constraint e_pkey, add primary key (u)", "select rowbell.refresh()");
        assertEquals(
                List.of("the primary key has changed: rows that were waited for are not known any more"),
                database.query("select failure from rowbell.rule_state"));
    }
}
