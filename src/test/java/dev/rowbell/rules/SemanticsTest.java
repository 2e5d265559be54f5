package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.OwnPostgres;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Each sentence of docs/semantics.md. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class SemanticsTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    @BeforeEach
    void freshTables() {
        database.execute(
                "delete from rowbell.rule",
                "drop schema if exists s cascade",
                "select rowbell.refresh()",
                "delete from rowbell.feedback",
                "create schema s",
                "create table s.t (id int primary key, v numeric)");
    }

    private void rule(String name, String feed, String condition, String fires, String more) {
        database.execute("""
                insert into rowbell.rule
                select r.* from json_populate_record(rowbell.rule_of('{}'), '{"name": "%s", "feed": "%s", "condition": "%s", "fires": "%s"%s}') r""".formatted(name, feed, condition, fires, more));
    }

    private void rule(String name, String condition, String fires) {
        rule(
                name,
                "s.t",
                condition,
                fires,
                ", \"columns\": [\"v\"], \"operations\": [\"insert\", \"update\", \"delete\"]");
    }

    /**
     * The alerts of these statements, by rule: the rule, the operation, the status where it is not firing, the
     * partition.
     */
    private String alertsOf(String... statements) {
        database.execute(statements);
        database.execute("select rowbell.report_failures()", "update rowbell.rule_state set reported = null");
        List<String> alerts = database.query("""
                with taken as (delete from rowbell.feedback returning alert)
                select concat_ws(' ', coalesce((alert -> 'payload' ->> 'rule') || ' failed', alert ->> 'rule'), lower(alert ->> 'operation'),
                  nullif(alert ->> 'status', 'firing'), alert ->> 'partition') as line
                from taken order by line""");
        return String.join(", ", alerts);
    }

    @Test
    void aConditionOverNewFiresByWhatTheRowWasBefore() {
        rule("once", "NEW.v > 5", "once");
        rule("every", "NEW.v > 5", "every");
        rule("changed", "NEW.v > 5", "changed");
        assertEquals("changed insert, every insert, once insert", alertsOf("insert into s.t values (1, 9)"));
        assertEquals("every update", alertsOf("update s.t set v = 9.00"));
        assertEquals("changed update, every update", alertsOf("update s.t set v = 10"));
        assertEquals("", alertsOf("update s.t set v = null"));
        assertEquals("changed update, every update, once update", alertsOf("update s.t set v = 7"));
        assertEquals("", alertsOf("delete from s.t"));
    }

    @Test
    void eachStatementOfATransactionIsJudgedAndARollbackTakesItsAlerts() {
        rule("once", "NEW.v > 5", "once");
        assertEquals(
                "once insert, once update",
                alertsOf("begin; insert into s.t values (1, 9); update s.t set v = 1; update s.t set v = 9; commit"));
        assertEquals(
                "", alertsOf("begin; savepoint a; update s.t set v = 1; update s.t set v = 9; rollback to a; commit"));
    }

    @Test
    void anUpsertIsAnInsertOrAnUpdateAndTruncateNothing() {
        rule("every", "NEW.v > 5", "every");
        assertEquals("every insert", alertsOf("insert into s.t values (1, 9) on conflict (id) do update set v = 1"));
        assertEquals(
                "every update",
                alertsOf("insert into s.t values (1, 1) on conflict (id) do update set v = s.t.v + excluded.v"));
        assertEquals("", alertsOf("insert into s.t values (1, 9) on conflict do nothing"));
        assertEquals("", alertsOf("truncate s.t"));
    }

    @Test
    void aConditionThatNamesOldIsAboutTheChange() {
        rule("once", "OLD.v > 5", "once");
        rule("every", "OLD.v > 5", "every");
        assertEquals("", alertsOf("insert into s.t values (1, 9)"));
        assertEquals("every update, once update", alertsOf("update s.t set v = 9"));
        assertEquals("every update, once update", alertsOf("update s.t set v = 1"));
        assertEquals("", alertsOf("update s.t set v = 9"));
        assertEquals("every delete, once delete", alertsOf("delete from s.t"));
    }

    @Test
    void theMissingSideIsARowOfNulls() {
        rule("inserted", "OLD.id is null", "every");
        rule("deleted", "NEW.id is null and OLD.id is not null", "every");
        assertEquals("inserted insert", alertsOf("insert into s.t values (1, 9)"));
        assertEquals("", alertsOf("update s.t set v = 1"));
        assertEquals("deleted delete", alertsOf("delete from s.t"));
    }

    @Test
    void aConditionEndsWhenItIsFalseOrNullOrItsRowIsGone() {
        rule("ends", "s.t", "NEW.v > 5", "once", ", \"resolved\": true");
        rule("ends-too", "s.t", "NEW.v > 5", "every", ", \"resolved\": true, \"operations\": [\"update\", \"delete\"]");
        assertEquals(
                "ends insert, ends insert, ends insert",
                alertsOf("insert into s.t values (1, 9), (2, 9), (3, 9), (4, 1)"));
        assertEquals("ends update resolved, ends-too update resolved", alertsOf("update s.t set v = 1 where id = 1"));
        assertEquals(
                "ends update resolved, ends-too update resolved", alertsOf("update s.t set v = null where id = 2"));
        assertEquals("ends-too delete resolved", alertsOf("delete from s.t"));
    }

    @Test
    void aConditionThatCannotBeJudgedNeitherFiresNorEnds() {
        rule("once", "12 / NEW.v > 1", "once");
        rule("every", "12 / NEW.v > 1", "every");
        rule("ends", "s.t", "12 / NEW.v > 1", "every", ", \"resolved\": true");
        assertEquals(
                "ends failed, ends insert, every failed, every insert, once failed, once insert",
                alertsOf("insert into s.t values (1, 0), (2, 6)"));
        // OLD cannot be judged: once cannot tell whether the condition became true, every does not ask
        assertEquals("ends update, every update, once failed", alertsOf("update s.t set v = 6 where id = 1"));
        // NEW cannot
        assertEquals("ends failed, every failed, once failed", alertsOf("update s.t set v = 0 where id = 1"));
        // OLD cannot, and NEW does not meet it
        assertEquals("ends failed", alertsOf("update s.t set v = 100 where id = 1"));
    }

    @Test
    void columnsChangeByTheEqualityOfTheirTypes() {
        database.execute(
                "create type s.pair as (a int, b int)",
                "create table s.c (id int primary key, n numeric, f float8, t text, j json, b jsonb, a numeric[], p s.pair, z timestamptz)");
        for (String column : List.of("n", "f", "t", "j", "b", "a", "p", "z")) {
            rule(column, "s.c", "true", "changed", ", \"columns\": [\"" + column + "\"]");
        }
        assertEquals("", alertsOf("insert into s.c values (1)"));
        assertEquals(
                "a insert, b insert, f insert, j insert, n insert, p insert, t insert, z insert",
                alertsOf(
                        "insert into s.c values (2, 1.0, 'NaN', 'a', 'null', 'null', '{1.0}', row(null, null), '2026-01-01 12:00+00')"));
        // as numbers, instants and values; arrays, composites and json as texts
        assertEquals(
                "a update",
                alertsOf(
                        "update s.c set n = 1.00, f = 'NaN', a = '{1.00}', p = row(null, null), z = '2026-01-01 13:00+01' where id = 2"));
        assertEquals("j update", alertsOf("update s.c set j = ' null' where id = 2"));
        assertEquals("b update", alertsOf("update s.c set b = '{\"x\": 1.0}' where id = 2"));
        assertEquals("", alertsOf("update s.c set b = '{\"x\":1.00}' where id = 2"));
        assertEquals("t update", alertsOf("update s.c set t = 'a ' where id = 2"));
        assertEquals("f update", alertsOf("update s.c set f = 0 where id = 2"));
        assertEquals("", alertsOf("update s.c set f = '-0' where id = 2"));
        assertEquals("b update", alertsOf("update s.c set b = null where id = 2"));
        // JSON null is a value
        assertEquals("b update", alertsOf("update s.c set b = 'null' where id = 2"));
    }

    @Test
    void shapesChangeWhereNeitherAreaNorNumberOfPointsDoes() {
        database.execute("create table s.shape (id int primary key, b box, p path, c circle)");
        for (String column : List.of("b", "p", "c")) {
            rule(column, "s.shape", "true", "changed", ", \"columns\": [\"" + column + "\"]");
        }
        assertEquals(
                "b insert, c insert, p insert",
                alertsOf("insert into s.shape values (1, '(1,1),(0,0)', '[(0,0),(1,1)]', '<(0,0),1>')"));
        assertEquals("", alertsOf("update s.shape set b = b, p = p, c = c"));
        assertEquals(
                "b update, c update, p update",
                alertsOf("update s.shape set b = '(2,2),(1,1)', p = '[(5,5),(6,7)]', c = '<(9,9),1>'"));
    }

    @Test
    void aTypeOfAnExtensionIsComparedAsText() {
        Assumptions.assumeTrue(database.count("pg_available_extensions where name = 'citext'") > 0);
        database.execute(
                "create extension if not exists citext schema public", "create table s.ci (id int, t public.citext)");
        rule("changed", "s.ci", "true", "changed", ", \"columns\": [\"t\"]");
        rule("equals", "s.ci", "NEW.t operator(public.=) ''A''", "every", "");
        rule("equals-text", "s.ci", "NEW.t = ''A''", "every", "");
        assertEquals("changed insert, equals insert", alertsOf("insert into s.ci values (1, 'a')"));
        assertEquals("changed update, equals update, equals-text update", alertsOf("update s.ci set t = 'A'"));
    }

    @Test
    void partitionNamesThePartitionThatTheRowIsIn() {
        makePartitions();
        ruleOnAllOperations("p", "s.p");
        assertEquals("p insert s.p1", alertsOf("insert into s.p values (1, 1, 9)"));
        assertEquals("p insert s.p1", alertsOf("insert into s.p1 values (2, 1, 9)"));
        // one that moves is updated, and is where it came to
        assertEquals("p update s.p2", alertsOf("update s.p set k = 11 where id = 1"));
        assertEquals("p delete s.p2", alertsOf("delete from s.p where id = 1"));
        assertEquals("p delete s.p1", alertsOf("delete from s.p1"));
    }

    private void makePartitions() {
        database.execute(
                "create table s.p (id int, k int, v int) partition by range (k)",
                "create table s.p1 partition of s.p for values from (0) to (10)",
                "create table s.p2 partition of s.p for values from (10) to (100)");
    }

    private void ruleOnAllOperations(String name, String feed) {
        rule(
                name,
                feed,
                "coalesce(NEW.v, OLD.v) > 5",
                "every",
                ", \"operations\": [\"insert\", \"update\", \"delete\"]");
    }

    @Test
    void toAFeedThatIsAPartitionARowThatMovesIsDeletedOrInserted() {
        makePartitions();
        ruleOnAllOperations("p1", "s.p1");
        assertEquals("p1 insert", alertsOf("insert into s.p values (1, 1, 9)"));
        assertEquals("p1 delete", alertsOf("update s.p set k = 11"));
        assertEquals("p1 insert", alertsOf("update s.p set k = 1"));
    }

    @Test
    void partitionOfAnInheritanceChildIsLeftOutWhereItCannotBeKnown() {
        database.execute(
                "create table s.k (id int primary key, v int)",
                "create table s.kc (extra int, primary key (id)) inherits (s.k)",
                "create table s.n (id int, v int)",
                "create table s.nc () inherits (s.n)");
        for (String feed : List.of("k", "n")) {
            ruleOnAllOperations(feed, "s." + feed);
        }
        assertEquals(
                "k insert, k insert s.kc", alertsOf("insert into s.k values (1, 9)", "insert into s.kc values (2, 9)"));
        assertEquals("k update, k update s.kc", alertsOf("update s.k set v = 10"));
        assertEquals("k update s.kc", alertsOf("update s.kc set v = 10"));
        assertEquals("k delete", alertsOf("delete from s.k where id = 2"));
        assertEquals("k insert s.kc", alertsOf("insert into s.kc values (1, 9)"));
        assertEquals("k update, k update", alertsOf("update s.k set v = 11"));
        assertEquals("k delete s.kc", alertsOf("delete from s.kc"));
        assertEquals("n insert s.nc", alertsOf("insert into s.nc values (1, 9)"));
        assertEquals("n update", alertsOf("update s.n set v = 10"));
        database.execute("select rowbell.for_each('s.n', 'row')");
        assertEquals("n update s.nc", alertsOf("update s.n set v = 11"));
        assertEquals("n delete s.nc", alertsOf("delete from s.n"));
    }

    @Test
    void mergeIsWhatItsActionsAre() {
        Assumptions.assumeTrue(database.major() >= 15, "MERGE is from PostgreSQL 15");
        rule("m", "coalesce(NEW.v, OLD.v) > 5", "every");
        database.execute("insert into s.t values (1, 1), (2, 9), (4, 9)");
        assertEquals("m delete, m insert, m insert, m insert, m update", alertsOf("""
                        merge into s.t using (values (1, 8), (2, 0), (3, 7), (4, 4)) x (id, v) on t.id = x.id
                        when matched and x.v = 0 then delete when matched and x.v = 4 then do nothing
                        when matched then update set v = x.v when not matched then insert values (x.id, x.v)"""));
    }

    /** More of it is in MoveTest. */
    @Test
    void aRowThatMergeMovesIsUpdated() {
        Assumptions.assumeTrue(database.major() >= 15, "MERGE is from PostgreSQL 15");
        makePartitions();
        ruleOnAllOperations("p", "s.p");
        database.execute("insert into s.p values (1, 1, 0), (2, 2, 0)");
        assertEquals("p insert s.p1, p update s.p2", alertsOf("""
                        merge into s.p using (values (1, 9), (3, 9)) x (id, v) on p.id = x.id
                        when matched then update set k = 11, v = x.v when not matched then insert values (x.id, 1, x.v)"""));
        // no column of a key tells that the row is the same
        assertEquals("p delete s.p1, p delete s.p2, p insert s.p1", alertsOf("""
                        merge into s.p using (values (3, 0), (1, 9), (4, 9)) x (id, v) on p.id = x.id
                        when matched and x.v = 0 then delete when matched then update set k = 1 when not matched then insert values (x.id, 11, 0)"""));
    }

    @Test
    void aTriggerBeforeChangesWhatIsJudgedAndOneAfterWritesOnItsOwn() {
        rule("every", "NEW.v > 5", "every");
        database.execute(
                "create function s.before() returns trigger language plpgsql as $$ begin if new.v = 7 then return null; end if; new.v := new.v + 1; return new; end $$",
                "create trigger b before insert on s.t for each row execute function s.before()",
                "create function s.after() returns trigger language plpgsql as $$ begin update s.t set v = 20 where id = 1 and new.id <> 1; return null; end $$",
                "create trigger a after insert on s.t for each row execute function s.after()");
        assertEquals("every insert", alertsOf("insert into s.t values (1, 5)"));
        assertEquals("", alertsOf("insert into s.t values (2, 7)"));
        assertEquals("every update", alertsOf("insert into s.t values (3, 1)"));
    }

    @Test
    void inARoleOfReplicationOnlyTriggersThatAreEnabledAlwaysFire() {
        rule("every", "NEW.v > 5", "every");
        assertEquals("", alertsOf("set session_replication_role = replica; insert into s.t values (1, 9)"));
        String always = database.query(
                        "select format('alter table s.t enable always trigger %I', tgname) from pg_trigger where tgrelid = 's.t'::regclass and tgname like '%insert'")
                .get(0);
        assertEquals(
                "every insert",
                alertsOf(always, "set session_replication_role = replica; insert into s.t values (2, 9)"));
    }

    @Test
    @Tag("long")
    void ofWhatLogicalReplicationAppliesRowTriggersThatAreEnabledAlwaysSeeIt(@TempDir Path dir) throws SQLException {
        try (OwnPostgres server = new OwnPostgres(dir.resolve("data"), "wal_level=logical")) {
            RunningRowbell.start(server.settings()).close();
            String url = "jdbc:postgresql://localhost:%d/".formatted(server.port());
            try (Connection subscriber = DriverManager.getConnection(url + "postgres", "postgres", "postgres");
                    Statement applied = subscriber.createStatement()) {
                applied.execute("create database publisher");
                for (String table : List.of("by_statement", "by_row")) {
                    applied.execute("create table " + table + " (id int primary key, v int)");
                    applied.execute("select rowbell.for_each('public." + table + "', '" + table.substring(3) + "')");
                    applied.execute(
                            "insert into rowbell.rule (name, feed, condition) values ('%1$s', 'public.%1$s', 'NEW.v > 5')"
                                    .formatted(table));
                }
                for (String always : server.query(
                        "select format('alter table %s enable always trigger %I', tgrelid::regclass, tgname) from pg_trigger where tgname like 'rowbell%insert'")) {
                    applied.execute(always);
                }
                try (Connection publisher = DriverManager.getConnection(url + "publisher", "postgres", "postgres");
                        Statement written = publisher.createStatement()) {
                    written.execute("create table by_statement (id int primary key, v int)");
                    written.execute("create table by_row (id int primary key, v int)");
                    written.execute("create publication p for all tables");
                    written.execute("select pg_create_logical_replication_slot('s', 'pgoutput')");
                    applied.execute(
                            "create subscription s connection 'host=localhost port=%d dbname=publisher user=postgres password=postgres' publication p with (create_slot = false, copy_data = false)"
                                    .formatted(server.port()));
                    written.execute("insert into by_statement values (1, 9)");
                    written.execute("insert into by_row values (1, 9)");
                    await().until(() ->
                            server.query("select count(*) from by_row").equals(List.of("1")));
                    assertEquals(List.of("1"), server.query("select count(*) from by_statement"));
                    assertEquals(List.of("by_row"), server.query("select alert ->> 'rule' from rowbell.feedback"));
                }
            }
        }
    }

    /** Alerts of updates in which no column changed are dropped by the shipped route, after the cooldown has begun. */
    @Test
    void anUpdateThatTheRouteDropsHasBegunTheCooldown(@TempDir Path dir) {
        Map<String, String> settings = new HashMap<>(database.settings());
        settings.putAll(Map.of("rowbell.file.dir", dir.toString(), "rowbell.console", "OFF"));
        database.execute("insert into s.t values (1, 9)");
        rule("quiet", "s.t", "NEW.v > 5", "every", ", \"cooldown\": \"10 minutes\"");
        rule("loud", "s.t", "NEW.v > 5", "every", "");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            for (String update : List.of("update s.t set v = 9.0", "update s.t set v = 10")) {
                database.execute(update);
                await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            }
            assertEquals(List.of("loud"), AlertFiles.values(dir, "rule"));
        }
        assertEquals(List.of("1"), database.query("select silenced from rowbell.cooldown"));
    }
}
