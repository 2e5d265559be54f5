package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;

/** Code of a stranger that runs while a rule is judged leaves nothing behind in the session that it runs in. */
@Tag("long")
class FenceTest {

    /** How the code comes to run. Each fires for the row 2 and for no other. */
    enum By {
        CONDITION("NEW.c > public.meddles()", "(1, 0), (2, 10)"),
        CONDITION_THAT_IS_NOT_MET("NEW.c > public.meddles() + 100", "(1, 0)"),
        OPERATOR("NEW.c operator(public.>>>) 5", "(1, 0), (2, 10)"),
        CAST_TO_JSON("NEW.c > 5", "(1, 0), (2, 10)"),
        CAST_OF_AN_ATTRIBUTE_TO_JSON("NEW.c > 5", "(1, 0), (2, 10)"),
        DOMAIN("NEW.c > (''{5}''::public.checked[])[1]", "(1, 0), (2, 10)"),
        CONDITION_WHERE_A_ROW_FAILS("10 / NEW.c > 0 and NEW.c > public.meddles()", "(1, 0), (2, 10)"),
        CAST_TO_JSON_WHERE_A_ROW_FAILS("10 / NEW.c > 0", "(1, 0), (2, 10)"),
        CONDITION_THAT_FAILS("NEW.id = 2 or NEW.c > public.meddles_and_raises(''22012'')", "(1, 0), (2, 10)"),
        CONDITION_THAT_FAILS_AS_THE_FENCE_DOES(
                "NEW.id = 2 or NEW.c > public.meddles_and_raises(''RB004'')", "(1, 0), (2, 10)"),
        CONDITION_THAT_SAYS_IT_IS_CANCELED(
                "NEW.id = 2 or NEW.c > public.meddles_and_raises(''57014'')", "(1, 0), (2, 10)"),
        ROW_TRIGGER("NEW.c > public.meddles()", "(1, 0), (2, 10)"),
        ROW_TRIGGER_OF_A_ROW_THAT_FAILS("10 / NEW.c > 0 and NEW.c > public.meddles()", "(1, 0), (2, 10)"),
        COUNT("NEW.c > public.meddles()", "(2, 10)"),
        TIMER("NEW.c > public.meddles()", "(2, 10)");

        final String condition;
        final String rows;

        By(String condition, String rows) {
            this.condition = condition;
            this.rows = rows;
        }
    }

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final String stranger = database.name() + "_stranger";

    @BeforeEach
    void aStranger() {
        database.execute(
                "create role " + stranger + " login password 'secret'",
                // as the default is from PostgreSQL 15 on
                "revoke create on schema public from public",
                "create schema of_stranger authorization " + stranger,
                "grant create on schema public to " + stranger,
                "create table left_behind (what text)",
                "create sequence runs",
                "create table feed (id int primary key, c int)",
                "grant all on left_behind, runs to public");
        asStranger(
                "create table of_stranger.trap (a int)",
                "grant usage on schema of_stranger to public",
                "grant all on of_stranger.trap to public",
                "create function of_stranger.springs() returns trigger language plpgsql as"
                        + " 'begin insert into public.left_behind values (''as '' || current_user); return null; end'",
                "create constraint trigger springs after insert on of_stranger.trap deferrable initially deferred"
                        + " for each row execute function of_stranger.springs()",
                // as the role of the feed alone: the writer runs the check of a domain too; and not while the rule is
                // checked
                """
                create function public.meddles() returns int volatile language plpgsql as $f$
                begin
                  if current_user <> 'ROLE' or to_regclass('public.armed') is null then
                    return 5;
                  end if;
                  perform nextval('public.runs');
                  execute 'drop owned by current_user cascade';
                  perform set_config(s.name, s.setting, local)
                  from (values ('search_path', 'pg_temp, public'), ('transform_null_equals', 'on'), ('TimeZone', 'Asia/Tokyo')) s (name, setting),
                    (values (true), (false)) l (local);
                  create temporary table if not exists orders (n int);
                  insert into of_stranger.trap values (1);
                  insert into public.left_behind values ('a row');
                  perform pg_notify('left_behind', 'a notification');
                  return 5;
                end $f$
                """.replace("ROLE", "rowbell_" + database.name() + "_1"),
                """
                create function public.meddles_and_raises(state text) returns int volatile language plpgsql as $f$
                begin
                  raise exception using errcode = state, message = 'raised after ' || public.meddles();
                end $f$
                """,
                "create function public.over(int, int) returns boolean volatile language sql as 'select $1 > $2 and public.meddles() > 0'",
                "create operator public.>>> (leftarg = int, rightarg = int, function = public.over)",
                "create type public.kind as enum ('a')",
                "create function public.kind_json(public.kind) returns json volatile language sql as 'select to_json(public.meddles())'",
                "create cast (public.kind as json) with function public.kind_json(public.kind)",
                "create function public.checks(int) returns boolean volatile language sql as 'select public.meddles() > 0'",
                "create domain public.checked as int check (public.checks(value))");
    }

