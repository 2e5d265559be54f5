package dev.rowbell.firing;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What fires leaves the list when it has ended, also where no alert says so. */
@Tag("long")
class UnseenEndTest {

    private static final String LIST = "select concat_ws(' ', rule, key) from rowbell.firing order by 1";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();

    private RunningRowbell start() {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
        return RunningRowbell.start(settings);
    }

    private void awaitList(String... things) {
        await().untilAsserted(() -> assertEquals(List.of(things), database.query(LIST)));
    }

    private void awaitInList(String... things) {
        await().until(() -> database.query(LIST).containsAll(List.of(things)));
    }

    @Test
    void ofEachKindOfRule() {
        database.execute(
                "create table public.orders (id int primary key, shop text, c int)",
                "insert into rowbell.rule (name, feed, condition) values ('over', 'public.orders', 'NEW.c > 10')",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('lasts', 'public.orders', 'NEW.c > 10', '1 s')",
                "insert into rowbell.rule (name, feed, condition, count, within, by) values ('often', 'public.orders', 'NEW.c > 10', 2, '8 s', '{NEW.shop}')",
                "insert into rowbell.rule (name, feed, condition, absent, by) values ('silent', 'public.orders', 'NEW.c = 1', '4 s', '{NEW.shop}')",
                "insert into rowbell.rule (name, query, key, every) values ('sum', 'select shop from public.orders group by shop having sum(c) > 50', '{shop}', '1 s')");
        try (RunningRowbell rowbell = start()) {
            database.execute(
                    "insert into public.orders values (1, 'a, \"b\"', 1), (2, 'c', 60), (3, null, 12), (4, null, 11)");
            awaitInList("often shop=null");
            awaitInList(
                    "silent shop=\"a, \\\"b\\\"\"", "lasts id=2", "lasts id=4", "over id=2", "over id=4", "sum shop=c");
            database.execute(
                    "delete from public.orders where id in (2, 3)",
                    "update public.orders set c = 1 where id in (1, 4)");
            await().until(() -> database.count("rowbell.firing where rule <> 'silent'") == 0);
            await().until(() -> {
                database.execute("update public.orders set c = 1");
                return database.query(LIST).isEmpty();
            });
            database.execute("update public.orders set c = 12 where id = 4");
            awaitInList("over id=4", "lasts id=4");
        }
    }

    @Test
    void ofRowsThatAreTruncatedOrMendedUnseenAndOfAChangedRule() {
        database.execute(
                "create table public.orders (shop text, at timestamptz, c int, primary key (shop, at))",
                "create table public.gone (id uuid primary key, c int)",
                "insert into rowbell.rule (name, feed, condition, resolved) values ('over', 'public.orders', 'NEW.c > 10', true), ('gone', 'public.gone', 'NEW.c > 10', true)");
        try (RunningRowbell rowbell = start()) {
            database.execute(
                    "insert into public.orders values ('a=1,b=2', '2026-01-01 12:00+1', 11), ('\"', '2026-01-02Z', 12), ('null', '2026-01-03Z', 13)",
                    "insert into public.gone values ('00000000-0000-0000-0000-000000000001', 11)");
            awaitList(
                    "gone id=00000000-0000-0000-0000-000000000001",
                    "over shop=\"\\\"\",at=2026-01-02T00:00:00+00:00",
                    "over shop=\"a=1,b=2\",at=2026-01-01T11:00:00+00:00",
                    "over shop=null,at=2026-01-03T00:00:00+00:00");
            database.execute(
                    "truncate public.gone",
                    "set session_replication_role = replica; update public.orders set c = 0 where shop = '\"'; set session_replication_role = origin",
                    "update rowbell.rule set condition = 'NEW.c > 11' where name = 'over'");
            awaitList("over shop=null,at=2026-01-03T00:00:00+00:00");
        }
    }

    /** The owner of the schema asks, so nothing is asked that would run a function of another role. */
    @Test
    void notWhereAStrangersFunctionWouldRun() {
        database.execute(
                "create function public.c_of(c int) returns int language plpgsql as 'begin raise exception ''called''; end'",
                "create table public.called (id int primary key, c int)",
                "create table public.policed (id int primary key, c int)",
                "create table public.keyed (id int[] primary key, c int)",
                "alter table public.policed enable row level security",
                "create policy p on public.policed using (public.c_of(c) > 0)",
                "insert into rowbell.rule (name, feed, condition) values ('called', 'public.called', 'public.c_of(NEW.c) > 0'),"
                        + " ('policed', 'public.policed', 'NEW.c > 10'), ('keyed', 'public.keyed', 'NEW.c > 10')");
        for (String rule : List.of("called", "policed", "keyed")) {
            fires(rule, "public." + rule, "id=1");
        }
        end();
        assertEquals(List.of("called id=1", "keyed id=1", "policed id=1"), database.query(LIST));
    }

    @Test
    void notWhereTheAlertSaysNotWhichRow() {
        database.execute(
                "create table public.orders (id text primary key, c int)",
                "create table public.keyless (c int)",
                "insert into rowbell.rule (name, feed, condition) values ('over', 'public.orders', 'NEW.c > 10'), ('any', 'public.keyless', 'NEW.c > 10')");
        fires("over", "public.orders", "id=" + "x".repeat(160) + "…0123456789abcdef0123456789abcdef");
        fires("over", "public.orders", "other=1");
        fires("over", "public.orders", "id=\"\\u0000\"");
        fires("over", "elsewhere", "id=1");
        fires("any", "public.keyless", null);
        end();
        assertEquals(5, database.count("rowbell.firing"));
        fires("over", "public.orders", "id=1");
        end();
        assertEquals(5, database.count("rowbell.firing where key is distinct from 'id=1' or feed = 'elsewhere'"));
    }

