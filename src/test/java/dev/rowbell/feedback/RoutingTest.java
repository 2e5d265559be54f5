package dev.rowbell.feedback;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.Threads;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What people write into routes/alerts.camel.yaml. */
class RoutingTest {

    @TempDir
    Path routes;

    @TempDir
    Path alerts;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();

    @BeforeEach
    void webAndFile() throws IOException {
        settings.put("rowbell.file.dir", alerts.toString());
        settings.put("rowbell.http.url", web.url());
        settings.put("rowbell.console", "OFF");
        for (String file : List.of("sources", "alerts", "file", "http", "mail")) {
            Files.copy(Path.of("routes", file + ".camel.yaml"), routes.resolve(file + ".camel.yaml"));
        }
    }

    @AfterEach
    void close() {
        web.close();
    }

    private RunningRowbell start() {
        return RunningRowbell.start(settings, "file:" + routes + "/*.camel.yaml");
    }

    private void raise(String... documents) {
        for (String document : documents) {
            database.execute("insert into rowbell.feedback (alert) values ('" + document + "')");
        }
    }

    private List<Object> posted() {
        return web.requests().stream()
                .map(request -> AlertJson.parse(request.body()).get("id"))
                .toList();
    }

    private List<Object> filed() {
        return AlertFiles.values(alerts, "id");
    }

    private void route(String steps) throws IOException {
        RunningRowbell.writeAlertsRoute(routes, steps);
    }

    /** As the triggers write it, which is not taken apart. */
    private static String compiled(String id, int before, int after) {
        return """
                {"id":"%s","rule":"r","severity":"warning","status":"firing","table":"t","operation":"UPDATE","time":"2026-11-26T08:00:00.123456Z",\
                "old":{"a":%d},"new":{"a":%d}}""".formatted(id, before, after);
    }

