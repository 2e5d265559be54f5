package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.camel.spi.Resource;
import org.apache.camel.spi.RoutesLoader;
import org.apache.camel.support.PluginHelper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** From routing to each sink, at least once, and each sink for itself. */
class OutboxTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();

    @BeforeEach
    void webAndFile() {
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.http.url", web.url());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.backoff", "50ms");
        settings.put("rowbell.outbox.poll", "50ms");
    }

    @AfterEach
    void close() {
        web.close();
    }

    private void raise(int from, int to) {
        database.execute(
                "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r') from generate_series(%d, %d) i"
                        .formatted(from, to));
    }

    private List<Object> posted() {
        return web.requests().stream()
                .map(request -> AlertJson.parse(request.body()).get("id"))
                .toList();
    }

    private List<Object> filed() {
        return AlertFiles.values(dir.resolve("alerts"), "id");
    }

    @Test
    void whatFailsIsTriedAgainWithTheSameIdUntilItSucceeds() {
        web.answer(request -> web.requests().size() < 4 ? 503 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> posted().size() == 4 && database.isDelivered());
            assertEquals(List.of("a1", "a1", "a1", "a1"), posted());
            assertEquals(List.of("a1"), filed());
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    void afterMaxAttemptsItIsADeadLetterAndAReplayGoesToThatSinkAlone() {
        settings.put("rowbell.outbox.max-attempts", "3");
        web.answer(request -> 500);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> database.count("rowbell.dead_letter") == 1);
            assertEquals(
                    List.of("http/a1/3"),
                    database.query("select sink || '/' || alert_id || '/' || attempts from rowbell.dead_letter"));
            assertTrue(database.query("select last_error from rowbell.dead_letter")
                    .get(0)
                    .contains("statusCode: 500"));
            assertEquals(0, database.count("rowbell.delivery"));

            web.answer(request -> 200);
            database.execute("select rowbell.replay(id) from rowbell.dead_letter");
            await().until(() -> posted().size() == 4 && database.isDelivered());
            assertEquals("a1", posted().get(3));
            assertEquals(List.of("a1"), filed());
        }
    }

    @Test
    @Tag("long")
    void anOutageOfTheReceiverHoweverLongMakesNoDeadLetterOfALoneAlert() {
        settings.put("rowbell.outbox.max-attempts", "6");
        settings.put("rowbell.outbox.max-backoff", "50ms");
        web.answer(request -> web.requests().size() < 30 ? 503 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> posted().size() == 30 && database.isDelivered());
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    /** It cannot be told from an outage until another alert is delivered. */
    @Test
    void anAlertThatAloneDrawsAServerErrorDelaysNoOther() {
        settings.put("rowbell.outbox.circuit", "1");
        settings.put("rowbell.outbox.backoff", "10m");
        settings.put("rowbell.outbox.max-backoff", "10m");
        web.answer(request -> request.body().contains("\"a1\"") ? 500 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> database.count("rowbell.delivery where attempts = 1 and locked_by is null") == 1);
            raise(2, 2);
            await().until(() -> posted().contains("a2"));
            assertEquals(List.of("a1", "a2"), posted());
        }
    }

    @Test
    void anAlertThatDrawsAServerErrorForEverIsADeadLetterWhileOthersAreDelivered() {
        settings.put("rowbell.outbox.circuit", "2");
        settings.put("rowbell.outbox.max-attempts", "5");
        settings.put("rowbell.outbox.max-backoff", "50ms");
        web.answer(request -> request.body().contains("\"a1\"") ? 500 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            AtomicInteger last = new AtomicInteger(1);
            await().until(() -> {
                raise(last.incrementAndGet(), last.get());
                return database.query("select alert_id || '/' || attempts from rowbell.dead_letter")
                        .equals(List.of("a1/5"));
            });
            await().until(database::isDelivered);
            assertEquals(last.get(), posted().stream().distinct().count());
        }
    }

    /** Which alerts the receiver has taken, in requests without this one. */
    private Set<String> takenWithout(String alert) {
        return web.requests().stream()
                .filter(request -> !request.body().contains("\"" + alert + "\""))
                .flatMap(request -> Pattern.compile("\"id\":\"(a\\d+)\"")
                        .matcher(request.body())
                        .results())
                .map(found -> found.group(1))
                .collect(Collectors.toSet());
    }

    /** An answer 500 says the same of a receiver that is ill and of a batch that has one alert it cannot take. */
    @Test
    void anAlertThatDrawsAServerErrorMakesNoDeadLettersOfTheOthersInItsBatch() {
        settings.put("rowbell.http.batch", "10");
        settings.put("rowbell.outbox.max-attempts", "4");
        settings.put("rowbell.outbox.max-backoff", "50ms");
        web.answer(request -> request.body().contains("\"a3\"") ? 500 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 6);
            await().until(() -> database.count("rowbell.dead_letter") > 0 && database.isDelivered());
            assertEquals(
                    List.of("a3/4"),
                    database.query("select alert_id || '/' || attempts from rowbell.dead_letter order by alert_id"));
            assertEquals(Set.of("a1", "a2", "a4", "a5", "a6"), takenWithout("a3"));
        }
    }

    @Test
    void anAlertThatDrawsAServerErrorDelaysNoOtherInItsBatchAlsoWhileTheCircuitIsOpen() {
        settings.put("rowbell.http.batch", "10");
        settings.put("rowbell.outbox.circuit", "1");
        settings.put("rowbell.outbox.max-backoff", "50ms");
        web.answer(request -> request.body().contains("\"a3\"") ? 500 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 6);
            await().until(() -> takenWithout("a3").equals(Set.of("a1", "a2", "a4", "a5", "a6")));
        }
    }

    @Test
    void anAlertAtWhichItsRouteFailsIsADeadLetterAlsoWhileTheCircuitIsOpen() throws IOException {
        settings.put("rowbell.outbox.max-attempts", "8");
        settings.put("rowbell.outbox.max-backoff", "50ms");
        Files.writeString(dir.resolve("picky.camel.yaml"), """
                - route:
                    id: picky
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: outbox:file
                      steps:
                        - throwException:
                            exceptionType: java.lang.IllegalStateException
                            message: not this one
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(
                settings,
                "file:routes/sources.camel.yaml,file:routes/alerts.camel.yaml,file:" + dir + "/*.camel.yaml")) {
            raise(1, 1);
            await().until(() ->
                    database.query("select attempts from rowbell.dead_letter").equals(List.of("8")));
        }
    }

    @Test
    void theWaitDoublesAndIsNeverLongerThanTheLongest() {
        settings.put("rowbell.outbox.backoff", "100s");
        settings.put("rowbell.outbox.max-backoff", "300s");
        web.answer(request -> 500);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            double[] expected = {100, 200, 300, 300};
            for (int attempts = 1; attempts <= expected.length; attempts++) {
                String failed = "rowbell.delivery where attempts = " + attempts;
                await().until(() -> database.count(failed) == 1);
                double wait = Double.parseDouble(
                        database.query("select extract(epoch from due - clock_timestamp()) from " + failed)
                                .get(0));
                double most = expected[attempts - 1] * 1.2;
                assertTrue(
                        wait > expected[attempts - 1] * 0.8 - 30 && wait <= most,
                        "attempt " + attempts + " waits " + wait);
                database.execute("update rowbell.delivery set due = now()");
            }
        }
    }

    /** A kill, or another process after the lease, would repeat them. */
    @Test
    void whatWasDeliveredIsAcknowledgedWhileTheNextReceiverHangs() {
        CountDownLatch over = new CountDownLatch(1);
        web.answer(request -> {
            if (request.body().contains("\"a30\"")) {
                try {
                    over.await();
                } catch (InterruptedException e) {
                    return 500;
                }
            }
            return 200;
        });
        settings.put("rowbell.http.response-timeout", "10m");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 30);
            await().until(() -> posted().contains("a30"));
            await().until(() -> database.alerts("sink = 'http'") == 1);
            over.countDown();
            await().until(database::isDelivered);
        }
    }

    @Test
    void aSlowReceiverDelaysNobodyElseAndHoldsNoTransaction() throws InterruptedException {
        CountDownLatch release = new CountDownLatch(1);
        web.answer(request -> {
            try {
                return release.await(2, TimeUnit.MINUTES) ? 200 : 500;
            } catch (InterruptedException e) {
                return 500;
            }
        });
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 300);
            await().until(() -> filed().size() == 300 && !web.requests().isEmpty());
            assertEquals(1, web.requests().size());
            // between two statements of a poll one may be seen; one that is held for the receiver would stay
            await().until(() -> database.count(
                            "pg_stat_activity where datname = current_database() and application_name like 'rowbell%'"
                                    + " and state like 'idle in transaction%'")
                    == 0);
            release.countDown();
            await().until(() -> database.isDelivered());
            assertEquals(300, new HashSet<>(posted()).size());
            assertEquals(300, posted().size());
        }
    }

    @Test
    @Tag("long")
    void aDeliveryTakenByAProcessThatDiedBecomesDueAgain() {
        settings.put("rowbell.feedback.poll", "50ms");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            // as a process leaves it that took it for five seconds and died
            database.execute("""
                    insert into rowbell.delivery (sink, documents, locked_by, locked_until)
                    values ('file', array['{"id": "a1", "rule": "r"}'], gen_random_uuid(), clock_timestamp() + interval '5 s')""");
            raise(2, 2);
            await().until(() -> filed().equals(List.of("a2")));
            await().until(() -> filed().equals(List.of("a2", "a1")));
        }
    }

    @Test
    @Tag("long")
    void aBatchOfAProcessThatDiedIsDeliveredByAnotherAndItsBadAlertHoldsUpNoOther() {
        settings.put("rowbell.feedback.poll", "50ms");
        settings.put("rowbell.outbox.max-attempts", "2");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            // as a process leaves it that leased it for a second and died; no sink can read one of it
            database.execute("""
                    insert into rowbell.delivery (sink, documents, locked_by, locked_until)
                    values ('http', array['{"id": "a1", "rule": "r"}', '{"id": "a2"', '{"id": "a3", "rule": "r"}'], gen_random_uuid(),
                      clock_timestamp() + interval '1 s')""");
            await().until(() -> new HashSet<>(posted()).equals(Set.of("a1", "a3")));
            await().until(database::isDelivered);
            assertEquals(
                    List.of("http 1 {\"id\": \"a2\""),
                    database.query(
                            "select concat_ws(' ', sink, attempts, alert ->> 'payload') from rowbell.dead_letter"));
        }
    }

    @Test
    void aBatchWhoseLeaseEndedIsSplitSoThatEachAlertHasItsOwnRetries() {
        web.answer(request -> 503);
        settings.put("rowbell.outbox.backoff", "1h");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("""
                    insert into rowbell.delivery (sink, documents, locked_by, locked_until, filed)
                    select 'http', array_agg(json_build_object('id', 'a' || i, 'rule', 'r')::text), gen_random_uuid(), '-infinity', now() - interval '1 h'
                    from generate_series(1, 3) i""");
            await().until(() -> database.count("rowbell.delivery where alerts = 1 and attempts = 1") == 3);
            assertEquals(
                    List.of("http 3 3 t t"),
                    database.query(
                            "select concat_ws(' ', sink, alerts, retrying, oldest < now() - interval '1 h', last_error like '%503%')"
                                    + " from rowbell.waiting"));
        }
    }

    @Test
    void aBatchThatFailsIsTriedAgainAndNoAlertOfItIsLostOrRepeated() throws IOException {
        Files.createFile(dir.resolve("alerts"));
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 100);
            await().until(() ->
                    database.alerts("sink = 'file' and attempts > 0 and last_error like '%rowbell.file.dir%'") == 100);
            Files.delete(dir.resolve("alerts"));
            await().until(() -> database.isDelivered());
            assertEquals(100, new HashSet<>(filed()).size());
            assertEquals(100, filed().size());
        }
    }

    @Test
    void aSinkThatIsOffFilesNothing() {
        settings.put("rowbell.http.url", "");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 10);
            await().until(() -> filed().size() == 10);
            await().until(() -> database.isDelivered());
            assertEquals(List.of(), posted());
        }
    }

    @Test
    void deliveriesForASinkWithoutARouteWaitUntilThereIsOne() throws IOException {
        String route = """
                - route:
                    id: alerts
                    from:
                      uri: direct:alerts
                      steps:
                        - to:
                            uri: outbox:pager
                """;
        Files.writeString(dir.resolve("alerts.camel.yaml"), route);
        String routes = "file:routes/sources.camel.yaml,file:" + dir + "/*.camel.yaml";
        try (RunningRowbell rowbell = RunningRowbell.start(settings, routes)) {
            raise(1, 5);
            await().until(() -> database.alerts("sink = 'pager'") == 5);
        }
        Files.writeString(
                dir.resolve("pager.camel.yaml"),
                Files.readString(Path.of("routes/http.camel.yaml"))
                        .replace("id: http", "id: pager")
                        .replace("outbox:http", "outbox:pager"));
        try (RunningRowbell rowbell = RunningRowbell.start(settings, routes)) {
            await().until(() -> database.isDelivered());
            assertEquals(IntStream.rangeClosed(1, 5).mapToObj(i -> "a" + i).toList(), posted());
        }
    }

    /** Its alerts would be lost: no step of the route alerts sends them. */
    @Test
    void whileTheRouteOfASinkThatAsksForAlertsIsReplacedTheyWait() throws Exception {
        Path chat = dir.resolve("chat.camel.yaml");
        String route = """
                - route:
                    id: chat
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: outbox:chat
                      parameters:
                        rules: r
                      steps:
                        - to:
                            uri: "%s"
                """;
        Files.writeString(chat, route.formatted("bean:rowbellFile?method=append"));
        RunningRowbell.writeAlertsRoute(dir, "- stop: {}\n");
        try (RunningRowbell rowbell =
                RunningRowbell.start(settings, "file:routes/sources.camel.yaml,file:" + dir + "/*.camel.yaml")) {
            raise(1, 1);
            await().until(() -> filed().equals(List.of("a1")));
            // as a reload does
            RoutesLoader loader = PluginHelper.getRoutesLoader(rowbell.context());
            Resource resource =
                    PluginHelper.getResourceLoader(rowbell.context()).resolveResource("file:" + chat);
            Files.writeString(chat, route.formatted("mistake:in-it"));
            assertThrows(Exception.class, () -> loader.updateRoutes(resource));
            raise(2, 2);
            await().until(() -> database.count("rowbell.feedback") == 0);
            assertEquals(1, database.alerts("sink = 'chat'"));
            Files.writeString(chat, route.formatted("bean:rowbellFile?method=append"));
            loader.updateRoutes(resource);
            await().until(() -> filed().equals(List.of("a1", "a2")));
        }
    }

    @Test
    void aBadAlertInABatchFailsAlone() throws IOException {
        Files.writeString(dir.resolve("picky.camel.yaml"), """
                - route:
                    id: picky
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: outbox:picky
                      parameters:
                        batch: 100
                        maxAttempts: 1
                      steps:
                        - filter:
                            expression:
                              simple:
                                expression: "${body.toString()} contains 'id=a7,'"
                            steps:
                              - throwException:
                                  exceptionType: java.lang.IllegalStateException
                                  message: not this one
                        - bean:
                            ref: rowbellFile
                            method: append
                - route:
                    id: alerts
                    from:
                      uri: direct:alerts
                      steps:
                        - to:
                            uri: outbox:picky
                """);
        try (RunningRowbell rowbell =
                RunningRowbell.start(settings, "file:routes/sources.camel.yaml,file:" + dir + "/*.camel.yaml")) {
            raise(1, 50);
            await().until(() -> database.count("rowbell.dead_letter") == 1 && database.isDelivered());
            assertEquals(
                    List.of("a7: IllegalStateException: not this one"),
                    database.query("select alert_id || ': ' || last_error from rowbell.dead_letter"));
            assertEquals(49, filed().size());
            assertEquals(49, new HashSet<>(filed()).size());
        }
    }

    @Test
    @Tag("long")
    void aStopGivesBackWhatWasNotTriedAndTheNextStartDeliversIt() {
        CountDownLatch first = new CountDownLatch(1);
        web.answer(request -> {
            first.countDown();
            // or a slow stop might deliver all of them
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
            return 200;
        });
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 2000);
            assertTrue(first.await(1, TimeUnit.MINUTES));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        web.answer(request -> 200);
        int before = posted().size();
        assertTrue(before < 2000, "the stop came too late to prove anything");
        assertEquals(0, database.count("rowbell.delivery where locked_until > clock_timestamp()"));
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(2000, new HashSet<>(posted()).size());
            assertEquals(2000, posted().size());
            assertEquals(2000, filed().size());
        }
    }

    @Test
    @Tag("long")
    void severalProcessesShareTheDeliveriesOfOneSink() {
        // what one takes at once it hands to its own sink
        settings.put("rowbell.feedback.batch", "100");
        web.answerAfter(Duration.ofMillis(2));
        try (RunningRowbell one = RunningRowbell.start(settings);
                RunningRowbell two = RunningRowbell.start(settings)) {
            raise(1, 1000);
            await().until(() -> database.isDelivered() && posted().size() >= 1000);
            assertEquals(1000, posted().size());
            assertEquals(1000, new HashSet<>(posted()).size());
            assertEquals(
                    2,
                    web.requests().stream()
                            .map(WebReceiver.Request::client)
                            .distinct()
                            .count());
        }
    }

    @Test
    @Tag("long")
    void aFailingBatchThatOutlivesItsLeaseIsDeliveredByOneProcess() throws IOException {
        Files.writeString(dir.resolve("chat.camel.yaml"), """
                - route:
                    id: chat
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: outbox:chat
                      parameters:
                        batch: 20
                        lease: 1s
                      steps:
                        - filter:
                            expression:
                              simple:
                                expression: "${body.size} > 1"
                            steps:
                              - throwException:
                                  exceptionType: java.lang.IllegalStateException
                                  message: one at a time
                        - setBody:
                            expression:
                              simple:
                                expression: "${body[0]}"
                        - marshal:
                            json:
                              library: Jackson
                        - to:
                            uri: "{{rowbell.http.url}}"
                            parameters:
                              httpMethod: POST
                - route:
                    id: alerts
                    from:
                      uri: direct:alerts
                      steps:
                        - to:
                            uri: outbox:chat
                """);
        web.answerAfter(Duration.ofMillis(150));
        String routes = "file:routes/sources.camel.yaml,file:" + dir + "/*.camel.yaml";
        try (RunningRowbell one = RunningRowbell.start(settings, routes);
                RunningRowbell two = RunningRowbell.start(settings, routes)) {
            raise(1, 20);
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(20, posted().size());
            assertEquals(20, new HashSet<>(posted()).size());
        }
    }

    @Test
    @Tag("long")
    void aSinkThatIsOnInOneProcessAndOffInTheOtherMissesNothing() {
        settings.put("rowbell.feedback.batch", "5");
        Map<String, String> without = new HashMap<>(settings);
        without.put("rowbell.http.url", "");
        try (RunningRowbell off = RunningRowbell.start(without)) {
            raise(1, 10);
            await().until(() -> filed().size() == 10);
            assertEquals(0, posted().size());
            try (RunningRowbell on = RunningRowbell.start(settings)) {
                // what has just started is known a second later
                await().pollDelay(Duration.ofMillis(1200))
                        .until(() -> database.count("rowbell.sink where name = 'http'") == 1);
                for (int i = 11; i <= 210; i += 10) {
                    raise(i, i + 9);
                }
                await().until(() -> posted().size() == 200 && database.isDelivered());
                assertEquals(210, filed().size());
            }
            assertEquals(0, database.count("rowbell.sink where name = 'http'"));
            await().pollDelay(Duration.ofMillis(1200)).until(() -> true);
            raise(211, 220);
            await().until(() -> filed().size() == 220);
            assertEquals(0, database.count("rowbell.delivery"));
        }
        assertEquals(0, database.count("rowbell.sink"));
    }

    @Test
    @Tag("long")
    void aClockThatIsSetBackHoldsNothingUp() {
        web.answer(request -> web.requests().size() < 6 ? 503 : 200);
        settings.put("rowbell.outbox.lease", "2s");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> database.count("rowbell.delivery where attempts > 0") == 1);
            // an hour back: seen from there, all that is stored lies an hour ahead
            database.execute(
                    """
                    insert into rowbell.delivery (sink, documents, due, filed, locked_until, locked_by)
                    select case when i < 6 then 'http' else 'file' end, array[json_build_object('id', 'a' || i, 'rule', 'r')::text],
                      clock_timestamp() + case when i % 2 = 0 then interval '1 h' else '0' end, clock_timestamp() + interval '1 h',
                      case when i % 2 = 0 then '-infinity' else clock_timestamp() + interval '1 h' end, gen_random_uuid()
                    from generate_series(2, 9) i
                    """,
                    "insert into rowbell.feedback (crt_time, alert) values (clock_timestamp() + interval '1 h', '{\"id\": \"a10\", \"rule\": \"r\"}')",
                    "update rowbell.doorbell_lease set suppressed_until = clock_timestamp() + interval '1 h'",
                    "update rowbell.delivery set due = due + interval '1 h'");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(Set.of("a1", "a2", "a3", "a4", "a5", "a10"), new HashSet<>(posted()));
            assertEquals(Set.of("a1", "a6", "a7", "a8", "a9", "a10"), new HashSet<>(filed()));
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    @Tag("long")
    void severalThreadsDeliverForOneSink() throws IOException {
        web.answerAfter(Duration.ofMillis(50));
        try (RunningRowbell rowbell = startWithFourThreadsForHttp()) {
            raise(1, 100);
            await().until(() -> database.count("rowbell.delivery where sink = 'http'") == 0 && posted().size() >= 100);
            assertEquals(100, new HashSet<>(posted()).size());
            assertEquals(100, posted().size());
            assertEquals(
                    4,
                    web.requests().stream()
                            .map(WebReceiver.Request::client)
                            .distinct()
                            .count());
        }
    }

    @Test
    void theThreadsOfASinkShareTheLastOfItsQueue() throws IOException {
        CyclicBarrier together = new CyclicBarrier(4);
        web.answer(request -> {
            try {
                if (Integer.parseInt(request.headers().getFirst("webhook-id").substring(1)) > 200) {
                    together.await(1, TimeUnit.MINUTES);
                }
                return 200;
            } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
                return 500;
            }
        });
        try (RunningRowbell rowbell = startWithFourThreadsForHttp()) {
            // fast, so that each of them takes several at a time
            raise(1, 200);
            await().until(() -> posted().size() == 200 && database.count("rowbell.delivery where sink = 'http'") == 0);
            raise(201, 204);
            await().until(() -> posted().size() >= 204 && database.count("rowbell.delivery where sink = 'http'") == 0);
            assertEquals(204, posted().size());
        }
    }

    private RunningRowbell startWithFourThreadsForHttp() throws IOException {
        Files.writeString(
                dir.resolve("http.camel.yaml"),
                Files.readString(Path.of("routes/http.camel.yaml"))
                        .replace(
                                "      parameters:\n        batch:",
                                "      parameters:\n        parallel: 4\n        batch:"));
        return RunningRowbell.start(
                settings,
                "file:routes/sources.camel.yaml,file:routes/alerts.camel.yaml,file:routes/file.camel.yaml,file:" + dir
                        + "/*.camel.yaml");
    }
}