    /** An alert of a transaction that commits after the look begins something new. */
    @Test
    void whatFiresAnewMeanwhileStays() throws Exception {
        database.execute(
                "create table public.orders (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition) values ('over', 'public.orders', 'NEW.c > 10')",
                "insert into public.orders values (1, 11)");
        fires("over", "public.orders", "id=1");
        database.execute("update public.orders set c = 1");
        String fired = database.query("select clock_timestamp()").get(0);
        try (Connection writer = database.connect();
                Statement statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("update public.orders set c = 12");
            end();
            assertEquals(List.of(), database.query(LIST));
            writer.commit();
        }
        database.execute(
                "insert into rowbell.firing_event (fingerprints, alert_ids, keys, times, fires, silenced, kinds, rules, feeds, severities, reasons)"
                        + " values ('{over/public.orders/id=1}', '{2}', '{id=1}', array[(extract(epoch from timestamptz '"
                        + fired
                        + "') * 1000000)::bigint], '{t}', '{f}', '{1}', '{over}', '{public.orders}', '{info}', '{over}')");
        database.query("select rowbell.fold_firing(10)");
        assertEquals(List.of("over id=1"), database.query(LIST));
        end();
        assertEquals(List.of("over id=1"), database.query(LIST));
    }

    /** Its rows are in another database, although it names a rule and a table that are here too. */
    @Test
    void anAlertOfAnotherSourceIsNotLookedForHere() {
        database.execute(
                "create table public.orders (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition) values ('over', 'public.orders', 'NEW.c > 10')");
        try (RunningRowbell rowbell = start()) {
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"source\":\"elsewhere\",\"rule\":\"over\",\"table\":\"public.orders\",\"key\":\"id=1\"}')",
                    "insert into public.orders values (2, 11)");
            awaitInList("over id=1", "over id=2");
            database.execute("delete from public.orders");
            awaitList("over id=1");
        }
    }

    @Test
    void aTableThatIsLockedHoldsUpNothing() throws Exception {
        database.execute(
                "create table public.locked (id int primary key, c int)",
                "create table public.orders (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition) values ('a-locked', 'public.locked', 'NEW.c > 10'), ('over', 'public.orders', 'NEW.c > 10')");
        fires("a-locked", "public.locked", "id=1");
        fires("over", "public.orders", "id=1");
        try (Connection other = database.connect();
                Statement statement = other.createStatement()) {
            other.setAutoCommit(false);
            statement.execute("lock table public.locked");
            end();
            assertEquals(List.of("a-locked id=1"), database.query(LIST));
        }
        end();
        assertEquals(List.of(), database.query(LIST));
    }

    @Test
    void aKeyThatNoRowCanHaveKeepsNoOtherOnTheList() {
        database.execute(
                "create table public.orders (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition) values ('over', 'public.orders', 'NEW.c > 10')");
        fires("over", "public.orders", "id=1");
        fires("over", "public.orders", "id=abc");
        fires("over", "public.orders", "id=99999999999");
        fires("over", "public.orders", "id=2");
        database.query("select rowbell.end_unseen('', '', 10)");
        assertEquals(List.of("over id=99999999999", "over id=abc"), database.query(LIST));
    }

    /** Alerts write such a value without the blanks that PostgreSQL writes. */
    @Test
    void aGroupThatIsAnObjectStaysWhileItFires() {
        database.execute(
                "insert into rowbell.rule (name, query, key, every) values ('off', 'select jsonb ''{\"a\": 1}'' as account', '{account}', '1 h')",
                "insert into rowbell.query_key (rule, key, subject) values ('off', '{\"account\":{\"a\": 1}}', '{\"account\":{\"a\": 1}}')",
                "insert into rowbell.firing_state (fingerprint, rule, key, severity, since, last, times, silenced, alert_id)"
                        + " values ('off', 'off', 'account=\"{\\\"a\\\":1}\"', 'info', clock_timestamp(), clock_timestamp(), 1, 0, 'x')");
        end();
        assertEquals(1, database.count("rowbell.firing"));
    }

    @Test
    void whatIsLookedAtIsNotForgottenWhileItLasts() {
        database.execute(
                "create function public.c_of(c int) returns int language sql as 'select c'",
                "create table public.orders (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition) values ('over', 'public.orders', 'NEW.c > 10'), ('called', 'public.orders', 'public.c_of(NEW.c) > 10')",
                "insert into public.orders values (1, 11)");
        fires("over", "public.orders", "id=1");
        fires("over", "public.orders", "other=1");
        fires("called", "public.orders", "id=1");
        database.execute("update rowbell.firing_state set last = last - interval '2 d'");
        end();
        assertEquals(List.of("2"), database.query("select rowbell.forget_firing('1 d', null, 10)"));
        assertEquals(List.of("over id=1"), database.query(LIST));
    }

    private void fires(String rule, String feed, String key) {
        database.execute(
                "insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, since, last, times, silenced, alert_id) values ('%s/%s/%s', '%1$s', '%2$s', %4$s, 'info', clock_timestamp(), clock_timestamp(), 1, 0, 'x')"
                        .formatted(rule, feed, key, key == null ? "null" : "'" + key + "'"));
    }

    /** What housekeeping does, in steps of one. */
    private void end() {
        String last = "";
        do {
            last = database.query("select coalesce(rowbell.end_unseen('', '" + last + "', 1), '')")
                    .get(0);
        } while (!last.isEmpty());
    }
}
