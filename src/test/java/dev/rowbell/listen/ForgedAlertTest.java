package dev.rowbell.listen;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.OddDocuments;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Any role can send a notification: it may be an alert, and nothing more. No value in an alert stops anything. */
class ForgedAlertTest {

    private static final String MARK = "{\"id\": \"%s\", \"rule\": \"mark\"}";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void fileAlone() {
        settings.put("rowbell.file.dir", dir.toString());
    }

    private void send(String... payloads) {
        each("select pg_notify('channel_1', ?)", List.of(payloads));
    }

    private void store(String crtTime, String... documents) {
        each(
                "with stored as (insert into rowbell.feedback (crt_time, alert) values (%s, ?::json)) select"
                        .formatted(crtTime),
                List.of(documents));
    }

    private void each(String sql, List<String> values) {
        try (Connection connection = database.connect();
                PreparedStatement statement = connection.prepareStatement(sql)) {
            for (String value : values) {
                statement.setString(1, value);
                statement.executeQuery().close();
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The alerts until the one with this id, which is not among them. */
    private List<Map<String, Object>> awaitMark(String id) {
        await().until(() -> AlertFiles.values(dir, "id").contains(id) && database.isDelivered());
        assertEquals(List.of(), database.query("select alert_id || ' ' || last_error from rowbell.dead_letter"));
        return AlertFiles.read(dir).stream()
                .filter(alert -> !id.equals(alert.get("id")))
                .toList();
    }

    @Test
    void aTimeOutsideOfTheWindowIsThatOfTheArrivalAndIsKept() {
        Instant start = Instant.now().minusSeconds(1);
        List<String> outside = List.of(
                "1700-01-01T00:00:00Z",
                "1700-01-01T00:00:00.000000Z",
                "-4712-01-01T00:00:00Z",
                "+999999999-12-31T23:59:59Z",
                "-1000000000-01-01T00:00:00Z",
                "2026-13-45T99:99:99.999999Z",
                "soon",
                Instant.now().minus(Duration.ofHours(25)).toString(),
                Instant.now().plus(Duration.ofHours(2)).toString());
        String inside = Instant.now().minus(Duration.ofHours(23)).toString();
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.awaitListener("channel_1");
            for (String time : outside) {
                send("{\"rule\": \"r\", \"time\": \"%s\", \"new\": {\"id\": 1}}".formatted(time));
            }
            // in the form of the triggers, which is read by another reader
            send(
                    "{\"id\":\"t\",\"rule\":\"r\",\"severity\":\"info\",\"status\":\"firing\",\"table\":\"t\",\"operation\":\"INSERT\","
                            + "\"time\":\"1700-01-01T00:00:00.000000Z\",\"new\":{\"id\":1},\"channel\":\"c\"}");
            send("{\"rule\": \"in\", \"time\": \"%s\"}".formatted(inside));
            send(MARK.formatted("end"));
            List<Map<String, Object>> alerts = awaitMark("end");
            assertEquals(outside.size() + 2, alerts.size());
            // one that was filed while its sink looked into the table may come behind the next
            List<Object> kept = new ArrayList<>();
            for (Map<String, Object> alert : alerts) {
                if (alert.get("rule").equals("in")) {
                    assertEquals(inside, alert.get("time"));
                    assertFalse(alert.containsKey("payload"));
                } else {
                    kept.add(((Map<?, ?>) alert.get("payload")).get("time"));
                    Instant time = Instant.parse((String) alert.get("time"));
                    assertTrue(
                            time.isAfter(start) && time.isBefore(Instant.now().plusSeconds(1)), time::toString);
                }
            }
            List<Object> sent = new ArrayList<>(outside);
            sent.add("1700-01-01T00:00:00.000000Z");
            sent.sort(null);
            kept.sort(null);
            assertEquals(sent, kept);
        }
    }

    @Test
    void aDurableAlertMayBeYearsOldButNotOlderThanTheServer() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            store("'4713-01-01 BC'", "{\"rule\": \"old\"}");
            store("'294276-12-31'", "{\"rule\": \"far\"}");
            store("'infinity'", "{\"rule\": \"never\"}");
            store("'2003-01-01 00:00Z'", "{\"rule\": \"backlog\"}");
            store("now()", "{\"rule\": \"said\", \"time\": \"1999-12-31T23:59:59Z\", \"payload\": {\"a\": 1}}");
            store("now()", "{\"rule\": \"text\", \"time\": \"1999-12-31T23:59:59Z\", \"payload\": \"a\"}");
            store("now()", MARK.formatted("end"));
            Map<Object, Map<String, Object>> alerts = new HashMap<>();
            await().until(() -> {
                AlertFiles.read(dir).forEach(alert -> alerts.put(alert.get("rule"), alert));
                return alerts.size() == 7;
            });
            awaitMark("end");
            for (String rule : List.of("old", "far", "never", "said", "text")) {
                assertTrue(Instant.parse((String) alerts.get(rule).get("time"))
                        .isAfter(Instant.now().minusSeconds(120)));
            }
            assertEquals(
                    Map.of("time", "-4712-02-07T00:00:00Z").keySet(),
                    ((Map<?, ?>) alerts.get("old").get("payload")).keySet());
            assertEquals(Map.of("time", "infinity"), alerts.get("never").get("payload"));
            assertEquals("2003-01-01T00:00:00Z", alerts.get("backlog").get("time"));
            assertEquals(
                    Map.of("time", "1999-12-31T23:59:59Z", "a", 1),
                    alerts.get("said").get("payload"));
            assertEquals(
                    Map.of("time", "1999-12-31T23:59:59Z", "payload", "a"),
                    alerts.get("text").get("payload"));
        }
    }