    @ParameterizedTest
    @EnumSource
    void codeOfAStrangerLeavesNothingInTheSessionOfAWriter(By by) throws SQLException {
        if (by.name().startsWith("CAST_TO_JSON")) {
            database.execute("alter table feed add k public.kind default 'a'");
        } else if (by == By.CAST_OF_AN_ATTRIBUTE_TO_JSON) {
            database.execute(
                    "create type pair as (a int, k public.kind[])",
                    "create domain pairs as pair[]",
                    "alter table feed add k pairs default array[row(1, '{a}')::pair]");
        } else if (by.name().startsWith("ROW_TRIGGER")) {
            database.execute("select rowbell.for_each('public.feed', 'row')");
        }
        database.execute(
                switch (by) {
                    case COUNT -> rule(by.condition, "count, within, by", "1, '5 min', '{NEW.c}'");
                    case TIMER -> rule(by.condition, "\"for\"", "'1 h'");
                    default -> rule(by.condition, "fires", "'every'");
                });
        leavesNothing("insert into public.feed (id, c) values " + by.rows);
        assertEquals(2 + (by == By.TIMER ? 1 : 0), triggers());
        String failure = switch (by) {
            case CONDITION_WHERE_A_ROW_FAILS, CAST_TO_JSON_WHERE_A_ROW_FAILS, ROW_TRIGGER_OF_A_ROW_THAT_FAILS ->
                "division by zero";
            case CONDITION_THAT_FAILS, CONDITION_THAT_FAILS_AS_THE_FENCE_DOES, CONDITION_THAT_SAYS_IT_IS_CANCELED ->
                "raised after 5";
            default -> null;
        };
        assertEquals(
                failure == null ? List.of() : List.of(failure),
                database.query("select failure from rowbell.rule_failure"));
        assertEquals(
                by == By.CONDITION_THAT_IS_NOT_MET ? List.of() : List.of("2"),
                database
                        .query(
                                switch (by) {
                                    case COUNT ->
                                        "select added -> 'keys' ->> 0 ~ '2' and key = '{\"c\":10}' from rowbell.window_event";
                                    case TIMER -> "select key::json ->> 'id' from rowbell.timer_event";
                                    default -> "select alert -> 'new' ->> 'id' from rowbell.feedback";
                                })
                        .stream()
                        .map(found -> found.equals("t") ? "2" : found)
                        .toList());
    }

    /** What MERGE moves to another partition is read from text, which runs the check of a domain. */
    @Test
    void aDomainOfARowThatMergeMovesLeavesNothing() throws SQLException {
        assumeTrue(database.major() >= 15);
        database.execute(
                "drop table feed",
                "create table feed (id int, c int, d public.checked, primary key (id, c)) partition by list (c)",
                "create table low partition of feed for values in (1)",
                "create table high partition of feed for values in (10)",
                "insert into feed values (2, 1, 7)",
                rule("NEW.c > 5", "fires", "'every'"));
        long triggers = triggers();
        leavesNothing(
                "merge into public.feed f using (values (2)) v (id) on f.id = v.id when matched then update set c = 10");
        assertEquals(triggers, triggers());
        // without rights, which it dropped, the role of the feed could not judge this statement; it has them again
        database.execute("drop table armed", "update feed set c = 1", "update feed set c = 10");
        assertEquals(
                List.of("UPDATE 2"),
                database.query(
                        "select concat(alert ->> 'operation', ' ', alert -> 'new' ->> 'id') from rowbell.feedback"));
    }

    /** Rows that a rule with "for" finds are judged in a session of Rowbell's. */
    @Test
    void codeOfAStrangerLeavesNothingInTheSessionThatLooksAtRows() throws SQLException {
        database.execute(
                "insert into feed values (1, 0), (2, 10)", rule("NEW.c > public.meddles()", "\"for\"", "'1 ms'"));
        String id = database.query("select id from rowbell.rule_state").get(0);
        leavesNothing("do $$ begin while rowbell.run_timers(%s) loop end loop; end $$".formatted(id));
        assertEquals(List.of("{\"id\":2}"), database.query("select key from rowbell.timer"));
        assertEquals(1, database.count("pg_proc where proname = 'look_1'"));
    }

