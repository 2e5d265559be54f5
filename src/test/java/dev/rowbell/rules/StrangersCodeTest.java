package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Code of a role that only owns a type, a function or a cast runs while a rule is judged. It can do no more than that role could do anyway, but for
 * false alerts of this feed and for reading what the conditions of this feed may read.
 */
class StrangersCodeTest {

    private TestDatabase database = TestDatabase.createWithSchema();
    private String stranger;
    private String ownRole;

    /** What the stranger's code tries each time that it runs. */
    private List<String> tries() {
        return List.of(
                "alter function rowbell.on_statement_1() security invoker",
                "alter function rowbell.run_1(text) security invoker",
                "create or replace function rowbell.on_statement_1() returns trigger language plpgsql as 'begin return null; end'",
                "set role " + owner(),
                "set session authorization " + owner(),
                "reset role",
                "select set_config('role', 'none', false)",
                "select rowbell.run_1('select 1')",
                "select rowbell.run_0('select 1')",
                "select * from rowbell.feedback",
                "insert into rowbell.feedback (alert) values ('{}')",
                "insert into rowbell.rule (name, feed, condition) values ('x', 'public.other', 'true')",
                "select rowbell.refresh()",
                "select word from public.secret",
                "create table public.mine (a int)",
                "select rowbell_alert.raise_2('INSERT', 1, array[1], null, array['{}'::json], null, null)",
                "select rowbell_alert.again_2('INSERT', 1)",
                "create schema mine",
                "select pg_read_file('postgresql.conf')");
    }

    @BeforeEach
    void aStranger() {
        stranger = database.name() + "_stranger";
        ownRole = "rowbell_" + database.name() + "_1";
        database.execute(
                "create role " + stranger + " login password 'secret'",
                // as the default is from PostgreSQL 15 on
                "revoke create on schema public from public",
                "grant create on schema public to " + stranger,
                // PostgreSQL undoes the rows that the stranger's code writes, and not the numbers that it takes from a
                // sequence
                "create schema tried",
                "grant usage on schema tried to public",
                "create sequence tried.by_owner",
                "create sequence tried.by_role",
                "create sequence tried.as_member",
                "create table secret (word text)",
                "create table other (id int, c int)");
        database.execute(
                "do $$ begin for i in 0 .. %d loop execute 'create sequence tried.done_' || i; end loop; end $$"
                        .formatted(tries().size() - 1),
                "grant all on all sequences in schema tried to public");
        // each of them as the code that the stranger gets to run
        asStranger("""
                create function public.try_all() returns int language plpgsql as $f$
                declare
                  tries constant text[] := array[TRIES];
                begin
                  if current_user = 'OWNER' then
                    perform nextval('tried.by_owner');
                    return 1;
                  elsif current_user = 'OWN_ROLE' then
                    perform nextval('tried.by_role');
                  end if;
                  if pg_has_role('OWNER', 'member') then
                    perform nextval('tried.as_member');
                  end if;
                  for i in 1 .. cardinality(tries) loop
                    begin
                      execute tries[i];
                      perform nextval('tried.done_' || i - 1);
                    exception when others then
                      null;
                    end;
                  end loop;
                  return 1;
                end $f$
                """.replace(
                        "TRIES", tries().stream().map(t -> "$t$" + t + "$t$").collect(Collectors.joining(", ")))
                .replace("OWNER", owner())
                .replace("OWN_ROLE", ownRole));
    }

    @Test
    void aCastOfAColumnsTypeToJsonDoesNoHarm() throws SQLException {
        asStranger(
                "create type public.kind as enum ('a', 'b')",
                "create function public.kind_json(public.kind) returns json language sql as 'select to_json(public.try_all())'",
                "create cast (public.kind as json) with function public.kind_json(public.kind)");
        database.execute(
                "create table feed (id int primary key, k public.kind)",
                "grant insert on feed to " + stranger,
                rule("feed", "NEW.id > 0"),
                rule("other", "NEW.c > 0"),
                "insert into feed values (1, 'a')");
        nothingWasDone();
        assertEquals(List.of("feed 1"), alerts());
    }

