package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is said of the choice to have a feed judged row by row. That alerts are the same is for {@link RulePropertyTest} and {@link RuleByRowTest}. */
class RowTriggerTest {

    private static final String RULE =
            "insert into rowbell.rule (name, feed, condition) values ('a', 'public.feed', 'NEW.c2 > 9')";
    private static final String LEVEL =
            "select distinct case tgtype & 1 when 1 then 'row' else 'statement' end from pg_trigger"
                    + " where tgrelid = 'public.feed'::regclass and tgname like 'rowbell%'";

    private final TestDatabase database = TestDatabase.createWithSchema();

    @BeforeEach
    void feed() {
        database.execute(
                "create table public.feed (id int8 primary key, c1 int, c2 int)",
                "select rowbell.for_each('public.feed', 'row')");
    }

    @Test
    void aFeedChangesOverWithItsRulesInPlace() {
        database.execute(RULE);
        assertEquals(List.of("row"), database.query(LEVEL));
        database.execute("insert into feed (id, c2) values (1, 10)", "select rowbell.for_each('feed', 'statement')");
        assertEquals(List.of("statement"), database.query(LEVEL));
        database.execute("insert into feed (id, c2) values (2, 10)", "select rowbell.for_each('feed', 'row')");
        assertEquals(List.of("row"), database.query(LEVEL));
        database.execute("insert into feed (id, c2) values (3, 10)", "update feed set c2 = c2 + 1");
        assertEquals(List.of("1", "2", "3"), takeAlerts("alert->'new'->>'id'"));
        assertEquals(List.of(), database.query("select event from rowbell.refresh()"));
    }

    @Test
    void noAlertIsLostOrDoubledForAWriterThatIsUnderWay() throws Exception {
        database.execute(RULE);
        try (Connection busy = database.connect();
                Statement writing = busy.createStatement()) {
            busy.setAutoCommit(false);
            writing.execute("insert into feed (id, c2) values (1, 10)");
            // waits for the writer, and lets it go on meanwhile
            Thread changing = new Thread(() -> database.execute("select rowbell.for_each('feed', 'statement')"));
            changing.start();
            for (int id = 2; id < 100; id++) {
                writing.execute("insert into feed (id, c2) values (" + id + ", 10)");
            }
            busy.commit();
            changing.join();
            writing.execute("insert into feed (id, c2) values (100, 10)");
            busy.commit();
        }
        assertEquals(List.of("statement"), database.query(LEVEL));
        assertEquals(100, database.count("(select distinct alert->'new'->>'id' from rowbell.feedback) _"));
        assertEquals(100, database.count("rowbell.feedback"));
    }

    @Test
    void aRowSaysWhichChildItIsInHoweverItWasWritten() {
        database.execute("create table child (extra int) inherits (feed)");
        database.execute(RULE);
        database.execute(
                "insert into feed (id, c2) values (1, 10)",
                "insert into child (id, c2) values (2, 1)",
                "update feed set c2 = 10 where id = 2",
                "delete from rowbell.rule",
                "insert into rowbell.rule (name, feed, condition, operations) values ('gone', 'public.feed', 'OLD.c2 > 9', '{delete}')",
                "delete from feed");
        assertEquals(
                List.of("INSERT 1 ", "UPDATE 2 public.child", "DELETE 1 ", "DELETE 2 public.child"),
                takeAlerts(
                        "concat(alert->>'operation', ' ', coalesce(alert->'new', alert->'old')->>'id', ' ', alert->>'partition')"));
    }

    /** The owner of the table may do so: the function of before must not be called by a trigger of another kind. */
    @Test
    void aTriggerThatWasRenamedHarmsNobody() {
        database.execute(
                RULE,
                "alter trigger rowbell_1_insert on feed rename to mine",
                "select rowbell.for_each('public.feed', 'statement')",
                "insert into feed (id, c2) values (1, 10)",
                "alter trigger rowbell_1_insert on feed rename to other",
                "select rowbell.for_each('public.feed', 'row')",
                "insert into feed (id, c2) values (2, 10)");
        assertEquals(List.of("1", "2"), takeAlerts("alert->'new'->>'id'"));
    }

