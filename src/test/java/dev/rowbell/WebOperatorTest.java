package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URLEncoder;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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

    private static final Map<String, String> ACKNOWLEDGE = Map.of("which", "too-late&id%3D8", "note", "on it");

    private final TestDatabase database = TestDatabase.createWithSchema();
    private RunningRowbell rowbell;
    private RunningRowbell withUsers;
    private int port;
    private int usersPort;
    private String token;
    private Path files;

    @BeforeAll
    void start(@TempDir Path dir) throws Exception {
        files = dir;
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
        fires(database);
    }

    /** Has three things fire, and nothing be acknowledged. */
    static void fires(TestDatabase database) {
        database.execute(
                "delete from rowbell.acknowledgement",
                "delete from rowbell.firing_state",
                "delete from rowbell.audit",
                """
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                select 'f' || i, 'too-late', 'public.orders', 'id=' || i, 'warning', null, 1, '2026-11-23 08:00Z', now(), 0, 'x' from generate_series(7, 9) i""");
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
        assertEquals("ada|127.0.0.1|acknowledge|too-late id=8, note on it|1 acknowledged.", audit());
        assertEquals(
                List.of("Rowbell web console: ada"), database.query("select application from rowbell.acknowledgement"));
        assertTrue(operator.get("/audit").body().contains("too-late id=8, note on it"));
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

    /** Browsers send those that a page at another port of this host has set. */
    @Test
    void aCookieOfTheSameNameFromElsewhereEndsNoSession() {
        WebClient operator = withToken();
        String name = operator.cookie().replaceFirst("=.*", "");
        for (String cookies : List.of(name + "=x; " + operator.cookie(), operator.cookie() + "; " + name + "=x")) {
            String page =
                    operator.raw("GET /firing HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: %s\r\nConnection: close\r\n\r\n"
                            .formatted(port, cookies));
            assertTrue(page.contains("Acknowledge"), page);
        }
    }

    @Test
    void whoTriesPasswordsIsSlowedDownAndTheLogSaysIt() {
        try (LogLines log = new LogLines("dev.rowbell.web.Logins")) {
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
            int lines = log.lines().size();
            assertEquals(
                    429,
                    thief.post("/login", Map.of("user", "tried", "password", "x"))
                            .statusCode());
            assertEquals(lines, log.lines().size(), "nobody fills the log");
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
        for (String wrong : List.of("too-late", "%zz&x", "a&b&c")) {
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
    void behindAProxyThePagesMayHaveAPathOfTheirOwn(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put("rowbell.web.origin", "https://rowbell.example.org");
        settings.put("rowbell.web.base-path", "/rowbell");
        try (RunningRowbell behind = RunningRowbell.start(settings)) {
            Rowbell.of(behind.context()).serveWebConsole();
            assertTrue(Rowbell.of(behind.context()).webAddress().contains("/rowbell/?token="));
            WebClient browser = new WebClient(Integer.parseInt(settings.get("rowbell.health.port")));
            HttpResponse<String> answer = browser.get("/rowbell/?token=" + tokenOf(behind));
            assertEquals("/rowbell/", answer.headers().firstValue("Location").orElse(""));
            assertTrue(answer.headers()
                    .firstValue("Set-Cookie")
                    .orElse("")
                    .matches("__Secure-rowbell-.*; Path=/rowbell; .*; Secure"));
            // the proxy passes the path on, or leaves it out
            for (String path : List.of("/rowbell", "/rowbell/", "/", "/rowbell/firing", "/firing", "/rowbell/alerts")) {
                HttpResponse<String> page = browser.get(path);
                assertEquals(200, page.statusCode(), path);
                Matcher link = Pattern.compile("(?:href|action|src)=\"([^\"]*)").matcher(page.body());
                while (link.find()) {
                    assertTrue(link.group(1).startsWith("/rowbell/"), path + " " + link.group());
                }
            }
            Map<String, String> right = WebClient.with(ACKNOWLEDGE, "form", browser.formToken());
            HttpResponse<String> done =
                    browser.post("/rowbell/firing/acknowledge", right, Map.of("Origin", "https://rowbell.example.org"));
            assertEquals(303, done.statusCode(), done.body());
            assertEquals(
                    "/rowbell/firing", done.headers().firstValue("Location").orElse(""));
            assertEquals("id=8 on it", acknowledged());
            assertEquals(200, browser.get("/rowbell/api/rules").statusCode());
            assertEquals(200, browser.get("/observe/health/live").statusCode());
            assertEquals(404, browser.get("/rowbellx/firing").statusCode());
        }
    }

    @Test
    void aProxySaysWhomItHasLetIn(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put("rowbell.web.users", "ada:operator:%1$s,bob:viewer:%1$s".formatted(WebClient.hash("unknown")));
        settings.put("rowbell.web.user-header", "X-User");
        settings.put("rowbell.web.proxies", "192.0.2.1, 127.0.0.0/8, ::1");
        try (RunningRowbell behind = RunningRowbell.start(settings)) {
            Rowbell.of(behind.context()).serveWebConsole();
            int behindPort = Integer.parseInt(settings.get("rowbell.health.port"));
            for (Map<String, String> header : List.of(
                    Map.<String, String>of(),
                    Map.of("X-User", "eve"),
                    Map.of("X-User", ""),
                    Map.of("X-Other", "ada"))) {
                WebClient nobody = new WebClient(behindPort);
                assertEquals(303, nobody.get("/firing", header).statusCode(), header.toString());
                assertEquals(401, nobody.get("/api/firing", header).statusCode());
            }
            assertTrue(
                    new WebClient(behindPort)
                            .raw(
                                    "GET /firing HTTP/1.1\r\nHost: localhost\r\nX-User: bob\r\nX-User: ada\r\nConnection: close\r\n\r\n")
                            .startsWith("HTTP/1.1 303 "),
                    "a client has sent one, too");
            Map<String, String> ada = Map.of("X-User", "ada");
            WebClient operator = new WebClient(behindPort);
            String page = operator.get("/firing", ada).body();
            assertTrue(page.contains("Acknowledge"), page);
            String cookie = operator.cookie();
            operator.get("/rules", ada);
            assertEquals(cookie, operator.cookie(), "one session for all");
            assertEquals(200, new WebClient(behindPort).get("/api/firing", ada).statusCode());
            Map<String, String> right = WebClient.with(ACKNOWLEDGE, "form", operator.formToken());
            Map<String, String> own = WebClient.with(ada, "Origin", "http://127.0.0.1:" + behindPort);
            for (String path : List.of("/firing/acknowledge", "/api/firing/acknowledge")) {
                assertEquals(
                        403,
                        new WebClient(behindPort).post(path, ACKNOWLEDGE, own).statusCode(),
                        "no session");
                assertEquals(403, operator.post(path, ACKNOWLEDGE, own).statusCode(), "no token");
                assertEquals(
                        403,
                        operator.post(path, right, WebClient.with(own, "X-User", "bob"))
                                .statusCode(),
                        "the session of another");
            }
            assertEquals("", acknowledged());
            assertEquals(303, operator.post("/firing/acknowledge", right, own).statusCode());
            assertEquals("ada|127.0.0.1|acknowledge|too-late id=8, note on it|1 acknowledged.", audit());
            String other = operator.get("/firing", Map.of("X-User", "bob")).body();
            assertTrue(other.contains("bob (viewer)"), other);
            assertFalse(other.contains("Acknowledge"), other);
        }
    }

    @Test
    void theHeaderOfAProxyCountsFromItsAddressAlone(@TempDir Path dir) throws Exception {
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put("rowbell.web.users", "ada:operator:" + WebClient.hash("unknown"));
        settings.put("rowbell.web.user-header", "X-User");
        settings.put("rowbell.web.proxies", "192.0.2.0/24");
        try (RunningRowbell behind = RunningRowbell.start(settings)) {
            Rowbell.of(behind.context()).serveWebConsole();
            WebClient client = new WebClient(Integer.parseInt(settings.get("rowbell.health.port")));
            assertEquals(303, client.get("/firing", Map.of("X-User", "ada")).statusCode());
            assertEquals(401, client.get("/api/firing", Map.of("X-User", "ada")).statusCode());
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

    @Test
    void manyAreAcknowledgedAndTakenBackAtOnce() {
        WebClient operator = withToken();
        String all = "which=too-late%26id%253D7&which=too-late%26id%253D9&which=none%26x&assignee=Ada&form="
                + operator.formToken();
        assertEquals(303, operator.send("/firing/acknowledge", all).statusCode());
        assertEquals("id=7 ,id=9 ", acknowledged());
        assertTrue(operator.get("/firing").body().contains("2 acknowledged."));
        assertEquals(
                List.of("Ada"),
                database.query("select distinct assignee from rowbell.firing where acknowledged is not null"));
        operator.act("/firing/unacknowledge", Map.of("which", "too-late&id%3D7"));
        assertEquals("id=9 ", acknowledged());
        assertEquals("""
                token|127.0.0.1|acknowledge|too-late id=7, too-late id=9, none x, assignee Ada|2 acknowledged.
                token|127.0.0.1|unacknowledge|too-late id=7|1 not acknowledged any more.""", audit());
    }

    /** The audit has more of them. */
    @Test
    void theLogNamesTheFirstOfManyThings() {
        WebClient operator = withToken();
        String all = IntStream.range(0, 200)
                .mapToObj(i -> "which=too-late%26id%253D" + (1000 + i) + "&")
                .collect(Collectors.joining());
        try (LogLines log = new LogLines("dev.rowbell.web.Actions")) {
            for (String action : List.of("acknowledge", "unacknowledge")) {
                String form = all + "note=" + "n".repeat(5000) + "&form=" + operator.formToken();
                assertEquals(303, operator.send("/firing/" + action, form).statusCode());
            }
            for (String line : log.lines()) {
                assertTrue(line.contains("too-late id=1000, too-late id=1001, too-late id=1002 and 197 more"), line);
                assertTrue(line.length() < 1500, line);
            }
            assertEquals(2, log.lines().size());
        }
        assertTrue(audit().contains("too-late id=1002, too-late id=1003, too-late id=1004"), audit());
    }

    @Test
    void aSilenceIsLookedAtAddedAndEnded() {
        WebClient operator = withToken();
        assertTrue(operator.get("/firing")
                .body()
                .contains("/silences/new?for=1h&amp;rule=too-late&amp;feed=public.orders&amp;key=id%3D8"));
        String look = operator.get("/silences/new?look=1&rule=too-*&feed=public.orders&key=&for=2h&why=import")
                .body();
        assertTrue(look.contains("<strong>3</strong>") && look.contains("too-late public.orders id=9"), look);
        String none = operator.get("/silences/new?look=1&rule=stays&for=2h&why=import")
                .body();
        assertTrue(none.contains("<strong>0</strong>") && none.contains("Add this silence"), none);
        assertTrue(operator.get("/silences/new?look=1&for=1h&why=x").body().contains("Every alert."));
        for (String wrong :
                List.of("for=2&why=x", "for=1s1d&why=x", "for=9999d&why=x", "for=0s&why=x", "for=1h&why=", "why=x")) {
            String page =
                    operator.get("/silences/new?look=1&rule=stays&" + wrong).body();
            assertTrue(page.contains("role=\"alert\"") && !page.contains("Add this silence"), page);
        }
        assertFalse(new WebClient(port)
                .get("/silences/new?look=1&for=1h&why=x")
                .body()
                .contains("Add this silence"));
        Map<String, String> silence = Map.of("rule", "too-*", "feed", "", "key", "id=7", "for", "2h", "why", "import");
        assertEquals(303, operator.act("/silences/add", silence).statusCode());
        String number = database.query("select id from rowbell.silence where why = 'import'")
                .get(0);
        assertEquals(List.of("too-*  id=7 token t"), database.query("""
                        select concat_ws(' ', rule, coalesce(feed, ''), key, who, until - since between interval '1:59' and interval '2:01')
                        from rowbell.silence where why = 'import'"""));
        operator.act("/silences/add", WebClient.with(silence, "for", "soon"));
        assertEquals(
                303,
                operator.act("/silences/add", WebClient.with(silence, "for", "1s1d"))
                        .statusCode());
        operator.act("/silences/add", WebClient.with(silence, "why", ""));
        assertEquals(1, database.count("rowbell.silence"));
        assertTrue(operator.get("/silences").body().contains("End now"));
        assertEquals(
                303, operator.act("/silences/end", Map.of("number", number)).statusCode());
        assertEquals(List.of("t"), database.query("select until <= clock_timestamp() from rowbell.silence"));
        operator.act("/silences/end", Map.of("number", number));
        assertTrue(operator.get("/silences").body().contains("had ended before"));
        operator.act("/silences/end", Map.of("number", "1 or 1"));
        assertTrue(operator.get("/silences").body().contains("Nothing was done: number: give a whole number"));
        database.execute("delete from rowbell.silence");
    }

    /** An application acknowledges in its transaction, and so does another operator, who has selected the same in another order. */
    @Test
    void whoAcknowledgesTheSameInAnotherOrderWaitsAndBothSucceed() throws Exception {
        WebClient operator = withToken();
        String all = "which=too-late%26id%253D9&which=too-late%26id%253D7&note=both&form=" + operator.formToken();
        try (Connection other = database.connect();
                Statement statement = other.createStatement()) {
            other.setAutoCommit(false);
            statement.execute("select rowbell.acknowledge('too-late', 'id=7')");
            CompletableFuture<HttpResponse<String>> acting =
                    CompletableFuture.supplyAsync(() -> operator.send("/firing/acknowledge", all));
            await().until(() ->
                    database.count("pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                            == 1);
            statement.execute("select rowbell.acknowledge('too-late', 'id=9')");
            other.commit();
            assertEquals(303, acting.join().statusCode());
        }
        assertEquals("id=7 both,id=9 both", acknowledged());
    }

    /** It is all that its rule fires for. Of what others raise alerts of there may be more. */
    @Test
    void whatARuleFiresForWithoutAKeyIsSelectedToo() {
        WebClient operator = withToken();
        database.execute(
                "update rowbell.firing_state set key = null where fingerprint in ('f7', 'f8')",
                "update rowbell.firing_state set rule = 'too-many' where fingerprint = 'f8'");
        Matcher box = Pattern.compile("name=\"which\" value=\"([^\"]*)\"")
                .matcher(operator.get("/firing").body());
        List<String> boxes = box.results()
                .map(found -> found.group(1).replace("&amp;", "&"))
                .sorted()
                .toList();
        assertEquals(List.of("too-late&id%3D9", "too-many&"), boxes);
        operator.act("/firing/acknowledge", Map.of("which", "too-many&"));
        assertEquals(
                List.of("f8"), database.query("select fingerprint from rowbell.firing where acknowledged is not null"));
        operator.act("/firing/unacknowledge", Map.of("which", "too-many&"));
        assertEquals(0, database.count("rowbell.firing where acknowledged is not null"));
    }

    /** As of a column char(4), of one with addresses, and of one with a character of no width. */
    @Test
    void aKeyIsTakenAsItIsWithItsBlanksAndWithWhatNoPageShows() {
        WebClient operator = withToken();
        List<String> keys = List.of("c=ab  ", "u=http://joe:secret@example.org/", "z=zero\u200bwidth");
        for (String key : keys) {
            database.execute("update rowbell.firing_state set key = '%s' where fingerprint = 'f8'".formatted(key));
            // the link "Silence this" leads to a form whose fields are what a browser sends on
            Matcher link = Pattern.compile("/silences/new\\?[^\"]*")
                    .matcher(operator.get("/firing?text=" + key.charAt(0) + "%3D")
                            .body());
            assertTrue(link.find(), key);
            Map<String, String> shown =
                    fields(operator.get(link.group().replace("&amp;", "&")).body());
            assertFalse(shown.get("key").contains("secret"), key);
            String look = operator.get("/silences/new?" + WebClient.encoded(WebClient.with(shown, "why", "x")))
                    .body();
            assertTrue(look.contains("<strong>1</strong>"), look);
            // and so does its button
            assertEquals(
                    shown.get("key"),
                    fields(look.substring(look.indexOf("It would cover"))).get("key"));
            operator.act("/silences/add", Map.of("rule", "", "key", shown.get("key"), "for", "1h", "why", "x"));
            assertEquals(List.of(shown.get("key")), database.query("select key from rowbell.silence"));
            database.execute("delete from rowbell.silence");

            operator.act("/firing/acknowledge", Map.of("rule", "too-late", "key", key));
            assertEquals("%s ".formatted(key), acknowledged());
            operator.act("/firing/unacknowledge", Map.of("rule", "too-late", "key", key));
            assertEquals("", acknowledged());
        }
        for (String key : keys.subList(1, 3)) {
            String look = operator.get(
                            "/silences/new?look=1&for=1h&why=x&key=" + URLEncoder.encode(key, StandardCharsets.UTF_8))
                    .body();
            assertTrue(look.contains("Write a * in the place") && !look.contains("Add this silence"), look);
        }
    }

    @Test
    void aSilenceIsPlannedAndRemovedBeforeItBegins() {
        WebClient operator = withToken();
        String from =
                LocalDateTime.now().plusDays(1).truncatedTo(ChronoUnit.MINUTES).toString();
        String until =
                LocalDateTime.now().plusDays(3).truncatedTo(ChronoUnit.MINUTES).toString();
        String look = operator.get("/silences/new?look=1&rule=too-*&why=move&for=2h&from=" + from)
                .body();
        assertTrue(
                look.contains("It begins <strong>%s</strong> and lasts <strong>2h</strong>."
                        .formatted(from.replace('T', ' '))),
                look);
        assertTrue(look.contains("<strong>3</strong>") && look.contains("Add this silence"), look);
        for (String wrong : List.of("from=soon&for=2h", "from=" + until + "&until=" + from, "for=1h&until=" + until)) {
            String page = operator.get("/silences/new?look=1&rule=too-*&why=move&" + wrong)
                    .body();
            assertTrue(page.contains("role=\"alert\"") && !page.contains("Add this silence"), page);
        }
        Map<String, String> silence = Map.of("rule", "too-*", "why", "move", "from", from, "until", until);
        operator.act("/silences/add", silence);
        List<String> number = database.query("select id from rowbell.silence where why = 'move'");
        String page = operator.get("/silences").body();
        assertTrue(page.contains("Silence %s is planned.".formatted(number.get(0))), page);
        assertTrue(page.contains(">planned</span>") && page.contains(">Remove<") && !page.contains("End now"), page);
        // two days, and an hour more or less where the clocks change
        assertEquals(
                1,
                database.count(
                        "rowbell.silence where why = 'move' and until - since between interval '47 h' and interval '49 h'"));
        assertTrue(audit().contains(
                        "|silence|rule too-*, feed any, key any, from %s, until %s: move|".formatted(from, until)));
        operator.act("/silences/add", WebClient.with(silence, "until", from));
        assertTrue(operator.get("/silences").body().contains("Nothing was done: a silence ends after it begins"));
        operator.act("/silences/end", Map.of("number", number.get(0)));
        assertTrue(operator.get("/silences").body().contains("Silence %s will not begin.".formatted(number.get(0))));
        assertEquals(1, database.count("rowbell.silence where until <= clock_timestamp()"));
        database.execute("delete from rowbell.silence");
    }

    private List<String> letters(String sink, String error, int count) {
        return database.query("""
                insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                select '%1$s', '%1$s-' || i, json_build_object('id', '%1$s-' || i, 'rule', 'r'), 3, now(), '%2$s' from generate_series(1, %3$d) i
                returning id""".formatted(sink, error, count));
    }

    /** Of the form of the page. */
    private static Map<String, String> fields(String page) {
        Map<String, String> form = new HashMap<>();
        Pattern.compile("<input[^>]* name=\"(\\w+)\" value=\"([^\"]*)\"")
                .matcher(page)
                .results()
                .forEach(field -> form.put(field.group(1), field.group(2)));
        return form;
    }

    @Test
    void deadLettersAreSentAgainOrDiscardedOneOrAllOfAGroup() {
        WebClient operator = withToken();
        List<String> numbers = letters("nowhere", "gone", 5);
        letters("nowhere", "another", 1);
        letters("elsewhere", "gone", 1);
        assertEquals(
                303,
                operator.act("/dead-letters/retry", Map.of("number", numbers.get(0)))
                        .statusCode());
        assertEquals(1, database.count("rowbell.delivery where sink = 'nowhere'"));
        operator.act("/dead-letters/discard", Map.of("number", numbers.get(1)));
        operator.act("/dead-letters/discard", Map.of("number", numbers.get(1)));
        assertTrue(operator.get("/").body().contains("no such dead letter any more"));
        assertEquals(3, database.count("rowbell.dead_letter where sink = 'nowhere' and last_error = 'gone'"));

        String groups = operator.get("/dead-letters").body();
        Matcher retry = Pattern.compile("\"(/dead-letters/all\\?do=retry&amp;sink=nowhere&amp;error=\\w+)\">Retry all")
                .matcher(groups);
        String ask = "";
        while (retry.find() && !ask.contains("<strong>3</strong>")) {
            ask = operator.get(retry.group(1).replace("&amp;", "&")).body();
        }
        assertTrue(ask.contains("<strong>3</strong> dead letters of the sink <strong>nowhere</strong>"), groups + ask);
        letters("nowhere", "gone", 1);
        Map<String, String> form = fields(ask);
        assertEquals(303, operator.post("/dead-letters/retry-all", form).statusCode());
        assertTrue(operator.get("/dead-letters").body().contains("3 are sent again."));
        assertEquals(4, database.count("rowbell.delivery where sink = 'nowhere'"));
        assertEquals(
                1,
                database.count("rowbell.dead_letter where sink = 'nowhere' and last_error = 'gone'"),
                "the one that came later");
        operator.post("/dead-letters/discard-all", WebClient.with(form, "newest", "999999999"));
        assertEquals(0, database.count("rowbell.dead_letter where sink = 'nowhere' and last_error = 'gone'"));
        assertEquals(2, database.count("rowbell.dead_letter"));
        assertEquals(
                404,
                operator.get("/dead-letters/all?do=drop&sink=nowhere&error=x").statusCode());
        assertTrue(operator.get("/dead-letters/all?do=discard&sink=nowhere&error=x")
                .body()
                .contains("None of these is left."));
        database.execute("delete from rowbell.dead_letter", "delete from rowbell.delivery where sink = 'nowhere'");
    }

    @Test
    void aGroupIsCountedInPartAndChangedAsAWhole() {
        WebClient operator = withToken();
        letters("nowhere", "many", 100_001);
        Matcher all = Pattern.compile("\"(/dead-letters/all\\?do=discard&amp;sink=nowhere&amp;error=\\w+)\"")
                .matcher(operator.get("/dead-letters").body());
        assertTrue(all.find());
        String ask = operator.get(all.group(1).replace("&amp;", "&")).body();
        assertTrue(ask.contains("<strong>100,000 or more</strong> dead letters"), ask);
        assertTrue(ask.contains("Delete all"), ask);
        Map<String, String> form = fields(ask);
        assertEquals(303, operator.post("/dead-letters/discard-all", form).statusCode());
        assertTrue(operator.get("/dead-letters").body().contains("100001 were deleted."));
        assertEquals(0, database.count("rowbell.dead_letter"));
    }

    @Test
    void anOperatorActsWhileAnotherActionTakesLong() throws Exception {
        WebClient operator = withToken();
        List<String> numbers = letters("nowhere", "gone", 1);
        WebClient other = withToken();
        try (Connection holder = database.connect()) {
            holder.setAutoCommit(false);
            holder.createStatement().execute("select from rowbell.dead_letter for update");
            CompletableFuture<HttpResponse<String>> waits = CompletableFuture.supplyAsync(
                    () -> operator.act("/dead-letters/discard", Map.of("number", numbers.get(0))));
            await().until(() ->
                    database.count("pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                            > 0);
            assertEquals(303, other.act("/firing/acknowledge", ACKNOWLEDGE).statusCode());
            assertEquals("id=8 on it", acknowledged());
            assertFalse(waits.isDone());
            holder.rollback();
            assertEquals(303, waits.get(60, TimeUnit.SECONDS).statusCode());
        }
        assertEquals(0, database.count("rowbell.dead_letter"));
    }

    @Test
    void aTestAlertGoesToOneSink() {
        WebClient operator = withToken();
        assertTrue(operator.get("/sinks").body().contains("Send a test alert to file"));
        assertFalse(operator.get("/sinks").body().contains("Send a test alert to mail"), "it is off");
        assertEquals(303, operator.act("/sinks/test", Map.of("sink", "file")).statusCode());
        String said = operator.get("/sinks").body();
        Matcher id = Pattern.compile("A test alert waits for file: its id is ([\\w-]+)")
                .matcher(said);
        assertTrue(id.find(), said);
        await().until(() -> written().contains(id.group(1)));
        assertTrue(written().contains("\"rule\":\"rowbell-test\""), written());
        for (String none : List.of("mail", "nowhere", "")) {
            operator.act("/sinks/test", Map.of("sink", none));
            assertTrue(operator.get("/sinks").body().contains("Nothing was done: no sink of this name is on here"));
        }
    }

    @Test
    void anOperatorPausesASinkAndAViewerDoesNot() {
        Map<String, String> file = Map.of("sink", "file", "note", "the disk is full");
        WebClient viewer = login("bob", "Bob's");
        for (String action : List.of("/sinks/pause", "/sinks/resume")) {
            assertEquals(403, viewer.act(action, file).statusCode());
        }
        assertFalse(viewer.get("/sinks").body().contains("Pause file"));
        assertEquals(0, database.count("rowbell.paused_sink"));
        WebClient operator = login("ada", "Ada's");
        assertTrue(operator.get("/sinks").body().contains("Pause file"));
        assertEquals(303, operator.act("/sinks/pause", file).statusCode());
        String page = operator.get("/sinks").body();
        assertTrue(page.contains("file is paused: its alerts wait."), page);
        assertTrue(
                page.matches(
                        "(?s).*paused</span> since 20\\S+ \\S+ by [^<]*, Rowbell web console: ada: the disk is full.*"),
                page);
        assertTrue(page.contains("Resume file") && !page.contains("Pause file"), page);
        assertTrue(viewer.get("/").body().contains("sink file is paused since"));
        operator.act("/sinks/pause", file);
        assertTrue(operator.get("/sinks").body().contains("file was paused before."));
        operator.act("/sinks/pause", Map.of("sink", "fiel"));
        assertTrue(operator.get("/sinks").body().contains("Nothing was done: there is no sink &quot;fiel&quot;"));
        operator.act("/sinks/resume", Map.of("sink", "file"));
        assertTrue(operator.get("/sinks").body().contains("file goes on."));
        assertEquals(0, database.count("rowbell.paused_sink"));
        assertEquals(
                "ada|127.0.0.1|pause sink|sink file, note the disk is full|file is paused: its alerts wait.\n"
                        + "ada|127.0.0.1|pause sink|sink file, note the disk is full|file was paused before.\n"
                        + "ada|127.0.0.1|pause sink|sink fiel|Nothing was done: there is no sink \"fiel\": those that a process has, or for which alerts wait, are file\n"
                        + "ada|127.0.0.1|resume sink|sink file|file goes on.",
                audit());
    }

    /** In the files of alerts of all processes, since they share the sinks. */
    private String written() {
        StringBuilder lines = new StringBuilder();
        try (Stream<Path> all = Files.walk(files)) {
            for (Path file :
                    all.filter(path -> path.toString().endsWith(".jsonl")).toList()) {
                lines.append(Files.readString(file));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return lines.toString();
    }

    @Test
    void aRuleThatWaitsIsPausedAndResumed() {
        WebClient operator = withToken();
        assertTrue(operator.get("/rules/show?name=stays").body().contains(">Pause<"));
        assertFalse(operator.get("/rules/show?name=too-many").body().contains(">Pause<"), "it waits for nothing");
        HttpResponse<String> paused = operator.act("/rules/pause", Map.of("name", "stays"));
        assertEquals(
                "/rules/show?name=stays",
                paused.headers().firstValue("Location").orElse(""));
        assertEquals(1, database.count("rowbell.rule_state where rule = 'stays' and paused is not null"));
        assertTrue(operator.get("/rules/show?name=stays").body().contains(">Resume<"));
        operator.act("/rules/resume", Map.of("name", "stays"));
        assertEquals(0, database.count("rowbell.rule_state where paused is not null"));
        operator.act("/rules/pause", Map.of("name", "too-many"));
        assertTrue(operator.get("/").body().contains("This rule waits for nothing."));
    }

    @Test
    void aRuleIsDisabledWithANoteUntilItIsEnabledAgain() {
        String page = "/rules/show?name=too-many";
        WebClient viewer = login("bob", "Bob's");
        assertFalse(viewer.get(page).body().contains(">Disable<"));
        Map<String, String> form = Map.of("name", "too-many", "note", "import <b>now</b>");
        assertEquals(403, viewer.act("/rules/disable", form).statusCode());
        WebClient operator = login("ada", "Ada's");
        assertTrue(operator.get(page).body().contains(">Disable<"));
        HttpResponse<String> disabled = operator.act("/rules/disable", form);
        assertEquals(page, disabled.headers().firstValue("Location").orElse(""));
        String shown = operator.get(page).body();
        assertTrue(shown.contains("It is disabled until somebody enables it again."), shown);
        assertTrue(shown.contains("the rule is disabled by ada since 20"), shown);
        assertTrue(shown.contains(" (import &lt;b&gt;now&lt;/b&gt;)"), shown);
        assertTrue(shown.contains("note: none -&gt; import &lt;b&gt;now"), shown);
        assertFalse(shown.contains(">Disable<"));
        assertTrue(operator.get("/rules").body().contains("by ada since 20"));
        assertTrue(operator.get("/").body().contains("1 disabled"));
        assertTrue(operator.get("/api/rules?q=too-many").body().contains("\"disabledBy\":\"ada\""));
        assertEquals(
                403, viewer.act("/rules/enable", Map.of("name", "too-many")).statusCode());
        operator.act("/rules/disable", form);
        operator.act("/rules/enable", form);
        assertTrue(operator.get("/").body().contains("It is enabled."));
        operator.act("/rules/enable", form);
        operator.act("/rules/enable", Map.of("name", "none"));
        assertEquals("""
                ada|127.0.0.1|disable rule|rule too-many, note import <b>now</b>|It is disabled until somebody enables it again.
                ada|127.0.0.1|disable rule|rule too-many, note import <b>now</b>|It was disabled already.
                ada|127.0.0.1|enable rule|rule too-many|It is enabled.
                ada|127.0.0.1|enable rule|rule too-many|It was enabled already.
                ada|127.0.0.1|enable rule|rule none|Nothing was done: there is no rule "none\"""", audit());
        assertEquals(
                List.of("Rowbell web console: ada"),
                database.query(
                        "select distinct application from rowbell.rule_history('too-many') where change like 'enabled%'"));
    }

    @Test
    void withTheRightsOfAConsumerMostIsDoneAndTheRestSaysWhatToGrant(@TempDir Path dir) throws Exception {
        String role = "operator_of_" + database.name();
        database.execute("create role %s login password 'pw'".formatted(role), "grant rowbell_consumer to " + role);
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.putAll(Map.of("rowbell.migrate", "false", "rowbell.jdbc.user", role, "rowbell.jdbc.password", "pw"));
        try (RunningRowbell consumer = RunningRowbell.start(settings)) {
            Rowbell.of(consumer.context()).serveWebConsole();
            WebClient operator = new WebClient(Integer.parseInt(settings.get("rowbell.health.port")));
            operator.get("/?token=" + tokenOf(consumer));
            operator.act("/firing/acknowledge", ACKNOWLEDGE);
            assertEquals("id=8 on it", acknowledged());
            List<String> number = letters("nowhere", "gone", 1);
            operator.act("/dead-letters/discard", Map.of("number", number.get(0)));
            assertEquals(0, database.count("rowbell.dead_letter where sink = 'nowhere'"));
            operator.act("/sinks/pause", Map.of("sink", "file"));
            assertEquals(1, database.count("rowbell.paused_sink where sink = 'file'"));
            operator.act("/sinks/resume", Map.of("sink", "file"));
            assertEquals(0, database.count("rowbell.paused_sink"));
            operator.act("/silences/add", Map.of("rule", "x", "for", "1h", "why", "x"));
            String said = operator.get("/silences").body();
            assertTrue(
                    said.contains(
                            "Nothing was done: permission denied for table silence: grant rowbell_admin to " + role),
                    said);
            for (String action : List.of("/rules/pause", "/rules/disable", "/rules/enable")) {
                operator.act(action, Map.of("name", "stays"));
                assertTrue(operator.get("/").body().contains("grant rowbell_admin to " + role), action);
            }
            assertTrue(
                    audit().contains(
                                    "|silence|rule x, feed any, key any, for 1h: x|Nothing was done: permission denied"),
                    audit());
            assertTrue(operator.get("/audit").body().contains("permission denied"));
            // what is not in the audit is not done
            database.execute("revoke insert on rowbell.audit from rowbell_consumer");
            operator.act("/firing/unacknowledge", Map.of("which", "too-late&id%3D8"));
            assertEquals("id=8 on it", acknowledged());
            assertTrue(operator.get("/").body().contains("permission denied for table audit"));
        } finally {
            database.execute(
                    "grant insert on rowbell.audit to rowbell_consumer", "drop owned by " + role, "drop role " + role);
        }
    }

    @Test
    void whatIsHostileStaysTextInWhatIsSaidAndInTheAudit() {
        String hostile = "<script>alert(1)</script>\"'><img src=x>\u202Egnp.exe";
        WebClient operator = withToken();
        operator.act("/silences/add", Map.of("rule", hostile, "key", hostile, "for", "1h", "why", hostile));
        operator.act("/firing/acknowledge", Map.of("which", "too-late&id%3D8", "note", hostile, "assignee", hostile));
        operator.act("/sinks/pause", Map.of("sink", "file", "note", hostile));
        String overview = operator.get("/").body();
        assertTrue(overview.contains("sink file is paused"), overview);
        assertFalse(overview.contains("<script>alert") || overview.contains("<img"), overview);
        String encoded = URLEncoder.encode(hostile, StandardCharsets.UTF_8);
        for (String path : List.of(
                "/sinks",
                "/audit",
                "/silences",
                "/firing",
                "/silences/new?look=1&why=x&for=1h&from=" + encoded + "&until=" + encoded,
                "/silences/new?rule=" + encoded + "&why=" + encoded + "&for=" + encoded,
                "/silences/new?look=1&for=1h&rule=" + encoded + "&why=" + encoded,
                "/login?refusal=" + encoded,
                "/dead-letters/all?do=retry&sink=" + encoded + "&error=" + encoded)) {
            String page = operator.get(path).body();
            assertFalse(page.matches("(?s).*<(script|img).*"), path + page);
            assertFalse(page.contains("\u202E") || page.contains("\"'>"), path + page);
        }
        assertEquals(
                403,
                operator.post("/login", Map.of("user", hostile, "password", hostile))
                        .statusCode());
        database.execute("delete from rowbell.silence", "delete from rowbell.paused_sink");
    }
}
