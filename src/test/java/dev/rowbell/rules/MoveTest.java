package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A row that MERGE moves to another partition is updated, like one that an update moves. */
@Tag("long")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class MoveTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    /** Two levels of partitions, with columns in another order and one dropped. */
    @BeforeEach
    void freshTable() {
        Assumptions.assumeTrue(database.major() >= 15, "MERGE is from PostgreSQL 15");
        database.execute(
                "delete from rowbell.rule",
                "drop schema if exists s cascade",
                "select rowbell.refresh()",
                "delete from rowbell.feedback",
                "select rowbell.forget_moves()",
                "create schema s",
                "create table s.t (id int, gone text, k int, v float8, day date) partition by list (k)",
                "alter table s.t drop column gone",
                "create table s.a partition of s.t for values in (1)",
                "create table s.b (day date, v float8, k int, id int) partition by range (id)",
                "create table s.b1 (v float8, gone int, day date, id int, k int)",
                "alter table s.b1 drop column gone",
                "alter table s.b attach partition s.b1 for values from (0) to (100)",
                "create table s.b2 partition of s.b for values from (100) to (1000000)",
                "alter table s.t attach partition s.b for values in (2, 3)",
                "insert into s.t values (1, 1, 0, '2026-02-01'), (2, 1, 0, null), (3, 2, 0, null), (104, 3, 0, null)");
    }

    private void rule(String name, String condition, String fires) {
        rule(
                "name, feed, condition, fires, resolved, operations",
                "'%s', 's.t', '%s', '%s', %s, '{insert,update,delete}'"
                        .formatted(name, condition, fires, fires.equals("once")));
    }

    private void rule(String columns, String values) {
        database.execute("insert into rowbell.rule (" + columns + ") values (" + values + ")");
    }

    /** In one transaction. */
    private List<String> alertsOf(String statements) {
        database.execute(statements);
        return database.query("""
                with taken as (delete from rowbell.feedback returning alert)
                select concat_ws(' ', coalesce((alert -> 'payload' ->> 'rule') || ' failed', alert ->> 'rule'), lower(alert ->> 'operation'),
                  nullif(alert ->> 'status', 'firing'), alert -> 'old' ->> 'v', alert -> 'new' ->> 'v', alert ->> 'partition') as line
                from taken order by line""");
    }

    @Test
    void itIsUpdated() {
        rule("once", "NEW.v > 5", "once");
        rule("grows", "NEW.v > OLD.v", "every");
        assertEquals(
                List.of("grows update 0 9.1 s.b1", "once update 0 9.1 s.b1"),
                alertsOf(
                        "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 2, v = 9.1"));
        assertEquals(
                List.of("once update resolved 9.1 1 s.a"),
                alertsOf(
                        "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 1, v = 1"));
    }

    @Test
    void itsDocumentIsThatOfTheRow() {
        rule("all", "true", "every");
        // within a block: pgjdbc closes a connection that ends a statement with another style
        database.execute(
                "do $$ begin perform set_config('datestyle', 'SQL, DMY', true); perform set_config('extra_float_digits', '-10', true);"
                        + " perform set_config('timezone', 'Asia/Tokyo', true);"
                        + " merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 2, v = 0.1::float8 + 0.2;"
                        + " perform set_config('datestyle', 'ISO, MDY', true); end $$");
        assertEquals(
                List.of(
                        "{\"id\":1,\"k\":1,\"v\":0,\"day\":\"2026-02-01\"} {\"id\":1,\"k\":2,\"v\":0.30000000000000004,\"day\":\"2026-02-01\"}"),
                database.query("select concat(alert -> 'old', ' ', alert -> 'new') from rowbell.feedback"));
    }

    @Test
    void besideRowsThatStayAndThatAreInserted() {
        rule("all", "true", "every");
        assertEquals(
                List.of(
                        "all insert 15 s.a",
                        "all update 0 11 s.b1",
                        "all update 0 12 s.a",
                        "all update 0 13 s.a",
                        "all update 0 14 s.b2"),
                alertsOf("""
                        merge into s.t using (values (1), (2), (3), (104), (5)) s (id) on t.id = s.id
                        when matched then update set k = case t.id when 1 then 2 when 3 then 1 when 2 then 1 else 2 end, v = s.id % 100 + 10
                        when not matched then insert (id, k, v) values (s.id, 1, 15)"""));
        assertEquals(0, database.count("s.t where k is null"));
    }

    @Test
    void ofTwoRowsThatAreTheSameOneMovesAndOneIsInserted() {
        rule("all", "true", "every");
        assertEquals(List.of("all insert 7 s.b1", "all update 0 7 s.b1"), alertsOf("""
                        merge into s.t using (values (1, 1), (1, 0)) s (id, old) on t.id = s.id and s.old = 1
                        when matched then update set k = 2, v = 7, day = null when not matched then insert (id, k, v) values (s.id, 2, 7)"""));
    }

    @Test
    void besideRowsThatAreDeletedAKeyTellsIt() {
        database.execute(
                "create table s.p (id int, k int, v float8, primary key (id, k)) partition by list (k)",
                "create table s.p1 partition of s.p for values in (1)",
                "create table s.p2 partition of s.p for values in (2)",
                "insert into s.p values (2, 1, 0), (3, 2, 0)");
        rule(
                "name, feed, condition, fires, operations",
                "'all', 's.p', 'coalesce(NEW.v, OLD.v) >= 0', 'every', '{insert,update,delete}'");
        assertEquals(List.of("all delete 0 s.p1", "all insert 8 s.p2", "all update 0 9 s.p1"), alertsOf("""
                        merge into s.p using (values (2, 0), (5, 8), (3, 9)) s (id, v) on p.id = s.id
                        when matched and s.v = 0 then delete when matched then update set k = 1, v = s.v
                        when not matched then insert (id, k, v) values (s.id, 2, s.v)"""));
    }

    @Test
    void besideRowsThatAreDeletedItIsDeletedAndInsertedWhereNoKeyTellsIt() {
        rule("all", "coalesce(NEW.v, OLD.v) >= 0", "every");
        assertEquals(
                List.of("all delete 0 s.a", "all delete 0 s.b1", "all insert 8 s.b1", "all insert 9 s.a"),
                alertsOf("""
                        merge into s.t using (values (2, 0), (5, 8), (3, 9)) s (id, v) on t.id = s.id
                        when matched and s.v = 0 then delete when matched then update set k = 1, v = s.v
                        when not matched then insert (id, k, v) values (s.id, 2, s.v)"""));
    }

    @Test
    void aKeyThatChangesWithThePartitionTellsItAllTheSameWhereNothingIsDeleted() {
        database.execute("alter table s.t alter id set not null", "alter table s.t add primary key (id, k)");
        rule("all", "NEW.v > OLD.v", "every");
        assertEquals(
                List.of("all update 0 9 s.b2"),
                alertsOf(
                        "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 2, id = 500, v = 9"));
    }

    @Test
    void otherStatementsOfTheTransactionAreWhatTheyAre() {
        rule("all", "coalesce(NEW.v, OLD.v) >= 0", "every");
        String merge =
                "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 3 - k, v = v + 1; ";
        String plain =
                "insert into s.t values (1, 2, 1, '2026-02-01'); delete from s.t where id = 2; update s.t set k = 3 - k where id = 3; ";
        assertEquals(
                List.of("all delete 0 s.a", "all insert 1 s.b1", "all update 0 0 s.a", "all update 0 1 s.b1"),
                alertsOf(merge + plain));
        assertEquals(
                List.of("all update 0 0 s.b1", "all update 1 1 s.a", "all update 1 1 s.a"),
                alertsOf("update s.t set k = 3 - k where id in (1, 3)"));
        assertEquals(
                List.of("all update 1 2 s.b1", "all update 1 2 s.b1", "all update 2 3 s.a", "all update 2 3 s.a"),
                alertsOf("begin; savepoint a; " + merge + "rollback to a; " + merge + merge + "commit"));
    }

    @Test
    void aRowThatAnEarlierStatementDeletedIsNotOneThatAnotherInserted() {
        rule("all", "coalesce(NEW.v, OLD.v) >= 0", "every");
        String others = "insert into s.t values (50, 2, 50); update s.t set v = 1 where false; ";
        assertEquals(
                List.of("all delete 0 s.a", "all insert 50 s.b1", "all update 0 1 s.a"),
                alertsOf("with d as (delete from s.t where id = 1), u as (update s.t set v = 1 where id = 2) select; "
                        + others));
        database.execute(
                "create function s.writes() returns trigger language plpgsql as $$ begin delete from s.t where id = 2; "
                        + others + "return null; end $$",
                "create trigger a after update on s.t for each row when (pg_trigger_depth() < 1) execute function s.writes()");
        assertEquals(
                List.of("all delete 1 s.a", "all insert 50 s.b1", "all update 0 1 s.b1"),
                alertsOf("update s.t set v = 1 where id = 3"));
    }

    @Test
    void whatFollowsTheUpdateOfAForeignKeyIsWhatItIs() {
        database.execute(
                "alter table s.t alter id set not null",
                "alter table s.t add primary key (id, k)",
                "alter table s.t add up int",
                "create table s.up (id int primary key)",
                "insert into s.up values (1), (2), (3)",
                "update s.t set up = 1 where id = 1",
                "update s.t set up = 2 where id = 2",
                "alter table s.t add foreign key (up) references s.up on update cascade on delete cascade");
        rule("all", "coalesce(NEW.v, OLD.v) >= 0", "every");
        String cascade = "update s.up set id = id + 10 where id = %d; ";
        assertEquals(
                List.of("all delete 0 s.a", "all insert 50 s.b1", "all update 0 0 s.a"),
                alertsOf(
                        cascade.formatted(1)
                                + "delete from s.up where id = 11; insert into s.t values (50, 2, 50); update s.t set v = 1 where false"));
        assertEquals(
                List.of("all delete 0 s.a", "all insert 9 s.b1", "all update 0 0 s.a"),
                alertsOf(
                        cascade.formatted(2)
                                + "with d as (delete from s.t where id = 2 returning id) insert into s.t select id, 2, 9 from d"));
    }

    @Test
    void anUpdateThatIsNoMergeIsJudgedOnce() {
        rule("all", "NEW.v > OLD.v", "every");
        assertEquals(
                10,
                alertsOf("insert into s.t select i, 2, 0 from generate_series(1000, 20999) i;"
                                + " update s.t set k = 1, v = (id >= 20990)::int where id >= 1000")
                        .size());
    }

    @Test
    void triggersOfTheUserThatWriteTheFeedAreWhatTheyAre() {
        rule("all", "coalesce(NEW.v, OLD.v) >= 0", "every");
        database.execute(
                "create function s.writes() returns trigger language plpgsql as $$ begin"
                        + " update s.t set k = 3 - k, v = v + 100 where id = 2 and pg_trigger_depth() = 1;"
                        + " if pg_trigger_depth() = 1 then insert into s.t values (7, 1, 7); end if; return new; end $$",
                "create trigger b before insert on s.b1 for each row execute function s.writes()",
                "create trigger a after insert on s.b1 for each row execute function s.writes()");
        assertEquals(
                List.of(
                        "all insert 7 s.a",
                        "all insert 7 s.a",
                        "all update 0 1 s.b1",
                        "all update 0 1 s.b2",
                        "all update 0 100 s.b1",
                        "all update 100 200 s.a"),
                alertsOf(
                        "merge into s.t using (values (1, 2), (104, 2)) s (id, k) on t.id = s.id when matched then update set k = s.k, v = 1"));
    }

    @Test
    void aRowThatARuleCannotJudgeIsAFailureOfThatRule() {
        rule("divides", "10 / (NEW.v - 1) > 0 and NEW.v <> OLD.v", "every");
        rule("all", "NEW.v <> OLD.v", "every");
        assertEquals(
                List.of("all update 0 1 s.b1", "all update 0 2 s.b1", "divides update 0 2 s.b1"),
                alertsOf(
                        "merge into s.t using (values (1, 1), (2, 2)) s (id, v) on t.id = s.id when matched then update set k = 2, v = s.v"));
        assertEquals(
                List.of("divides: division by zero"),
                database.query("select rule || ': ' || failure from rowbell.rule_failure"));
    }

    @Test
    void rulesOverTimeSeeItToo() {
        database.execute("alter table s.t alter id set not null", "alter table s.t add primary key (id, k)");
        rule("name, feed, condition, \"for\"", "'lasts', 's.t', 'NEW.v > 5', '1 hour'");
        rule("name, feed, condition, count, within", "'often', 's.t', 'NEW.v > 5', 2, '1 hour'");
        database.execute(
                "merge into s.t using (values (1), (2)) s (id) on t.id = s.id when matched then update set k = 2, v = 9");
        assertEquals(List.of("2"), database.query("select sum((added ->> 'count')::int) from rowbell.window_event"));
        assertEquals(
                List.of("{\"id\":1,\"k\":2}", "{\"id\":2,\"k\":2}"),
                database.query("select coalesce(moved_to, key) from rowbell.timer_event where kind <> 'd' order by 1"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"repeatable read", "serializable"})
    void inEachIsolationLevel(String level) {
        rule("all", "NEW.v > OLD.v", "every");
        assertEquals(
                List.of("all update 0 9 s.b1"),
                alertsOf(
                        "begin isolation level " + level
                                + "; merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 2, v = 9; commit"));
    }

    /** The rows that triggers note must leave no lock that PostgreSQL takes for a conflict. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "update s.%s set k = 3 - k",
                "merge into s.%1$s x using (values (1)) s (id) on x.id = s.id when matched then update set k = 3 - k"
            })
    void twoSerializableTransactionsThatMoveRowsOfTwoTablesDoNotConflict(String statement) throws SQLException {
        for (String table : List.of("x", "y")) {
            database.execute(
                    "create table s.%s (id int, k int) partition by list (k)".formatted(table),
                    "create table s.%1$s1 partition of s.%1$s for values in (1)".formatted(table),
                    "create table s.%1$s2 partition of s.%1$s for values in (2)".formatted(table),
                    "insert into s.%s values (1, 1)".formatted(table));
            rule("name, feed, condition, fires", "'%1$s', 's.%1$s', 'NEW.id > 0', 'every'".formatted(table));
        }
        try (Connection one = database.connect();
                Connection other = database.connect();
                Statement x = one.createStatement();
                Statement y = other.createStatement()) {
            for (Statement writer : List.of(x, y)) {
                writer.execute("begin isolation level serializable");
            }
            for (int i = 0; i < 2; i++) {
                x.execute(statement.formatted("x"));
                y.execute(statement.formatted("y"));
            }
            x.execute("commit");
            y.execute("commit");
        }
        assertEquals(4, database.count("rowbell.feedback where alert ->> 'operation' = 'UPDATE'"));
    }

    @Test
    void aMarkThatTheWriterSetsBackFailsNoStatement() {
        rule("all", "NEW.v > OLD.v", "every");
        String merge =
                "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 3 - k, v = v + 1; ";
        assertEquals(
                List.of("all update 0 1 s.b1", "all update 1 2 s.a"),
                alertsOf("begin; " + merge + "reset all; " + merge + "commit"));
        alertsOf("begin; do $$ begin perform set_config('rowbell.moved', 'no number', true); end $$; " + merge
                + "commit");
        assertEquals(List.of("3"), database.query("select v from s.t where id = 1"));
    }

    @Test
    void aWriterGoesOnWhereNothingCanBeNoted() {
        rule("all", "NEW.v > OLD.v", "every");
        database.execute("alter table rowbell.move rename to gone");
        try {
            assertEquals(
                    List.of("all update 0 5 s.b1"),
                    alertsOf(
                            "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 2, v = 9;"
                                    + " update s.t set k = 3, v = 5 where id = 3"));
        } finally {
            database.execute("alter table rowbell.gone rename to move");
        }
    }

    @Test
    void marksThatAWriterForgesHideNoRow() {
        rule("all", "coalesce(NEW.v, OLD.v) >= 0", "every");
        String forged =
                "do $$ begin perform set_config('rowbell.moved', 'yes', true), set_config('rowbell.moving', '1', true),"
                        + " set_config('rowbell.left', '1', true), set_config('rowbell.outer_1', '-1', true); end $$; ";
        for (String statement : List.of(
                "insert into s.t select 9, 1, 9 where set_config('rowbell.left', '1', true) = '1'",
                "update s.t set v = 9 where id = 9",
                "delete from s.t where id = 9")) {
            assertEquals(
                    1, alertsOf("begin; " + forged + statement + "; commit").size(), statement);
        }
    }

    @Test
    void aPartitionThatIsAttachedLaterIsWatchedToo() {
        rule("all", "NEW.v > OLD.v", "every");
        database.execute(
                "create table s.c (k int, id int, day date, v float8)",
                "alter table s.t attach partition s.c for values in (4)",
                "select rowbell.refresh()");
        assertEquals(
                List.of("all update 0 9 s.c"),
                alertsOf(
                        "merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 4, v = 9"));
        database.execute("alter table s.t detach partition s.c");
        assertEquals(0, database.count("pg_trigger where tgrelid = 's.c'::regclass and tgname ~ 'left|came'"));
    }

    @Test
    void aPartitionedPartitionIsMergedIntoDirectly() {
        rule("all", "NEW.v > OLD.v", "every");
        assertEquals(
                List.of("all update 0 9 s.b1"),
                alertsOf(
                        "merge into s.b using (values (104)) s (id) on b.id = s.id when matched then update set id = 4, v = 9"));
    }

    @Test
    void nothingIsLeftBehind() {
        rule("all", "NEW.v > OLD.v", "every");
        alertsOf("merge into s.t using (values (1)) s (id) on t.id = s.id when matched then update set k = 2, v = 9");
        database.query("select rowbell.forget_moves()");
        assertEquals(0, database.count("rowbell.move"));
        database.execute("delete from rowbell.rule", "select rowbell.unwatch('s.t')");
        assertEquals(0, database.count("pg_trigger where tgname like 'rowbell%'"));
    }

    @Test
    void thousandsOfRowsMove() {
        rule("all", "NEW.v > OLD.v", "every");
        database.execute("insert into s.t select i, 2, 0 from generate_series(1000, 5999) i");
        assertEquals(
                5000,
                alertsOf(
                                "merge into s.t using (select generate_series(1000, 5999) as id) s on t.id = s.id when matched then update set k = 1, v = 9")
                        .size());
    }
}