    @Test
    void aCastThatAConditionComesByLaterDoesNoHarm() {
        database.execute(
                "create table feed (id int primary key, c int)", rule("feed", "NEW.c > 5"), rule("other", "NEW.c > 0"));
        asStranger(
                "create type public.number as (n int)",
                "create function public.number_int(public.number) returns int language sql as 'select public.try_all() + $1.n'",
                "create cast (public.number as int) with function public.number_int(public.number) as implicit");
        database.execute(
                "alter table feed alter c type public.number using row(c)::public.number",
                "insert into feed values (1, row(10))",
                "select * from rowbell.refresh()",
                "alter sequence tried.by_role restart",
                "insert into feed values (2, row(10))");
        nothingWasDone();
        assertTrue(alerts().contains("feed 2"), () -> alerts().toString());
    }

    @Test
    void aDomainThatIsCheckedWhereAnotherRowFailsDoesNoHarm() {
        asStranger(
                "create function public.checks(int) returns boolean language sql as 'select public.try_all() > 0'",
                "create domain public.checked as int check (public.checks(value))");
        database.execute(
                "create table feed (id int primary key, d public.checked, c int)",
                rule("feed", "10 / NEW.c > 0"),
                rule("other", "NEW.c > 0"),
                "insert into feed values (1, null, 1)",
                "alter table feed add e public.checked",
                // the writer itself has the domain checked
                "set session_replication_role = replica; insert into feed (id, c) values (3, 5); reset session_replication_role",
                "insert into feed (id, c) values (4, 0), (5, 2)");
        assertEquals(List.of(), done());
        assertEquals(List.of("feed 1", "feed 5"), alerts());
    }

    /** A literal of an array over a domain runs the check of the domain when it is read, before anything is planned. */
    @Test
    void aDomainThatIsCheckedWhileALiteralIsReadDoesNoHarm() {
        // not undone with the transaction, as a row would be
        database.execute(
                "create sequence calls",
                "create sequence calls_of_owner",
                "grant all on sequence calls, calls_of_owner to public");
        asStranger(
                "create function public.counts(int) returns boolean language plpgsql as $f$ begin perform nextval('public.calls');"
                        + " if pg_has_role('" + owner()
                        + "', 'member') then perform nextval('public.calls_of_owner'); end if;"
                        + " return true; end $f$",
                "create domain public.counted as int check (public.counts(value))",
                "create type public.counted_pair as (a public.counted, b int)");
        database.execute(
                "create schema hidden",
                "create table hidden.limits (n int)",
                "create table feed (id int primary key, d public.counted[], p public.counted_pair)",
                rule(
                        "feed",
                        "NEW.d = ''{1}'' and NEW.p = ''(1,2)''::public.counted_pair and NEW.id > (select max(n) from hidden.limits)"),
                "select * from rowbell.refresh()");
        assertEquals(
                List.of("t f"),
                database.query(
                        "select concat((select is_called from calls), ' ', (select is_called from calls_of_owner))"));
        assertEquals(
                List.of("t"),
                database.query("select has_table_privilege('" + ownRole
                        + "', 'hidden.limits', 'select') and has_schema_privilege('" + ownRole
                        + "', 'hidden', 'usage')"));
    }

    @Test
    void aFunctionThatPostgresRunsWhileItPlansAConditionDoesNoHarm() {
        asStranger(
                "create function public.constant(int) returns int immutable language plpgsql as 'begin return public.try_all(); end'");
        database.execute(
                "create table feed (id int primary key, c int)",
                "select * from rowbell.check_rule('{\"name\": \"a\", \"feed\": \"public.feed\", \"condition\": \"public.constant(1) > NEW.c\"}')",
                rule("feed", "public.constant(1) > NEW.c"),
                rule("other", "NEW.c > 0"),
                "select * from rowbell.refresh()",
                "insert into feed values (1, 0)");
        assertEquals(List.of(), done());
        assertFalse(wasTaken("by_owner"));
        assertEquals(List.of("feed 1"), alerts());
    }

    @Test
    void aConditionReadsWhatItNamesAndNothingElse() {
        database.execute(
                "create schema limits",
                "create table limits.most (n int)",
                "insert into limits.most values (5)",
                "create table feed (id int primary key, c int)",
                rule("feed", "NEW.c > (select max(n) from limits.most)"),
                "insert into feed values (1, 10), (2, 1)");
        assertEquals(List.of("feed 1"), alerts());
        assertEquals(
                List.of("t f"),
                database.query("select concat(has_table_privilege('" + ownRole + "', 'limits.most', 'select'), ' ',"
                        + " has_table_privilege('" + ownRole + "', 'secret', 'select'))"));
    }

