package dev.rowbell.database;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

/** Locks that any role can take keep Rowbell neither from starting nor from listening, or it says which session has them. */
class LockTest {

    private static final String FLYWAYS_LOCK =
            "select pg_advisory_lock(" + (77431708279161L + "\"rowbell\".\"flyway_schema_history\"".hashCode()) + ")";

    @Test
    @Tag("long")
    void aStartWithNothingToMigrateWaitsForNoLockOfAStranger() throws SQLException {
        TestDatabase database = TestDatabase.createWithSchema();
        try (Connection stranger = stranger(database);
                Statement locks = stranger.createStatement()) {
            locks.execute(FLYWAYS_LOCK);
            locks.execute("select pg_advisory_lock(hashtext('rowbell'), hashtext('compiler'))");
            locks.execute("select pg_advisory_lock(hashtext('rowbell listen'), hashtext('channel_1'))");
            try (RunningRowbell rowbell = RunningRowbell.start(settings(database))) {
                database.awaitListener("channel_1");
            }
        }
    }

    @Test
    @Tag("long")
    void aMigrationThatWaitsForFlywaysLockSaysWhoHasItAndEnds() throws SQLException {
        TestDatabase database = TestDatabase.create();
        Map<String, String> settings = settings(database);
        settings.put("rowbell.jdbc.wait", "3s");
        try (LogLines log = new LogLines("dev.rowbell.database.LockWatch");
                Connection stranger = stranger(database);
                Statement locks = stranger.createStatement()) {
            locks.execute(FLYWAYS_LOCK);
            String words = "the lock of Flyway, which pid \\d+ has \\(user " + database.name()
                    + "_stranger, application mallory\\)";
            Exception refused = assertThrows(Exception.class, () -> open(settings));
            assertTrue(
                    Errors.forUser(refused).matches("(?s).*waited 3s \\(rowbell.jdbc.wait\\) for " + words + ".*"),
                    () -> Errors.forUser(refused));
            assertTrue(
                    log.lines()
                            .get(0)
                            .matches("WARN the start waits for " + words + ", and gives up after rowbell.jdbc.wait.*"),
                    log.lines().get(0));
        }
        // the lock is free again
        open(settings);
    }

    @Test
    void aStartThatWaitsForALockOnATableGoesOnWhenItIsFree() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        try (LogLines log = new LogLines("dev.rowbell.database.LockWatch");
                Connection holder = database.connect();
                Statement locks = holder.createStatement()) {
            holder.setAutoCommit(false);
            locks.execute("lock table rowbell.flyway_schema_history in access exclusive mode");
            CompletableFuture<Void> start = CompletableFuture.runAsync(() -> open(settings(database)));
            await().until(() -> log.lines().stream()
                    .anyMatch(line -> line.contains("a lock on rowbell.flyway_schema_history, which pid ")));
            holder.rollback();
            start.get(1, TimeUnit.MINUTES);
        }
    }

    /** As a DataSource of the driver does, whose URL has all of its properties. */
    @Test
    void aUrlThatNamesItsSessionsMakesTheStartNoStrangerToItself() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        Map<String, String> settings = settings(database);
        settings.compute(
                "rowbell.jdbc.url", (key, url) -> url + (url.contains("?") ? "&" : "?") + "ApplicationName=mine");
        try (LogLines log = new LogLines("dev.rowbell.database.LockWatch");
                Connection holder = database.connect();
                Statement locks = holder.createStatement()) {
            database.execute("delete from rowbell.flyway_schema_history where script like 'R\\_\\_98%'");
            holder.setAutoCommit(false);
            // which the migration needs when it has the lock of Flyway
            locks.execute("lock table rowbell.flyway_schema_history in share mode");
            CompletableFuture<Void> start = CompletableFuture.runAsync(() -> open(settings));
            await().until(() ->
                    log.lines().stream().anyMatch(line -> line.contains("rowbell.flyway_schema_history, which pid ")));
            holder.rollback();
            start.get(1, TimeUnit.MINUTES);
            assertTrue(
                    log.lines().stream().noneMatch(line -> line.contains("application mine")), log.lines()::toString);
        }
    }

    @Test
    void channelsOfASessionThatIsGoneAreFreeAtOnceAndOthersAreNot() throws SQLException {
        TestDatabase database = TestDatabase.createWithSchema();
        try (Connection second = database.connect()) {
            int pid;
            try (Connection first = database.connect()) {
                assertNull(claim(first));
                assertNull(claim(first));
                assertTrue(claim(second).matches("pid \\d+ \\(user .*"), claim(second));
                pid = first.unwrap(PGConnection.class).getBackendPID();
            }
            await().until(() -> database.count("pg_stat_activity where pid = " + pid) == 0);
            assertNull(claim(second));
            try (Connection third = database.connect()) {
                assertNotNull(claim(third));
                // as if another session of the same role had the process id of one that is gone
                database.execute("update rowbell.listener set started = started - interval '1 s'");
                assertNull(claim(third));
            }
        }
    }

    /** As a pooler does with a session whose client has gone. */
    @Test
    void channelsOfASessionThatDiscardedItsLocksAreFreeWhateverAStrangerLocks() throws SQLException {
        TestDatabase database = TestDatabase.createWithSchema();
        try (Connection first = database.connect();
                Connection second = database.connect();
                Connection stranger = stranger(database);
                Statement discards = first.createStatement();
                Statement locks = stranger.createStatement()) {
            assertNull(claim(first));
            String key = database.query("select key from rowbell.listener").get(0);
            assertThrows(SQLException.class, () -> locks.execute("select key from rowbell.listener"));
            discards.execute("discard all");
            locks.execute("select pg_advisory_lock(" + key + ")");
            assertNull(claim(second));
            assertNotNull(claim(first));
        }
    }

    @Test
    void channelsThatASessionGivesUpAreFreeAtOnce() throws SQLException {
        TestDatabase database = TestDatabase.createWithSchema();
        String holder = "select rowbell.listening_session(l) from rowbell.listener l";
        try (Connection first = database.connect();
                Connection second = database.connect();
                Statement releases = first.createStatement()) {
            assertNull(claim(first));
            assertEquals(List.of(claim(second)), database.query(holder));
            releases.execute("select rowbell.release_channels('channel_1')");
            assertEquals(List.of(), database.query(holder));
            assertNull(claim(second));
            assertEquals(List.of(claim(first)), database.query(holder));
        }
    }

    private static String claim(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select rowbell.claim_channels('channel_1')")) {
            row.next();
            return row.getString(1);
        }
    }

    private static void open(Map<String, String> settings) {
        Properties properties = new Properties();
        properties.putAll(settings);
        // never started: it only holds the settings
        CamelContext context = new DefaultCamelContext();
        context.getPropertiesComponent().addLocation("file:application.properties");
        context.getPropertiesComponent().setOverrideProperties(properties);
        Database.open(new Settings(context)).close();
    }

    private static Map<String, String> settings(TestDatabase database) {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", "");
        return settings;
    }

    private static Connection stranger(TestDatabase database) throws SQLException {
        database.execute("create role " + database.name() + "_stranger login password 'secret'");
        Connection connection = database.connectAs(database.name() + "_stranger", "secret");
        try (Statement statement = connection.createStatement()) {
            statement.execute("set application_name = 'mallory'");
        }
        return connection;
    }
}