    @Test
    @Tag("long")
    void noValueOfAnyTypeSizeOrDepthStopsAnything() {
        List<String> payloads = OddDocuments.all();
        try (RunningRowbell rowbell = RunningRowbell.start(settings);
                LogLines log = new LogLines("alert")) {
            database.awaitListener("channel_1");
            send(payloads.toArray(String[]::new));
            send(MARK.formatted("end"));
            assertEquals(payloads.size(), awaitMark("end").size());
            assertTrue(log.lines().stream().noneMatch(line -> line.contains("\n")));
            // the same, durable, and deeper than a notification can be
            store("now()", payloads.stream().filter(OddDocuments::isJson).toArray(String[]::new));
            store("now()", "{\"rule\": \"r\", \"new\": " + "[".repeat(5000) + "]".repeat(5000) + "}");
            store("now()", MARK.formatted("durable end"));
            awaitMark("durable end");
        }
    }

    @Test
    void aForgedNotificationKeepsNoDurableAlertQuietAndTakesNoIdAway() {
        database.execute("create table public.feed (id int primary key, c2 int)", """
                insert into rowbell.rule (name, feed, condition, fires, cooldown)
                values ('quiet', 'public.feed', 'NEW.c2 > 10', 'every', '10 min')
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.awaitListener("channel_1");
            send("{\"id\": \"forged\", \"rule\": \"quiet\", \"new\": {\"id\": 1}}");
            send("{\"id\": \"again\", \"rule\": \"quiet\", \"new\": {\"id\": 1}}");
            await().until(() -> AlertFiles.values(dir, "id").contains("forged"));
            database.execute("insert into public.feed values (1, 11)");
            await().until(() -> AlertFiles.read(dir).size() == 2);
            database.execute("update public.feed set c2 = 12");
            await().until(() -> database.query("select path || ' ' || silenced from rowbell.cooldown order by path")
                    .equals(List.of("durable 1", "notify 1")));
            String real = (String) AlertFiles.values(dir, "id").get(1);
            send("{\"id\": \"%s\", \"rule\": \"r\"}".formatted(real));
            store("now()", "{\"id\": \"%s\", \"rule\": \"r\"}".formatted(real));
            send(MARK.formatted("end"));
            awaitMark("end");
            await().until(() ->
                    AlertFiles.values(dir, "id").stream().filter(real::equals).count() == 3);
        }
    }
}
