package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Tag;
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

    // --- names ---

    /** Whoever may make tables could take over the name in any reading of it: as SQL, exactly, without a schema. */
    @Test
    void aFeedThatIsWrittenWithoutQuotesOrSchemaStaysWithItsTable() {
        database.execute(
                "create schema \"Shop\"",
                "create table \"Shop\".\"Orders\" (id int, a int)",
                "create table goods (id int, a int)",
                "insert into rowbell.rule (name, feed, condition) values ('exact', 'Shop.Orders', 'NEW.a > 5'), ('bare', 'goods', 'NEW.a > 5')",
                "create schema shop",
                "create table shop.orders (id int, a int)",
                "create table shop.goods (id int, a int)");
        assertEquals(
                List.of("\"Shop\".\"Orders\" goods shop.orders"),
                database.query("select concat_ws(' ', rowbell.find_feed('Shop.Orders')::regclass,"
                        + " rowbell.find_feed('goods')::regclass, rowbell.find_feed('shop.orders')::regclass)"));
        database.execute("update rowbell.rule set feed = 'Shop.Orders' where name = 'exact'");
        database.execute("update rowbell.rule set feed = 'goods' where name = 'bare'");
        assertEquals(
                List.of("\"Shop\".\"Orders\"", "public.goods"),
                database.query("select feed from rowbell.rule order by feed"));
    }

    @Test
    void aNameThatMayBeEachOfTwoTablesIsRefusedWithBoth() {
        database.execute("create table \"Orders\" (id int, a int)", "create table orders (id int, a int)");
        assertEquals(
                List.of(
                        "feed: public.Orders may be each of public.\"Orders\", public.orders (write schema and name as one of them)"),
                database.query("select format('%s: %s (%s)', field, problem, hint) from rowbell.check_rule("
                        + "'{\"name\": \"a\", \"feed\": \"public.Orders\", \"condition\": \"NEW.a > 5\"}')"));
    }

    @Test
    void aConditionInTheWordsOfAnotherLanguageIsCorrected() {
        database.execute("create table placed (id int primary key, state text)");
        assertEquals(
                List.of("condition: operator does not exist: text == unknown (write = to compare)"),
                problems("NEW.state == 'open'"));
        assertEquals(
                List.of("condition: column \"open\" does not exist (texts have single quotes: 'open')"),
                problems("NEW.state = \"open\""));
        assertEquals(List.of("condition: column new.open does not exist ()"), problems("NEW.\"open\" = 1"));
    }

    private List<String> problems(String condition) {
        return database.query(
                "select format('%s: %s (%s)', field, problem, hint) from rowbell.check_rule(json_build_object("
                        + "'name', 'a', 'feed', 'public.placed', 'condition', $$" + condition + "$$))");
    }

    @Test
    void aRuleWithForThatNamesOldHasOneProblem() {
        database.execute("create table placed (id int primary key, state text)");
        assertEquals(
                List.of("condition"),
                database.query("select field from rowbell.check_rule('{\"name\": \"a\", \"feed\": \"public.placed\","
                        + " \"condition\": \"NEW.id > OLD.id\", \"for\": \"5 min\"}')"));
    }

    // --- tables that are renamed, dropped, made again ---

    @Test
    void aBrokenRuleFollowsItsTableAndKeepsNoOtherFromFiring() {
        database.execute(
                "create table feed (id int, a int, b int)",
                rule("good", "feed", "NEW.a > 10"),
                rule("broken", "feed", "NEW.b > 10"),
                "alter table feed rename b to c");
        assertEquals(
                List.of("rule \"broken\" is broken and is left out: condition: column new.b does not exist"),
                refresh());
        database.execute(
                "alter table feed rename to renamed",
                rule("new", "renamed", "NEW.a > 20"),
                "insert into renamed values (1, 30)");
        assertEquals(List.of("good 1", "new 1"), takeAlerts());
        assertEquals(List.of("public.renamed"), database.query("select distinct feed from rowbell.rule"));
        database.execute("alter table renamed rename to feed");
        assertEquals(List.of("was renamed: its rules follow it to public.feed"), refresh());
        database.execute("alter table feed rename c to b");
        assertEquals(List.of("rule \"broken\" works again"), refresh());
        database.execute("insert into feed values (2, 0, 11)");
        assertEquals(List.of("broken 2"), takeAlerts());
    }

    @Test
    void tablesThatExchangeTheirNamesKeepTheirRules() {
        database.execute(
                "create table a (id int, n int)",
                "create table b (id int, n int)",
                rule("a", "NEW.n = 1"),
                rule("b", "NEW.n = 2"),
                "alter table a rename to c",
                "alter table b rename to a",
                "alter table c rename to b");
        assertEquals(2, refresh().size());
        database.execute("insert into a values (1, 1), (2, 2)", "insert into b values (3, 1), (4, 2)");
        assertEquals(List.of("a 3", "b 2"), takeAlerts());
        assertEquals(
                List.of("a public.b", "b public.a"),
                database.query("select concat(name, ' ', feed) from rowbell.rule order by 1"));
        assertEquals(List.of(), refresh());
    }

    @Test
    void aRuleOfATableThatTookTheNameOfADroppedOneFires() {
        database.execute(
                "create table a (id int, n int)",
                "create table b (id int, n int)",
                rule("a", "NEW.n = 1"),
                rule("b", "NEW.n = 2"),
                "drop table a",
                "alter table b rename to a",
                rule("new", "a", "NEW.n > 0"),
                "insert into a values (1, 1), (2, 2)");
        assertEquals(List.of("b 2", "new 1", "new 2"), takeAlerts());
        assertEquals(List.of(), refresh());
        assertEquals(List.of("a"), database.query("select name from rowbell.rule where not enabled"));
    }

    @Test
    void aFeedThatCannotBeCompiledKeepsNoOtherRuleOfTheFileFromBeingApplied() {
        database.execute(
                "create table a (id int, n int)",
                "create table b (id int, n int)",
                rule("b", "NEW.n > 5"),
                // as an extension would that forbids it
                "create function no() returns event_trigger language plpgsql as $f$ begin"
                        + " if exists (select from pg_event_trigger_ddl_commands() where object_identity like '%on public.a') then raise exception 'not there'; end if; end $f$",
                "create event trigger no on ddl_command_end when tag in ('CREATE TRIGGER') execute function no()");
        assertEquals(
                List.of("x feed: not there"),
                database.query("select concat(rule, ' ', field, ': ', problem) from rowbell.apply_rules('file', '["
                        + "{\"name\": \"x\", \"feed\": \"public.a\", \"condition\": \"NEW.n > 1\"},"
                        + "{\"name\": \"y\", \"feed\": \"public.b\", \"condition\": \"NEW.n > 1\"}]')"));
        database.execute("insert into b values (1, 2)");
        assertEquals(List.of("y 1"), takeAlerts());
    }

    // --- feeds below another table ---

    @Test
    void aPartitionOrChildThatIsWatchedFiresAlsoWhenItIsWrittenThroughItsParent() {
        database.execute(
                "create table parent (id int, a int) partition by range (id)",
                "create table part partition of parent for values from (0) to (10)",
                "create table other partition of parent for values from (10) to (20)",
                rule("part", "NEW.a > 5"),
                "insert into parent values (1, 6), (11, 6)",
                "insert into part values (2, 6)",
                "update parent set a = 0",
                "update parent set a = 7");
        assertEquals(List.of("part 1", "part 1", "part 2", "part 2"), takeAlerts());
        database.execute(
                "create table above (id int, a int)",
                "create table child () inherits (above)",
                rule("child", "NEW.a > 5"),
                "insert into child values (3, 0)",
                "update above set a = 6");
        assertEquals(List.of("child 3"), takeAlerts());
    }

    @Test
    void aFeedThatIsAttachedToAParentLaterIsWatchedThroughItAfterTheNextLook() {
        database.execute(
                "create table parent (id int, a int) partition by range (id)",
                "create table part (id int, a int)",
                rule("part", "NEW.a > 5"),
                "alter table parent attach partition part default");
        assertEquals(List.of(), refresh());
        database.execute("insert into parent values (1, 6)");
        assertEquals(List.of("part 1"), takeAlerts());
    }

    // --- foreign tables below a feed ---

    @Test
    void aTableWithAForeignPartitionIsWatchedByRowTriggers() {
        partitioned();
        database.execute(foreign("partition of feed for values from (10) to (20)"), rule("feed", "NEW.a > 5"));
        database.execute("insert into feed values (1, 6), (11, 6), (21, 7)", "insert into feed_1 values (2, 8)");
        assertEquals(List.of("feed 1", "feed 2", "feed 21"), takeAlerts());
        database.execute("update feed set a = 0", "update feed set a = 9 where id < 10");
        assertEquals(List.of("feed 1", "feed 2"), takeAlerts());
    }

    @Test
    void aForeignPartitionThatIsAttachedLaterIsSaidAndMendedAtTheNextLook() {
        partitioned();
        database.execute(
                rule("feed", "NEW.a > 5"),
                foreign("(id int, a int)"),
                "alter table feed attach partition feed_f for values from (10) to (20)");
        assertTrue(refresh().toString().contains("has the foreign table public.feed_f below it, which is not watched"));
        database.execute("insert into feed values (1, 6), (11, 6), (21, 7)");
        assertEquals(List.of("feed 1", "feed 21"), takeAlerts());
        // a failing row does not fail the writer either
        database.execute("alter table feed rename column a to b", "insert into feed (id, b) values (3, 6)");
        assertEquals(1, database.count("rowbell.rule_failure"));
        database.execute(
                "alter table feed rename column b to a",
                "delete from rowbell.feedback",
                "alter table feed detach partition feed_f");
        assertEquals(List.of(), refresh());
        assertEquals(
                0,
                database.count(
                        "pg_trigger where tgname ~ '^rowbell_1_(insert|update)' and (tgtype & 1 = 1 or coalesce(tgnewtable, tgoldtable) is null)"));
        database.execute("insert into feed values (4, 6)", "insert into feed_2 values (22, 7)");
        assertEquals(List.of("feed 22", "feed 4"), takeAlerts());
    }

    @Test
    void aTableWithAForeignChildIsWatchedByRowTriggers() {
        database.execute(
                "create table feed (id int primary key, a int)",
                "create table child () inherits (feed)",
                rule("feed", "NEW.a > 5"));
        server();
        database.execute(foreign("() inherits (feed)"));
        assertEquals(1, refresh().size());
        database.execute(
                "insert into feed values (1, 0)",
                "insert into child values (2, 0)",
                "insert into feed_f values (3, 0)",
                "update feed set a = 6");
        assertEquals(List.of("feed 1", "feed 2"), takeAlerts());
        assertEquals(List.of("6"), database.query("select a from remote"));
    }

    @Test
    void unwatchFreesATableWithAForeignPartition() {
        partitioned();
        database.execute(
                rule("feed", "NEW.a > 5"),
                foreign("partition of feed for values from (10) to (20)"),
                "delete from rowbell.rule",
                "select rowbell.unwatch('public.feed')");
        assertEquals(0, triggers());
        database.execute("insert into feed values (1, 6), (11, 6)");
        assertEquals(List.of(), refresh());
    }

    private void partitioned() {
        server();
        database.execute(
                "create table feed (id int, a int) partition by range (id)",
                "create table feed_1 partition of feed for values from (0) to (10)",
                "create table feed_2 partition of feed for values from (20) to (30)");
    }

    private void server() {
        database.execute(
                "create extension postgres_fdw",
                // as the server sees itself, which in a container has another port
                "create server itself foreign data wrapper postgres_fdw options (host 'localhost', port '%s', dbname '%s')"
                        .formatted(database.query("select inet_server_port()").get(0), database.name()),
                "create user mapping for public server itself options (user '%s', password '%s')"
                        .formatted(
                                database.settings().get("rowbell.jdbc.user"),
                                database.settings().get("rowbell.jdbc.password")),
                "create table remote (id int, a int)");
    }

    private static String foreign(String what) {
        return "create foreign table feed_f %s server itself options (table_name 'remote')".formatted(what);
    }

    // --- one open transaction ---

    @Test
    void anOpenTransactionWithAFailingRowHoldsUpNothing() throws SQLException {
        database.execute(
                "create table feed (id int, a int)",
                "create table other (id int, a int)",
                rule("feed", "10 / NEW.a > 5"),
                rule("other", "NEW.a > 5"));
        try (Connection open = database.connect();
                Statement writing = open.createStatement()) {
            open.setAutoCommit(false);
            writing.execute("insert into feed values (1, 0)");
            database.execute(
                    "set lock_timeout = 3000",
                    "insert into feed values (2, 0)",
                    "select rowbell.report_failures()",
                    "update rowbell.rule set condition = '20 / NEW.a > 5' where name = 'feed'",
                    "update rowbell.rule set condition = 'NEW.a > 6' where name = 'other'");
            assertEquals(
                    List.of("rule feed failed: division by zero"),
                    database.query("select alert->>'reason' from rowbell.feedback"));
            database.execute("insert into feed values (3, 0)", "select rowbell.report_failures()");
            assertEquals(
                    List.of("division by zero"),
                    database.query("select failure from rowbell.rule_state where rule = 'feed'"));
            database.execute("set lock_timeout = 3000", "delete from rowbell.rule where name = 'feed'");
            open.commit();
        }
        // of a rule that is gone
        assertEquals(List.of(), refresh());
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    @Test
    @Tag("long")
    void anOpenTransactionThatChangesRulesHoldsUpItsFeedAlone() throws SQLException {
        database.execute(
                "create table a (id int, n int)",
                "create table b (id int, n int)",
                "create table c (id int, n int)",
                rule("c", "NEW.n > 5"));
        try (Connection open = database.connect();
                Statement changing = open.createStatement()) {
            open.setAutoCommit(false);
            changing.execute(rule("a", "NEW.n > 5"));
            database.execute(
                    "set lock_timeout = 3000; " + rule("b", "NEW.n > 5"),
                    "set lock_timeout = 3000; update rowbell.rule set condition = 'NEW.n > 6' where name = 'c'",
                    "set lock_timeout = 3000; select rowbell.for_each('public.c', 'row')",
                    "alter table b rename column n to m");
            assertEquals(
                    List.of("rule \"b\" is broken and is left out: condition: column new.n does not exist"), refresh());
            SQLException waited = (SQLException) assertThrows(
                            IllegalStateException.class,
                            () -> database.execute("set lock_timeout = 100; " + rule("second", "a", "NEW.n > 5")))
                    .getCause();
            assertEquals("55P03", waited.getSQLState());
            String busy = database.query(
                            "select concat_ws(' ', rule, field, problem, hint) from rowbell.apply_rules('file', '["
                                    + "{\"name\": \"x\", \"feed\": \"public.a\", \"condition\": \"NEW.n > 1\"},"
                                    + "{\"name\": \"y\", \"feed\": \"public.c\", \"condition\": \"NEW.n > 1\"}]')")
                    .get(0);
            assertTrue(
                    busy.matches(
                            "x feed waited for 2 seconds, while rules are being changed by pid \\d+ \\(user \\w+, application .*\\) Rowbell tries again every 10 seconds"),
                    busy);
            open.commit();
        }
        database.execute("insert into a values (1, 6)", "insert into c values (2, 7)");
        assertEquals(List.of("a 1", "c 2", "y 2"), takeAlerts());
    }

    // --- triggers that do not fire ---

    @Test
    void aTriggerThatIsDisabledIsSaid() {
        database.execute(
                "create table feed (id int, a int)",
                "create table child () inherits (feed)",
                rule("feed", "NEW.a > 5"),
                "alter table feed disable trigger rowbell_1_insert",
                "alter table child enable replica trigger rowbell_1_update");
        assertEquals(
                List.of(
                        "the trigger rowbell_1_insert of public.feed is disabled, and its rules do not see all writes: alter table public.feed enable trigger rowbell_1_insert",
                        "the trigger rowbell_1_update of public.child is disabled, and its rules do not see all writes: alter table public.child enable trigger rowbell_1_update"),
                silent());
        database.execute(
                "alter table feed enable trigger rowbell_1_insert",
                "alter table child enable trigger rowbell_1_update");
        assertEquals(List.of(), silent());
        database.execute("alter table feed disable trigger user", "delete from rowbell.rule");
        assertEquals(List.of(), silent());
    }

    @Test
    void aRoleThatWritesWithoutTriggersIsSaid() {
        String writer = database.name() + "_replicator";
        database.execute(
                "create table feed (id int, a int)",
                rule("feed", "NEW.a > 5"),
                "create role " + writer,
                "alter role " + writer + " in database " + database.name() + " set session_replication_role = replica",
                "alter table feed enable always trigger rowbell_1_update");
        assertEquals(
                List.of("the role " + writer + " writes in the database " + database.name()
                        + " with session_replication_role = replica, so the rules do not see its writes:"
                        + " reset it, or alter table public.feed enable always trigger rowbell_1_insert"),
                silent());
        database.execute("drop role " + writer);
        assertEquals(List.of(), silent());
        database.execute("alter database " + database.name() + " set session_replication_role = replica");
        assertTrue(silent().get(0).startsWith("all roles write in the database " + database.name()));
    }

    private List<String> silent() {
        return database.query("select problem from rowbell.silent_triggers() order by problem");
    }

    // --- refresh ---

    @Test
    void refreshWritesNothingWhereNothingDiffers() {
        database.execute(
                "create table feed (id int primary key, a int)",
                "create table child () inherits (feed)",
                rule("feed", "NEW.a > 5"));
        String catalog =
                "select concat(p.oid, ' ', p.xmin) from pg_proc p where p.pronamespace in ('rowbell'::regnamespace, 'rowbell_alert'::regnamespace)"
                        + " union all select concat(a.attname, ' ', a.xmin) from pg_attribute a where a.attrelid = 'feed'::regclass"
                        + " union all select concat(c.oid, ' ', c.xmin) from pg_class c where c.relname in ('feed', 'child')"
                        + " union all select concat(n.oid, ' ', n.xmin) from pg_namespace n order by 1";
        refresh();
        List<String> before = database.query(catalog);
        refresh();
        refresh();
        assertEquals(before, database.query(catalog));
    }

    @Test
    void triggersThatWereDroppedAreMadeAgainAndThatIsSaid() {
        database.execute("create table feed (id int, a int)", rule("feed", "NEW.a > 5"));
        assertEquals(List.of(), refresh());
        database.execute("drop trigger rowbell_1_insert on feed", "insert into feed values (1, 10)");
        assertEquals(
                List.of("triggers of public.feed were missing and were made again: writes until now were not judged"),
                refresh());
        assertEquals(List.of(), refresh());
        database.execute("insert into feed values (2, 10)");
        assertEquals(List.of("feed 2"), takeAlerts());
    }

    @Test
    @Tag("long")
    void aLockedTableKeepsNoOtherFeedFromTheRulesOfAFile() throws SQLException {
        database.execute("create table busy (id int, a int)", "create table feed (id int, a int)");
        try (Connection holder = database.connect();
                Statement statement = holder.createStatement()) {
            holder.setAutoCommit(false);
            statement.execute("lock table busy in access exclusive mode");
            assertEquals(
                    List.of("a feed", "b feed"),
                    database.query("select concat(rule, ' ', field) from rowbell.apply_rules('rules.yaml',"
                            + " '[{\"name\":\"a\",\"feed\":\"public.busy\",\"condition\":\"NEW.a > 5\"},"
                            + " {\"name\":\"b\",\"feed\":\"public.busy\",\"condition\":\"NEW.a > 6\"},"
                            + " {\"name\":\"c\",\"feed\":\"public.feed\",\"condition\":\"NEW.a > 5\"}]')"));
        }
        assertEquals(List.of("c"), database.query("select name from rowbell.rule"));
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

    /** The rule and the row of each, without what Rowbell says about rules. */
    private List<String> takeAlerts() {
        return database.query(
                "with taken as (delete from rowbell.feedback returning alert)"
                        + " select concat(alert->>'rule', ' ', coalesce(alert->'new', alert->'old')->>'id') from taken where alert->>'rule' not like 'rowbell-%' order by 1");
    }
}