    /** Of a function of the owner of the table, nothing is undone. */
    @Test
    void whatAFunctionOfTheOwnerLeavesInASessionChangesNoVerdictOfAnotherFeed() throws SQLException {
        database.execute("""
                create function public.leaves() returns int volatile language plpgsql as $f$
                begin
                  perform set_config(s.name, s.setting, false)
                  from (values ('search_path', 'pg_temp, public'), ('transform_null_equals', 'on'), ('standard_conforming_strings', 'off'),
                    ('bytea_output', 'escape'), ('TimeZone', 'Asia/Tokyo')) s (name, setting);
                  create temporary table if not exists limits (n int);
                  return 5;
                end $f$
                """);
        database.execute(
                "create table feed (id int primary key, c int)",
                "create table judged (id int primary key, note text, at timestamptz, bytes bytea)",
                rule("feed", "NEW.c > public.leaves()"),
                rule(
                        "judged",
                        "NEW.note ~ ''^\\d+$'' and NEW.at::text = ''2026-01-01 00:00:00+00'' and NEW.bytes::text = ''\\x00ff''"));
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("insert into public.feed values (1, 10)");
            statement.execute(
                    "insert into public.judged values (1, '456', '2026-01-01 00:00:00+00', decode('00ff', 'hex')), (2, 'dd', '2026-01-01', '')");
        }
        assertEquals(
                List.of("feed 1", "judged 1"),
                database.query(
                        "select concat(alert->>'rule', ' ', alert->'new'->>'id') from rowbell.feedback order by 1"));
    }

    @Test
    void theRoleOfAFeedForgesNoAlertOfAnother() {
        database.execute(
                "create table feed (id int primary key, c int)", rule("feed", "NEW.c > 5"), rule("other", "NEW.c > 5"));
        database.execute(
                "grant usage on schema rowbell_alert to " + stranger,
                "grant execute on function rowbell_alert.raise_1 to " + stranger);
        asStranger(
                "select rowbell_alert.raise_1('INSERT\",\"rule\":\"other', 0, '{1}', null, array['{}'::json], null, null)",
                "select rowbell_alert.raise_1('INSERT', 0, '{3}', null, array['{}'::json], null, null)",
                "select rowbell_alert.raise_1('INSERT', 0, null, null, null, null, '[{\"rule\": \"other\", \"error\": \"x\"}]')",
                "select rowbell_alert.raise_1('INSERT', 'secret'::regclass, '{1}', null, array['{}'::json], null, null)");
        assertEquals(
                List.of("feed "),
                database.query("select concat(alert->>'rule', ' ', alert->>'partition') from rowbell.feedback"));
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    @Test
    void noConditionOpensTheSchemaToTheRoleOfItsFeed() {
        database.execute(
                "create table feed (id int primary key, c int)",
                rule("feed", "NEW.c > 5 and not exists (select from rowbell.silence)"));
        assertEquals(
                List.of("f"), database.query("select has_schema_privilege('" + ownRole + "', 'rowbell', 'usage')"));
    }

    @Test
    void theRoleThatChecksConditionsIsMadeAgain() {
        database.execute(
                "create table feed (id int primary key, c int)",
                "drop function rowbell.run_0(text)",
                rule("feed", "NEW.c > 5"),
                "insert into feed values (1, 10)");
        assertEquals(List.of("feed 1"), alerts());
    }

    /** A function in a condition may change any setting. The session that checks the rule keeps its own settings. */
    @Test
    void aFunctionThatSetsTheSearchPathWhileItIsCheckedDoesNoHarm() throws SQLException {
        asStranger("create function public.sets() returns int stable language plpgsql as"
                + " 'begin perform set_config(''search_path'', ''public'', false); return 10; end'");
        database.execute(
                "create table feed (id int primary key, c int)",
                "insert into feed select i, i from generate_series(1, 100) i",
                "analyze feed");
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("set search_path = pg_catalog, public");
            statement.execute(rule("feed", "NEW.c > public.sets()"));
            try (var row = statement.executeQuery("show search_path")) {
                row.next();
                assertEquals("pg_catalog, public", row.getString(1));
            }
        }
    }

    @Test
    void aConditionMayReadItsOwnFeed() {
        database.execute(
                "create table feed (id int primary key, c int)",
                "insert into feed values (1, 5)",
                rule("feed", "NEW.c > (select max(f.c) from public.feed f where f.id = 1)"),
                "insert into feed values (2, 10), (3, 1)");
        assertEquals(List.of("feed 2"), alerts());
    }

    @Test
    void aConditionMayReadAFieldOfACompositeType() {
        database.execute(
                "create type pr as (a int, b int)",
                "create table feed (id int primary key, p pr)",
                rule("feed", "(NEW.p).a > 3"),
                "insert into feed values (1, row(4, 0)), (2, row(3, 0))");
        assertEquals(List.of("feed 1"), alerts());
    }

    @Test
    @Tag("long")
    void withoutTheRightToMakeSchemasARoleIsStillGivenWhatItsConditionReads() throws SQLException {
        String owner = installedBy("createrole");
        database.execute(
                "revoke create on database " + database.name() + " from " + owner,
                "create schema shop",
                "grant usage on schema shop to " + owner + " with grant option",
                "create table shop.secret (word text)",
                "grant select on shop.secret to " + owner + " with grant option",
                "create table later (id int, c int)",
                "grant trigger on later to " + owner);
        try (Connection connection = database.connectAs(owner, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute(rule("later", "NEW.c > (select count(*) from shop.secret)"));
        }
        assertEquals(
                List.of("t"),
                database.query(
                        "select has_table_privilege('rowbell_" + database.name() + "_2', 'shop.secret', 'select')"));
        assertEquals(
                List.of("f"),
                database.query(
                        "select has_schema_privilege('rowbell_" + database.name() + "_2', 'rowbell_alert', 'create')"));
        database.execute("insert into later values (1, 10)");
        assertEquals(1, database.count("rowbell.feedback where alert->>'rule' = 'later'"));
    }

    @Test
    void aFormerChildRaisesNoAlertsOfItsParent() {
        database.execute(
                "create table feed (id int, c int)",
                "create table child () inherits (feed)",
                rule("feed", "NEW.c > 5"),
                "insert into child values (1, 10)",
                "alter table child no inherit feed",
                "insert into child values (2, 10)");
        assertEquals(List.of("feed 1"), alerts());
    }

    @Test
    void aRightThatIsMissingIsSaidWithTheGrantThatHelps() {
        database.execute(
                "create function public.word() returns text language sql as 'select word from public.secret'",
                "create table feed (id int primary key, c text)",
                rule("feed", "NEW.c = public.word()"),
                "insert into secret values ('x')",
                "insert into feed values (1, 'x')",
                "select rowbell.report_failures()");
        assertEquals(
                List.of("rule feed failed: permission denied for table secret"),
                database.query("select alert->>'reason' from rowbell.feedback"));
        database.execute("grant select on secret to " + ownRole, "insert into feed values (2, 'x')");
        assertTrue(alerts().contains("feed 2"), () -> alerts().toString());
    }

    /** The rights of docs/schema.md and the right to make roles, which is what a managed PostgreSQL gives. */
    @Test
    void anOwnerWhoIsNoSuperuserGivesEachFeedItsRole() throws SQLException {
        String owner = installedBy("createrole");
        assertEquals(
                List.of(ownRole),
                database.query(
                        "select distinct proowner::regrole::text from pg_proc where proname in ('on_statement_1', 'run_1')"));
        assertEquals(
                List.of(owner),
                database.query("select proowner::regrole::text from pg_proc where proname = 'raise_1'"));
        // the owner needs the right to make schemas for the installation alone
        database.execute(
                "revoke create on database " + database.name() + " from " + owner,
                "create table later (id int, c int)",
                "grant trigger on later to " + owner);
        try (Connection connection = database.connectAs(owner, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute(rule("later", "NEW.c > 5"));
        }
        assertEquals(
                List.of("rowbell_" + database.name() + "_2"),
                database.query("select proowner::regrole::text from pg_proc where proname = 'on_statement_2'"));
        database.execute("drop table feed");
        database.query("select event from rowbell.refresh()");
        assertEquals(0, database.count("pg_roles where rolname = '" + ownRole + "'"));
    }

    @Test
    @Tag("long")
    void anOwnerWhoMayMakeNoRolesIsToldAndRulesWork() throws SQLException {
        try (LogLines log = new LogLines("dev.rowbell.database.Schema")) {
            String owner = installedBy("nocreaterole");
            assertEquals(
                    List.of(owner),
                    database.query(
                            "select distinct proowner::regrole::text from pg_proc where proname in ('on_statement_1', 'run_1')"));
            String told = log.lines().get(0);
            assertTrue(told.startsWith("WARN conditions run with the rights of " + owner), told);
            // what a DBA does about it
            database.execute("create role " + ownRole + " nologin", "grant " + ownRole + " to " + owner);
            database.query("select event from rowbell.refresh()");
            assertEquals(
                    List.of(ownRole),
                    database.query(
                            "select distinct proowner::regrole::text from pg_proc where proname = 'on_statement_1'"));
            database.execute("insert into feed values (2, 10)");
            assertTrue(alerts().contains("feed 2"), () -> alerts().toString());
        }
    }

    @Test
    @Tag("long")
    void aPartitionThatTheOwnerMayNotWatchIsSaidAndTheOthersAreWatched() throws SQLException {
        String owner = installedBy("createrole");
        database.execute(
                "delete from rowbell.feedback",
                "create table child () inherits (feed)",
                "create table other_child () inherits (feed)",
                "grant trigger on other_child to " + owner);
        try (Connection connection = database.connectAs(owner, "secret");
                Statement statement = connection.createStatement();
                ResultSet event = statement.executeQuery("select event from rowbell.refresh()")) {
            assertTrue(event.next());
            assertEquals(
                    "writes to public.child are not watched: grant trigger on public.child to " + owner,
                    event.getString(1));
        }
        database.execute("insert into child values (2, 10)", "insert into other_child values (3, 10)");
        assertEquals(List.of("feed 3"), alerts());
    }

    /** Starts Rowbell as a role with this right, and has a rule fire. */
    private String installedBy(String right) throws SQLException {
        database = TestDatabase.create();
        ownRole = "rowbell_" + database.name() + "_1";
        String owner = database.name() + "_owner";
        database.execute(
                "create role " + owner + " login password 'secret' " + right,
                "grant create on database " + database.name() + " to " + owner,
                "create table feed (id int, c int)",
                "grant trigger on feed to " + owner);
        Map<String, String> settings = database.settings();
        settings.put("rowbell.jdbc.user", owner);
        settings.put("rowbell.jdbc.password", "secret");
        settings.put("rowbell.file.dir", "");
        RunningRowbell.start(settings).close();
        try (Connection connection = database.connectAs(owner, "secret");
                Statement statement = connection.createStatement()) {
            statement.execute(rule("feed", "NEW.c > 5"));
        }
        database.execute("insert into feed values (1, 10)");
        assertEquals(List.of("feed 1"), alerts());
        return owner;
    }

    private String owner() {
        return database.query("select current_user").get(0);
    }

    private void nothingWasDone() {
        assertEquals(List.of(), done());
        assertTrue(wasTaken("by_role"));
        assertFalse(wasTaken("by_owner"));
    }

    /** What the stranger's code could do. */
    private List<String> done() {
        assertFalse(wasTaken("as_member"));
        return IntStream.range(0, tries().size())
                .filter(i -> wasTaken("done_" + i))
                .mapToObj(tries()::get)
                .toList();
    }

    private boolean wasTaken(String sequence) {
        return database.query("select is_called from tried." + sequence).equals(List.of("t"));
    }

    private List<String> alerts() {
        return database.query("select concat(alert->>'rule', ' ', alert->'new'->>'id') from rowbell.feedback"
                + " where alert->>'rule' = 'feed' order by crt_time, 1");
    }

    private static String rule(String feed, String condition) {
        return "insert into rowbell.rule (name, feed, condition, fires) values ('%s', 'public.%1$s', '%s', 'every')"
                .formatted(feed, condition);
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
