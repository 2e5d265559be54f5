package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Program;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code java -jar target/rowbell.jar} without any setting, again and again in one directory. */
class NewcomerIT {

    /** Seconds: less than Camel would wait for a route that does not stop, which is 45. */
    private static final int STOP = 20;

    @TempDir
    Path dir;

    private static void execute(String url, String sql) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static long rowsOfFeed(String url) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select count(*) from public.feed")) {
            row.next();
            return row.getLong(1);
        }
    }

    /** Whether the embedded PostgreSQL runs. A zombie, whose parent has not read its exit status, has ended. */
    private boolean postgresRuns() {
        return ProcessHandle.allProcesses()
                .anyMatch(process -> process.info()
                                .commandLine()
                                .orElse("")
                                .contains(dir.resolve(".rowbell").toString())
                        && process.info().command().orElse("").endsWith("postgres"));
    }

    @Test
    void aNewcomerSeesAlertsAndTheNextStartGoesOnWithTheSameData() throws Exception {
        String url;
        long rows;
        int alerts;
        Program.ends(
                2,
                Program.rowbell(dir, Map.of(), "rules", "list"),
                "rowbell: .*there is no database in rowbell.embedded.dir=");
        try (Program rowbell = Program.rowbell(dir, Map.of())) {
            url = rowbell.awaitOutput("connect +(jdbc:postgresql://\\S+)");
            rowbell.awaitOutput("Rowbell is watching PostgreSQL \\d+\\.\\d+, embedded");
            rowbell.awaitOutput("rules +3 from classpath:dev/rowbell/rules\\.yaml");
            rowbell.awaitOutput("file +on: alerts");
            rowbell.awaitOutput("http +off: set rowbell\\.http\\.url");
            rowbell.awaitOutput("mail +off: set rowbell\\.mail\\.host");
            rowbell.awaitOutput(
                    "warning c2-overflow \\(c2 overflow\\) public\\.feed id=\\d+: c1 \\S+ → \\d+, c2 \\S+ → \\d+\\d{4}");
            rowbell.awaitOutput("critical c4-negative \\(c4 below zero\\) public\\.feed id=\\d+: .*c4 (\\S+ → )?-\\d+");
            Awaitility.await()
                    .until(() -> AlertFiles.read(dir.resolve("alerts")).size() >= 2);
            assertTrue(postgresRuns());
            // as if 20 seconds had passed
            Awaitility.await().until(() -> {
                execute(url, "update rowbell.timer set began = began - interval '20 s'");
                return rowbell.output()
                        .contains("warning order-not-shipped (order not shipped within 20 s) public.shipment id=");
            });
            try (Connection connection = DriverManager.getConnection(url);
                    Statement statement = connection.createStatement();
                    ResultSet row = statement.executeQuery(
                            "select current_setting('fsync') || current_setting('synchronous_commit')")) {
                row.next();
                assertEquals("onon", row.getString(1));
                // the command "rules test" below needs a row that meets the rule, and the demo writes over its own rows
                statement.execute("insert into public.feed (id, c2) values (1000000, 20000)");
            }
            try (Program second = Program.rowbell(dir, Map.of())) {
                assertEquals(2, second.awaitExit());
                assertTrue(second.output().contains("rowbell.embedded.dir"), second.output());
            }
            // in the database of the Rowbell that runs
            Program.ends(
                    0,
                    Program.rowbell(dir, Map.of(), "rules", "list"),
                    "rule +feed .*\nc2-overflow +public\\.feed .*\nc4-negative +public\\.feed .*\norder-not-shipped +public\\.shipment .*\n");
            rows = rowsOfFeed(url);
            rowbell.terminate();
            rowbell.exitWithin(STOP);
            alerts = AlertFiles.read(dir.resolve("alerts")).size();
            assertFalse(postgresRuns());
            assertFalse(rowbell.output().contains("Exception"), rowbell.output());
        }
        // in one that is started for it
        Program.ends(
                0,
                Program.rowbell(dir, Map.of(), "rules", "test", "c2-overflow", "--limit", "1"),
                "\\{\"id\":\\d+,.*}\n1 row shown, .*\n");
        assertFalse(postgresRuns());
        try (Program rowbell = Program.rowbell(dir, Map.of("rowbell.demo", "false"))) {
            rowbell.awaitOutput("rowbell\\.rules\\.file=rules\\.yaml: there is no such file");
            assertEquals(url, rowbell.awaitOutput("connect +(jdbc:postgresql://\\S+)"));
            assertTrue(rowsOfFeed(url) >= rows);
            assertTrue(AlertFiles.read(dir.resolve("alerts")).size() >= alerts);
            // killed, it leaves its PostgreSQL behind, which the next start puts away
            rowbell.kill();
            rowbell.awaitExit();
        }
        try (Program rowbell = Program.rowbell(dir, Map.of("rowbell.demo", "false"))) {
            rowbell.awaitOutput("Rowbell is watching");
            assertTrue(rowsOfFeed(url) >= rows);
            rowbell.terminate();
            rowbell.exitWithin(STOP);
        }
        assertFalse(postgresRuns());
    }
}
