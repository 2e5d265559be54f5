package dev.rowbell.health;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TcpProxy;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code /observe} says, to who looks by HTTP. */
class HealthTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();
    private final HttpClient client = HttpClient.newHttpClient();
    private int port;

    @BeforeEach
    void observed() throws IOException {
        port = FreePort.find();
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.health.port", String.valueOf(port));
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.http.url", web.url() + "/hook/s3cret");
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.backoff", "50ms");
        settings.put("rowbell.outbox.max-backoff", "100ms");
        settings.put("rowbell.outbox.max-attempts", "1000");
        settings.put("rowbell.outbox.poll", "50ms");
    }

    @AfterEach
    void close() {
        web.close();
    }

    /** Status and body. */
    private String get(String path) {
        return get("127.0.0.1", path);
    }

    private String get(String host, String path) {
        try {
            HttpResponse<String> response = client.send(
                    HttpRequest.newBuilder(URI.create("http://" + host + ":" + port + "/observe/" + path))
                            .timeout(Duration.ofSeconds(60))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            return response.statusCode() + " " + response.body();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private void awaitReady() {
        awaitReady("127.0.0.1");
    }

    private void awaitReady(String host) {
        await().until(() -> get(host, "health/ready").startsWith("200 "));
    }

    /** What is wrong, in words that match. */
    private void awaitDown(String words) {
        await(words)
                .until(
                        () -> get("health/ready"),
                        answer -> answer.startsWith("503 ")
                                && Pattern.compile(words).matcher(answer).find());
        assertTrue(get("health/live").startsWith("200 "), "a restart would not help");
    }

    private void raise(int alerts) {
        database.execute("""
                insert into rowbell.feedback (alert)
                select json_build_object('id', gen_random_uuid(), 'rule', 'r', 'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                from generate_series(1, %d)
                """.formatted(alerts));
    }

    /** As when the jar was replaced under the process, or a right was taken away: each try fails, and the threads run on. */
    @Test
    @Tag("long")
    void aLoopThatFailsEachTimeIsSaid() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady();
            database.execute("alter table rowbell.feedback rename crt_time to crt");
            awaitDown("the poll of the feedback table fails since 20.*column .*crt_time.* does not exist");
            database.execute("alter table rowbell.feedback rename crt to crt_time");
            awaitReady();
            database.execute("alter table rowbell.delivery rename due to due_at");
            awaitDown("queue of sink http fails since 20.*column .*due.* does not exist");
            database.execute("alter table rowbell.delivery rename due_at to due");
            awaitReady();
        }
    }

    @Test
    @Tag("long")
    void aDisabledTriggerAndASuperuserAreSaidInTheLogAndInHealth() {
        database.execute(
                "create table feed (id int, a int)",
                "insert into rowbell.rule (name, feed, condition) values ('r', 'public.feed', 'NEW.a > 5')",
                "alter table feed disable trigger rowbell_1_insert");
        try (LogLines log = new LogLines("dev.rowbell.rules.Rules")) {
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                awaitDown("feed public.feed: the trigger rowbell_1_insert of public.feed is disabled");
                assertTrue(log.lines().stream()
                        .anyMatch(line -> line.contains("rowbell_1_insert of public.feed is disabled")));
                assertTrue(log.lines().stream().anyMatch(line -> line.contains(" is a superuser")));
            }
            database.execute("alter table feed enable trigger rowbell_1_insert");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                awaitReady();
                await().until(() -> get("health/ready").contains(" is a superuser"));
            }
        }
    }

    @Test
    void theHostIsTheOneThatIsSet() {
        settings.put("rowbell.health.host", "127.0.0.2");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady("127.0.0.2");
            assertThrows(IllegalStateException.class, () -> get("127.0.0.1", "health/live"));
        }
    }

    @Test
    void aSinkThatIsAwayIsSaidAndSaidToBeBack() {
        web.answer(request -> 503);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady();
            raise(10);
            awaitDown("sink http fails, and its queue waits: HttpOperationFailedException: .*statusCode: 503");
            web.answer(request -> 200);
            awaitReady();
        }
    }

    @Test
    void aSinkForWhichNothingWaitsIsNoReasonNotToBeReady() {
        web.answer(request -> 503);
        settings.put("rowbell.outbox.backoff", "50ms");
        settings.put("rowbell.outbox.max-backoff", "1h");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady();
            raise(10);
            awaitDown("sink http fails");
            // as an operator or another process does
            await().until(() -> {
                database.execute("delete from rowbell.delivery");
                return get("health/ready").startsWith("200 ");
            });
            web.answer(request -> 200);
            int before = web.requests().size();
            raise(1);
            await().until(() -> web.requests().size() > before && database.isDelivered());
            awaitReady();
        }
    }

    @Test
    @Tag("long")
    void whatWaitsForTooLongIsSaid() {
        settings.put("rowbell.health.max-age", "5m");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady();
            database.execute(
                    "insert into rowbell.delivery (sink, documents, filed) values ('nobody', '{a}', now() - interval '301 s')");
            awaitDown("outbox:nobody: the oldest of 1 has been waiting for 3\\d\\d s");
            database.execute("delete from rowbell.delivery");
            awaitReady();
        }
    }

    @Test
    @Tag("long")
    void aDatabaseThatIsAwayAndAListenerThatIsGoneAreSaidAndSaidToBeBack() throws IOException {
        try (TcpProxy network = new TcpProxy(database.port())) {
            settings.put(
                    "rowbell.jdbc.url",
                    "jdbc:postgresql://localhost:%d/%s?socketTimeout=2".formatted(network.port(), database.name()));
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                awaitReady();
                network.refuse(true);
                awaitDown("the database (cannot be asked: |has not answered for )");
                for (int probe = 0; probe < 5; probe++) {
                    long start = System.nanoTime();
                    String answer = get("health/ready");
                    Duration took = Duration.ofNanos(System.nanoTime() - start);
                    assertTrue(took.compareTo(Duration.ofSeconds(2)) < 0, "a probe has given up: " + took);
                    assertFalse(answer.contains("select"), answer);
                }
                awaitDown("the listener of \\S+ has had no connection for 3\\d s");
                assertFalse(get("health/ready").contains(settings.get("rowbell.jdbc.password") + "@"));
                network.refuse(false);
                awaitReady();
                assertTrue(figure("rowbell_listener_gaps_total") >= 2);
                assertTrue(figure("rowbell_listener_gap_seconds_total") >= 60);
            }
        }
    }

    private void awaitFigure(double expected, String series) {
        await(series).until(() -> figure(series), figure -> figure == expected);
    }

    private double figure(String series) {
        Matcher line = Pattern.compile("^" + Pattern.quote(series) + " (\\S+)$", Pattern.MULTILINE)
                .matcher(get("metrics"));
        return line.find() ? Double.parseDouble(line.group(1)) : Double.NaN;
    }

    @Test
    @Tag("long")
    void figuresSayWhatCameWhatWentAndWhatWaits() throws IOException {
        web.answer(request -> web.requests().size() <= 3 ? 500 : 200);
        database.execute(
                "insert into rowbell.silence (rule, until, why) values ('quiet', now() + interval '1 h', 'a test')",
                "insert into rowbell.delivery (sink, documents, due) values ('nobody', '{a,b,c,d,e}', now() + interval '1 h'), ('nobody', '{f,g}', now() + interval '1 h')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady();
            database.awaitListener("channel_1");
            raise(20);
            database.execute(
                    "select pg_notify('channel_1', '{\"id\": \"n\", \"rule\": \"n\", \"status\": \"resolved\"}')",
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"q\", \"rule\": \"quiet\"}')");
            awaitFigure(21, "rowbell_deliveries_total{outcome=\"delivered\",sink=\"http\"}");
            // of the last, which is silenced, no sink says that it has come
            awaitFigure(1, "rowbell_silenced_total{rule=\"quiet\"}");
            awaitFigure(21, "rowbell_routing_seconds_count{path=\"durable\"}");
            awaitFigure(20, "rowbell_alerts_total{path=\"durable\",rule=\"r\",status=\"firing\"}");
            awaitFigure(1, "rowbell_alerts_total{path=\"notify\",rule=\"n\",status=\"resolved\"}");
            assertEquals(3, figure("rowbell_deliveries_total{outcome=\"failed\",sink=\"http\"}"));
            assertEquals(21, figure("rowbell_delivery_seconds_count{sink=\"http\"}"));
            assertEquals(21, figure("rowbell_delivery_seconds_bucket{sink=\"http\",le=\"60.0\"}"));
            // what is looked at every few seconds
            awaitFigure(7, "rowbell_queue_rows{queue=\"outbox:nobody\"}");
            awaitFigure(0, "rowbell_queue_rows{queue=\"feedback\"}");
            awaitFigure(0, "rowbell_circuit_open{sink=\"http\"}");
            awaitFigure(1, "rowbell_listening{channels=\"channel_1\"}");
            awaitFigure(1, "rowbell_database_up");
            assertTrue(figure("rowbell_queue_oldest_seconds{queue=\"outbox:nobody\"}") >= 0);
            // of the server, which other tests use too
            double usage = figure("rowbell_notification_queue_usage");
            assertTrue(usage >= 0 && usage < 0.5, "rowbell_notification_queue_usage is " + usage);
            assertFalse(get("metrics").contains("s3cret") || get("health").contains("s3cret"));
            everySeriesIsDocumentedAndDrawn(get("metrics"));
        }
    }

    private static void everySeriesIsDocumentedAndDrawn(String metrics) throws IOException {
        String documented = Files.readString(Path.of("docs/metrics.md"));
        String drawn = Files.readString(Path.of("docs/grafana.json"));
        TreeSet<String> names = new TreeSet<>();
        Matcher type =
                Pattern.compile("^# TYPE (rowbell_\\w+) ", Pattern.MULTILINE).matcher(metrics);
        while (type.find()) {
            names.add(type.group(1));
        }
        assertTrue(names.size() > 10, names.toString());
        names.forEach(name -> assertTrue(documented.contains("`" + name), name + " is not in docs/metrics.md"));
        Matcher drawnName = Pattern.compile("rowbell_\\w+").matcher(drawn);
        while (drawnName.find()) {
            String name = drawnName.group().replaceFirst("_(bucket|count|sum)$", "");
            assertTrue(
                    documented.contains("`" + name),
                    "the dashboard draws " + name + ", which is not in docs/metrics.md");
        }
    }

    private HttpResponse<String> accepting(String types, String path) throws Exception {
        return client.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/observe/" + path))
                        .header("Accept", types)
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    @Test
    void theMetricsAreInTheFormatThatIsAskedFor() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            awaitReady();
            HttpResponse<String> open = accepting("application/openmetrics-text; version=1.0.0", "metrics");
            assertEquals(200, open.statusCode());
            assertTrue(open.headers().firstValue("content-type").orElse("").startsWith("application/openmetrics-text"));
            assertTrue(open.body().endsWith("# EOF\n"));
            HttpResponse<String> plain = accepting("text/plain", "metrics");
            assertTrue(plain.headers().firstValue("content-type").orElse("").startsWith("text/plain"));
            assertEquals(200, accepting("text/html", "health").statusCode());
        }
    }

    @Test
    @Tag("long")
    void theMetricsPassTheChecksOfPrometheus() throws Exception {
        boolean required = "required".equals(System.getenv("ROWBELL_TEST_PROMTOOL"));
        Assumptions.assumeTrue(required || Files.isExecutable(Path.of("/usr/bin/promtool")), "no promtool");
        // the program: in an application that has the jar, the metrics of the JVM are the application's
        List<String> command = List.of("-cp", System.getProperty("java.class.path"), "dev.rowbell.Main");
        try (Program rowbell = Program.java(dir, settings, command.toArray(String[]::new))) {
            await().failFast(() -> assertTrue(rowbell.isAlive(), rowbell.output()))
                    .until(() -> rowbell.output().contains("Rowbell is watching"));
            raise(3);
            database.execute(
                    "insert into rowbell.silence (rule, until, why) values ('r', now() + interval '1 h', 'a test')");
            await().until(database::isDelivered);
            await().until(() -> {
                raise(1);
                String metrics = get("metrics");
                return metrics.contains("rowbell_database_up") && metrics.contains("rowbell_silenced_total");
            });
            Path metrics = Files.writeString(
                    dir.resolve("metrics.txt"),
                    accepting("text/plain", "metrics").body());
            Process check = new ProcessBuilder("promtool", "check", "metrics")
                    .redirectInput(metrics.toFile())
                    .redirectErrorStream(true)
                    .start();
            String said = new String(check.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(0, check.waitFor(), said);
            assertEquals("", said);
        }
    }

    /** The words of a reason are as they were, also where they have a quote, a slash or a backslash. */
    @Test
    void theAnswerIsJsonThatIsEscapedOnce() throws Exception {
        settings.put("rowbell.outbox.circuit", "1");
        Path routes = Files.createDirectory(dir.resolve("routes"));
        Files.copy(Path.of("routes/sources.camel.yaml"), routes.resolve("sources.camel.yaml"));
        RunningRowbell.writeAlertsRoute(routes, "- to: outbox:bad\n");
        Files.writeString(routes.resolve("bad.camel.yaml"), """
                - route:
                    id: bad
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: outbox:bad
                      steps:
                        - throwException:
                            exceptionType: java.io.IOException
                            message: 'no "file" in a/b\\c'
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(settings, "file:" + routes + "/*.camel.yaml")) {
            raise(1);
            awaitDown("sink bad fails");
            JsonNode health = new ObjectMapper().readTree(get("health/ready").substring(4));
            assertEquals("DOWN", health.get("status").textValue());
            JsonNode sinks = StreamSupport.stream(health.get("checks").spliterator(), false)
                    .filter(check -> check.get("name").textValue().equals("rowbell-sinks"))
                    .findFirst()
                    .orElseThrow();
            assertEquals("DOWN", sinks.get("status").textValue());
            assertEquals(
                    "sink bad fails, and its queue waits: IOException: no \"file\" in a/b\\c",
                    sinks.get("message").textValue());
            assertFalse(get("health/ready").contains("\\/"), get("health/ready"));
        }
    }
}
