package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Feeds that change under their rules: unwatched, renamed, with foreign partitions, in the hands of other transactions. */
class FeedTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    // --- unwatch ---

    /** The owner of the table needs one right, to find the function. */
    @Test
    void theOwnerOfATableWithoutRulesTakesItsTriggersOff() throws SQLException {
        String owner = database.name() + "_owner";
        database.execute(
                "create role " + owner + " login password 'secret'",
                "grant usage on schema rowbell to " + owner,
                "create table feed (id int primary key, a int)",
                "create table child () inherits (feed)",
                "create table former () inherits (feed)",
                rule("feed", "NEW.a > 5"),
                "alter table former no inherit feed",
                "alter trigger rowbell_1_insert on child rename to other",
                "alter table feed owner to " + owner,
                "alter table child owner to " + owner,
                "alter table former owner to " + owner);
        try (Connection connection = database.connectAs(owner, "secret");
                Statement statement = connection.createStatement()) {
            SQLException refused =
                    assertThrows(SQLException.class, () -> statement.execute("select rowbell.unwatch('public.feed')"));
            assertTrue(refused.getMessage().contains("has rules"), refused::getMessage);
            assertEquals(6, triggers());
            database.execute("update rowbell.rule set enabled = false");
            statement.execute("select rowbell.unwatch('public.feed')");
            assertEquals(0, triggers());
            SQLException unknown =
                    assertThrows(SQLException.class, () -> statement.execute("select rowbell.unwatch('nowhere')"));
            assertTrue(unknown.getMessage().contains("there is no table nowhere"), unknown::getMessage);
        }
        assertEquals(List.of("0"), database.query("select rowbell.unwatch('public.feed')"));
        assertEquals(List.of(), refresh());
        assertEquals(0, triggers());
    }

    @Test
    void unwatchTakesRowTriggersOffToo() {
        database.execute(
                "create table feed (id int primary key, a int)",
                "select rowbell.for_each('public.feed', 'row')",
                rule("feed", "NEW.a > 5"),
                "delete from rowbell.rule");
        assertEquals(List.of("2"), database.query("select rowbell.unwatch('public.feed')"));
        assertEquals(0, triggers());
        // and a rule brings them back
        database.execute(rule("feed", "NEW.a > 5"), "insert into feed values (1, 6)");
        assertEquals(List.of("feed 1"), takeAlerts());
    }

    @Test
    void idsOfAlertsComeInTheOrderOfTime() {
        assertEquals(
                List.of("t"),
                database.query(
                        "select a < b and a::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7' from (select rowbell.new_id() as a, pg_sleep(0.01), rowbell.new_id() as b) ids"));
    }

    private static String rule(String feed, String condition) {
        return rule(feed, feed, condition);
    }

    private static String rule(String name, String feed, String condition) {
        return "insert into rowbell.rule (name, feed, condition) values ('%s', 'public.%s', '%s')"
                .formatted(name, feed, condition.replace("'", "''"));
    }

    private long triggers() {
        return database.count(
                "pg_trigger t join pg_proc p on p.oid = t.tgfoid where p.proname ~ '^on_(row|statement)_' and t.tgparentid = 0");
    }

    private List<String> refresh() {
        return database.query("select event from rowbell.refresh()");
    }

    /** The rule and the row of each. */
    private List<String> takeAlerts() {
        return database.query(
                "with taken as (delete from rowbell.feedback returning alert)"
                        + " select concat(alert->>'rule', ' ', coalesce(alert->'new', alert->'old')->>'id') from taken order by 1");
    }
}