    /** In its session and in the database; and the code did run. */
    private void leavesNothing(String sql) throws SQLException {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("set search_path = pg_catalog, public");
            statement.execute("set TimeZone = 'Europe/Berlin'");
            statement.execute("listen left_behind");
            statement.execute("create table public.armed ()");
            statement.execute(sql);
            assertEquals(List.of("t"), database.query("select is_called from runs"));
            List<String> settings = new ArrayList<>();
            for (String setting : List.of("search_path", "transform_null_equals", "TimeZone")) {
                try (ResultSet row = statement.executeQuery("show " + setting)) {
                    row.next();
                    settings.add(row.getString(1));
                }
            }
            assertEquals(List.of("pg_catalog, public", "off", "Europe/Berlin"), settings);
            assertEquals(0, database.count("pg_class where relpersistence = 't'"));
            assertEquals(List.of(), database.query("select what from left_behind"));
            assertEquals(0, connection.unwrap(PGConnection.class).getNotifications().length);
        }
    }

    @Test
    void aCancelEndsTheStatementOfTheWriter() {
        asStranger(
                "create function public.sleeps() returns int volatile language sql as 'select 5 from pg_sleep(600)'");
        database.execute(rule("NEW.c > public.sleeps()", "fires", "'every'"));
        IllegalStateException canceled = assertThrows(
                IllegalStateException.class,
                () -> database.execute("set statement_timeout = '200ms'; insert into feed values (1, 10)"));
        assertEquals("57014", ((SQLException) canceled.getCause()).getSQLState());
        assertEquals(0, database.count("feed"));
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    /** Two feeds with the same rules and the same writes, of which one has a column of a stranger's type. */
    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aFeedBehindTheFenceStoresWhatAnotherDoes(String each) {
        asStranger("create type public.mood as enum ('good', 'bad')");
        database.execute("create type public.temper as enum ('good', 'bad')");
        for (String type : List.of("mood", "temper")) {
            database.execute(
                    "create table of_%1$s (id int primary key, c int, m public.%1$s)".formatted(type),
                    "select rowbell.for_each('public.of_%s', '%s')".formatted(type, each));
            for (String rule : List.of(
                    "(name, feed, condition, fires, operations) values ('every', 'FEED', 'NEW.c > 3', 'every', '{insert,update,delete}')",
                    "(name, feed, condition, resolved, operations) values ('once', 'FEED', 'NEW.m = ''bad''', true, '{insert,update,delete}')",
                    "(name, feed, condition, fires, columns) values ('changed', 'FEED', 'NEW.c > OLD.c', 'changed', '{m,c}')",
                    "(name, feed, condition, fires) values ('fails', 'FEED', '10 / NEW.c > 1', 'every')",
                    "(name, feed, condition, \"for\") values ('for', 'FEED', 'NEW.m = ''bad''', '1 h')",
                    "(name, feed, condition, count, within, by) values ('count', 'FEED', 'NEW.c > 1', 2, '5 min', '{NEW.m}')",
                    "(name, feed, condition, absent, by) values ('absent', 'FEED', 'true', '1 h', '{NEW.m}')")) {
                database.execute("insert into rowbell.rule "
                        + rule.replace("FEED", "public.of_" + type).replace("values ('", "values ('" + type + " "));
            }
            database.execute(
                    "insert into of_TYPE values (1, 1, 'good')".replace("TYPE", type),
                    "insert into of_TYPE values (2, 5, 'bad'), (3, 0, 'good'), (4, 9, null)".replace("TYPE", type),
                    "update of_TYPE set c = c + 1, m = 'bad'".replace("TYPE", type),
                    "update of_TYPE set id = id + 10 where id > 2".replace("TYPE", type),
                    "update of_TYPE set m = 'good' where id = 2".replace("TYPE", type),
                    "update of_TYPE set c = c where false".replace("TYPE", type),
                    "delete from of_TYPE where id < 3".replace("TYPE", type));
        }
        assertEquals(List.of("t", "f"), List.of(isFenced("public.of_mood"), isFenced("public.of_temper")));
        List<String> stored = stored("mood");
        assertEquals(stored("temper"), stored);
        for (String rule : List.of("every", "once", "changed", "fails", "for", "count", "absent")) {
            assertTrue(stored.stream().anyMatch(s -> s.startsWith(rule)), () -> rule + ": " + stored);
        }
    }

    private List<String> stored(String type) {
        return database.query("""
                with states as (select s.id, split_part(s.rule, ' ', 2) as rule from rowbell.rule_state s where s.rule like 'TYPE %%')
                select concat_ws(' ', split_part(a.alert ->> 'rule', ' ', 2), a.alert ->> 'status', a.alert ->> 'operation', a.alert -> 'old', a.alert -> 'new')
                from rowbell.feedback a where a.alert ->> 'rule' like 'TYPE %%'
                union all
                select concat_ws(' ', s.rule, e.kind, e.key, e.moved_to) from rowbell.timer_event e join states s on s.id = e.rule
                union all
                select concat_ws(' ', s.rule, e.key, e.added) from rowbell.window_event e join states s on s.id = e.rule
                union all
                select concat_ws(' ', split_part(f.rule, ' ', 2), f.failure) from rowbell.rule_failure f where f.rule like 'TYPE %%'
                order by 1
                """.replace("%%", "%").replace("TYPE", type));
    }

    @Test
    void feedsAreFencedWhileTheirTriggersMayCallAStranger() {
        database.execute(
                "create schema app",
                "create type app.level as enum ('high')",
                "create type app.pair as (a int, l app.level[])",
                "create domain app.pairs as app.pair[]",
                "create function app.level_json(app.level) returns json language sql as 'select to_json(1)'",
                "create cast (app.level as json) with function app.level_json(app.level)",
                "create function app.most(int) returns int language sql as 'select 5'",
                "create function app.exceeds(int, int) returns boolean language sql as 'select $1 > $2'",
                "create operator app.>>> (leftarg = int, rightarg = int, function = app.exceeds)",
                "create table app.limits (n int)",
                "create view app.seen as select 5 as n",
                "create table app.\"Odd table\" (n int)",
                rule("NEW.c > length(NEW.id::text)", "fires", "'every'"));
        String fenced = "f";
        for (String[] step : new String[][] {
            {"f", "select 1"},
            {"f", "alter table feed add p app.pairs"},
            {"t", "alter type app.level owner to STRANGER"},
            {"f", "alter type app.level owner to OWNER"},
            {"t", "alter function app.level_json(app.level) owner to STRANGER"},
            {"f", "alter table feed drop p"},
            {"f", "update rowbell.rule set condition = 'NEW.c > app.most(NEW.id)'"},
            {"t", "alter function app.most(int) owner to STRANGER"},
            {"f", "update rowbell.rule set condition = 'NEW.c > 5 -- app.other'"},
            {"t", "update rowbell.rule set condition = 'NEW.c > APP.\"most\"(NEW.id)'"},
            {"t", "update rowbell.rule set condition = 'NEW.c > U&\"\\0061pp\".U&\"\\006dost\"(NEW.id)'"},
            {"f", "update rowbell.rule set condition = 'NEW.c operator(app.>>>) 5'"},
            {"t", "alter operator app.>>> (int, int) owner to STRANGER"},
            {"f", "update rowbell.rule set condition = 'NEW.c > (select max(n) from app.limits)'"},
            {"t", "alter table app.limits owner to STRANGER"},
            {"f", "alter table app.limits owner to OWNER"},
            {"t", "alter table app.limits add l app.level, add f int; alter type app.level owner to STRANGER"},
            {"f", "alter table app.limits drop l"},
            {"t", "alter table app.limits enable row level security; create policy p on app.limits using (true)"},
            {"f", "alter table app.limits disable row level security"},
            {"t", "grant create on schema app to STRANGER"},
            {"f", "revoke create on schema app from STRANGER"},
            {"t", "alter schema app owner to STRANGER"},
            {"f", "alter schema app owner to OWNER"},
            {"t", "update rowbell.rule set condition = 'NEW.c > (select max(n) from app.seen)'"},
            {"f", "update rowbell.rule set condition = 'NEW.c > (select count(*) from app.\"Odd table\")'"},
            {"t", "alter table app.\"Odd table\" owner to STRANGER"},
            // who owns the table of the feed may make a trigger of his own
            {"f", "alter table feed owner to STRANGER"},
        }) {
            String before = database.query("select rowbell.definitions()").get(0);
            database.execute(step[1].replace("STRANGER", stranger)
                    .replace("OWNER", database.query("select current_user").get(0)));
            if (!step[0].equals(fenced)) {
                assertNotEquals(
                        before, database.query("select rowbell.definitions()").get(0), step[1]);
            }
            fenced = step[0];
            assertEquals(List.of(), database.query("select event from rowbell.refresh()"), step[1]);
            assertEquals(fenced, isFenced("public.feed"), step[1]);
        }
    }

    private String isFenced(String feed) {
        return database.query("select bool_or(p.prosrc like '%exit fence%') from rowbell.feed f join pg_proc p"
                        + " on p.proname in ('on_statement_' || f.id, 'on_row_' || f.id) where f.name = '" + feed + "'")
                .get(0);
    }

    private static String rule(String condition, String columns, String values) {
        return "insert into rowbell.rule (name, feed, condition, %s) values ('feed', 'public.feed', '%s', %s)"
                .formatted(columns, condition, values);
    }

    private long triggers() {
        return database.count("pg_trigger where tgrelid = 'feed'::regclass");
    }

    private void asStranger(String... statements) {
        try (Connection connection = database.connectAs(stranger, "secret");
                Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