    /** One session, so that plans of the first failure serve the second, which comes before OLD is set. */
    @Test
    void failuresOfInsertsDoNotHideTheAlertsOfLaterOnes() {
        database.execute(
                "insert into rowbell.rule (name, feed, condition) values"
                        + " ('changed', 'public.feed', 'NEW.c2 is distinct from OLD.c2'), ('fails', 'public.feed', '1 / NEW.c1 > 5')",
                "insert into feed values (1, 0, 1); set timezone_abbreviations = 'India'; insert into feed values (2, 0, 1);"
                        + " set timezone_abbreviations = 'Default'; insert into feed values (3, 0, 1)");
        assertEquals(List.of("1", "2", "3"), takeAlerts("alert->'new'->>'id'"));
    }

    @Test
    void rulesBesideOneThatFailsAreJudgedOnTheRowItself() {
        database.execute(
                "create table exact (id int primary key, d int, j jsonb, f float8)",
                "select rowbell.for_each('public.exact', 'row')",
                "insert into rowbell.rule (name, feed, condition) values ('fails', 'public.exact', '1 / NEW.d > 5'),"
                        + " ('json', 'public.exact', 'jsonb_typeof(NEW.j) = ''null'''), ('float', 'public.exact', 'NEW.f > 0.3')",
                "set extra_float_digits = 0; insert into exact values (1, 0, 'null', 0.30000000000000004)");
        assertEquals(
                List.of("float", "json"), database.query("select alert->>'rule' from rowbell.feedback order by 1"));
        assertEquals(List.of("fails"), database.query("select rule from rowbell.rule_failure"));
    }

    @Test
    void aTableThatWasMadeAgainIsChangedOver() {
        database.execute(
                RULE,
                "drop table feed",
                "create table public.feed (id int8 primary key, c1 int, c2 int)",
                "select rowbell.for_each('public.feed', 'statement')",
                "insert into feed (id, c2) values (1, 10)");
        assertEquals(List.of("statement"), database.query(LEVEL));
        database.execute(
                "select rowbell.for_each('public.feed', 'row')",
                "drop table feed",
                "create table public.feed_1 (id int8 primary key, c1 int, c2 int)",
                "create table public.feed (id int8 primary key, c1 int, c2 int) partition by list (id)",
                "alter table feed attach partition feed_1 for values in (2)");
        database.query("select event from rowbell.refresh()");
        database.execute("insert into feed (id, c2) values (2, 10)");
        assertEquals(List.of("1", "2"), takeAlerts("alert->'new'->>'id'"));
        database.execute("drop table feed", "select rowbell.refresh()");
        assertEquals(0, database.count("pg_proc where proname in ('on_statement_1', 'on_row_1')"));
    }

