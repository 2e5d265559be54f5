package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import dev.rowbell.Rowbell;
import dev.rowbell.error.Errors;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SchemaTest {

    private static final String FUNCTION = "select prosrc from pg_proc where proname = 'on_statement_1'";

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @Test
    void theSchemaIsWholeAfterAStart() {
        start();
        settings.put("rowbell.migrate", "false");
        start();
    }

    @Test
    void aFileThatWasNotAppliedIsNamed() {
        settings.put("rowbell.migrate", "false");
        database.execute("delete from rowbell.flyway_schema_history where script = 'R__80_outbox.sql'");
        refuses("R__80_outbox.sql");
    }

    @Test
    void aFileThatFailedIsNotTakenForApplied() {
        database.execute("update rowbell.flyway_schema_history set success = false where script = 'V1__tables.sql'");
        refuses("could not be brought up to date");
    }

    @Test
    void aSchemaWithATableOfANewerRowbellIsRefused() {
        database.execute("""
                insert into rowbell.flyway_schema_history
                select installed_rank + 1000, '2', 'more', type, 'V2__more.sql', 1, installed_by, now(), 1, true
                from rowbell.flyway_schema_history where script = 'V1__tables.sql'
                """);
        refuses("of a newer Rowbell than this one (V2__more.sql)");
        settings.put("rowbell.migrate", "false");
        refuses("of a newer Rowbell than this one (V2__more.sql)");
    }

    @Test
    void aSchemaWithAFileOfFunctionsThatThisRowbellDoesNotHaveIsRefused() {
        database.execute("""
                insert into rowbell.flyway_schema_history
                select installed_rank + 1000, null, '97 more', type, 'R__97_more.sql', 1, installed_by, now(), 1, true
                from rowbell.flyway_schema_history where script = 'V1__tables.sql'
                """);
        refuses("of a newer Rowbell than this one (R__97_more.sql)");
    }

    /** An old process that is started again must not put its functions in the place of the newer ones. */
    @Test
    void functionsOfANewerRowbellAreNotReplaced() {
        database.execute(
                """
                insert into rowbell.flyway_schema_history
                select installed_rank + 1000, null, description, type, script, checksum + 1, installed_by, now(), 1, true
                from rowbell.flyway_schema_history where script = 'R__80_outbox.sql'
                """,
                "create or replace function rowbell.replay(dead_letter bigint) returns boolean language sql as 'select true'");
        refuses("of a newer Rowbell than this one (R__80_outbox.sql)");
        assertEquals(List.of("select true"), database.query("select prosrc from pg_proc where proname = 'replay'"));
    }

    @Test
    void functionsOfAnOlderRowbellAreReplaced() {
        database.execute(
                "update rowbell.flyway_schema_history set checksum = checksum + 1 where script = 'R__80_outbox.sql'",
                "create or replace function rowbell.replay(dead_letter bigint) returns boolean language sql as 'select true'");
        start();
        assertFalse(database.query("select prosrc from pg_proc where proname = 'replay'")
                .equals(List.of("select true")));
    }

    @Test
    void aSchemaFromBeforeTheFirstReleaseIsRefusedWithTheWayOut() {
        database.execute(
                "update rowbell.flyway_schema_history set script = 'V1__queues.sql' where script = 'V1__tables.sql'");
        refuses("drop schema rowbell cascade");
    }

    @Test
    void triggersOfAnOlderRowbellAreCompiledAgainWithoutWaitingForWriters() throws SQLException {
        database.execute(
                "create table feed (id int primary key, c2 int)",
                "insert into rowbell.rule (name, feed, condition) values ('a', 'public.feed', 'NEW.c2 > 9')",
                "insert into feed values (1, 10)");
        String compiled = database.query(FUNCTION).get(0);
        database.execute(
                "create or replace function rowbell.on_statement_1() returns trigger language plpgsql as 'begin return null; end'");
        try (Connection busy = database.connect();
                Statement writing = busy.createStatement()) {
            busy.setAutoCommit(false);
            writing.execute("insert into feed values (2, 0)");
            start();
            writing.execute("insert into feed values (3, 0)");
            busy.commit();
        }
        assertEquals(List.of(compiled), database.query(FUNCTION));
    }

    @Test
    void thePoolHasAsManyConnectionsAsAreSet() {
        settings.put("rowbell.jdbc.pool-size", "3");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            HikariDataSource pool =
                    (HikariDataSource) Rowbell.of(rowbell.context()).database().pool();
            assertEquals(3, pool.getMaximumPoolSize());
        }
    }

    private void start() {
        RunningRowbell.start(settings).close();
    }

    private void refuses(String words) {
        Exception refused = assertThrows(Exception.class, this::start);
        assertTrue(Errors.forUser(refused).contains(words), () -> Errors.forUser(refused));
    }
}
