package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.SmtpServer;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import io.cloudevents.CloudEvent;
import io.cloudevents.http.HttpMessageFactory;
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which failures are tried again and when, and how a receiver knows who is calling. */
class DeliveryTest {

    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private static final String NEW_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

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
        settings.put("rowbell.outbox.max-backoff", "400ms");
        settings.put("rowbell.outbox.poll", "50ms");
    }

    @AfterEach
    void close() {
        web.close();
    }

    private void raise(int from, int to) {
        database.execute(
                ("insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', E'r \\u00fc\\r\\nX-Evil: 1',"
                                + " 'source', 's', 'time', '2026-11-24T08:00:00Z') from generate_series(%d, %d) i")
                        .formatted(from, to));
    }

    private long filed() {
        return AlertFiles.values(dir.resolve("alerts"), "id").size();
    }

    @ParameterizedTest
    @ValueSource(ints = {302, 400, 401, 404, 410, 422})
    void whatAReceiverWillNeverTakeIsADeadLetterAtOnce(int status) {
        web.answer(request -> status);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> database.count("rowbell.dead_letter") == 1);
            assertEquals(1, web.requests().size());
            assertTrue(database.query("select attempts || ' ' || last_error from rowbell.dead_letter")
                    .get(0)
                    .matches("1 .*statusCode: " + status + ".*"));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 425, 429, 500, 503})
    void whatMayPassIsTriedAgain(int status) {
        web.answer(request -> web.requests().size() < 3 ? status : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> web.requests().size() == 3 && database.isDelivered());
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    @Test
    void aReceiverThatSaysWhenToComeAgainIsLeftAloneUntilThenButNotForEver() {
        settings.put("rowbell.outbox.max-backoff", "1h");
        web.answerHeader("Retry-After", "600");
        web.answer(request -> 429);
        String wait =
                "select extract(epoch from due - clock_timestamp())::int / 10 from rowbell.delivery where attempts = ";
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> database.query(wait + 1).equals(List.of("59"))
                    || database.query(wait + 1).equals(List.of("60")));
            web.answerHeader(
                    "Retry-After",
                    DateTimeFormatter.RFC_1123_DATE_TIME.format(
                            ZonedDateTime.now(ZoneOffset.UTC).plusMinutes(20)));
            database.execute("update rowbell.delivery set due = now()");
            await().until(() -> database.query(wait + 2).equals(List.of("119")));
            web.answerHeader("Retry-After", "999999");
            database.execute("update rowbell.delivery set due = now()");
            await().until(() -> database.query(wait + 3).equals(List.of("359"))
                    || database.query(wait + 3).equals(List.of("360")));
        }
    }

    @Tag("long")
    @Test
    void aDeadSinkIsProbedNowAndThenAndItsQueueLosesNothing() {
        settings.put("rowbell.outbox.max-attempts", "3");
        // longer than five failures take, or the first of them comes again before the circuit opens
        settings.put("rowbell.outbox.backoff", "2s");
        settings.put("rowbell.outbox.max-backoff", "2s");
        web.answer(request -> 503);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 300);
            await().until(() -> filed() == 300 && web.requests().size() >= 8);
            // five opened the circuit; each probe is another delivery's attempt
            assertEquals(300, database.count("rowbell.delivery"));
            assertEquals(List.of("1"), database.query("select max(attempts) from rowbell.delivery"));
            int before = web.requests().size();
            assertTrue(
                    database.count("rowbell.delivery where attempts > 0") <= before + 1,
                    "attempts were burnt on a dead sink");
            web.answer(request -> 200);
            await().until(() -> database.isDelivered());
            assertEquals(0, database.count("rowbell.dead_letter"));
            assertEquals(
                    300,
                    web.requests().stream()
                            .map(WebReceiver.Request::body)
                            .distinct()
                            .count());
        }
    }

    @Test
    void anAlertThatAlwaysFailsDoesNotHoldUpTheOthers() {
        settings.put("rowbell.outbox.max-attempts", "8");
        settings.put("rowbell.outbox.backoff", "10ms");
        settings.put("rowbell.outbox.max-backoff", "20ms");
        web.answer(request -> request.body().contains("\"a1\"") ? 500 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> web.requests().size() >= 6);
            raise(2, 50);
            await().until(() -> database.count("rowbell.dead_letter") == 1
                    && database.count("rowbell.feedback") == 0
                    && database.isDelivered());
            assertEquals(
                    50,
                    web.requests().stream()
                            .map(WebReceiver.Request::body)
                            .distinct()
                            .count());
        }
    }

    @Test
    void aMailServerThatRefusesARecipientIsNotAskedAgainAndOneThatPutsOffIs() throws Exception {
        try (SmtpServer smtp = new SmtpServer()) {
            settings.put("rowbell.http.url", "");
            settings.put("rowbell.mail.host", "127.0.0.1");
            settings.put("rowbell.mail.port", String.valueOf(smtp.port()));
            settings.put("rowbell.mail.starttls", "false");
            settings.put("rowbell.mail.to", "ops@example.org");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                smtp.answer("550 5.1.1 no such user");
                raise(1, 1);
                await().until(() -> database.count("rowbell.dead_letter where sink = 'mail' and attempts = 1") == 1);
                assertEquals(1, smtp.recipients());
                smtp.answer("451 4.7.1 greylisted, come again");
                raise(2, 2);
                await().until(() -> smtp.recipients() >= 3);
                smtp.answer("250 OK");
                await().until(() -> smtp.taken() == 1 && database.isDelivered());
                assertEquals(1, database.count("rowbell.dead_letter"));
            }
        }
    }

    @Test
    void aReceiverCanTrustASignedWebhookAlsoWhileSecretsChange() throws Exception {
        settings.put("rowbell.http.secret", SECRET + ", " + NEW_SECRET);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> web.requests().size() == 1);
        }
        WebReceiver.Request request = web.requests().get(0);
        HttpHeaders headers = HttpHeaders.of(request.headers(), (name, value) -> true);
        assertEquals("a1", request.headers().getFirst("webhook-id"));
        for (String secret : List.of(SECRET, NEW_SECRET)) {
            assertDoesNotThrow(() -> new Webhook(secret).verify(request.body(), headers));
            assertThrows(
                    WebhookVerificationException.class,
                    () -> new Webhook(secret).verify(request.body() + " ", headers));
        }
        assertThrows(
                WebhookVerificationException.class,
                () -> new Webhook("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").verify(request.body(), headers));
    }

    @Test
    void aReceiverOfCloudEventsReadsTheAlertAndNothingInARowMakesAHeader() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> web.requests().size() == 1);
        }
        WebReceiver.Request request = web.requests().get(0);
        CloudEvent event = HttpMessageFactory.createReaderFromMultimap(
                        request.headers(), request.body().getBytes(StandardCharsets.UTF_8))
                .toEvent();
        assertEquals("a1", event.getId());
        assertEquals("dev.rowbell.alert.firing", event.getType());
        assertEquals("s", event.getSource().toString());
        // the library leaves it to its users to decode what the HTTP binding encodes
        assertEquals("r%20%C3%BC%0D%0AX-Evil:%201", event.getSubject());
        assertEquals("2026-11-24T08:00Z", event.getTime().toString());
        assertEquals("application/json", event.getDataContentType());
        assertEquals(request.body(), new String(event.getData().toBytes(), StandardCharsets.UTF_8));
        assertFalse(request.headers().containsKey("X-Evil"));
        assertFalse(request.headers().containsKey("webhook-signature"));
        assertEquals("a1", request.headers().getFirst("Idempotency-Key"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"hunter2", "whsec_short", "whsec_not base64!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    void aSecretThatCannotBeOneIsRefusedAtTheStartAndNotShown(String secret) {
        settings.put("rowbell.http.secret", SECRET + "," + secret);
        Throwable refused = assertThrows(
                RuntimeException.class, () -> RunningRowbell.start(settings).close());
        while (refused.getCause() != null) {
            refused = refused.getCause();
        }
        assertTrue(
                refused.getMessage().startsWith("rowbell.http.secret: write each secret as whsec_"),
                refused.getMessage());
        assertFalse(refused.getMessage().contains(secret), refused.getMessage());
    }
}
