package dev.rowbell.database;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.PgBouncer;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TcpProxy;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A real PgBouncer between Rowbell and its database. */
@Tag("long")
class PoolerTest {

    private static final int ALERTS = 200;
    /** Of the pooler's sessions, what Rowbell changes in its own. */
    private static final String STATE = """
            select concat_ws(' ', current_setting('enable_seqscan'), current_setting('jit'), current_setting('plan_cache_mode'),
              current_setting('idle_in_transaction_session_timeout'), current_setting('statement_timeout'), current_setting('search_path'),
              (select count(*) from pg_listening_channels()), (select count(*) from pg_prepared_statements))
            """;

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void fileAlone() {
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.listen.heartbeat", "1s");
    }

    private List<Object> arrived() {
        return AlertFiles.values(dir.resolve("alerts"), "id");
    }

    private Stream<Object> durable() {
        return arrived().stream().filter(id -> !id.equals("n"));
    }

    private static Map<String, String> down(CamelContext context) {
        return HealthCheckHelper.invokeReadiness(context).stream()
                .filter(result -> result.getState() == HealthCheck.State.DOWN)
                .collect(Collectors.toMap(
                        result -> result.getCheck().getId(),
                        result -> result.getMessage().orElse("")));
    }

    /** One after the other, so that each statement of Rowbell comes often enough to be prepared. */
    private void durableAlertsArriveOnce() {
        for (int i = 0; i < ALERTS; i++) {
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"d%d\", \"rule\": \"r\"}')".formatted(i));
        }
        await().until(() -> durable().distinct().count() == ALERTS && database.isDelivered());
        assertEquals(ALERTS, durable().count());
        assertEquals(List.of(), database.query("select last_error from rowbell.dead_letter"));
    }

    private void notificationArrives(String id) {
        await().until(() -> {
            database.execute("select pg_notify('channel_1', '{\"id\": \"%s\", \"rule\": \"r\"}')".formatted(id));
            return arrived().contains(id);
        });
    }

    /** What another client finds in each session that the pooler has. */
    private void nothingLeaks(PgBouncer pooler) throws SQLException {
        String fresh = database.query(STATE).get(0);
        List<Connection> all = new ArrayList<>();
        try {
            for (int i = 0; i < 10; i++) {
                Connection connection = DriverManager.getConnection(
                        pooler.url() + "?prepareThreshold=0",
                        settings.get("rowbell.jdbc.user"),
                        settings.get("rowbell.jdbc.password"));
                all.add(connection);
                // keeps the session, so that the next one gets another
                connection.setAutoCommit(false);
                try (Statement statement = connection.createStatement();
                        ResultSet row = statement.executeQuery(STATE)) {
                    row.next();
                    assertEquals(fresh, row.getString(1));
                }
            }
        } finally {
            for (Connection connection : all) {
                connection.close();
            }
        }
    }

    @Test
    void inTransactionModeDurableAlertsFlowAndThatNothingListensIsSaid() throws SQLException {
        try (PgBouncer pooler = new PgBouncer(dir, database, "transaction");
                LogLines said = new LogLines("dev.rowbell")) {
            settings.put("rowbell.jdbc.url", pooler.url());
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                assertTrue(
                        said.lines().stream()
                                .anyMatch(line -> line.contains("a pooler in transaction mode is in front of")
                                        && line.contains("set rowbell.listen.url")),
                        () -> String.join("\n", said.lines()));
                await().until(
                                () -> down(rowbell.context())
                                        .getOrDefault("rowbell-listener", "")
                                        .contains(
                                                "hears nothing: a pooler in transaction mode cannot carry notifications: set rowbell.listen.url"));
                durableAlertsArriveOnce();
                nothingLeaks(pooler);
                assertEquals(
                        List.of("rowbell-listener"),
                        List.copyOf(down(rowbell.context()).keySet()));
            }
            nothingLeaks(pooler);
        }
    }

    @Test
    void inTransactionModeAllWorksWithAConnectionOfItsOwnForListening() throws SQLException {
        try (PgBouncer pooler = new PgBouncer(dir, database, "transaction")) {
            settings.put("rowbell.jdbc.url", pooler.url() + "?prepareThreshold=0");
            settings.put("rowbell.listen.url", database.url());
            settings.put("rowbell.listen.user", settings.get("rowbell.jdbc.user"));
            settings.put("rowbell.listen.password", settings.get("rowbell.jdbc.password"));
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                notificationArrives("n");
                durableAlertsArriveOnce();
                nothingLeaks(pooler);
                await().until(() -> down(rowbell.context()).isEmpty());
            }
            nothingLeaks(pooler);
        }
    }

    @Test
    void sessionModeNeedsNothing() throws SQLException {
        try (PgBouncer pooler = new PgBouncer(dir, database, "session")) {
            settings.put("rowbell.jdbc.url", pooler.url());
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                durableAlertsArriveOnce();
                notificationArrives("n");
                await().until(() -> down(rowbell.context()).isEmpty());
            }
            nothingLeaks(pooler);
        }
    }

    /** The pooler keeps the session of the process that has gone. */
    @Test
    void inSessionModeAProcessListensAgainAfterARestart() {
        try (PgBouncer pooler = new PgBouncer(dir, database, "session")) {
            settings.put("rowbell.jdbc.url", pooler.url());
            for (int start = 1; start <= 3; start++) {
                String id = "start " + start;
                try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                    notificationArrives(id);
                    await().until(() -> down(rowbell.context()).isEmpty());
                }
                assertEquals(0, database.count("rowbell.listener"));
            }
        }
    }

    @Test
    void inSessionModeAnotherProcessTakesOver() throws IOException {
        try (PgBouncer pooler = new PgBouncer(dir, database, "session");
                TcpProxy network = new TcpProxy(pooler.port())) {
            settings.put("rowbell.jdbc.url", pooler.url());
            settings.put("rowbell.jdbc.pool-size", "3");
            Map<String, String> cut = new HashMap<>(settings);
            cut.put("rowbell.listen.url", pooler.url().replace(":" + pooler.port(), ":" + network.port()));
            cut.put("rowbell.listen.user", settings.get("rowbell.jdbc.user"));
            cut.put("rowbell.listen.password", settings.get("rowbell.jdbc.password"));
            try (RunningRowbell one = RunningRowbell.start(cut)) {
                notificationArrives("one");
                try (RunningRowbell two = RunningRowbell.start(settings)) {
                    notificationArrives("still one");
                    network.refuse(true);
                    notificationArrives("two, after a crash");
                    try (RunningRowbell three = RunningRowbell.start(settings)) {
                        two.close();
                        notificationArrives("three, after a stop");
                    }
                }
            }
        }
    }
}
