package dev.rowbell.time;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A rule with {@code for} that fails, on a row or wholly, costs no other row and no other rule anything. */
class TimerFailureTest extends TimedDatabase {

    private void rule(String name, String condition) {
        database.execute(
                "insert into rowbell.rule (name, feed, condition, \"for\", resolved) values ('%s', 'public.orders', '%s', '1 min', true)"
                        .formatted(name, condition));
    }

    @ParameterizedTest
    @ValueSource(strings = {"40001", "40P01", "55P03", "57014", "P0004", "53200"})
    void anErrorOfAFunctionStopsNoOtherRowAndNoOtherRule(String state) {
        orders("statement");
        database.execute(
                "create table public.bad (id int)",
                "grant select on public.bad to public",
                "create function public.judge(n int) returns boolean language plpgsql as 'begin if exists (select from public.bad b where b.id = n) then"
                        + " raise ''bad row'' using errcode = ''" + state + "''; end if; return true; end'");
        rule("judged", "public.judge(NEW.id)");
        rule("other", "NEW.id > 0");
        database.execute("insert into orders values (1), (2)", "insert into bad values (1)");
        pass("1 min");
        database.execute("insert into orders values (3)");
        assertEquals(
                List.of(
                        "firing judged {\"id\":2,\"state\":null}",
                        "firing other {\"id\":1,\"state\":null}",
                        "firing other {\"id\":2,\"state\":null}"),
                alerts().stream().sorted().toList());
        assertEquals(0, database.count("rowbell.timer_event"));
        assertEquals(
                List.of("judged bad row"), database.query("select rule || ' ' || failure from rowbell.rule_failure"));
        database.execute("delete from bad", "delete from orders where id = 3");
        pass("1 min");
        assertEquals(List.of("firing judged {\"id\":1,\"state\":null}"), alerts());
    }

    @Test
    @Tag("long")
    void aRowThatTakesTooLongStopsNoOtherRowAndNoOtherRule() {
        orders("statement");
        database.execute(
                "create function public.wait(n int) returns boolean language plpgsql as 'begin if n = 2 then perform pg_sleep(100); end if; return true; end'");
        rule("early", "NEW.id > 0");
        rule("slow", "NEW.state = ''new'' or public.wait(NEW.id)");
        rule("then", "NEW.id > 0");
        work();
        database.execute("insert into orders values (1, 'new'), (2, 'new'), (3, 'new')");
        work();
        database.execute(
                "alter table orders disable trigger user",
                "update orders set state = 'old'",
                "alter table orders enable trigger user");
        database.execute("update rowbell.timer set began = began - interval '1 min' - id * interval '1 s'"
                .replace("id *", "(key::json ->> 'id')::int *"));
        IllegalStateException late = assertThrows(IllegalStateException.class, this::work);
        assertEquals(
                "the timers of rule \"slow\" wait, because a function that it calls takes too long", late.getMessage());
        assertEquals(
                List.of("early 1", "early 2", "early 3", "slow 3", "then 1", "then 2", "then 3"),
                database.query(
                        "select concat_ws(' ', alert ->> 'rule', alert -> 'new' ->> 'id') from rowbell.feedback order by 1"));
        assertTrue(database.query("select failure from rowbell.rule_failure")
                .get(0)
                .startsWith("to look at a row took longer than"));
        // the one that takes too long waits for a minute, and the other does not
        assertEquals(
                List.of("{\"id\":1}"),
                database.query(
                        "select t.key from rowbell.timer t join rowbell.rule_state s on s.id = t.rule where s.rule = 'slow' and fired is null and began < clock_timestamp() - interval '1 min'"));
    }

