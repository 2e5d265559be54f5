package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Feeds are compared with their rules again when something has changed that can matter to them, and not each time. */
class DefinitionsTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    private String definitions() {
        return database.query("select rowbell.definitions()").get(0);
    }

    private void feed() {
        String role = database.name();
        database.execute(
                "create table feed (id int primary key, a int, b text) partition by range (id)",
                "create table part partition of feed for values from (0) to (100)",
                "create table free (id int not null, a int, b text)",
                "create table limits (most int)",
                "create type mood as enum ('a', 'b')",
                "create type pair as (a int, b int)",
                "create domain small as int",
                "create domain list as int[]",
                "create function right_now() returns int language sql as 'select 1'",
                "create view seen as select id from feed",
                "create role " + role,
                "insert into rowbell.rule (name, feed, condition) values ('high', 'public.feed', 'NEW.a > 5')");
    }

    @Test
    void eachChangeThatCanMatterToAFeedIsSeen() {
        feed();
        String role = database.name();
        String before = definitions();
        for (String change : List.of(
                "create table other partition of feed for values from (100) to (200)",
                "alter table feed attach partition free for values from (200) to (300)",
                "alter table feed detach partition free",
                "alter table feed rename to renamed",
                "alter table renamed rename to feed",
                "alter table feed add column c int",
                "alter table feed drop column c",
                "alter table feed rename column b to d",
                "alter table feed alter column a type bigint",
                "alter table feed alter column a set not null",
                "alter table feed alter column a set default 7",
                "alter table feed drop constraint feed_pkey",
                "alter table feed add primary key (id)",
                "alter table feed disable trigger all",
                "alter table feed enable always trigger rowbell_1_insert",
                "drop trigger rowbell_1_insert on feed",
                "alter table feed enable row level security",
                "create policy all_of_it on feed using (true)",
                "alter table feed owner to " + role,
                "grant select on limits to " + role,
                "grant select (most) on limits to public",
                "create rule nothing as on delete to limits do instead nothing",
                "create or replace view seen as select id + 0 as id from feed",
                "drop table limits",
                "create function right_now(int) returns int language sql as 'select 1'",
                "create or replace function right_now() returns int language sql as 'select 2'",
                "revoke execute on function right_now() from public",
                "create operator === (leftarg = int, rightarg = int, function = int4eq)",
                "create cast (mood as int) with inout",
                "create operator class moods for type mood using hash as operator 1 = (anyenum, anyenum), function 1 hashenum(anyenum)",
                "alter type mood add value 'c'",
                "alter type pair add attribute c int",
                "alter type pair rename to couple",
                "alter domain small add check (value > 0)",
                "alter domain list add check (cardinality(value) > 0)",
                "create type spans as range (subtype = int)",
                "create collation plain (locale = 'C')",
                "create schema elsewhere",
                "alter schema elsewhere owner to " + role,
                "revoke connect on database %1$s from public".formatted(role),
                "alter role %1$s in database %1$s set search_path = elsewhere".formatted(role),
                "grant %1$s to pg_monitor".formatted(role),
                "alter role %s nologin bypassrls".formatted(role),
                "insert into rowbell.rule (name, feed, condition) values ('low', 'public.feed', 'NEW.a < 5')",
                "update rowbell.rule set reason = 'x' where name = 'low'",
                "update rowbell.rule_state set broken = 'x' where rule = 'low'",
                "delete from rowbell.rule where name = 'low'",
                "drop function rowbell.on_statement_1() cascade")) {
            database.execute(change);
            String after = definitions();
            assertNotEquals(before, after, change);
            before = after;
        }
    }

    @Test
    void whatApplicationsDoAllTheTimeIsNoChange() throws SQLException {
        feed();
        String before = definitions();
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            for (String same : List.of(
                    "insert into feed select i, i, 'x' from generate_series(0, 99) i",
                    "vacuum analyze feed",
                    "vacuum",
                    "create temporary table scratch (id serial primary key, a int default 5 check (a > 0), b text, p point[])",
                    "create index on scratch (a)",
                    "create temporary view seen_here as select a from scratch",
                    "insert into scratch (b) values ('x')",
                    "drop table scratch cascade",
                    "update rowbell.rule_state set hits = hits + 1, last_hit = now()",
                    "select rowbell.refresh()",
                    "listen x")) {
                statement.execute(same);
                assertEquals(before, definitions(), same);
            }
        }
    }

    @Tag("long")
    @Test
    void aFeedIsComparedAgainWhenSomethingHasChanged() {
        feed();
        database.execute("alter database %s set track_functions = 'pl'".formatted(database.name()));
        try (RunningRowbell rowbell = RunningRowbell.start(database.settings())) {
            // the start makes days of the history after its first look
            await().atMost(Duration.ofMinutes(5)).until(() -> {
                long before = calls("compile");
                awaitLooks(2);
                return before > 0 && before == calls("compile");
            });
            long compiled = calls("compile");
            database.execute("drop trigger rowbell_1_insert on feed");
            await().until(() -> triggers() == 1);
            database.execute("create table other partition of feed for values from (100) to (200)");
            await().until(() -> calls("compile") > compiled + 1);
        }
    }

    /** The end of a lock changes no definition. */
    @Tag("long")
    @Test
    void aFeedThatWasLockedIsComparedLater() throws SQLException {
        feed();
        database.execute("alter database %s set track_functions = 'pl'".formatted(database.name()));
        try (RunningRowbell rowbell = RunningRowbell.start(database.settings());
                Connection locking = database.connect();
                Statement lock = locking.createStatement()) {
            locking.setAutoCommit(false);
            lock.execute("select from rowbell.feed for update");
            database.execute("drop trigger rowbell_1_insert on feed");
            awaitLooks(3);
            assertEquals(0, triggers());
            locking.rollback();
            await().until(() -> triggers() == 1);
        }
    }

    /** That the test drops; the partition has one of this name too. */
    private long triggers() {
        return database.count("pg_trigger where tgname = 'rowbell_1_insert' and tgrelid = 'public.feed'::regclass");
    }

    private void awaitLooks(int more) {
        long before = calls("definitions");
        await().until(() -> calls("definitions") >= before + more);
    }

    private long calls(String function) {
        return Long.parseLong(database.query(
                        "select coalesce(sum(calls), 0) from pg_stat_user_functions where schemaname = 'rowbell' and funcname = '%s'"
                                .formatted(function))
                .get(0));
    }
}
