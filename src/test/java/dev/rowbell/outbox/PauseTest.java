package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.CommandLine;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A sink that is paused is left alone by all processes until it is resumed, and then has all its alerts once. */
class PauseTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();
    private int raised;

    @BeforeEach
    void webAndFile() {
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.http.url", web.url());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.backoff", "50ms");
        settings.put("rowbell.outbox.max-backoff", "100ms");
        settings.put("rowbell.outbox.poll", "50ms");
    }

    @AfterEach
    void close() {
        web.close();
    }

    private void raise(int alerts) {
        database.execute(
                "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r') from generate_series(%d, %d) i"
                        .formatted(raised + 1, raised + alerts));
        raised += alerts;
    }

    /** By which the processes are seen to be at work. */
    private void awaitFile() {
        await().until(() -> new HashSet<>(AlertFiles.values(dir.resolve("alerts"), "id")).size() == raised);
    }

    private List<Object> posted() {
        return web.requests().stream()
                .map(request -> AlertJson.parse(request.body()).get("id"))
                .toList();
    }

    private void awaitPosted() {
        await().until(() -> posted().size() >= raised && database.isDelivered());
        assertEquals(
                IntStream.rangeClosed(1, raised).mapToObj(i -> "a" + i).collect(Collectors.toSet()),
                new HashSet<>(posted()));
        assertEquals(raised, posted().size(), "once each");
    }

    private static OutboxComponent outbox(RunningRowbell rowbell) {
        return rowbell.context().getComponent("outbox", OutboxComponent.class);
    }

    private void pause() {
        assertEquals(List.of("t"), database.query("select rowbell.pause_sink('http', 'deploy')"));
    }

    private void awaitNoticed(RunningRowbell... processes) {
        for (RunningRowbell process : processes) {
            await().until(() -> outbox(process).pauses().containsKey("http"));
        }
        await().until(() -> database.count("rowbell.delivery where sink = 'http' and locked_by is not null") == 0);
    }

    @Test
    @Tag("long")
    void noProcessDeliversWhileItIsPausedAlsoAfterARestartAndAllIsDeliveredOnceWhenItGoesOn() {
        try (LogLines log = new LogLines(OutboxComponent.class.getName())) {
            try (RunningRowbell first = RunningRowbell.start(settings);
                    RunningRowbell second = RunningRowbell.start(settings)) {
                raise(100);
                awaitPosted();
                pause();
                awaitNoticed(first, second);
                raise(100);
                awaitFile();
                raise(1);
                awaitFile();
                assertEquals(100, posted().size());
                assertEquals(101, database.alerts("sink = 'http' and attempts = 0 and locked_by is null"));
            }
            assertEquals(
                    2,
                    log.lines().stream()
                            .filter(
                                    line -> line.matches(
                                            "WARN sink http is paused since 20\\S+ \\S+ by .*\\(deploy\\): its alerts wait. \"deliveries resume http\" has it go on"))
                            .count(),
                    log.lines()::toString);
            try (RunningRowbell first = RunningRowbell.start(settings);
                    RunningRowbell second = RunningRowbell.start(settings)) {
                raise(100);
                awaitFile();
                awaitNoticed(first, second);
                assertEquals(100, posted().size());
                assertEquals(201, database.alerts("sink = 'http' and attempts = 0"));
                assertEquals(List.of("t"), database.query("select rowbell.resume_sink('http')"));
                awaitPosted();
                raise(10);
                awaitPosted();
                await().until(() -> log.lines().stream()
                                .filter("INFO sink http is not paused any more"::equals)
                                .count()
                        == 2);
            }
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    void whatIsUnderWayIsFinishedAndWhatIsInMemoryWaits() {
        CountDownLatch mayAnswer = new CountDownLatch(1);
        web.answer(request -> {
            try {
                mayAnswer.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return 200;
        });
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(50);
            await().until(() ->
                    posted().size() == 1 && database.alerts("sink = 'http' and locked_by is not null") == 50);
            pause();
            await().until(() -> outbox(rowbell).pauses().containsKey("http"));
            mayAnswer.countDown();
            await().until(() -> database.alerts("sink = 'http' and locked_by is null") == 49);
            raise(10);
            awaitFile();
            assertEquals(1, posted().size());
            assertEquals(59, database.alerts("sink = 'http' and attempts = 0 and locked_by is null"));
            database.execute("select rowbell.resume_sink('http')");
            awaitPosted();
        } finally {
            mayAnswer.countDown();
        }
    }

    @Test
    void aSinkThatFailsIsNotTriedWhileItIsPausedAndIsNoReasonNotToBeReady() {
        settings.put("rowbell.outbox.circuit", "1");
        settings.put("rowbell.health.max-age", "1ms");
        web.answer(request -> 503);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1);
            await().until(() -> check(rowbell, "rowbell-sinks").startsWith("DOWN sink http fails"));
            await().until(() -> check(rowbell, "rowbell-queues").startsWith("DOWN outbox:http: the oldest of 1"));
            pause();
            awaitNoticed(rowbell);
            int tries = posted().size();
            raise(9);
            awaitFile();
            await().until(() -> check(rowbell, "rowbell-queues").startsWith("UP"));
            assertTrue(check(rowbell, "rowbell-sinks")
                    .matches("UP sink http is paused since .*deploy.*: its alerts wait"));
            assertEquals(10, database.alerts("sink = 'http' and locked_by is null"));
            assertEquals(tries, posted().size());
            web.answer(request -> 200);
            database.execute("select rowbell.resume_sink('http')");
            await().until(database::isDelivered);
            await().until(() -> check(rowbell, "rowbell-sinks").equals("UP "));
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    private static String check(RunningRowbell rowbell, String id) {
        HealthCheck.Result result = HealthCheckHelper.invokeReadiness(rowbell.context()).stream()
                .filter(check -> check.getCheck().getId().equals(id))
                .findFirst()
                .orElseThrow();
        return result.getState() + " " + result.getMessage().orElse("");
    }

    @Test
    void aRoleThatMayRetryDeadLettersMayPauseAndAnotherMayNot() throws SQLException {
        database.execute("insert into rowbell.sink values (gen_random_uuid(), 'http', now())");
        String role = "pauses_" + database.name();
        database.execute(
                "create role %s login password 'pw'".formatted(role), "grant usage on schema rowbell to " + role);
        try (Connection connection = database.connectAs(role, "pw");
                Statement statement = connection.createStatement()) {
            for (String call : List.of("pause_sink('http')", "resume_sink('http')")) {
                assertTrue(assertThrows(SQLException.class, () -> statement.execute("select rowbell." + call))
                        .getMessage()
                        .contains("permission denied for function"));
            }
            database.execute("grant rowbell_consumer to " + role);
            assertTrue(
                    assertThrows(SQLException.class, () -> statement.execute("select rowbell.pause_sink('htpt', 'x')"))
                            .getMessage()
                            .contains(
                                    "there is no sink \"htpt\": those that a process has, or for which alerts wait, are http"));
            statement.execute("select rowbell.pause_sink('http', '')");
            assertEquals(
                    List.of(role + " true"),
                    database.query("select who || ' ' || (note is null) from rowbell.paused_sink where sink = 'http'"));
            assertEquals(List.of("f"), database.query("select rowbell.pause_sink('http', 'again')"));
            assertThrows(SQLException.class, () -> statement.execute("delete from rowbell.paused_sink"));
            statement.execute("select rowbell.resume_sink('http')");
            assertEquals(List.of("f"), database.query("select rowbell.resume_sink('http')"));
        } finally {
            database.execute("drop owned by " + role, "drop role " + role);
        }
    }

    @Test
    void itIsPausedAndResumedByCommand() {
        database.execute("insert into rowbell.delivery (sink, documents) values ('mail', '{a}'), ('mail', '{b}')");
        assertEquals(
                "rowbell: there is no sink \"male\": those that a process has, or for which alerts wait, are mail\n",
                command(2, "deliveries", "pause", "male"));
        assertEquals("mail is paused: its alerts wait\n", command(0, "deliveries", "pause", "mail", "--note", "move"));
        assertEquals("mail was paused before\n", command(1, "deliveries", "pause", "mail"));
        String paused = "sink mail is paused since 20\\S+ \\S+ by .*\\(move\\): its alerts wait\n";
        assertTrue(command(0, "deliveries", "list").matches("no dead letters\n" + paused));
        assertTrue(command(1, "deliveries", "resume", "male").matches("male was not paused\n" + paused));
        assertEquals("mail goes on\n", command(0, "deliveries", "resume", "mail"));
        assertEquals("mail was not paused\n", command(1, "deliveries", "resume", "mail"));
    }

    private String command(int exit, String... arguments) {
        return CommandLine.run(exit, settings, arguments);
    }
}