    @Test
    void aRowThatIsPassedOverWaitsForAMinute() {
        orders("statement");
        rule("a", "NEW.id > 0");
        work();
        database.execute("insert into orders values (1), (2)");
        work();
        database.execute(
                "update rowbell.timer set began = began - interval '2 min' + (key::json ->> 'id')::int * interval '1 s'",
                "select rowbell.pass_over_slow_row(id, '7 s') from rowbell.rule_state where rule = 'a'");
        work();
        assertEquals(List.of("firing a {\"id\":2,\"state\":null}"), alerts());
        assertEquals(
                List.of("a to look at a row took longer than 00:00:07"),
                database.query("select rule || ' ' || failure from rowbell.rule_failure"));
        pass("1 min");
        assertEquals(List.of("firing a {\"id\":1,\"state\":null}"), alerts());
    }

    @Test
    void anAlertThatCannotBeStoredStopsNoOtherRule() {
        orders("statement");
        rule("a", "NEW.id > 0");
        rule("b", "NEW.id > 0");
        database.execute(
                "create function public.refuse() returns trigger language plpgsql as 'begin if new.alert ->> ''rule'' = ''a'' then raise ''refused''; end if; return new; end'",
                "create trigger refuse before insert on rowbell.feedback for each row execute function public.refuse()",
                "insert into orders values (1)");
        pass("1 min");
        assertEquals(List.of("firing b {\"id\":1,\"state\":null}"), alerts());
        assertEquals(List.of("a refused"), database.query("select rule || ' ' || failure from rowbell.rule_failure"));
        database.execute("drop trigger refuse on rowbell.feedback");
        pass("1 min");
        assertEquals(List.of("firing a {\"id\":1,\"state\":null}"), alerts());
    }

    @Test
    void aRowThatFailsTakesNoSinceFromOthers() {
        database.execute(
                "create table public.orders (id int primary key, v int, t timestamptz)",
                "insert into orders values (1, 1, now() - interval '50 min'), (2, 0, now() - interval '2 h'), (3, 2, now() - interval '2 h')",
                "insert into rowbell.rule (name, feed, condition, \"for\", since) values ('r', 'public.orders', '10 / NEW.v > 1', '1 h', 'NEW.t')");
        assertEquals(1, alerts().size());
        assertEquals(
                List.of("r division by zero"),
                database.query("select rule || ' ' || failure from rowbell.rule_failure"));
        pass("10 min");
        assertEquals(1, alerts().size());
    }

    @Test
    void aRowWhoseSinceFailsIsArmedFromNowOn() {
        database.execute(
                "create table public.orders (id int primary key, v int)",
                "insert into orders values (1, 1), (2, 0)",
                "insert into rowbell.rule (name, feed, condition, \"for\", since) values ('r', 'public.orders', 'NEW.id > 0', '1 h', 'now() - interval ''1 h'' / NEW.v')");
        assertEquals(1, alerts().size());
        assertEquals(List.of("{\"id\":2}"), armed());
        assertEquals(1, database.count("rowbell.rule_failure"));
    }

    @Test
    void theAlertHasASinceThatEachReaderCanReadWhateverTheColumnSays() {
        orders("statement");
        database.execute(
                "insert into orders values (1, 'placed', '-infinity'), (2, 'placed', '0044-03-15 BC')",
                "insert into rowbell.rule (name, feed, condition, \"for\", since) values ('r', 'public.orders', 'NEW.id > 0', '1 h', 'NEW.placed_at')");
        work();
        assertEquals(
                List.of("0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z"),
                database.query("select alert ->> 'since' from rowbell.feedback"));
    }

    @Test
    void aKeyThatIsTooLongIsAFailureOfTheRule() {
        database.execute(
                "create table public.orders (id text primary key)",
                "insert into orders values (repeat('x', 3000))",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('r', 'public.orders', 'true', '1 h')");
        work();
        String failure = "select failure from rowbell.rule_failure";
        assertTrue(database.query(failure).get(0).contains("2,600 bytes"));
        database.execute("delete from rowbell.rule_failure", "insert into orders values (repeat('y', 3000)), ('a')");
        assertEquals(List.of("{\"id\":\"a\"}"), armed());
        assertTrue(database.query(failure).get(0).contains("2,600 bytes"));
    }
}
