package dev.rowbell.sink;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.icegreen.greenmail.util.GreenMail;
import com.icegreen.greenmail.util.ServerSetup;
import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.StartTlsServer;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import jakarta.mail.BodyPart;
import jakarta.mail.Message;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.internet.MimeMultipart;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What arrives at the three sinks, and that nothing in a row steers them. */
class SinkTest {

    private static final String UPDATE = """
            {"id": "01a2", "rule": "c2-overflow", "reason": "c2 overflow", "severity": "critical", "table": "public.feed", "operation": "UPDATE",
             "old": {"id": 2, "c1": null, "c2": 8000, "note": "<b>old</b>"}, "new": {"id": 2, "c1": null, "c2": 30001, "note": "<script>订单 🚨</script>"}}""";

    @TempDir
    Path dir;

    @TempDir
    Path keys;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();
    private final GreenMail mail = new GreenMail(new ServerSetup(0, "127.0.0.1", ServerSetup.PROTOCOL_SMTP));

    @BeforeEach
    void everythingOn() {
        mail.start();
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.http.url", web.url() + "/hook?key=s3cret");
        settings.put("rowbell.mail.host", "127.0.0.1");
        settings.put("rowbell.mail.port", String.valueOf(mail.getSmtp().getPort()));
        settings.put("rowbell.mail.starttls", "false");
        settings.put("rowbell.mail.from", "Rowbell <rowbell@example.org>");
        settings.put("rowbell.mail.to", "ops@example.org");
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.max-attempts", "1");
    }

    @AfterEach
    void close() {
        web.close();
        mail.stop();
    }

    private void raise(String alert) {
        try (Connection connection = database.connect();
                PreparedStatement insert =
                        connection.prepareStatement("insert into rowbell.feedback (alert) values (?::json)")) {
            insert.setString(1, alert);
            insert.execute();
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private MimeMessage mailed() {
        await().until(() -> mail.getReceivedMessages().length == 1);
        return mail.getReceivedMessages()[0];
    }

    @Test
    void aMailSaysWhatChangedInTextAndHtml() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(UPDATE);
            MimeMessage message = mailed();
            assertEquals("[critical] c2-overflow: public.feed id=2", message.getSubject());
            assertEquals("Rowbell <rowbell@example.org>", message.getFrom()[0].toString());
            assertEquals("<01a2@rowbell>", message.getMessageID());
            assertEquals(
                    "multipart/alternative",
                    message.getContentType().replaceFirst(";.*", "").strip().split("\\s")[0]);
            BodyPart text = ((MimeMultipart) message.getContent()).getBodyPart(0);
            BodyPart html = ((MimeMultipart) message.getContent()).getBodyPart(1);
            assertTrue(
                    text.getContentType().toLowerCase().startsWith("text/plain; charset=utf-8"), text.getContentType());
            assertTrue(
                    text.getContent().toString().contains("* c2: 8000 → 30001"),
                    text.getContent().toString());
            assertTrue(
                    text.getContent().toString().contains("  c1: NULL"),
                    text.getContent().toString());
            assertTrue(
                    html.getContentType().toLowerCase().startsWith("text/html; charset=utf-8"), html.getContentType());
            String page = html.getContent().toString();
            Files.writeString(Path.of("target/mail.html"), page);
            assertTrue(page.contains(">30001<") && page.contains(">8000<"), page);
            assertTrue(page.contains("&lt;script&gt;订单 🚨&lt;/script&gt;"), page);
            assertFalse(page.contains("<script>"), page);
        }
    }

