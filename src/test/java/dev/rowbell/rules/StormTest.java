package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** Many alerts at once: nobody has to ring for each of them, and nobody is forgotten. */
class StormTest {

    private static final int WRITERS = 3;
    private static final Duration LENGTH = Duration.ofSeconds(2);

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @Test
    @Tag("long")
    void inAStormTheDoorbellIsSilentAndNoAlertWaitsForTheBackstop() throws Exception {
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        // a test that needed it would not end in time
        settings.put("rowbell.feedback.poll", "1h");
        ExecutorService writers = Executors.newFixedThreadPool(WRITERS);
        try (RunningRowbell rowbell = RunningRowbell.start(settings);
                Connection listener = database.connect();
                Statement listen = listener.createStatement()) {
            database.awaitListener("rowbell_doorbell");
            // a consumer that has just started takes its time over the first ones
            database.execute(
                    "insert into rowbell.feedback (alert) select json_build_object('id', 'w' || i) from generate_series(1, 3000) i");
            await().until(() -> database.count("rowbell.feedback") == 0);
            listen.execute("listen rowbell_doorbell");
            List<Future<?>> writing = new ArrayList<>();
            AtomicInteger alerts = new AtomicInteger();
            long end = System.nanoTime() + LENGTH.toNanos();
            for (int writer = 0; writer < WRITERS; writer++) {
                writing.add(writers.submit(() -> {
                    try (Connection connection = database.connect();
                            PreparedStatement insert = connection.prepareStatement(
                                    "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || ?, 'rule', 'r')")) {
                        while (System.nanoTime() < end) {
                            insert.setInt(1, alerts.getAndIncrement());
                            insert.execute();
                        }
                    }
                    return null;
                }));
            }
            for (Future<?> one : writing) {
                one.get(2, TimeUnit.MINUTES);
            }
            await().until(() -> database.count("rowbell.feedback") == 0);
            await().until(() -> database.isDelivered());
            assertEquals(3000 + alerts.get(), ids().size());
            assertEquals(3000 + alerts.get(), ids().stream().distinct().count());
            listen.execute("select");
            PGNotification[] rings = listener.unwrap(PGConnection.class).getNotifications();
            assertTrue(rings == null || rings.length < alerts.get() / 2, () -> rings.length + " rings for " + alerts);

            // and when it is over, one rings again for each alert
            await().until(() ->
                    database.count("rowbell.doorbell_lease where suppressed_until > clock_timestamp()") == 0);
            for (int i = 1; i <= 5; i++) {
                database.execute(
                        "insert into rowbell.feedback (alert) values ('{\"id\": \"late" + i + "\", \"rule\": \"r\"}')");
                String late = "late" + i;
                // nothing but the doorbell is as soon
                await().atMost(Duration.ofSeconds(20)).until(() -> ids().contains(late));
            }
        } finally {
            writers.shutdownNow();
        }
    }

    @Test
    void nobodyRingsForNobody() throws Exception {
        TestDatabase alone = TestDatabase.createWithSchema();
        try (Connection listener = alone.connect();
                Statement listen = listener.createStatement()) {
            listen.execute("listen rowbell_doorbell");
            alone.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"unheard\"}')",
                    "insert into rowbell.doorbell_lease (relation, listening_until) values ('rowbell.feedback'::regclass, clock_timestamp() + interval '1 min')",
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"heard\"}')");
            listen.execute("select");
            assertEquals(1, listener.unwrap(PGConnection.class).getNotifications().length);
        }
    }

    private List<Object> ids() {
        return AlertFiles.values(dir.resolve("alerts"), "id");
    }
}
