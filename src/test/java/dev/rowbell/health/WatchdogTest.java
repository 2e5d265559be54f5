package dev.rowbell.health;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Exhausted;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.apache.camel.main.Main;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

/** No loop ends unnoticed. The end of the process where there is one is in MainIT. */
class WatchdogTest {

    /** Within which the issue asks for it. */
    private static final Duration NOTICED = Duration.ofSeconds(10);

    @TempDir
    Path alerts;

    @TempDir
    Path routes;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    /** What the checks say that are down, by their names. */
    private static Map<String, String> down(Collection<HealthCheck.Result> results) {
        return results.stream()
                .filter(result -> result.getState() == HealthCheck.State.DOWN)
                .collect(Collectors.toMap(
                        result -> result.getCheck().getId(),
                        result -> result.getMessage().orElse("")));
    }

    @Test
    @Tag("long")
    void aLoopThatEndsTurnsReadinessAndLivenessDownAndLeavesTheApplicationAlone() {
        PGSimpleDataSource server = new PGSimpleDataSource();
        server.setUrl(database.url());
        server.setUser(settings.get("rowbell.jdbc.user"));
        server.setPassword(settings.get("rowbell.jdbc.password"));
        Exhausted exhausted = new Exhausted(server);
        Main application = new Main();
        application.bind("rowbell", exhausted);
        Properties properties = new Properties();
        properties.putAll(settings);
        properties.put("rowbell.file.dir", alerts.toString());
        application.setOverrideProperties(properties);
        application.configure().withRoutesIncludePattern("file:routes/*.camel.yaml");
        application.start();
        try {
            CamelContext context = application.getCamelContext();
            database.awaitListener("channel_1");
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"a\", \"rule\": \"r\"}')");
            await().until(() -> AlertFiles.values(alerts, "id").contains("a"));
            assertTrue(down(HealthCheckHelper.invokeReadiness(context)).isEmpty());
            exhausted.exhaust();
            database.execute("select pg_notify('channel_1', '{\"id\": \"b\", \"rule\": \"r\"}')");
            for (String loop : List.of(
                    "the poll of the feedback table",
                    "the listener of channel_1",
                    "a worker of sink file",
                    "housekeeping: count and expire silences and cooldowns")) {
                await(loop)
                        .atMost(NOTICED.plusSeconds(10))
                        .until(() -> down(HealthCheckHelper.invokeReadiness(context))
                                .getOrDefault("rowbell-loops", "")
                                .contains(loop + " has ended by dev.rowbell.testing.Exhausted$Unloggable"));
            }
            assertTrue(down(HealthCheckHelper.invokeLiveness(context)).containsKey("rowbell-loops"));
            assertTrue(context.isStarted());
        } finally {
            // the stop of the application uses it too
            exhausted.recover();
            application.stop();
        }
    }

    @Test
    void aRouteThatLeavesAnInterruptBehindEndsNoLoop() throws Exception {
        settings.put("rowbell.file.dir", alerts.toString());
        settings.put("rowbell.console", "OFF");
        for (String file : List.of("sources", "file")) {
            Files.copy(Path.of("routes", file + ".camel.yaml"), routes.resolve(file + ".camel.yaml"));
        }
        String interrupting = """
                - bean:
                    beanType: dev.rowbell.testing.Exhausted
                    method: interrupt
                """;
        RunningRowbell.writeAlertsRoute(routes, interrupting + "- to: outbox:file\n- to: outbox:own\n");
        Files.writeString(routes.resolve("own.camel.yaml"), """
                - route:
                    id: own
                    from:
                      uri: outbox:own
                      steps:
                """ + (interrupting + "- to: mock:own\n").indent(8));
        try (RunningRowbell rowbell = RunningRowbell.start(settings, "file:" + routes + "/*.camel.yaml")) {
            for (int alert = 1; alert <= 3; alert++) {
                int number = alert;
                database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"%d\", \"rule\": \"r\"}')"
                        .formatted(number));
                await().until(() -> AlertFiles.values(alerts, "id").contains(String.valueOf(number)));
                await().until(() ->
                        database.query("select count(*) from rowbell.delivery").equals(List.of("0")));
            }
            assertEquals(Map.of(), down(HealthCheckHelper.invokeReadiness(rowbell.context())));
        }
    }
}
