package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The live tail over HTTP: it is bounded, says what it leaves out, and holds up no alert. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class WebTailTest {

    private static final int MOST = 50;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final List<Looker> lookers = new CopyOnWriteArrayList<>();
    private RunningRowbell rowbell;
    private int port;

    @BeforeAll
    void start(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        rowbell = RunningRowbell.start(settings);
        Rowbell.of(rowbell.context()).serveWebConsole();
        port = Integer.parseInt(settings.get("rowbell.health.port"));
    }

    @AfterAll
    void stop() throws Exception {
        for (Looker looker : lookers) {
            looker.close();
        }
        rowbell.close();
    }

    /** A browser that looks, in a thread of its own. */
    private final class Looker implements AutoCloseable {

        private final Socket socket;
        private final StringBuffer text = new StringBuffer();

        private Looker(int port, String cookie, boolean reads) throws Exception {
            socket = new Socket(InetAddress.getLoopbackAddress(), port);
            socket.getOutputStream()
                    .write("GET /tail/events HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n"
                            .formatted(cookie)
                            .getBytes(StandardCharsets.US_ASCII));
            if (reads) {
                Thread reader = new Thread(this::read);
                reader.setDaemon(true);
                reader.start();
            }
            lookers.add(this);
        }

        private void read() {
            byte[] bytes = new byte[10_000];
            try {
                InputStream in = socket.getInputStream();
                for (int n = in.read(bytes); n >= 0; n = in.read(bytes)) {
                    text.append(new String(bytes, 0, n, StandardCharsets.ISO_8859_1));
                }
            } catch (Exception e) {
                text.append("ended");
            }
        }

        private boolean isConnected() {
            return text.indexOf("HTTP/1.1 200 ") == 0 && text.indexOf(":\n\n") > 0;
        }

        private long shown() {
            return Pattern.compile("\"id\":\"").matcher(text).results().count();
        }

        private long missed() {
            Matcher missed = Pattern.compile("\"missed\":(\\d+)").matcher(text);
            return missed.results()
                    .mapToLong(one -> Long.parseLong(one.group(1)))
                    .sum();
        }

        @Override
        public void close() throws Exception {
            socket.close();
        }
    }

    @Test
    void fiftyLookAtMostAndEachGetsAllOrHowManyItMissed() throws Exception {
        List<Looker> all = new ArrayList<>();
        for (int i = 0; i < MOST; i++) {
            // the last ones do not read at all
            all.add(new Looker(port, "", i < MOST - 5));
        }
        List<Looker> reading = all.subList(0, MOST - 5);
        await().until(() -> reading.stream().allMatch(Looker::isConnected));
        await("all are there, also those that do not read").until(() -> {
            Looker more = new Looker(port, "", true);
            await().until(() -> more.text.indexOf("HTTP/1.1 ") == 0);
            boolean refused = more.text.indexOf("HTTP/1.1 503 ") == 0;
            more.close();
            return refused;
        });
        int alerts = 20_000;
        database.execute(
                "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r', 'reason', repeat('x', 300)) from generate_series(1, %d) i"
                        .formatted(alerts));
        await().until(() -> database.count("rowbell.feedback") == 0);
        await("each knows of all")
                .until(() -> reading.stream().allMatch(looker -> looker.shown() + looker.missed() == alerts));
        reading.forEach(looker -> {
            assertTrue(looker.shown() >= 1, "some are shown");
            assertTrue(looker.missed() > 0, "most are left out");
        });
        for (Looker looker : all) {
            looker.close();
        }
        await("there is room again").until(() -> {
            Looker next = new Looker(port, "", true);
            await().until(() -> next.text.indexOf("HTTP/1.1 ") == 0);
            boolean let = next.text.indexOf("HTTP/1.1 200 ") == 0;
            next.close();
            return let;
        });
        assertEquals(200, new WebClient(port).get("/").statusCode());
    }

    @Test
    void theTailEndsWithTheSession(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put("rowbell.web.users", "bob:viewer:" + WebClient.hash("Bob's"));
        try (RunningRowbell other = RunningRowbell.start(settings)) {
            Rowbell.of(other.context()).serveWebConsole();
            int otherPort = Integer.parseInt(settings.get("rowbell.health.port"));
            WebClient browser = new WebClient(otherPort);
            assertEquals(303, browser.get("/tail/events").statusCode());
            browser.post("/login", Map.of("user", "bob", "password", "Bob's"));
            Looker looker = new Looker(otherPort, browser.cookie(), true);
            await().until(looker::isConnected);
            assertEquals(303, browser.act("/logout", Map.of()).statusCode());
            await("the response ends").until(() -> looker.text.toString().endsWith("\r\n0\r\n\r\n"));
        }
    }

    @Test
    void onlyPagesThatShowWhatIsNewMayRunAScriptAndOurOwnAlone() {
        WebClient browser = new WebClient(port);
        Map.of("/tail", "/tail.js", "/", "/refresh.js", "/firing", "/refresh.js", "/sinks", "/refresh.js")
                .forEach((path, script) -> {
                    HttpResponse<String> page = browser.get(path);
                    String policy =
                            page.headers().firstValue("Content-Security-Policy").orElse("");
                    assertTrue(policy.contains("script-src 'self'; connect-src 'self'"), policy);
                    assertEquals(1, page.body().split("<script", -1).length - 1);
                    assertTrue(page.body().contains("<script src=\"" + script + "\"></script>"));
                    assertTrue(browser.get(script)
                            .headers()
                            .firstValue("Content-Type")
                            .orElse("")
                            .startsWith("text/javascript"));
                });
        for (String path : List.of("/alerts", "/rules", "/tail.js", "/refresh.js")) {
            assertTrue(
                    !browser.get(path)
                            .headers()
                            .firstValue("Content-Security-Policy")
                            .orElse("")
                            .contains("script-src"),
                    path);
        }
    }
}