    @Test
    void theShippedRoutingSendsInfoToTheFileAloneAndUnchangedRowsNowhere() {
        try (RunningRowbell rowbell = start()) {
            raise(
                    "{\"id\": \"info\", \"rule\": \"r\", \"severity\": \"info\"}",
                    "{\"id\": \"same\", \"rule\": \"r\", \"operation\": \"UPDATE\", \"old\": {\"a\": 1}, \"new\": {\"a\": 1.0}}",
                    "{\"id\": \"other\", \"rule\": \"r\", \"operation\": \"UPDATE\", \"old\": {\"a\": 1}, \"new\": {\"a\": 2}}",
                    "{\"id\": \"bare\", \"rule\": \"r\"}",
                    "{\"id\": \"cut\", \"rule\": \"r\", \"operation\": \"UPDATE\", \"truncated\": true}",
                    compiled("written", 1, 1),
                    compiled("changed", 1, 2));
            await().until(() -> filed().equals(List.of("info", "other", "bare", "cut", "changed"))
                    && posted().equals(List.of("other", "bare", "cut", "changed")));
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    void oldNewAndChangedAreInReachOfSimple() throws IOException {
        route("""
                - filter:
                    expression:
                      simple:
                        expression: "${body[changed]} contains 'c2' && ${body[old][c2]} < 9999 && ${body[new][c2]} > 9999"
                    steps:
                      - to:
                          uri: outbox:file
                """);
        try (RunningRowbell rowbell = start()) {
            raise(
                    "{\"id\": \"no\", \"rule\": \"r\", \"old\": {\"c1\": 1, \"c2\": 20000}, \"new\": {\"c1\": 2, \"c2\": 20000}}",
                    "{\"id\": \"yes\", \"rule\": \"r\", \"old\": {\"c1\": 1, \"c2\": 8000}, \"new\": {\"c1\": 1, \"c2\": 30001}}",
                    "{\"id\": \"insert\", \"rule\": \"r\", \"new\": {\"c1\": 1, \"c2\": 5}}");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(List.of("yes"), filed());
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    void oldNewAndChangedAreInReachOfJq() throws IOException {
        route("""
                - filter:
                    expression:
                      jq:
                        expression: '(.changed | index("c2") != null) and .new.c2 > 9999'
                    steps:
                      - to:
                          uri: outbox:file
                """);
        try (RunningRowbell rowbell = start()) {
            raise(
                    "{\"id\": \"no\", \"rule\": \"r\", \"old\": {\"c2\": 1}, \"new\": {\"c2\": 2}}",
                    "{\"id\": \"yes\", \"rule\": \"r\", \"old\": {\"c2\": 8000}, \"new\": {\"c2\": 30001}}");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(List.of("yes"), filed());
            assertEquals(List.of(), database.query("select last_error from rowbell.dead_letter"));
        }
    }

    @Test
    void whatARouteMakesOfTheBodyIsWhatIsDelivered() throws IOException {
        route("""
                - setBody:
                    expression:
                      simple:
                        expression: "only ${body[rule]} matters"
                - to:
                    uri: outbox:http
                """);
        try (RunningRowbell rowbell = start()) {
            raise("{\"id\": \"kept\", \"rule\": \"r\"}");
            await().until(() -> posted().equals(List.of("kept")));
            assertEquals(
                    "only r matters",
                    AlertJson.parse(web.requests().get(0).body()).get("payload"));
        }
    }

    @Test
    @Tag("long")
    void anEditedRouteTakesEffectWithoutARestartAndAMistakeChangesNothing() throws IOException {
        settings.put("camel.main.routesReloadEnabled", "true");
        settings.put("camel.main.routesReloadDirectory", routes.toString());
        try (RunningRowbell rowbell = start()) {
            raise("{\"id\": \"1\", \"rule\": \"r\"}");
            await().until(() -> posted().equals(List.of("1")) && filed().equals(List.of("1")));

            route("""
                    - to:
                        uri: outbox:file
                    """);
            raiseUntil(rowbell, () -> filed().size() > posted().size() + 1);

            int posts = posted().size();
            Files.writeString(routes.resolve("alerts.camel.yaml"), "- route:\n    id: alerts\n    form: [a mistake");
            // longer than the two seconds after which the file is looked at again
            int before = filed().size();
            await().during(Duration.ofSeconds(4))
                    .pollInterval(Duration.ofMillis(300))
                    .until(() -> {
                        raise("{\"rule\": \"r\"}");
                        return database.count("rowbell.feedback") <= 1;
                    });
            await().until(() -> filed().size() > before + 10);
            assertEquals(posts, posted().size());
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    @Tag("long")
    void whileTheRouteHasAMistakeAlertsWaitAndNoneBecomesADeadLetter() throws IOException {
        settings.put("camel.main.routesReloadEnabled", "true");
        settings.put("camel.main.routesReloadDirectory", routes.toString());
        try (RunningRowbell rowbell = start()) {
            route("""
                    - to:
                        uri: outbx:mail
                    """);
            raiseUntil(rowbell, () -> database.count("rowbell.feedback") > 5);
            assertEquals(0, database.count("rowbell.dead_letter"));
            database.execute("select pg_notify('channel_1', '{\"id\": \"notified\", \"rule\": \"r\"}')");

            route("""
                    - to:
                        uri: outbox:http
                    """);
            await().until(() -> database.count("rowbell.feedback") == 0 && posted().contains("notified"));
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    void editedSourcesAndSinksTakeEffectAndLoseNothing() throws IOException {
        settings.put("camel.main.routesReloadEnabled", "true");
        settings.put("camel.main.routesReloadDirectory", routes.toString());
        try (RunningRowbell rowbell = start()) {
            Path sources = routes.resolve("sources.camel.yaml");
            Files.writeString(
                    sources,
                    Files.readString(sources)
                            .replace(
                                    "delay: \"{{rowbell.feedback.poll}}\"\n      steps:\n",
                                    "delay: \"{{rowbell.feedback.poll}}\"\n      steps:\n        - setBody:\n            expression:\n"
                                            + "              simple:\n                expression: \"${body}\"\n"));
            Path http = routes.resolve("http.camel.yaml");
            Files.writeString(
                    http,
                    Files.readString(http)
                            .replace(
                                    "        - setHeader:\n            name: CamelHttpUri",
                                    "        - setHeader:\n            name: Content-Type\n            expression:\n              constant:\n"
                                            + "                expression: application/x-edited\n        - setHeader:\n            name: CamelHttpUri"));
            raiseUntil(
                    rowbell,
                    () -> web.requests().stream()
                            .anyMatch(r ->
                                    "application/x-edited".equals(r.headers().getFirst("Content-Type"))));
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(
                    filed().stream().sorted().toList(),
                    posted().stream().sorted().toList());
            // the three that poll, and none of the routes before
            await().until(() -> Threads.named(" feedback") == 3);
        }
    }

    /** The file watcher takes its time, so alerts are raised until they show what is awaited. */
    private void raiseUntil(RunningRowbell rowbell, java.util.concurrent.Callable<Boolean> condition) {
        await().pollInterval(Duration.ofMillis(300)).until(() -> {
            raise("{\"rule\": \"r\"}");
            return condition.call();
        });
        assertTrue(rowbell.context().isStarted());
    }

    private static String sinkOf(String name, String rules) {
        return """
                - route:
                    id: %1$s
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: outbox:%1$s
                      parameters:
                        rules: "%2$s"
                      steps:
                        - bean:
                            ref: rowbellFile
                            method: append
                """.formatted(name, rules);
    }

    @Test
    void aSinkThatAsksForRulesGetsTheirAlertsOnceWithoutAStepInTheRouteAlerts() throws IOException {
        Files.writeString(routes.resolve("stuck.camel.yaml"), sinkOf("stuck", "order-stuck, late-*"));
        RunningRowbell.writeAlertsRoute(routes, """
                - filter:
                    expression:
                      simple:
                        expression: "${body[rule]} == 'late-also-routed'"
                    steps:
                      - to:
                          uri: outbox:stuck
                """);
        try (RunningRowbell rowbell = start()) {
            raise(
                    "{\"id\": \"1\", \"rule\": \"order-stuck\"}",
                    "{\"id\": \"2\", \"rule\": \"order-stuck-2\"}",
                    "{\"id\": \"3\", \"rule\": \"late-by-a-day\"}",
                    "{\"id\": \"4\", \"rule\": \"late-also-routed\"}",
                    "{\"id\": \"5\"}",
                    "{\"id\": \"6\", \"rule\": \"late-at-last\"}");
            await().until(() -> filed().contains("6") && database.isDelivered());
            assertEquals(List.of("1", "3", "4", "6"), filed().stream().sorted().toList());
        }
    }

    @Test
    void aSinkThatAsksForRulesAndIsOffGetsNothing() throws IOException {
        Files.writeString(
                routes.resolve("stuck.camel.yaml"),
                sinkOf("stuck", "*").replace("    id: stuck", "    id: stuck\n    autoStartup: false"));
        try (RunningRowbell rowbell = start()) {
            raise("{\"id\": \"1\", \"rule\": \"order-stuck\"}");
            await().until(() -> posted().contains("1") && database.isDelivered());
        }
    }
}
