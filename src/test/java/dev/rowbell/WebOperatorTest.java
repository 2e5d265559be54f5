package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** What operators do in the web console, over HTTP, and who may not. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class WebOperatorTest {

    private static final Map<String, String> ACKNOWLEDGE = Map.of("which", "too-many&id%3D8", "note", "on it");

    private final TestDatabase database = TestDatabase.createWithSchema();
    private RunningRowbell rowbell;
    private RunningRowbell withUsers;
    private int port;
    private int usersPort;
    private String token;

    @BeforeAll
    void start(@TempDir Path dir) throws Exception {
        database.execute("create table public.orders (id int primary key, c2 int)", """
                insert into rowbell.rule (name, feed, condition, "for") values
                  ('too-many', 'public.orders', 'new.c2 > 9999', null), ('stays', 'public.orders', 'new.c2 > 9999', '1 hour')""");
        Map<String, String> settings = WebClient.settings(database, dir.resolve("one"));
        rowbell = RunningRowbell.start(settings);
        port = Integer.parseInt(settings.get("rowbell.health.port"));
        Rowbell.of(rowbell.context()).serveWebConsole();
        token = tokenOf(rowbell);
        Map<String, String> users = WebClient.settings(database, dir.resolve("two"));
        users.put(
                "rowbell.web.users",
                "ada:operator:%s,bob:viewer:%s".formatted(WebClient.hash("Ada's"), WebClient.hash("Bob's")));
        withUsers = RunningRowbell.start(users);
        usersPort = Integer.parseInt(users.get("rowbell.health.port"));
        Rowbell.of(withUsers.context()).serveWebConsole();
    }

    private static String tokenOf(RunningRowbell rowbell) {
        return Rowbell.of(rowbell.context()).webAddress().replaceFirst(".*\\?token=", "");
    }

    @AfterAll
    void stop() {
        rowbell.close();
        withUsers.close();
    }

    @BeforeEach
    void fires() {
        database.execute(
                "delete from rowbell.acknowledgement",
                "delete from rowbell.firing_state",
                "delete from rowbell.audit",
                """
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                select 'f' || i, 'too-many', 'public.orders', 'id=' || i, 'warning', null, 1, now(), now(), 0, 'x' from generate_series(7, 9) i""");
    }

    private WebClient withToken() {
        WebClient browser = new WebClient(port);
        assertEquals(303, browser.get("/?token=" + token).statusCode());
        return browser;
    }

    private WebClient login(String user, String password) {
        WebClient browser = new WebClient(usersPort);
        HttpResponse<String> answer = browser.post("/login", Map.of("user", user, "password", password));
        assertEquals(303, answer.statusCode(), answer.body());
        return browser;
    }

    private String acknowledged() {
        return String.join(
                ",",
                database.query(
                        "select key || ' ' || coalesce(note, '') from rowbell.firing where acknowledged is not null order by 1"));
    }

    private String audit() {
        return String.join(
                "\n",
                database.query(
                        "select concat_ws('|', who, address, action, what, result) from rowbell.audit order by id"));
    }

    @Test
    void theTokenMakesASessionAndLeavesTheAddress() {
        assertTrue(Banner.of(rowbell.context(), false)
                .contains("  web        http://127.0.0.1:%d/?token=%s\n".formatted(port, token)));
        WebClient browser = new WebClient(port);
        assertFalse(browser.get("/firing").body().contains("Acknowledge"));
        HttpResponse<String> answer = browser.get("/?token=" + token);
        assertEquals(303, answer.statusCode());
        assertEquals("/", answer.headers().firstValue("Location").orElse(""));
        String cookie = answer.headers().firstValue("Set-Cookie").orElse("");
        assertTrue(cookie.matches("rowbell-%d=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict".formatted(port)), cookie);
        assertTrue(browser.get("/firing").body().contains("Acknowledge"));
        assertFalse(browser.get("/firing").body().contains(token));
        for (String wrong : List.of("", "x", token.substring(1), token + "x")) {
            assertEquals(403, new WebClient(port).get("/?token=" + wrong).statusCode(), wrong);
        }
        assertEquals(
                403, new WebClient(usersPort).get("/?token=" + token).statusCode(), "with users there is no token");
        assertFalse(Banner.of(withUsers.context(), false).contains("token"));
    }

    @Test
    void withUsersNothingIsShownWithoutALogin() {
        WebClient browser = new WebClient(usersPort);
        for (String path : List.of("/", "/firing", "/rules", "/audit", "/nothing")) {
            assertEquals(303, browser.get(path).statusCode(), path);
            assertEquals(
                    "/login", browser.get(path).headers().firstValue("Location").orElse(""));
        }
        assertEquals(200, browser.get("/login").statusCode());
        assertEquals(200, browser.get("/observe/health/live").statusCode());
        assertEquals(
                403,
                browser.post("/login", Map.of("user", "ada", "password", "Bob's"))
                        .statusCode());
        assertEquals(
                403,
                browser.post("/login", Map.of("user", "eve", "password", "Bob's"))
                        .statusCode());
        assertEquals(403, browser.post("/login", Map.of()).statusCode());
        assertEquals(303, browser.get("/").statusCode());
        assertTrue(login("bob", "Bob's").get("/firing").body().contains("id=8"));
    }

    @Test
    void anOperatorActsAndAViewerDoesNot() {
        WebClient viewer = login("bob", "Bob's");
        assertFalse(viewer.get("/firing").body().contains("Acknowledge"));
        HttpResponse<String> refused = viewer.act("/firing/acknowledge", ACKNOWLEDGE);
        assertEquals(403, refused.statusCode());
        assertEquals("Only an operator may do that.\n", refused.body());
        assertFalse(viewer.get("/audit").body().contains("<table"));
        assertEquals("", acknowledged());
        WebClient operator = login("ada", "Ada's");
        assertEquals(303, operator.act("/firing/acknowledge", ACKNOWLEDGE).statusCode());
        assertEquals("id=8 on it", acknowledged());
        assertTrue(operator.get("/firing").body().contains("1 acknowledged."));
        assertFalse(operator.get("/firing").body().contains("1 acknowledged."), "said once");
        assertEquals("ada|127.0.0.1|acknowledge|too-many id=8, note on it|1 acknowledged.", audit());
        assertEquals(
                List.of("Rowbell web console: ada"), database.query("select application from rowbell.acknowledgement"));
        assertTrue(operator.get("/audit").body().contains("too-many id=8, note on it"));
    }

    @Test
    void nothingIsDoneWithoutASessionATokenOfItAndTheOriginOfThePage() {
        WebClient operator = withToken();
        String form = operator.formToken();
        String own = "http://127.0.0.1:" + port;
        Map<String, String> right = WebClient.with(ACKNOWLEDGE, "form", form);
        List<HttpResponse<String>> refused = new ArrayList<>(List.of(
                new WebClient(port).post("/firing/acknowledge", right),
                operator.post("/firing/acknowledge", ACKNOWLEDGE),
                operator.post("/firing/acknowledge", WebClient.with(ACKNOWLEDGE, "form", form + "x")),
                operator.post(
                        "/firing/acknowledge",
                        WebClient.with(ACKNOWLEDGE, "form", withToken().formToken()))));
        for (String origin : List.of(
                "",
                "null",
                "http://evil.example.org",
                "https://127.0.0.1:" + port,
                "http://127.0.0.1",
                own + ".evil.example.org",
                "http://localhost:" + port,
                "http://127.0.0.1:" + usersPort)) {
            refused.add(operator.post("/firing/acknowledge", right, Map.of("Origin", origin)));
        }
        refused.add(operator.post("/firing/acknowledge", right, Map.of("Origin", own, "Sec-Fetch-Site", "same-site")));
        refused.forEach(answer -> assertEquals(403, answer.statusCode(), answer.body()));
        assertEquals("", acknowledged());
        assertEquals("", audit());
        assertEquals(303, operator.post("/firing/acknowledge", right).statusCode());
        assertEquals("id=8 on it", acknowledged());
    }

    @Test
    void anotherHostThanThatOfThePageIsRefused() throws Exception {
        WebClient operator = withToken();
        String body = WebClient.encoded(WebClient.with(ACKNOWLEDGE, "form", operator.formToken()));
        for (String host : List.of("evil.example.org", "localhost:1", "192.0.2.1")) {
            String answer =
                    operator.raw("POST /firing/acknowledge HTTP/1.1\r\nHost: %s\r\nOrigin: http://127.0.0.1:%d\r\n"
                                    .formatted(host, port)
                            + "Cookie: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                                    .formatted(operator.cookie(), body.length(), body));
            assertTrue(answer.matches("(?s)HTTP/1.1 4(03|21) .*"), host + answer);
        }
        assertEquals("", acknowledged());
    }

    @Test
    void aSessionThatHasEndedIsNoSessionAnyMore() {
        WebClient operator = login("ada", "Ada's");
        WebClient stolen = operator.copy();
        Map<String, String> right = WebClient.with(ACKNOWLEDGE, "form", operator.formToken());
        HttpResponse<String> out = operator.act("/logout", Map.of());
        assertEquals(303, out.statusCode());
        assertTrue(out.headers().firstValue("Set-Cookie").orElse("").contains("Max-Age=0"));
        assertEquals(403, stolen.post("/firing/acknowledge", right).statusCode());
        assertEquals("/login", stolen.get("/").headers().firstValue("Location").orElse(""));
        WebClient again = stolen.copy();
        again.post("/login", Map.of("user", "ada", "password", "Ada's"));
        assertEquals(403, stolen.post("/firing/acknowledge", right).statusCode(), "a login makes a new session");
        assertEquals(403, again.post("/firing/acknowledge", right).statusCode(), "with another token");
        assertEquals("", acknowledged());
    }

    @Test
    void whoTriesPasswordsIsSlowedDownAndTheLogSaysIt() {
        try (LogLines log = new LogLines("dev.rowbell.web.WebConsole")) {
            WebClient thief = new WebClient(usersPort);
            List<Integer> answers = new ArrayList<>();
            for (int i = 0; i < 60 && !answers.contains(429); i++) {
                HttpResponse<String> answer = thief.post("/login", Map.of("user", "tried", "password", "p" + i));
                answers.add(answer.statusCode());
                assertEquals(
                        answer.statusCode() == 429,
                        answer.headers().firstValue("Retry-After").isPresent());
            }
            assertTrue(answers.contains(429), answers.toString());
            assertTrue(
                    log.lines().stream().anyMatch(line -> line.contains("a login from 127.0.0.1 was refused")),
                    log.lines().toString());
            assertFalse(log.lines().toString().contains("tried"), "who mistypes a name may have typed a password");
        }
        assertTrue(login("bob", "Bob's").get("/").body().contains("bob (viewer)"), "others log in");
    }

    @Test
    void whatIsNoFormIsRefused() throws Exception {
        WebClient operator = withToken();
        String own = "http://127.0.0.1:" + port;
        assertEquals(
                415,
                operator.post("/firing/acknowledge", Map.of(), Map.of("Origin", own, "Content-Type", "text/plain"))
                        .statusCode());
        assertEquals(
                413,
                operator.act("/firing/acknowledge", Map.of("note", "x".repeat(300_000)))
                        .statusCode());
        assertTrue(List.of(400, 413)
                .contains(operator.act("/firing/acknowledge", Map.of("note", "x".repeat(100_000)))
                        .statusCode()));
        assertEquals(404, operator.act("/nothing", Map.of()).statusCode());
        assertEquals(303, operator.act("/firing/acknowledge", Map.of()).statusCode());
        assertTrue(operator.get("/firing").body().contains("Nothing was done: select what it is about"));
        for (String wrong : List.of("too-many", "%zz&x", "a&b&c")) {
            assertEquals(
                    303,
                    operator.act("/firing/acknowledge", Map.of("which", wrong)).statusCode());
        }
        assertEquals("", acknowledged());
        for (String method : List.of("PUT", "DELETE", "PATCH")) {
            assertTrue(operator.raw("%s /firing/acknowledge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                            .formatted(method))
                    .startsWith("HTTP/1.1 405 "));
        }
    }

    @Test
    void behindAProxyWithTlsTheOriginIsThatOfTheProxyAndTheCookieIsSecure(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put("rowbell.web.origin", "https://rowbell.example.org");
        try (RunningRowbell behind = RunningRowbell.start(settings)) {
            Rowbell.of(behind.context()).serveWebConsole();
            WebClient browser = new WebClient(Integer.parseInt(settings.get("rowbell.health.port")));
            HttpResponse<String> answer = browser.get("/?token=" + tokenOf(behind));
            assertTrue(answer.headers().firstValue("Set-Cookie").orElse("").matches("__Host-rowbell-.*; Secure"));
            Map<String, String> right = WebClient.with(ACKNOWLEDGE, "form", browser.formToken());
            assertEquals(403, browser.post("/firing/acknowledge", right).statusCode());
            assertEquals(
                    303,
                    browser.post("/firing/acknowledge", right, Map.of("Origin", "https://rowbell.example.org"))
                            .statusCode());
        }
    }

    @Test
    void onAnotherAddressThanLoopbackUsersLogIn(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put("rowbell.health.host", "0.0.0.0");
        settings.put("rowbell.web.users", "ada:operator:" + WebClient.hash("Ada's"));
        try (LogLines log = new LogLines("dev.rowbell.web.WebConsole");
                RunningRowbell open = RunningRowbell.start(settings)) {
            Rowbell.of(open.context()).serveWebConsole();
            assertTrue(
                    log.lines().toString().contains("in clear text"),
                    log.lines().toString());
            WebClient browser = new WebClient(Integer.parseInt(settings.get("rowbell.health.port")));
            assertEquals(303, browser.get("/").statusCode());
            assertEquals(
                    303,
                    browser.post("/login", Map.of("user", "ada", "password", "Ada's"))
                            .statusCode());
            assertEquals(303, browser.act("/firing/acknowledge", ACKNOWLEDGE).statusCode());
            assertEquals("id=8 on it", acknowledged());
        }
    }
}
