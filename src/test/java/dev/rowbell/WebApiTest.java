package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import dev.rowbell.web.Api;
import java.net.URLEncoder;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/** The JSON interface of the web console, over HTTP: openapi.yaml describes all of it, and it asks for the same rights as the pages. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class WebApiTest {

    private static final String ACKNOWLEDGE = "/api/firing/acknowledge";
    private static final Map<String, String> THING = Map.of("rule", "too-late", "key", "id=8", "note", "on it");

    private final TestDatabase database = TestDatabase.createWithSchema();
    private RunningRowbell rowbell;
    private RunningRowbell withUsers;
    private WebClient client;
    private WebClient usersClient;
    private int port;
    private String token;

    @BeforeAll
    void start(@TempDir Path dir) throws Exception {
        database.execute(
                "create table public.orders (id int primary key, c2 int)",
                "insert into rowbell.rule (name, feed, condition) values ('too-many', 'public.orders', 'new.c2 > 9999')",
                """
                insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                select 'pager', 'alert-' || i, json_build_object('rule', 'too-many'), 10, now(), 'https://joe:secret@pager.example.org answered 410'
                from generate_series(1, 3) i""",
                "insert into rowbell.silence (rule, key, until, why) values ('too-*', 'id=7', now() + interval '1 hour', 'import')",
                "select rowbell.make_history_days()",
                """
                insert into rowbell.history_alert (at, id, path, rule, feed, key, severity, status, time, sinks, document)
                select date_trunc('day', now(), 'UTC') + i * interval '1 ms', 'kept/' || i, 'durable', 'often', 'public.orders', 'id=' || i, 'info', 'firing', now(),
                  '{file}', json_build_object('id', 'kept/' || i, 'new', json_build_object('c2', 3.50, 'url', 'https://joe:secret@pager.example.org/'))
                from generate_series(1, 250) i""");
        Map<String, String> settings = WebClient.settings(database, dir.resolve("one"));
        rowbell = RunningRowbell.start(settings);
        Rowbell.of(rowbell.context()).serveWebConsole();
        port = Integer.parseInt(settings.get("rowbell.health.port"));
        client = new WebClient(port);
        token = Rowbell.of(rowbell.context()).webAddress().replaceFirst(".*\\?token=", "");
        Map<String, String> users = WebClient.settings(database, dir.resolve("two"));
        users.put(
                "rowbell.web.users",
                "ada:operator:%s,bob:viewer:%s,eve:viewer:%1$s"
                        .formatted(WebClient.hash("Ada's:1"), WebClient.hash("Bob's")));
        withUsers = RunningRowbell.start(users);
        Rowbell.of(withUsers.context()).serveWebConsole();
        usersClient = new WebClient(Integer.parseInt(users.get("rowbell.health.port")));
    }

    @AfterAll
    void stop() {
        rowbell.close();
        withUsers.close();
    }

    @BeforeEach
    void fires() {
        WebOperatorTest.fires(database);
    }

    private Map<String, String> bearer() {
        return Map.of("Authorization", "Bearer " + token);
    }

    private static Map<String, String> basic(String login) {
        return Map.of(
                "Authorization", "Basic " + Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8)));
    }

    private static Map<String, Object> json(HttpResponse<String> answer, int status) {
        assertEquals(status, answer.statusCode(), answer.body());
        assertEquals(
                "application/json; charset=utf-8",
                answer.headers().firstValue("Content-Type").orElse(""));
        return AlertJson.parse(answer.body());
    }

    private Map<String, Object> read(String path) {
        return json(client.get(path), 200);
    }

    private static Map<?, ?> map(Object value) {
        return (Map<?, ?>) value;
    }

    private static List<?> list(Object value) {
        return (List<?>) value;
    }

    private String acknowledged() {
        return String.join(
                ",", database.query("select key from rowbell.firing where acknowledged is not null order by 1"));
    }

    private Map<?, ?> description() {
        HttpResponse<String> answer = client.get("/api/openapi.yaml");
        assertEquals(200, answer.statusCode());
        return map(new Load(LoadSettings.builder().build()).loadFromString(answer.body()));
    }

    @Test
    void theDescriptionHasEachPathAndMethodOfTheCodeAndNoOther() {
        Set<String> described = new TreeSet<>();
        map(description().get("paths"))
                .forEach((path, methods) -> map(methods)
                        .keySet()
                        .forEach(method -> described.add(method.toString().toUpperCase() + " " + path)));
        assertEquals(Api.operations(), described);
    }

    @Test
    void eachPathAndMethodOfTheDescriptionAnswersAsItSays() {
        Map<?, ?> description = description();
        Map<?, ?> schemas = map(map(description.get("components")).get("schemas"));
        List<String> compared = new ArrayList<>();
        map(description.get("paths"))
                .forEach((path, methods) -> map(methods).forEach((method, operation) -> {
                    String asked = path.toString().replace("{id}", "kept%2F7")
                            + (path.equals("/api/explain") ? "?rule=too-many&key=7" : "");
                    if (method.equals("post")) {
                        // of an empty form; some say that there was nothing to do
                        HttpResponse<String> answer = client.post(asked, Map.of(), bearer());
                        int status = answer.statusCode() == 200 ? 200 : 400;
                        assertEquals(
                                Set.of(status == 200 ? "done" : "problems"),
                                json(answer, status).keySet());
                    } else if (!asked.endsWith(".yaml")) {
                        Map<?, ?> content =
                                map(map(map(map(operation).get("responses")).get("200"))
                                        .get("content"));
                        Map<?, ?> properties =
                                map(map(map(content.get("application/json")).get("schema"))
                                        .get("properties"));
                        read(asked).forEach((name, value) -> {
                            assertTrue(properties.containsKey(name), path + " has " + name);
                            Map<?, ?> property = map(properties.get(name));
                            if (property.containsKey("items")
                                    && map(property.get("items")).containsKey("$ref")) {
                                String schema = map(property.get("items"))
                                        .get("$ref")
                                        .toString()
                                        .replaceFirst(".*/", "");
                                assertFalse(list(value).isEmpty(), path + " has no " + name);
                                assertEquals(
                                        map(map(schemas.get(schema)).get("properties"))
                                                .keySet(),
                                        map(list(value).get(0)).keySet(),
                                        schema);
                                compared.add(schema);
                            }
                        });
                    }
                }));
        String group = map(list(read("/api/dead-letters").get("groups")).get(0))
                .get("hash")
                .toString();
        List<?> letters =
                list(read("/api/dead-letters?sink=pager&error=" + group).get("letters"));
        assertEquals(
                map(map(schemas.get("Letter")).get("properties")).keySet(),
                map(letters.get(0)).keySet());
        assertEquals(
                Set.of("Firing", "Alert", "Finding", "Rule", "Sink", "Group", "Silence", "Feed"), Set.copyOf(compared));
    }

    @Test
    void anExplanationHasItsCauseAndWhatItIsAbout() {
        Map<String, Object> explained = read("/api/explain?rule=too-many&key=7&id=kept%2F7");
        assertEquals(Set.of("summary", "findings"), explained.keySet());
        assertTrue(explained.get("summary").toString().startsWith("No alert: silenced by silence 1 until "));
        assertTrue(list(explained.get("findings")).stream()
                .map(WebApiTest::map)
                .anyMatch(finding -> "silence".equals(finding.get("about")) && "1".equals(finding.get("name"))));
        assertEquals("Routed to file", read("/api/alerts/kept%2F7").get("summary"));
        assertEquals(Map.of("problems", List.of("give a rule")), json(client.get("/api/explain?key=7"), 400));
        json(client.get("/api/explain?rule=none"), 400);
    }

    @Test
    void itHasWhatThePagesHave() {
        Map<?, ?> fires =
                map(list(read("/api/firing?rule=too-late").get("firing")).get(0));
        assertEquals("too-late", fires.get("rule"));
        assertEquals(
                Instant.parse("2026-11-23T08:00:00Z"),
                OffsetDateTime.parse(fires.get("since").toString()).toInstant());
        assertEquals(List.of(), read("/api/firing?rule=none").get("firing"));
        Map<String, Object> page = read("/api/alerts?rule=often");
        assertEquals(200, list(page.get("alerts")).size());
        Map<String, Object> next = read("/api/alerts?rule=often&after="
                + URLEncoder.encode(page.get("after").toString(), StandardCharsets.UTF_8));
        assertEquals(50, list(next.get("alerts")).size());
        assertEquals("kept/50", map(list(next.get("alerts")).get(0)).get("id"));
        assertFalse(next.containsKey("after"));
        Map<String, Object> alert = read("/api/alerts/kept%2F7");
        assertTrue(alert.get("timeline").toString().contains("it was routed to file"), alert.toString());
        assertEquals(
                "3.50", map(map(alert.get("document")).get("new")).get("c2").toString());
        assertTrue(list(read("/api/rules?q=none").get("rules")).isEmpty());
    }

    @Test
    void whatCannotBeIsSaid() {
        for (String path : List.of("/api/none", "/api/alerts/none", "/api/alerts/", "/api/dead-letters/1", "/api/")) {
            assertTrue(json(client.get(path), 404).containsKey("problems"), path);
        }
        for (String name : List.of("from", "to")) {
            // the database refuses such years
            for (String time :
                    List.of("%2B999999999-01-01T00:00", "-999999999-01-01T00:00:00Z", "999999999", "-999999999", "x")) {
                assertEquals(
                        List.of(name + ": give times as 2026-11-23, 2026-11-23T08:00 or 2026-11-23T08:00:00Z"),
                        json(client.get("/api/alerts?" + name + "=" + time), 400)
                                .get("problems"),
                        time);
            }
        }
        json(client.get("/api/alerts?from=0000-01-01&to=9999-12-31T23:59:59-18:00"), 200);
        json(client.post("/api/none", Map.of(), bearer()), 404);
        assertTrue(client.raw("PUT /api/rules HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .startsWith("HTTP/1.1 405 "));
    }

    @Test
    void aNumberThatCannotBeIsRefusedWithItsName() {
        for (String number : List.of("x", "-1", "9999999999999999999", "")) {
            for (String path : List.of("/api/silences/end", "/api/dead-letters/retry", "/api/dead-letters/discard")) {
                assertEquals(
                        List.of("Nothing was done: number: give a whole number of at most 18 digits"),
                        json(client.post(path, Map.of("number", number), bearer()), 400)
                                .get("problems"),
                        number);
            }
        }
        json(client.post("/api/silences/end", Map.of("number", "999999999999999999"), bearer()), 200);
    }

    @Test
    void noLoginInAnAddressIsShown() {
        for (String path : List.of("/api/dead-letters", "/api/alerts/kept%2F7")) {
            String body = client.get(path).body();
            assertTrue(body.contains("https://…@pager.example.org"), body);
            assertFalse(body.contains("secret"), body);
        }
    }

    @Test
    void withTheTokenOneOperates() {
        assertEquals(200, client.get("/api/rules").statusCode());
        assertEquals(200, client.get("/api/rules", bearer()).statusCode());
        assertEquals(
                401,
                client.get("/api/rules", Map.of("Authorization", "Bearer x")).statusCode());
        List<Map<String, String>> refused = List.of(
                Map.of(),
                Map.of("Origin", "http://127.0.0.1:" + port),
                WebClient.with(bearer(), "Origin", "http://evil.example.org"),
                WebClient.with(bearer(), "Origin", "null"),
                WebClient.with(bearer(), "Sec-Fetch-Site", "cross-site"));
        for (Map<String, String> headers : refused) {
            assertEquals(403, client.post(ACKNOWLEDGE, THING, headers).statusCode(), headers.toString());
        }
        for (String wrong : List.of("Bearer", "Bearer x" + token, "Basic " + token, token)) {
            json(client.post(ACKNOWLEDGE, THING, Map.of("Authorization", wrong)), 401);
        }
        assertEquals("", acknowledged());
        assertEquals(List.of(), database.query("select result from rowbell.audit"));
        Map<String, String> own = WebClient.with(bearer(), "Origin", "http://127.0.0.1:" + port);
        assertEquals(
                "1 acknowledged.",
                json(client.post(ACKNOWLEDGE, THING, own), 200).get("done"));
        assertEquals("id=8", acknowledged());
        assertEquals(
                "3 acknowledged.",
                json(client.post(ACKNOWLEDGE, Map.of("rule", "too-late"), bearer()), 200)
                        .get("done"));
        assertEquals(
                List.of("token acknowledge too-late id=8, note on it", "token acknowledge too-late"),
                database.query("select concat_ws(' ', who, action, what) from rowbell.audit order by id"));
        assertEquals(
                403,
                client.post("/firing/acknowledge", THING, bearer()).statusCode(),
                "a page takes no token of a header");
    }

    @Test
    void aSinkIsPausedAndASilenceIsPlanned() {
        Map<String, String> file = Map.of("sink", "file", "note", "deploy");
        json(usersClient.post("/api/sinks/pause", file, basic("bob:Bob's")), 403);
        assertEquals(0, database.count("rowbell.paused_sink"));
        assertEquals(
                "file is paused: its alerts wait.",
                json(client.post("/api/sinks/pause", file, bearer()), 200).get("done"));
        Map<?, ?> paused = list(read("/api/sinks").get("sinks")).stream()
                .map(sink -> map(map(sink).get("paused")))
                .filter(Objects::nonNull)
                .findFirst()
                .orElseThrow();
        assertEquals("file deploy", paused.get("sink") + " " + paused.get("note"));
        assertTrue(paused.get("by").toString().endsWith(", Rowbell web console: token"), paused.toString());
        OffsetDateTime.parse(paused.get("since").toString());
        json(client.post("/api/sinks/pause", Map.of("sink", "fiel"), bearer()), 400);
        assertEquals(
                "file goes on.",
                json(client.post("/api/sinks/resume", file, bearer()), 200).get("done"));
        assertEquals(0, database.count("rowbell.paused_sink"));
        String begin = Instant.now()
                .plus(Duration.ofDays(1))
                .truncatedTo(ChronoUnit.SECONDS)
                .toString();
        Map<String, String> silence = Map.of("rule", "planned", "from", begin, "for", "2h", "why", "move");
        assertTrue(json(client.post("/api/silences/add", silence, bearer()), 200)
                .get("done")
                .toString()
                .endsWith(" is planned."));
        Map<?, ?> planned = list(read("/api/silences").get("silences")).stream()
                .map(WebApiTest::map)
                .filter(shown -> "planned".equals(shown.get("rule")))
                .findFirst()
                .orElseThrow();
        assertEquals("planned", planned.get("state"));
        assertEquals(
                Instant.parse(begin),
                OffsetDateTime.parse(planned.get("since").toString()).toInstant());
        Map<String, String> number = Map.of("number", planned.get("id").toString());
        json(client.post("/api/silences/end", number, bearer()), 200);
        json(client.post("/api/silences/add", WebClient.with(silence, "until", begin), bearer()), 400);
        database.execute("delete from rowbell.silence where rule = 'planned'");
    }

    @Test
    void withUsersItTakesAPasswordOfOneWhoMay() {
        HttpResponse<String> unknown = usersClient.get("/api/rules");
        json(unknown, 401);
        // a browser that is asked for a password sends it from pages of other sites, too
        assertEquals(List.of("Bearer"), unknown.headers().allValues("WWW-Authenticate"));
        for (String login : List.of("bob:wrong", "bob", "none:Bob's", ":")) {
            json(usersClient.get("/api/rules", basic(login)), 401);
        }
        json(usersClient.get("/api/rules", Map.of("Authorization", "Basic %%%")), 401);
        json(usersClient.get("/api/rules", bearer()), 401);
        json(usersClient.get("/api/rules", basic("bob:Bob's")), 200);
        json(usersClient.post(ACKNOWLEDGE, THING, basic("bob:Bob's")), 403);
        assertEquals("", acknowledged());
        json(usersClient.post(ACKNOWLEDGE, THING, basic("ada:Ada's:1")), 200);
        assertEquals("id=8", acknowledged());
        assertEquals(List.of("ada"), database.query("select who from rowbell.audit"));
        List<Integer> tries = new ArrayList<>();
        for (int i = 0; i < 60 && !tries.contains(429); i++) {
            tries.add(usersClient.get("/api/rules", basic("eve:" + i)).statusCode());
        }
        assertTrue(tries.contains(429), tries.toString());
    }

    @Test
    void aSessionTakesTheTokenOfItsForms() {
        WebClient browser = usersClient.copy();
        browser.post("/login", Map.of("user", "ada", "password", "Ada's:1"));
        json(browser.get("/api/rules"), 200);
        assertEquals(403, browser.post(ACKNOWLEDGE, THING).statusCode());
        assertEquals(
                403,
                browser.post(ACKNOWLEDGE, WebClient.with(THING, "form", browser.formToken()), Map.of())
                        .statusCode());
        assertEquals("", acknowledged());
        json(browser.act(ACKNOWLEDGE, THING), 200);
        assertEquals("id=8", acknowledged());
    }
}
