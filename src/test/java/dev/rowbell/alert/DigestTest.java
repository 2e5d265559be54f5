package dev.rowbell.alert;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.icegreen.greenmail.util.GreenMail;
import com.icegreen.greenmail.util.ServerSetup;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.SmtpServer;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.internet.MimeMultipart;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Many alerts at a time: what people and receivers get of them. */
class DigestTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();
    private final GreenMail mail = new GreenMail(new ServerSetup(0, "127.0.0.1", ServerSetup.PROTOCOL_SMTP));

    @BeforeEach
    void start() {
        mail.start();
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.poll", "50ms");
        settings.put("rowbell.outbox.backoff", "50ms");
    }

    private void mailOn() {
        settings.put("rowbell.mail.host", "127.0.0.1");
        settings.put("rowbell.mail.port", String.valueOf(mail.getSmtp().getPort()));
        settings.put("rowbell.mail.starttls", "false");
        settings.put("rowbell.mail.to", "ops@example.org");
    }

    @AfterEach
    void close() {
        web.close();
        mail.stop();
    }

    private void raise(String rule, String severity, int from, int to) {
        database.execute("""
                insert into rowbell.feedback (alert)
                select json_build_object('id', '%1$s-' || i, 'rule', '%1$s', 'severity', '%2$s', 'source', 'orders-db', 'table', 'public.feed',
                  'operation', 'UPDATE', 'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                  'old', json_build_object('id', i, 'c2', 1), 'new', json_build_object('id', i, 'c2', 30000 + i))
                from generate_series(%3$d, %4$d) i
                """.formatted(rule, severity, from, to));
    }

    private static String part(MimeMessage message, int part) throws Exception {
        return ((MimeMultipart) message.getContent())
                .getBodyPart(part)
                .getContent()
                .toString();
    }

    @Test
    @Tag("long")
    void aStormIsAHandfulOfMailsAndNoAlertIsMissingInThem() throws Exception {
        mailOn();
        settings.put("rowbell.mail.digest", "3s");
        int alerts = Integer.getInteger("rowbell.storm", 25_000);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("c2-overflow", "warning", 1, alerts - 3);
            raise("stock-<b>negative</b>", "critical", 1, 3);
            await().atMost(Duration.ofSeconds(180))
                    .until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
        }
        MimeMessage[] mails = mail.getReceivedMessages();
        assertTrue(mails.length <= 12, mails.length + " mails");
        int said = 0;
        Set<String> ids = new HashSet<>();
        for (MimeMessage message : mails) {
            ids.add(message.getMessageID());
            Matcher many = Pattern.compile("^([\\d,]+) alerts").matcher(part(message, 0));
            said += many.find() ? Integer.parseInt(many.group(1).replace(",", "")) : 1;
        }
        assertEquals(alerts, said);
        assertEquals(mails.length, ids.size());
        MimeMessage last = mails[mails.length - 1];
        assertTrue(
                last.getSubject()
                        .matches(
                                "\\[critical] [\\d,]+ alerts: stock-<b>negative</b> \\(3\\), c2-overflow \\([\\d,]+\\)"),
                last.getSubject());
        String page = part(last, 1);
        Files.writeString(Path.of("target/digest.html"), page);
        assertTrue(page.contains("stock-&lt;b&gt;negative&lt;/b&gt;") && !page.contains("<b>"), page);
        assertTrue(page.contains("public.feed id=3: c2 1 → 30003"), page);
        assertEquals(50, page.split("public\\.feed id=", -1).length - 1);
        assertTrue(Pattern.compile("and [\\d,]+ more").matcher(page).find(), page);
    }

    @Test
    @Tag("long")
    void theFirstAlertIsMailedAtOnceAndTheNextWaitForTheirDigest() throws Exception {
        mailOn();
        settings.put("rowbell.mail.digest", "4s");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            // the first mail comes after this, and may be seen much later
            long before = System.nanoTime();
            raise("r", "warning", 1, 1);
            await().until(() -> mail.getReceivedMessages().length == 1);
            // in one transaction: on a busy machine the digest might come between two
            raise("r", "warning", 2, 3);
            await().until(() -> mail.getReceivedMessages().length == 2);
            assertTrue(System.nanoTime() - before >= Duration.ofSeconds(4).toNanos(), "the digest came too soon");
            assertEquals("[warning] r: public.feed id=1", mail.getReceivedMessages()[0].getSubject());
            assertEquals("[warning] 2 alerts: r (2)", mail.getReceivedMessages()[1].getSubject());
        }
    }

    @Test
    void aDigestThatIsPutOffComesAgainAsOneMail() throws Exception {
        try (SmtpServer server = new SmtpServer()) {
            mailOn();
            settings.put("rowbell.mail.port", String.valueOf(server.port()));
            settings.put("rowbell.mail.digest", "1ms");
            server.answer("451 greylisted");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                raise("r", "warning", 1, 200);
                await().until(() -> server.recipients() >= 2);
                assertEquals(0, database.count("rowbell.dead_letter"));
                server.answer("250 ok");
                await().until(() -> database.isDelivered());
                assertTrue(server.taken() <= 3, server.taken() + " mails");
                assertEquals(0, database.count("rowbell.dead_letter"));
            }
        }
    }

    @Test
    @SuppressWarnings("unchecked")
    void aReceiverCanHaveBatchesOfCloudEventsAndOneBadAlertKeepsNoneOfTheOthers() throws IOException {
        settings.put("rowbell.http.url", web.url());
        settings.put("rowbell.http.batch", "100");
        web.answer(request -> request.body().contains("\"r-77\"") ? 422 : 200);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("r", "warning", 1, 500);
            await().until(() -> database.isDelivered() && database.count("rowbell.dead_letter") == 1);
        }
        assertEquals(List.of("r-77"), database.query("select alert_id from rowbell.dead_letter"));
        Set<String> delivered = new HashSet<>();
        for (WebReceiver.Request request : web.requests()) {
            assertEquals("application/cloudevents-batch+json", request.headers().getFirst("Content-Type"));
            assertFalse(request.headers().getFirst("webhook-id").isEmpty());
            List<Map<String, Object>> events = (List<Map<String, Object>>)
                    AlertJson.parse("{\"events\": " + request.body() + "}").get("events");
            if (!request.body().contains("\"r-77\"")) {
                for (Map<String, Object> event : events) {
                    assertEquals("1.0", event.get("specversion"));
                    assertEquals("dev.rowbell.alert.firing", event.get("type"));
                    assertEquals("orders-db", event.get("source"));
                    assertEquals(((Map<String, Object>) event.get("data")).get("id"), event.get("id"));
                    assertTrue(delivered.add((String) event.get("id")), event + " came twice");
                }
            }
        }
        assertEquals(499, delivered.size());
        assertTrue(web.requests().size() < 60, web.requests().size() + " requests");
    }
}