    @Test
    void aColumnThatChangesItsTypeIsJudgedByItAgain() throws SQLException {
        database.execute(RULE);
        String function = "select prosrc from pg_proc where proname = 'on_row_1'";
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("insert into feed (id, c2) values (1, 10)");
            List<String> before = database.query(function);
            database.execute("alter table feed alter c2 type int8");
            statement.execute("insert into feed (id, c2) values (2, 10)");
            assertEquals(before, database.query(function));
            database.query("select event from rowbell.refresh()");
            assertNotEquals(before, database.query(function));
            statement.execute("insert into feed (id, c2) values (3, 10)");
        }
        assertEquals(List.of("1", "2", "3"), takeAlerts("alert->'new'->>'id'"));
    }

    @Test
    void whatDoesNotFailIsNotJudgedTheSlowWay() throws SQLException {
        database.execute(
                "insert into rowbell.rule (name, feed, condition) values ('free', 'public.feed', 'abs(NEW.c2) > 9')");
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("set track_functions = 'all'");
            statement.execute("insert into feed (id, c2) values (1, 10)");
            try (ResultSet called = statement.executeQuery(
                    "select array_agg(funcname::text) filter (where funcname in ('on_row_1', 'judge_each'))"
                            + " from pg_stat_xact_user_functions")) {
                called.next();
                assertEquals("{on_row_1}", called.getString(1));
            }
            connection.commit();
        }
        assertEquals(List.of("1"), takeAlerts("alert->'new'->>'id'"));
    }

    @Test
    void rulesThatChangeWithinAStatementDoNotTakeTheNamesOfItsWriter() throws Exception {
        database.execute(
                RULE,
                "create schema evil",
                "create table evil.calls (id serial)",
                "create function evil.abs(int) returns int language plpgsql"
                        + " as $f$ begin insert into evil.calls default values; return 0; end $f$",
                // after Rowbell's of the same row
                "create function wait() returns trigger language plpgsql as $f$ begin perform pg_advisory_xact_lock_shared(1); return null; end $f$",
                "create trigger z_wait after insert on feed for each row execute function wait()");
        try (Connection changing = database.connect();
                Statement change = changing.createStatement();
                Connection writing = database.connect();
                Statement write = writing.createStatement()) {
            change.execute("select pg_advisory_lock(1)");
            write.execute("set search_path = evil, pg_catalog, public");
            CompletableFuture<Void> written = CompletableFuture.runAsync(() -> {
                try {
                    write.execute("insert into feed (id, c2) values (1, 10), (2, 10), (3, 0), (4, 10)");
                } catch (SQLException e) {
                    throw new CompletionException(e);
                }
            });
            await().until(() ->
                    database.count("pg_stat_activity where datname = current_database() and wait_event = 'advisory'")
                            == 1);
            change.execute("update rowbell.rule set condition = 'abs(NEW.c2) > 9'");
            change.execute("select pg_advisory_unlock(1)");
            written.get(1, TimeUnit.MINUTES);
            assertEquals(List.of(), database.query("select id from evil.calls"));
            try (ResultSet path = write.executeQuery("show search_path")) {
                path.next();
                assertEquals("evil, pg_catalog, public", path.getString(1));
            }
        }
        assertEquals(List.of("a 1", "a 2", "a 4"), takeAlerts("concat(alert->>'rule', ' ', alert->'new'->>'id')"));
    }

    @Test
    void rulesOfOthersAreSeenByWhoeverChangesTriggers() throws SQLException {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            SQLException refused = assertThrows(
                    SQLException.class, () -> statement.execute("select rowbell.for_each('public.feed', 'statement')"));
            assertEquals("RB002", refused.getSQLState());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'public.feed', 'rows'       | for_each: 'rows' is neither row nor statement",
                "'public.feed', null         | for_each: NULL is neither row nor statement",
                "'public.nothing', 'row'     | for_each: there is no table public.nothing to watch",
                "'public.a_view', 'row'      | for_each: there is no table public.a_view to watch",
                "'rowbell.rule', 'row'       | for_each: there is no table rowbell.rule to watch",
                "'public.parted', 'row'      | for_each: the table public.parted is partitioned"
            },
            quoteCharacter = '"')
    void whatCannotBeIsRefused(String arguments, String problem) {
        database.execute(
                "create view a_view as select 1 as c1",
                "create table parted (id int) partition by range (id)",
                "create table part partition of parted default");
        refused(problem, "select rowbell.for_each(" + arguments + ")");
    }

    @Test
    void theTriggersAreTakenOffWithTheRoleOfTheOwnerAlone() {
        database.execute(RULE);
        // roles belong to the server, which other tests use too
        String other = database.name() + "_other";
        database.execute(
                "create role " + other,
                "grant all on schema rowbell to " + other,
                "grant all on all tables in schema rowbell to " + other,
                "grant all on all functions in schema rowbell to " + other,
                "alter function rowbell.for_each(text, text) owner to " + other);
        refused(
                other + " has not the role of the owner of public.feed, whose triggers are to be dropped",
                "select rowbell.for_each('public.feed', 'statement')");
        database.execute("insert into feed (id, c2) values (1, 10)");
        assertEquals(List.of("1"), takeAlerts("alert->'new'->>'id'"));
    }

    private List<String> takeAlerts(String expression) {
        return database.query(
                "with taken as (delete from rowbell.feedback returning *) select %s from taken order by crt_time"
                        .formatted(expression));
    }

    private void refused(String problem, String sql) {
        SQLException refused = (SQLException) assertThrows(IllegalStateException.class, () -> database.execute(sql))
                .getCause();
        assertEquals("RB001", refused.getSQLState());
        assertEquals(
                "ERROR: " + problem, refused.getMessage().lines().findFirst().orElse(""));
    }
}