    @Test
    void nothingInARowBecomesAHeaderOrAnAddress() throws Exception {
        raise("""
                {"id": "x\\r\\nBcc: thief@example.org", "rule": "r\\r\\nBcc: thief@example.org", "reason": "why", "table": "t",
                 "To": "thief@example.org", "CamelHttpUri": "http://127.0.0.1:1/", "mail.smtp.host": "evil", "Subject": "evil",
                 "new": {"id": "1\\r\\nX-Evil: yes\\r\\n\\r\\nbody", "To": "thief@example.org", "CamelFileName": "../../evil", "CamelHttpMethod": "DELETE"}}""");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            MimeMessage message = mailed();
            assertEquals("ops@example.org", message.getAllRecipients()[0].toString());
            assertEquals(1, message.getAllRecipients().length);
            assertNull(message.getHeader("X-Evil"));
            assertNull(message.getRecipients(Message.RecipientType.BCC));
            assertEquals(
                    "[warning] r Bcc: thief@example.org: t id=\"1\\r\\nX-Evil: yes\\r\\n\\r\\nbody\"",
                    message.getSubject());
            assertTrue(message.getMessageID().matches("<[0-9a-f-]{36}@rowbell>"), message.getMessageID());
            await().until(() -> web.requests().size() == 1);
            assertEquals("POST", web.requests().get(0).method());
            assertTrue(
                    web.requests().get(0).headers().keySet().stream()
                            .noneMatch(name -> name.toLowerCase().startsWith("camel")),
                    web.requests().get(0).headers().keySet().toString());
            await().until(() -> AlertFiles.read(dir).size() == 1);
            try (Stream<Path> files = Files.list(dir)) {
                assertEquals(1, files.count());
            }
        }
    }

    @Test
    void severalPeopleAndAddressesOfAllKindsGetTheMail() throws Exception {
        settings.put(
                "rowbell.mail.to",
                "ops+rowbell@example.org, \"100% & more\" <team@example.org>, Dienst Süd <sued@example.org>,"
                        + " \"Night, Shift; B\" <night@example.org>");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(UPDATE);
            await().until(() -> mail.getReceivedMessages().length == 4);
            assertEquals(
                    List.of(
                            "ops+rowbell@example.org",
                            "100% & more <team@example.org>",
                            "\"Dienst Süd\" <sued@example.org>",
                            "\"Night, Shift; B\" <night@example.org>"),
                    Stream.of(mail.getReceivedMessages()[0].getRecipients(Message.RecipientType.TO))
                            .map(recipient -> ((InternetAddress) recipient).toUnicodeString())
                            .toList());
            await().until(() -> database.isDelivered());
        }
    }

    @Test
    @Tag("long")
    void aMailServerThatWantsTlsAndALoginGetsBoth() throws Exception {
        String password = " p@ss%+&w)rd} ü€#{{x}}\\{{\\a ";
        try (StartTlsServer server = new StartTlsServer(keys, "rowbell", password)) {
            settings.put("rowbell.mail.port", String.valueOf(server.port()));
            settings.put("rowbell.mail.starttls", "true");
            settings.put("rowbell.mail.user", "rowbell");
            settings.put("rowbell.mail.password", password);
            Path route = Files.writeString(
                    keys.resolve("mail.camel.yaml"),
                    Files.readString(Path.of("routes/mail.camel.yaml"))
                            .replace(
                                    "mail.smtp.starttls.enable:",
                                    "mail.smtp.ssl.trust: 127.0.0.1\n              mail.smtp.starttls.enable:"));
            try (RunningRowbell rowbell = RunningRowbell.start(
                    settings, "file:routes/sources.camel.yaml,file:routes/alerts.camel.yaml,file:" + route)) {
                raise(UPDATE);
                await().until(() -> server.accepted() == 1);
                assertTrue(server.wasEncrypted());
            }
        }
    }

    @Test
    void aMailServerWithoutTlsGetsNothingUnlessTold() {
        settings.put("rowbell.mail.starttls", "true");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(UPDATE);
            await().until(() -> database.count("rowbell.dead_letter") == 1);
            assertTrue(database.query("select last_error from rowbell.dead_letter")
                    .get(0)
                    .contains("STARTTLS"));
            assertEquals(0, mail.getReceivedMessages().length);
        }
    }

    @Test
    void httpPostsTheAlertDocument() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(UPDATE);
            await().until(() -> web.requests().size() == 1);
            WebReceiver.Request request = web.requests().get(0);
            assertEquals("POST", request.method());
            assertEquals("/hook?key=s3cret", request.uri());
            assertEquals("application/json", request.headers().getFirst("Content-Type"));
            await().until(() -> AlertFiles.read(dir).size() == 1);
            assertEquals(AlertFiles.read(dir).get(0), AlertJson.parse(request.body()));
            assertEquals(List.of("c2", "note"), AlertJson.parse(request.body()).get("changed"));
        }
    }

    @Test
    void aReceiverIsToldNothingThatItSaidItself() {
        web.answerHeader("Set-Cookie", "session=17; Path=/");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            for (int i = 1; i <= 2; i++) {
                int all = i;
                raise("{\"id\": \"%d\", \"rule\": \"r\"}".formatted(i));
                await().until(() -> web.requests().size() == all);
            }
            assertFalse(web.requests().get(1).headers().containsKey("Cookie"));
        }
    }

    /** As web servers say what they did not find, and what they ask a login for. */
    @Test
    void aReceiverThatRepeatsTheAddressGivesAwayNoSecret() {
        settings.put("rowbell.http.url", web.url() + "/s3cret%2fpath/x?key=s3cret+key&more=s3cret%20more");
        web.answerHeader("Location", "/login?next=/s3cret%2Fpath");
        web.answerBody(
                request -> "Cannot POST %s or /s3cret/path/x nor s3cret more&amp; or https:\\/\\/example.org\\/s3cret"
                        .formatted(request.uri()));
        web.answer(request ->
                request.body().contains("\"ok\"") ? 200 : request.body().contains("\"gone\"") ? 404 : 302);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("{\"id\": \"1\", \"rule\": \"ok\"}");
            raise("{\"id\": \"2\", \"rule\": \"gone\"}");
            raise("{\"id\": \"3\", \"rule\": \"moved\"}");
            await().until(() -> database.count("rowbell.dead_letter") == 2
                    && database.count("rowbell.history_try where answer like 'Cannot POST%'") == 2);
            List<String> kept = database.query("select last_error from rowbell.dead_letter");
            kept.addAll(database.query("select concat_ws(' ', answer, error) from rowbell.history_try"));
            assertTrue(kept.stream().anyMatch(text -> text.contains("302")), kept.toString());
            assertTrue(kept.stream().noneMatch(text -> text.contains("s3cret")), kept.toString());
        }
    }

    @Test
    void any2xxIsSuccessAndTheUrlsSecretStaysOutOfTheError() {
        web.answer(request -> request.body().contains("\"ok\"") ? 299 : 302);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("{\"id\": \"1\", \"rule\": \"ok\"}");
            raise("{\"id\": \"2\", \"rule\": \"moved\"}");
            await().until(() -> database.count("rowbell.dead_letter") == 1 && database.isDelivered());
            assertEquals(List.of("2"), database.query("select alert_id from rowbell.dead_letter"));
            String error =
                    database.query("select last_error from rowbell.dead_letter").get(0);
            assertTrue(error.contains("302"), error);
            assertFalse(error.contains("s3cret"), error);
        }
    }

    @Test
    void aReceiverThatDoesNotAnswerTimesOut() {
        settings.put("rowbell.http.response-timeout", "300ms");
        web.answerAfter(Duration.ofHours(1));
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(UPDATE);
            await().until(() -> database.count("rowbell.dead_letter") == 1);
        }
    }

    @Test
    void aTornLineIsCutOffAndNoLineIsLost() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("{\"id\": \"1\", \"rule\": \"r\"}");
            await().until(() -> AlertFiles.read(dir).size() == 1);
            Path file = Files.list(dir).findFirst().orElseThrow();
            byte[] whole = Files.readAllBytes(file);
            Files.write(
                    file,
                    "{\"id\": \"torn\", \"rule\": \"订".getBytes(StandardCharsets.UTF_8),
                    java.nio.file.StandardOpenOption.APPEND);
            raise("{\"id\": \"2\", \"rule\": \"r\"}");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(List.of("1", "2"), AlertFiles.values(dir, "id"));
            assertArrayEquals(whole, java.util.Arrays.copyOf(Files.readAllBytes(file), whole.length));
        }
    }

    @Test
    void secretsAreInNoEndpoint() {
        settings.put("rowbell.mail.user", "rowbell");
        settings.put("rowbell.mail.password", "mail-s3cret");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(UPDATE);
            await().until(() -> web.requests().size() == 1
                    && mail.getReceivedMessages().length + database.count("rowbell.dead_letter") == 1);
            List<String> endpoints = rowbell.context().getEndpoints().stream()
                    .map(Objects::toString)
                    .toList();
            assertTrue(endpoints.stream().anyMatch(uri -> uri.contains("smtp:")), endpoints.toString());
            assertTrue(endpoints.stream().noneMatch(uri -> uri.contains("s3cret")), endpoints.toString());
        }
    }
}
