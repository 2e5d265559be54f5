package dev.rowbell.listen;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TcpProxy;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.Threads;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.jdbc.datasource.AbstractDataSource;

/** Alerts that come as notifications, over a listener that always comes back. */
class ListenTest {

    private static final String LISTENERS =
            "pg_stat_activity where datname = current_database() and application_name = 'rowbell listen'";

    @TempDir
    Path alerts;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void quietAndIntoTheDirectory() {
        settings.put("rowbell.file.dir", alerts.toString());
        settings.put("rowbell.console", "OFF");
    }

    private void awaitListeners(int count) {
        await().until(() -> database.count(LISTENERS + " and query ilike 'listen%'") == count);
    }

    private void send(String channel, String payload) {
        try (Connection connection = database.connect();
                PreparedStatement notify = connection.prepareStatement("select pg_notify(?, ?)")) {
            notify.setString(1, channel);
            notify.setString(2, payload);
            notify.execute();
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private Map<String, Object> receive(int index) {
        await().until(() -> AlertFiles.read(alerts).size() > index);
        return AlertFiles.read(alerts).get(index);
    }

    @Test
    void foreignPayloadsAreWelcome() {
        settings.put("rowbell.channels", "channel_1,Order alerts");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitListeners(2);
            send("channel_1", "Resone:c2 overflow::{\"id\":2,\"c2\":30001}");
            Map<String, Object> article = receive(0);
            assertEquals("c2 overflow", article.get("reason"));
            assertEquals(Map.of("id", 2, "c2", 30001), article.get("new"));
            assertEquals("channel_1", article.get("channel"));
            assertEquals(database.name(), article.get("source"));

            send("Order alerts", "{\"order\": 5, \"price\": 1.10}");
            Map<String, Object> json = receive(1);
            assertEquals("{order=5, price=1.10}", json.get("payload").toString());
            assertEquals("Order alerts", json.get("channel"));

            send("channel_1", "订单 \"five\"\nis late 🚨");
            assertEquals("订单 \"five\"\nis late 🚨", receive(2).get("payload"));

            send("channel_1", "");
            assertEquals("", receive(3).get("payload"));

            // as they are, whatever Camel makes of such words elsewhere
            String[] odd = {
                "'single quoted'", "\"a\" and \"b\"", "'a', 'b'", "null", "${body}", "{{rowbell.jdbc.url}}", "true"
            };
            for (int i = 0; i < odd.length; i++) {
                send("channel_1", odd[i]);
                assertEquals(odd[i], String.valueOf(receive(4 + i).get("payload")));
            }
        }
    }

    @Test
    void aPayloadOfTheLargestSizeArrivesWhole() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitListeners(2);
            String payload = "x".repeat(7_999);
            send("channel_1", payload);
            assertEquals(payload, receive(0).get("payload"));
        }
    }

    @Tag("scaled")
    @Test
    @Tag("long")
    void theListenerComesBackEveryTimeAndHearsEverythingOnce() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            int kills = Integer.getInteger("rowbell.kills", 5);
            for (int i = 0; i < kills; i++) {
                awaitListeners(2);
                send("channel_1", "{\"id\": \"n" + i + "\", \"rule\": \"r\"}");
                assertEquals("n" + i, receive(i).get("id"));
                List<String> before = database.query("select pid from " + LISTENERS);
                database.execute("select pg_terminate_backend(pid) from " + LISTENERS);
                await().until(() ->
                        database.query("select pid from " + LISTENERS).stream().noneMatch(before::contains));
            }
            awaitListeners(2);
            send("channel_1", "{\"id\": \"last\", \"rule\": \"r\"}");
            assertEquals("last", receive(kills).get("id"));
            assertEquals(kills + 1, AlertFiles.read(alerts).size());
            assertEquals(2, database.count(LISTENERS));
            assertEquals(0, database.count(LISTENERS + " and state <> 'idle'"));
        }
        await().until(() -> database.count(LISTENERS) == 0);
    }

    @Test
    void durableAlertsWrittenInAGapAreTakenAsSoonAsTheListenerIsBack() {
        settings.put("rowbell.feedback.poll", "1h");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitListeners(2);
            database.execute(
                    "select pg_terminate_backend(pid) from " + LISTENERS,
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"in the gap\", \"rule\": \"r\"}')");
            await().until(() -> AlertFiles.values(alerts, "id").equals(List.of("in the gap")));
        }
    }

    @Test
    @Tag("long")
    void ofTwoProcessesOneListensAndTheOtherTakesOver() {
        try (RunningRowbell one = RunningRowbell.start(settings)) {
            awaitListeners(2);
            try (RunningRowbell two = RunningRowbell.start(settings)) {
                // two doorbells, one listener to the channel, one in waiting
                await().until(() -> database.count(LISTENERS) == 4);
                awaitListeners(3);
                for (int i = 0; i < 20; i++) {
                    send("channel_1", "{\"id\": \"n" + i + "\", \"rule\": \"r\"}");
                }
                await().until(() -> AlertFiles.read(alerts).size() >= 20);
                await().until(() -> database.isDelivered());
                assertEquals(20, AlertFiles.read(alerts).size());
                one.close();
                awaitListeners(2);
                send("channel_1", "{\"id\": \"after\", \"rule\": \"r\"}");
                await().until(() -> AlertFiles.values(alerts, "id").contains("after"));
                assertEquals(21, AlertFiles.read(alerts).size());
            }
        }
    }

    @Test
    void aServerThatIsDownAtTheStartIsWaitedFor() throws Exception {
        try (TcpProxy network = new TcpProxy(database.port())) {
            settings.put(
                    "rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
            network.refuse(true);
            CompletableFuture<RunningRowbell> starting =
                    CompletableFuture.supplyAsync(() -> RunningRowbell.start(settings));
            await().until(() -> network.refused() >= 2);
            assertFalse(starting.isDone());
            network.refuse(false);
            try (RunningRowbell rowbell = starting.get(2, TimeUnit.MINUTES)) {
                awaitListeners(2);
                send("channel_1", "{\"id\": \"a\", \"rule\": \"r\"}");
                assertEquals("a", receive(0).get("id"));
            }
        }
    }

    @Test
    @Tag("long")
    void aStopWhileTheServerIsAwayLeavesNoThreadAndNoConnection() throws IOException {
        try (TcpProxy network = new TcpProxy(database.port())) {
            settings.put(
                    "rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
            long before = Threads.named("listen:");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                awaitListeners(2);
                network.refuse(true);
                // so that the waits between two tries are long ones
                await().until(() -> network.refused() > 8);
            }
            await().until(() -> Threads.named("listen:") == before && Threads.named("rowbell housekeeping") == 0);
            await().until(() -> database.count(LISTENERS) == 0);
        }
    }

    @Test
    @Tag("long")
    void ofSeveralHostsTheOneThatAnswersIsTaken() throws IOException {
        try (TcpProxy first = new TcpProxy(database.port());
                TcpProxy second = new TcpProxy(database.port())) {
            settings.put(
                    "rowbell.jdbc.url",
                    "jdbc:postgresql://localhost:%d,localhost:%d/%s?targetServerType=primary"
                            .formatted(first.port(), second.port(), database.name()));
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                awaitListeners(2);
                for (int i = 0; i < 3; i++) {
                    TcpProxy down = i % 2 == 0 ? first : second;
                    (i % 2 == 0 ? second : first).refuse(false);
                    down.refuse(true);
                    String id = "after failover " + i;
                    database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"%s\", \"rule\": \"r\"}')"
                            .formatted(id));
                    await().until(() -> AlertFiles.values(alerts, "id").contains(id));
                    awaitListeners(2);
                    send("channel_1", "{\"id\": \"notified %s\", \"rule\": \"r\"}".formatted(id));
                    await().until(() -> AlertFiles.values(alerts, "id").contains("notified " + id));
                }
                assertEquals(6, AlertFiles.read(alerts).size());
                assertEquals(2, database.count(LISTENERS));
            }
        }
    }

    @Test
    @Tag("long")
    void aServerThatForgotWhoListensIsReminded() throws Exception {
        List<Connection> opened = new CopyOnWriteArrayList<>();
        List<String> heard = new CopyOnWriteArrayList<>();
        try (CamelContext camel = new DefaultCamelContext()) {
            camel.getPropertiesComponent().addOverrideProperty("rowbell.listen.heartbeat", "300ms");
            camel.getRegistry().bind("mine", DataSource.class, new AbstractDataSource() {
                @Override
                public Connection getConnection() throws SQLException {
                    Connection connection = database.connect();
                    opened.add(connection);
                    return connection;
                }

                @Override
                public Connection getConnection(String user, String password) throws SQLException {
                    return getConnection();
                }
            });
            camel.addRoutes(new RouteBuilder() {
                @Override
                public void configure() {
                    from("pgevent:///test/remembered?datasource=#mine")
                            .process(exchange -> heard.add(exchange.getIn().getBody(String.class)));
                }
            });
            camel.start();
            database.awaitListener("remembered");
            send("remembered", "one");
            await().until(() -> heard.equals(List.of("one")));
            for (int i = 0; i < 3; i++) {
                // what discard all does, or a pooler that gives the session to somebody else
                try (Statement statement = opened.get(0).createStatement()) {
                    statement.execute("unlisten *");
                }
                String again = "again " + i;
                await().until(() -> {
                    send("remembered", again);
                    return heard.contains(again);
                });
            }
            assertEquals(1, opened.size());
        }
    }

    private void storeNotifications(String prefix, int count) {
        database.execute("insert into rowbell.notification (id, channel, payload, arrived)"
                + " select '%1$s ' || i, 'channel_1', format('{\"id\": \"%1$s %%s\", \"rule\": \"r\"}', i), now()"
                        .formatted(prefix)
                + " from generate_series(1, " + count + ") i");
    }

    @Test
    void allStoredNotificationsAreRoutedAtTheStart() {
        storeNotifications("stored", 2_100);
        settings.put("rowbell.listen.heartbeat", "1h");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> AlertFiles.read(alerts).size() >= 2_100);
            assertEquals(2_100, AlertFiles.read(alerts).size());
        }
    }

    @Test
    @Tag("long")
    void storedNotificationsAreRoutedWhileTheChannelIsBusy() {
        settings.put("rowbell.listen.heartbeat", "2s");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitListeners(2);
            storeNotifications("stored", 1);
            await().pollInterval(Duration.ofMillis(50)).until(() -> {
                send("channel_1", "{\"rule\": \"r\"}");
                return AlertFiles.values(alerts, "id").contains("stored 1");
            });
        }
    }

    @Test
    void noChannelsMeansNoListenerForThem() {
        settings.put("rowbell.channels", "");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitListeners(1);
            assertTrue(rowbell.context().getRoutes().stream()
                    .noneMatch(route -> route.getRouteId().equals("notifications")));
        }
    }

    @Test
    @Tag("long")
    void aConnectionThatWentSilentIsNoticedAndReplaced() throws IOException {
        try (TcpProxy network = new TcpProxy(database.port())) {
            settings.put(
                    "rowbell.jdbc.url",
                    "jdbc:postgresql://localhost:%d/%s?socketTimeout=2".formatted(network.port(), database.name()));
            settings.put("rowbell.listen.heartbeat", "500ms");
            settings.put("rowbell.feedback.poll", "1h");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                awaitListeners(2);
                send("channel_1", "{\"id\": \"before\", \"rule\": \"r\"}");
                assertEquals("before", receive(0).get("id"));
                List<String> silent = database.query("select pid from " + LISTENERS);

                network.cutSilently();
                await().until(() -> database.count(LISTENERS + " and query ilike 'listen%' and pid not in ("
                                + String.join(",", silent) + ")")
                        >= 1);
                database.execute(
                        "insert into rowbell.feedback (alert) values ('{\"id\": \"durable\", \"rule\": \"r\"}')");
                await().until(() -> AlertFiles.values(alerts, "id").contains("durable"));
                // the lock that only one may hold goes with the silent session, which the server ends in its own time:
                // here at once
                database.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid in ("
                        + String.join(",", silent) + ")");
                await().until(() -> database.count(LISTENERS + " and query ilike 'listen \"channel_1%' and pid not in ("
                                + String.join(",", silent) + ")")
                        == 1);
                send("channel_1", "{\"id\": \"after\", \"rule\": \"r\"}");
                await().until(() -> AlertFiles.values(alerts, "id").contains("after"));
                assertEquals(3, AlertFiles.read(alerts).size());
            }
        }
    }
}
