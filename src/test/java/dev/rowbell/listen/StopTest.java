package dev.rowbell.listen;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A stop that comes in the middle of routing, and runs out of time. */
@Tag("long")
class StopTest {

    private static final int ALERTS = 20;

    @TempDir
    Path routes;

    @TempDir
    Path alerts;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void slowRouting() throws IOException {
        settings.put("rowbell.file.dir", alerts.toString());
        settings.put("rowbell.console", "OFF");
        settings.put("camel.main.shutdownTimeout", "1");
        for (String file : List.of("sources", "alerts", "file")) {
            Files.copy(Path.of("routes", file + ".camel.yaml"), routes.resolve(file + ".camel.yaml"));
        }
        RunningRowbell.writeAlertsRoute(routes, """
                - delay:
                    asyncDelayed: false
                    expression:
                      constant:
                        expression: "500"
                - to:
                    uri: outbox:file
                """);
    }

    private RunningRowbell start(Path from) {
        return RunningRowbell.start(settings, "file:" + from + "/*.camel.yaml");
    }

    private void stopWhileItRoutes(String... writes) {
        try (RunningRowbell rowbell = start(routes)) {
            database.awaitListener("channel_1");
            database.execute(writes);
            await().until(() -> rowbell.context().getInflightRepository().size("alerts") > 0);
        }
    }

    private void allArriveOnceAfterTheNextStart(String rule) {
        assertEquals(List.of(), database.query("select last_error from rowbell.dead_letter"));
        assertTrue(AlertFiles.read(alerts).size() < ALERTS, "stopped too late to prove anything");
        try (RunningRowbell rowbell = start(Path.of("routes"))) {
            await().until(() -> AlertFiles.values(alerts, "id").size() >= ALERTS && database.isDelivered());
            List<Object> ids = AlertFiles.values(alerts, "id");
            assertEquals(ALERTS, ids.size());
            assertEquals(ALERTS, new HashSet<>(ids).size());
            assertEquals(List.of(), database.query("select last_error from rowbell.dead_letter"));
            assertTrue(AlertFiles.values(alerts, "rule").stream().allMatch(rule::equals));
            assertEquals(0, database.count("rowbell.notification"));
        }
    }

    @Test
    void aNotificationThatWasReceivedIsRoutedAfterTheNextStartAndStaysANotification() {
        database.execute(
                "create table public.feed (id int primary key)",
                "insert into rowbell.rule (name, feed, condition, fires, cooldown) values ('quiet', 'public.feed', 'NEW.id > 0', 'every', '1 h')");
        stopWhileItRoutes(
                "select pg_notify('channel_1', format('{\"rule\": \"quiet\", \"new\": {\"id\": %s}}', i)) from generate_series(1, "
                        + ALERTS + ") i");
        assertEquals(ALERTS, database.count("rowbell.notification"));
        allArriveOnceAfterTheNextStart("quiet");
        assertEquals(ALERTS, database.count("rowbell.cooldown where path = 'notify'"));
        assertEquals(ALERTS, database.count("rowbell.cooldown"));
    }

    @Test
    void aDurableAlertThatTheStopRefusesIsNoDeadLetter() {
        stopWhileItRoutes(IntStream.range(0, ALERTS)
                .mapToObj(
                        i -> "insert into rowbell.feedback (alert) values ('{\"rule\": \"r\", \"new\": {\"id\": %d}}')"
                                .formatted(i))
                .toArray(String[]::new));
        allArriveOnceAfterTheNextStart("r");
    }
}
