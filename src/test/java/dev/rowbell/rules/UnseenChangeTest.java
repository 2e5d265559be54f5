package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.TestDatabase;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What Rowbell has not seen yet, or may not see, of a table costs none of its alerts: it looks at tables every 10
 * seconds.
 */
class UnseenChangeTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    /** Of a partition and of a child whose columns stand in another order, and of one that a hash chooses. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "alter table s.feed rename to feed | s.feed",
                "alter table s.feed rename to renamed | s.renamed",
                "alter schema s rename to moved | moved.feed",
                "alter table s.feed drop column other | s.feed",
                "alter table s.feed rename other to another | s.feed",
                "alter table s.feed rename k to kk | s.feed",
                "alter table s.feed add more int default 1 | s.feed",
                "alter table s.feed alter other type text | s.feed",
            })
    void aTableThatHasJustChangedFiresAsBefore(String change, String feed) {
        for (String table : List.of(
                "create table s.feed (id int, k int, v int, other int, primary key (id, k)) partition by range (k);"
                        + " create table s.a (other int, v int, k int not null, id int not null);"
                        + " alter table s.feed attach partition s.a for values from (0) to (10);"
                        + " create table s.b partition of s.feed default",
                "create table s.feed (id int, k int, v int, other int) partition by hash (id);"
                        + " create table s.a partition of s.feed for values with (modulus 1, remainder 0)",
                "create table s.feed (id int primary key, k int, v int, other int);"
                        + " create table s.a (extra int, primary key (id)) inherits (s.feed)")) {
            database.execute("create schema s", table);
            rule("plain", "NEW.v > 5");
            rule("called", "abs(NEW.v) > 5");
            rule("compares", "NEW.v > coalesce(OLD.v, 0) + 5");
            // renaming a table to itself is an error, and the table is as it was
            if (!change.endsWith("rename to feed")) {
                database.execute(change);
            }
            database.execute(
                    "insert into %s values (1, 1, 9), (2, 2, 1)".formatted(feed),
                    "update %s set v = v + 7 where id = 2".formatted(feed));
            assertEquals(
                    List.of(
                            "called INSERT 1",
                            "compares INSERT 1",
                            "plain INSERT 1",
                            "called UPDATE 2",
                            "compares UPDATE 2",
                            "plain UPDATE 2"),
                    takeAlerts(),
                    () -> change + ": " + database.query("select failure from rowbell.rule_failure"));
            database.execute("delete from rowbell.rule", "drop table " + feed + " cascade", "select rowbell.refresh()");
            database.execute("drop schema " + feed.substring(0, feed.indexOf('.')), "truncate rowbell.feedback");
        }
    }

    /** An update of a table with children has to look for a row to say which child it is in. */
    @ParameterizedTest
    @ValueSource(strings = {"policy", "no right", "type", "no key"})
    void aTableWithChildrenFiresWhereItsRowsCannotBeLookedUp(String why) {
        database.execute("create schema s");
        String type = "int";
        if (why.equals("type")) {
            database.execute("create extension ltree");
            type = "ltree";
        }
        database.execute(
                "create table s.feed (id %s primary key, k int, v int)".formatted(type),
                "create table s.child (%s) inherits (s.feed)"
                        .formatted(why.equals("no key") ? "" : "primary key (id)"));
        rule("plain", "NEW.v > 5");
        if (why.equals("policy")) {
            database.execute(
                    "create role %s_writer login password 'secret' bypassrls".formatted(database.name()),
                    "grant usage on schema s to %1$s_writer; grant all on s.feed, s.child to %1$s_writer"
                            .formatted(database.name()),
                    "create policy odd on s.feed using (1 / (current_setting('a.b', true)::int) > 0)",
                    "alter table s.feed enable row level security",
                    "select rowbell.refresh()");
        } else if (why.equals("no right")) {
            // as where the owner of the schema may not hand it on
            database.execute(
                    "revoke select (id, tableoid) on s.feed from \"%s_1\"".formatted("rowbell_" + database.name()));
        }
        for (String setting : List.of("on", "off")) {
            database.execute("set row_security = " + setting + ";"
                    + " insert into s.feed values ('1', 1, 9); insert into s.child values ('2', 2, 1); update s.feed set v = 9;"
                    + " delete from s.feed");
            assertEquals(
                    List.of("plain INSERT 1", "plain UPDATE 2"),
                    takeAlerts(),
                    () -> database.query("select failure from rowbell.rule_failure")
                            .toString());
        }
    }

    @Test
    void columnsThatTheIndexOfTheKeyIncludesAreNoneOfTheKey() {
        database.execute(
                "create schema s", "create table s.feed (id int, v int, note text, primary key (id) include (note))");
        rule("plain", "NEW.v > 5");
        database.execute(
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('timed', 's.feed', 'NEW.v > 5', '1h')",
                "insert into s.feed values (1, 9, 'a')",
                "update s.feed set note = 'b'");
        assertEquals(List.of("[\"id\"]"), database.query("select alert->>'key' from rowbell.feedback"));
        assertEquals(List.of("a {\"id\":1}"), database.query("select concat(kind, ' ', key) from rowbell.timer_event"));
    }

    /** As in a database that was restored from a dump, until the next start. */
    @Test
    void aRowIsArmedBesideARuleThatCountsWhereTheFunctionKnowsTheFeedByAnotherNumber() {
        database.execute(
                "create schema s",
                "create table s.feed (id int primary key, v int)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('timed', 's.feed', 'NEW.v > 5', '1h')",
                "insert into rowbell.rule (name, feed, condition, count, within) values ('counted', 's.feed', 'NEW.v > 5', 2, '1h')",
                "do $do$ begin execute regexp_replace(pg_get_functiondef('rowbell_alert.raise_1'::regproc),"
                        + " '\\m' || 's.feed'::regclass::oid || '\\M', '1', 'g'); end $do$",
                "insert into s.feed values (1, 9)",
                "update s.feed set v = 1");
        assertEquals(
                List.of("a {\"id\":1}", "d {\"id\":1}"),
                database.query("select concat(kind, ' ', key) from rowbell.timer_event order by id"));
    }

    @Test
    void aRuleThatCanSeeNoRowWhenItIsDueIsSaidUntilThereIsAPolicy() {
        String role = database.query("select rowbell.role_of(1)").get(0);
        database.execute(
                "create schema s",
                "create table s.feed (id int primary key, v int)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('timed', 's.feed', 'NEW.v > 5', '1h')");
        rule("plain", "NEW.v > 5");
        assertEquals(List.of(), database.query("select event from rowbell.refresh()"));
        database.execute("alter table s.feed enable row level security", "create policy own on s.feed to pg_monitor");
        String policy = "create policy rowbell on s.feed for select to %s using (true)".formatted(role);
        assertEquals(
                List.of(
                        "rule \"timed\" does not fire: row security hides all rows from the role %s, which looks at rows when they are due: %s"
                                .formatted(role, policy)),
                database.query("select event from rowbell.refresh()"));
        database.execute(policy);
        assertEquals(List.of(), database.query("select event from rowbell.refresh()"));
    }

    private void rule(String name, String condition) {
        database.execute("insert into rowbell.rule (name, feed, condition) values ('%s', 's.feed', '%s')"
                .formatted(name, condition));
    }

    private List<String> takeAlerts() {
        return database.query(
                "with taken as (delete from rowbell.feedback returning *) select concat_ws(' ', alert->>'rule',"
                        + " alert->>'operation', alert->'new'->>'id') from taken order by alert->>'operation', alert->>'rule', alert->'new'->>'id'");
    }
}
