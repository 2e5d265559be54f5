package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.icegreen.greenmail.util.GreenMail;
import com.icegreen.greenmail.util.ServerSetup;
import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever stands in a row or a rule's name, it steers nothing and every sink gets it. */
class BadInputTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final WebReceiver web = new WebReceiver();
    private final GreenMail mail = new GreenMail(new ServerSetup(0, "127.0.0.1", ServerSetup.PROTOCOL_SMTP));

    @BeforeEach
    void everythingOn() {
        mail.start();
        settings.put("rowbell.file.dir", dir.resolve("in/alerts").toString());
        settings.put("rowbell.http.url", web.url());
        settings.put("rowbell.mail.host", "127.0.0.1");
        settings.put("rowbell.mail.port", String.valueOf(mail.getSmtp().getPort()));
        settings.put("rowbell.mail.starttls", "false");
        settings.put("rowbell.mail.to", "ops@example.org");
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.max-attempts", "2");
        settings.put("rowbell.outbox.backoff", "50ms");
    }

    @AfterEach
    void close() {
        web.close();
        mail.stop();
    }

    private void raise(String alert) {
        database.execute("insert into rowbell.feedback (alert) values ($a$" + alert + "$a$)");
    }

    private List<Map<String, Object>> filed() {
        return AlertFiles.read(dir.resolve("in/alerts"));
    }

    private void everySinkGets(int alerts) {
        await().until(() ->
                filed().size() == alerts && database.isDelivered() && database.count("rowbell.feedback") == 0);
        assertEquals(
                List.of(),
                database.query("select sink || ' ' || alert_id || ' ' || last_error from rowbell.dead_letter"));
        assertEquals(alerts, web.requests().size());
        // what comes at the same moment is one mail
        int mails = mail.getReceivedMessages().length;
        assertTrue(mails >= 1 && mails <= alerts, mails + " mails");
    }

    @Test
    void halvesOfCharactersAndZeroesReachEverySink() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("{\"id\": \"a1\", \"rule\": \"half \\ud800\", \"new\": {\"id\": 1, \"half\": \"\\ud83d\"}}");
            raise("{\"id\": \"a2\", \"rule\": \"nul \\u0000\", \"new\": {\"id\": 2, \"nul\": \"\\u0000\"}}");
            raise("{\"id\": \"a3\", \"rule\": \"\", \"payload\": \"\"}");
            everySinkGets(3);
        }
    }

    @Test
    void everyDigitOfANumberReachesFileAndReceiver() {
        String number = "12345678901234567890.123456789012345678";
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("{\"id\": \"a1\", \"rule\": \"r\", \"new\": {\"id\": 1, \"n\": " + number + "}}");
            everySinkGets(1);
            assertEquals(
                    number, ((Map<?, ?>) filed().get(0).get("new")).get("n").toString());
            assertTrue(
                    web.requests().get(0).body().contains(":" + number),
                    web.requests().get(0).body());
        }
    }

    @Test
    void pathsInAnAlertWriteNoFileElsewhere() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("{\"id\": \"../../x\", \"rule\": \"../../y\", \"source\": \"" + dir
                    + "/z\", \"new\": {\"id\": \"/etc/x\", \"CamelFileName\": \"../../w\"}}");
            everySinkGets(1);
            try (Stream<Path> files = Files.walk(dir)) {
                assertEquals(1, files.filter(Files::isRegularFile).count());
            }
        }
    }

    @Test
    @Tag("long")
    void fiveMegabytesArriveWholeAndTheMailStaysReadable() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into rowbell.feedback (alert) select json_build_object('id', 'a1', 'rule', 'r', 'new',"
                            + " json_build_object('id', 1, 'big', repeat('x', 5000000)))");
            everySinkGets(1);
            assertEquals(
                    5000000,
                    ((Map<?, ?>) filed().get(0).get("new"))
                            .get("big")
                            .toString()
                            .length());
            assertEquals(filed().get(0), AlertJson.parse(web.requests().get(0).body()));
            int size = mail.getReceivedMessages()[0].getSize();
            assertTrue(size < 1_000_000, "a mail of " + size + " bytes");
        }
    }
}
