package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.net.URLEncoder;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Rules are written in the web console: checked and tested before, by a role without rights, and never over the change of somebody else. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class WebRuleTest {

    private static final String HOSTILE = "<script>alert(1)</script>\"'></textarea><img src=x onerror=alert(2)>";

    private final TestDatabase database = TestDatabase.createWithSchema();
    private RunningRowbell rowbell;
    private int port;

    @BeforeAll
    void start(@TempDir Path dir) throws Exception {
        database.execute(
                "create table public.orders (id int primary key, v int)",
                "insert into public.orders select i, i from generate_series(1, 40) i",
                "create schema private",
                "create table private.secret (id int primary key)",
                "insert into private.secret values (7)");
        Map<String, String> settings = WebClient.settings(database, dir);
        Path file = dir.resolve("rules.yaml");
        Files.writeString(file, "rules:\n  - {name: filed, feed: public.orders, condition: NEW.v > 1000}\n");
        settings.put("rowbell.rules.file", file.toString());
        settings.put(
                "rowbell.web.users",
                "ada:operator:%s,bob:viewer:%s".formatted(WebClient.hash("Ada's"), WebClient.hash("Bob's")));
        rowbell = RunningRowbell.start(settings);
        Rowbell.of(rowbell.context()).serveWebConsole();
        port = Integer.parseInt(settings.get("rowbell.health.port"));
    }

    @AfterAll
    void stop() {
        rowbell.close();
    }

    @AfterEach
    void forget() {
        database.execute("delete from rowbell.rule where origin is null", "delete from rowbell.audit");
    }

    private WebClient login(String user, String password) {
        WebClient browser = new WebClient(port);
        assertEquals(
                303,
                browser.post("/login", Map.of("user", user, "password", password))
                        .statusCode());
        return browser;
    }

    private WebClient operator() {
        return login("ada", "Ada's");
    }

    private static Map<String, String> rule(String name, String condition) {
        return new HashMap<>(Map.of("name", name, "feed", "public.orders", "condition", condition));
    }

    private static Map<String, String> with(Map<String, String> form, String name, String value) {
        Map<String, String> more = new HashMap<>(form);
        more.put(name, value);
        return more;
    }

    private static String began(String page) {
        Matcher began = Pattern.compile("name=\"began\" value=\"(\\w+)\"").matcher(page);
        assertTrue(began.find(), page);
        return began.group(1);
    }

    private List<String> rules() {
        return database.query(
                "select concat_ws('|', name, condition, severity) from rowbell.rule where origin is null order by name");
    }

    private String audit() {
        return String.join(
                "\n",
                database.query("select concat_ws('|', who, action, what, result) from rowbell.audit order by id"));
    }

    private static void assertSays(HttpResponse<String> answer, int status, String... texts) {
        assertEquals(status, answer.statusCode(), answer.body());
        for (String text : texts) {
            assertTrue(answer.body().contains(text), () -> text + "\nis not in\n" + answer.body());
        }
    }

    @Test
    void aCheckSaysAllThatIsWrongAndKeepsWhatWasTyped() {
        WebClient operator = operator();
        assertSays(operator.get("/rules"), 200, "/rules/edit\">New rule<");
        assertSays(operator.get("/rules/edit"), 200, "<h1>New rule</h1>", "name=\"condition\"", "name=\"max-rows\"");
        Map<String, String> form = rule("typed", "NEW.w > 5 and '&<' = ''");
        form.putAll(Map.of(
                "severity",
                "dire",
                "cooldown",
                "soon",
                "operations",
                "insert\nupsert",
                "max-rows",
                "x",
                "delivery",
                "notify",
                "channel",
                "other"));
        HttpResponse<String> answer = operator.act("/rules/check", form);
        assertSays(
                answer,
                400,
                "condition: column new.w does not exist",
                "severity: &#39;dire&#39; is none of info, warning, critical",
                "cooldown: is no duration (write it as 30s, 10m, 1h or 7d)",
                "operations: &#39;upsert&#39; is none of insert, update, delete",
                "max-rows: is no whole number",
                "channel: its alerts would be lost, since Rowbell does not listen to &quot;other&quot;",
                "NEW.w &gt; 5 and &#39;&amp;&lt;&#39; = &#39;&#39;</textarea>",
                "value=\"soon\"");
        for (HttpResponse<String> page : List.of(answer, operator.get("/rules/edit"))) {
            assertSays(page, page.statusCode(), "<script src=\"/check.js\">");
            assertTrue(
                    page.headers()
                            .allValues("Content-Security-Policy")
                            .toString()
                            .contains("script-src 'self'; connect-src 'self'"),
                    page.headers().toString());
        }
        assertSays(operator.get("/check.js"), 200, "'use strict'");
        assertSays(operator.act("/rules/apply", form), 400, "column new.w does not exist");
        assertSays(operator.act("/rules/check", Map.of()), 400, "has no name", "has no feed", "has no condition");
        assertSays(operator.act("/rules/check", rule("filed", "NEW.v > 5")), 400, "name: there is a rule of this name");
        assertSays(operator.act("/rules/check", rule("typed", "NEW.v > 5")), 200, "No fault was found.");
        assertEquals(List.of(), rules());
        assertEquals("", audit());
    }

    @Test
    void anOperatorMeasuresWhatTheRulesCost() {
        database.execute(
                "create table public.nothing (id int primary key, v int)",
                "create function public.waits(n int, seconds float) returns boolean language plpgsql as 'begin perform pg_sleep(seconds); return n > 9; end'",
                """
                insert into rowbell.rule (name, feed, condition) values
                  ('cheap', 'public.orders', 'new.v > 9'),
                  ('dear', 'public.orders', 'public.waits(new.v, 0.03)'),
                  ('dearest', 'public.orders', 'public.waits(new.v, 10)'),
                  ('fails', 'public.orders', '1 / (new.v - new.v) > 9'),
                  ('empty', 'public.nothing', 'new.v > 9')""",
                "insert into rowbell.rule (name, query, key, every) values ('asks', 'select id from public.orders where v > 39', '{id}', '1 hour')");
        WebClient operator = operator();
        assertSays(operator.get("/rules"), 200, ">Measure the cost<");
        HttpResponse<String> measured = operator.act("/rules/measure", Map.of());
        assertEquals(303, measured.statusCode(), measured.body());
        String page = operator.get("/rules?by=cost").body();
        assertTrue(page.contains("7 measured."), page);
        Matcher cost = Pattern.compile("(?s)<strong>(\\w+)</strong>((?!</tr>).)*<td data-label=\"cost\">(.*?)</td>")
                .matcher(page);
        Map<String, String> costs = new LinkedHashMap<>();
        while (cost.find()) {
            costs.put(cost.group(1), cost.group(3));
        }
        assertEquals(List.of("dearest", "dear"), List.copyOf(costs.keySet()).subList(0, 2));
        assertEquals("over 1.0 s a row", costs.get("dearest"));
        assertTrue(costs.get("dear").matches("[\\d.]+ m?s a row"), costs.toString());
        assertTrue(costs.get("cheap").matches("(under 5 µs|\\d+ µs|[\\d.]+ ms) a row"), costs.toString());
        assertTrue(costs.get("asks").matches("(\\d+ µs|[\\d.]+ ms) a run"), costs.toString());
        assertEquals("division by zero", costs.get("fails"));
        assertEquals("the table has less than two rows", costs.get("empty"));
        assertEquals("ada|measure rules|7 rules|7 measured.", audit());
        Map<?, ?> json =
                (Map<?, ?>) AlertJson.parse(operator.get("/api/rules").body()).get("costs");
        assertEquals("row", ((Map<?, ?>) json.get("dear")).get("per"));
        assertTrue(
                Double.parseDouble(((Map<?, ?>) json.get("dear")).get("micros").toString()) >= 30_000);
        assertEquals(403, login("bob", "Bob's").act("/rules/measure", Map.of()).statusCode());
        database.execute(
                "delete from rowbell.rule where origin is null",
                "drop table public.nothing",
                "drop function public.waits");
    }

    @Test
    void aRuleIsTestedWrittenAndChanged() {
        WebClient operator = operator();
        Map<String, String> form = rule("typed", "NEW.v > 38");
        form.put("reason", "too <b>many</b>");
        assertSays(
                operator.act("/rules/test", form), 200, "2 rows meet it now.", "{&quot;id&quot;:40,&quot;v&quot;:40}");
        assertSays(operator.act("/rules/test", with(form, "condition", "NEW.v > 10")), 200, "30 rows meet it now.");
        assertEquals(List.of(), rules());
        assertSays(
                operator.act(
                        "/rules/test",
                        Map.of(
                                "name",
                                "q",
                                "query",
                                "select id from public.orders where v > 39",
                                "key",
                                "id",
                                "every",
                                "1m")),
                200,
                "1 row meets it now.");
        HttpResponse<String> written = operator.act("/rules/apply", form);
        assertEquals(303, written.statusCode(), written.body());
        assertEquals(
                "/rules/show?name=typed",
                written.headers().firstValue("Location").orElse(""));
        assertSays(operator.get("/rules/show?name=typed"), 200, "The rule was written.", "too &lt;b&gt;many&lt;/b&gt;");
        assertEquals(List.of("typed|NEW.v > 38|warning"), rules());
        String page = operator.get("/rules/edit?name=typed").body();
        assertTrue(page.contains("<h1>Edit rule typed</h1>"), page);
        Map<String, String> changed = with(with(form, "began", began(page)), "severity", "critical");
        changed.putAll(Map.of(
                "for", "90m", "condition", "NEW.v > 39\r\n  -- as typed", "max-groups", "10000", "forget", "7d"));
        assertEquals(303, operator.act("/rules/apply", changed).statusCode());
        assertEquals(List.of("typed|NEW.v > 39\n  -- as typed|critical"), rules());
        String again = operator.get("/rules/edit?name=typed").body();
        assertTrue(again.contains("name=\"for\" value=\"90m\""), again);
        assertTrue(again.contains("name=\"forget\" value=\"\""), again);
        assertEquals("""
                ada|test rule|rule typed: NEW.v > 38|2 rows meet it now.
                ada|test rule|rule typed: NEW.v > 10|30 rows meet it now.
                ada|test rule|rule q: select id from public.orders where v > 39|1 row meets it now.
                ada|make rule|rule typed: NEW.v > 38|The rule was written.
                ada|change rule|rule typed: NEW.v > 39
                  -- as typed|The rule was written.""", audit());
        assertEquals(
                List.of("Rowbell web console: ada"),
                database.query(
                        "select application from rowbell.rule_history('typed') where change like 'condition: NEW.v > 38 -> NEW.v > 39%'"));
    }

    @Test
    void whatSomebodyElseHasChangedMeanwhileIsNotOverwritten() {
        WebClient operator = operator();
        operator.act("/rules/apply", rule("typed", "NEW.v > 5"));
        Map<String, String> form = with(
                rule("typed", "NEW.v > 6"),
                "began",
                began(operator.get("/rules/edit?name=typed").body()));
        database.execute("select rowbell.disable('typed')");
        assertEquals(303, operator.act("/rules/apply", form).statusCode());
        assertEquals(0, database.count("rowbell.rule where name = 'typed' and enabled"), "it stays disabled");
        Map<String, String> late = with(form, "condition", "NEW.v > 7");
        assertSays(
                operator.act("/rules/apply", late),
                400,
                "rule &quot;typed&quot;: somebody else has changed it meanwhile",
                "NEW.v &gt; 7</textarea>");
        assertSays(operator.act("/rules/apply", rule("typed", "NEW.v > 8")), 400, "there is a rule of this name");
        assertEquals(List.of("typed|NEW.v > 6|warning"), rules());
        database.execute("delete from rowbell.rule where name = 'typed'");
        assertSays(operator.act("/rules/apply", late), 400, "somebody else has removed it meanwhile");
        assertTrue(
                audit().contains(
                                "|change rule|rule typed: NEW.v > 7|Nothing was done: rule \"typed\": somebody else has changed it"),
                audit());
    }

    @Test
    void aRuleOfAFileIsEditedThere() {
        WebClient operator = operator();
        HttpResponse<String> page = operator.get("/rules/edit?name=filed");
        assertSays(page, 200, "rules.yaml: edit it there", "NEW.v &gt; 1000");
        assertFalse(page.body().contains("<textarea"), page.body());
        assertSays(
                operator.act("/rules/apply", with(rule("filed", "true"), "began", "x")),
                400,
                "rule &quot;filed&quot;: name: it comes from");
        assertEquals(
                List.of("NEW.v > 1000"), database.query("select condition from rowbell.rule where name = 'filed'"));
        assertEquals(404, operator.get("/rules/edit?name=none").statusCode());
    }

    @Test
    void onlyAnOperatorWhoseDatabaseMayWriteRulesWritesThem(@TempDir Path dir) throws Exception {
        WebClient viewer = login("bob", "Bob's");
        assertSays(viewer.get("/rules/edit"), 200, "Only an operator may change rules.");
        assertFalse(viewer.get("/rules/edit?name=filed").body().contains("<textarea"));
        for (String path : List.of("/rules/check", "/rules/test", "/rules/apply")) {
            assertEquals(403, viewer.act(path, rule("typed", "NEW.v > 5")).statusCode());
            assertEquals(
                    403, operator().post(path, rule("typed", "NEW.v > 5")).statusCode(), "without the token of a form");
        }
        String role = "editor_of_" + database.name();
        database.execute("create role %s login password 'pw'".formatted(role), "grant rowbell_consumer to " + role);
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.putAll(Map.of("rowbell.migrate", "false", "rowbell.jdbc.user", role, "rowbell.jdbc.password", "pw"));
        try (RunningRowbell consumer = RunningRowbell.start(settings)) {
            Rowbell.of(consumer.context()).serveWebConsole();
            WebClient operator = new WebClient(Integer.parseInt(settings.get("rowbell.health.port")));
            operator.get(
                    "/?token=" + Rowbell.of(consumer.context()).webAddress().replaceFirst(".*\\?token=", ""));
            assertSays(operator.get("/rules/edit"), 200, "may not write rules: grant rowbell_admin to " + role);
            assertSays(
                    operator.act("/rules/apply", rule("typed", "NEW.v > 5")),
                    400,
                    "may not write rules: grant rowbell_admin to " + role);
        } finally {
            database.execute("drop owned by " + role, "drop role " + role);
        }
        assertEquals(List.of(), rules());
    }

    @Test
    void noFunctionThatARuleCallsHasTheRightsOfRowbell() {
        String before = rights();
        database.execute(
                "create function public.runs_as() returns name language sql as 'select current_user'",
                """
                create function public.writes() returns boolean language plpgsql as $$
                begin
                  insert into private.secret values (8);
                  return true;
                end $$""",
                "create function public.sleeps() returns boolean language sql as 'select pg_sleep(60) is not null'");
        WebClient operator = operator();
        assertSays(
                operator.act("/rules/test", rule("typed", "public.runs_as() = session_user")),
                200,
                "0 rows meet it now.");
        assertSays(
                operator.act("/rules/test", rule("typed", "public.runs_as() <> session_user and NEW.v < 3")),
                200,
                "2 rows meet it now.");
        assertSays(operator.act("/rules/test", rule("typed", "public.writes()")), 503, "permission denied");
        assertSays(
                operator.act("/rules/test", rule("typed", "pg_read_file('/etc/passwd') <> ''")),
                503,
                "permission denied for function pg_read_file");
        assertSays(
                operator.act("/rules/test", rule("typed", "public.sleeps()")), 503, "It takes longer than 5 seconds.");
        assertSays(
                operator.act("/rules/test", rule("typed", "exists (select from private.secret s where s.id = NEW.v)")),
                200,
                "1 row meets it now.");
        assertEquals(before, rights(), "a test leaves no right behind");
        assertEquals(1, database.count("private.secret"));
    }

    private String rights() {
        return String.join(
                " ",
                database.query(
                        "select coalesce(relacl::text, '') from pg_class where oid in ('private.secret'::regclass, 'public.orders'::regclass) order by oid"));
    }

    @Test
    void anOperatorHasARowLookedAtByARoleWithoutRights() {
        database.execute(
                "create function public.strange(n int) returns boolean language plpgsql as"
                        + " 'begin perform from private.secret; return n > 38; exception when insufficient_privilege then return n > 38; end'",
                "create function public.curious(n int) returns boolean language plpgsql as"
                        + " 'begin return n > (select id from private.secret); end'",
                """
                insert into rowbell.rule (name, feed, condition) values
                  ('strange', 'public.orders', 'public.strange(NEW.v)'), ('curious', 'public.orders', 'public.curious(NEW.v)')""");
        String before = rights();
        WebClient operator = operator();
        String button = "action=\"/explain/look\"";
        assertSays(
                operator.get("/explain?rule=strange&key=40"),
                200,
                button,
                "<strong>Nothing is known that keeps it quiet, but the row was not looked at",
                "href=\"/rules/edit?name=strange\">Edit</a>");
        assertFalse(
                login("bob", "Bob's").get("/explain?rule=strange&key=40").body().contains(button));
        assertEquals(
                "/explain?rule=strange&key=40",
                operator.act("/explain/look", Map.of("rule", "strange", "key", "40"))
                        .headers()
                        .firstValue("Location")
                        .orElse(""));
        assertSays(
                operator.get("/explain?rule=strange&key=40"),
                200,
                "the row meets the condition now: {&quot;id&quot;:40,&quot;v&quot;:40}");
        operator.act("/explain/look", Map.of("rule", "strange", "key", "id=1"));
        assertSays(operator.get("/explain?rule=strange&key=1"), 200, "the row does not meet the condition now: ");
        operator.act("/explain/look", Map.of("rule", "strange", "key", "41"));
        assertSays(operator.get("/explain?rule=strange&key=41"), 200, "there is no such row now");
        operator.act("/explain/look", Map.of("rule", "curious", "key", "40"));
        assertSays(operator.get("/"), 200, "Nothing was done: ", "permission denied for");
        operator.act("/explain/look", Map.of("rule", "strange", "key", "a=1"));
        assertSays(operator.get("/"), 200, "Nothing was done: ", "invalid input syntax for type integer");
        assertEquals(before, rights());
        assertEquals(
                "ada|look at row|rule strange, key 40|the row meets the condition now",
                audit().lines().findFirst().orElseThrow());
        database.execute("drop function public.strange, public.curious");
    }

    @Test
    void aRowIsLookedAtByItsKeyAsItIsAndWhatItHoldsIsNotNoted() {
        String key = "https://ann@shop/1?a=b&c\u200b=\"";
        database.execute(
                "create table public.link (url text primary key, secret text)",
                "create function public.stranger(t text) returns boolean language plpgsql as 'begin return t <> repeat(t, 2); end'",
                "insert into rowbell.rule (name, feed, condition) values ('li&nk', 'public.link', 'public.stranger(NEW.secret)')",
                "insert into public.link values ('" + key + "', 'hush-hush')");
        WebClient operator = operator();
        String page = operator.get("/explain?rule=li%26nk&key=" + URLEncoder.encode(key, StandardCharsets.UTF_8))
                .body();
        Matcher which = Pattern.compile("name=\"which\" value=\"([^\"]+)\"").matcher(page);
        assertTrue(which.find(), page);
        List<String> logged;
        try (LogLines log = new LogLines("dev.rowbell.web.Actions")) {
            String next = operator.act(
                            "/explain/look", Map.of("which", which.group(1).replace("&amp;", "&")))
                    .headers()
                    .firstValue("Location")
                    .orElse("");
            assertSays(operator.get(next), 200, "the row meets the condition now: {", "hush-hush");
            assertFalse(operator.get(next).body().contains("hush-hush"), "it is shown once");
            logged = log.lines();
        }
        String noted = audit();
        assertTrue(noted.endsWith("key " + key + "|the row meets the condition now"), noted);
        assertEquals(1, logged.size(), logged::toString);
        assertTrue(logged.get(0).endsWith(": the row meets the condition now"), logged::toString);
        database.execute("drop table public.link cascade", "drop function public.stranger");
    }

    @Test
    void whatIsHostileStaysTextAndWhatIsNotSeenIsNotWritten() {
        WebClient operator = operator();
        Map<String, String> form = new HashMap<>();
        for (String field : List.of(
                "name",
                "feed",
                "condition",
                "reason",
                "severity",
                "fires",
                "columns",
                "resolved",
                "operations",
                "delivery",
                "channel",
                "cooldown",
                "for",
                "existing",
                "since",
                "count",
                "sum",
                "over",
                "within",
                "by",
                "max-groups",
                "absent",
                "groups",
                "forget",
                "query",
                "key",
                "every",
                "cron",
                "zone",
                "max-rows",
                "began")) {
            form.put(field, HOSTILE + field);
        }
        for (String path : List.of("/rules/check", "/rules/test", "/rules/apply")) {
            HttpResponse<String> answer = operator.act(path, form);
            assertEquals(400, answer.statusCode(), answer.body());
            assertFalse(answer.body().contains("<script>"), answer.body());
            assertFalse(answer.body().contains("<img"), answer.body());
            assertTrue(answer.body().contains("&lt;/textarea&gt;"), answer.body());
        }
        for (String odd :
                List.of("NEW.v > 5 -- \u202E", "NEW.v > 5 -- \u200B", "'https://joe:secret@example.org' is not null")) {
            assertSays(operator.act("/rules/apply", rule("typed", odd)), 400, "write it by SQL");
        }
        database.execute(
                "insert into rowbell.rule (name, feed, condition) values ('odd', 'public.orders', 'NEW.v > 5 -- \u202E')");
        HttpResponse<String> page = operator.get("/rules/edit?name=odd");
        assertSays(page, 200, "change it by SQL");
        assertFalse(page.body().contains("<textarea"), page.body());
        String version = database.query("select rowbell.rule_version(r) from rowbell.rule r where name = 'odd'")
                .get(0);
        assertSays(
                operator.act("/rules/apply", with(rule("odd", "NEW.v > 5"), "began", version)), 400, "write it by SQL");
        assertSays(
                operator.act("/rules/apply", rule("typed", "NEW.v > 5 -- " + "x".repeat(9_000))),
                400,
                "A field of it takes 8,192 bytes at most");
        assertEquals(List.of("odd|NEW.v > 5 -- \u202E|warning"), rules());
        String blank = "NEW.v > 5 /* " + HOSTILE + " */";
        assertEquals(
                303,
                operator.act("/rules/apply", with(rule("<b>'&", blank), "reason", HOSTILE))
                        .statusCode());
        String shown = operator.get("/rules/edit?name=%3Cb%3E%27%26").body();
        assertFalse(shown.contains("<b>'"), shown);
        assertFalse(shown.contains("<script>"), shown);
        assertTrue(shown.contains("/* &lt;script&gt;"), shown);
    }

    @Test
    void theSameIsJson() {
        WebClient client = new WebClient(port);
        Map<String, String> ada = Map.of(
                "Authorization",
                "Basic " + Base64.getEncoder().encodeToString("ada:Ada's".getBytes(StandardCharsets.UTF_8)));
        assertEquals(
                "{\"done\":\"2 rows meet it now.\",\"rows\":[\"{\\\"id\\\":39,\\\"v\\\":39}\",\"{\\\"id\\\":40,\\\"v\\\":40}\"]}\n",
                client.post("/api/rules/test", rule("typed", "NEW.v > 38"), ada).body());
        assertSays(
                client.post("/api/rules/check", rule("typed", "NEW.w > 38"), ada),
                400,
                "{\"problems\":[\"condition: column new.w does not exist");
        assertEquals(
                "{\"done\":\"The rule was written.\"}\n",
                client.post("/api/rules/apply", rule("typed", "NEW.v > 38"), ada)
                        .body());
        assertSays(
                client.get("/api/rules/edit?name=typed", ada),
                200,
                "\"condition\":\"NEW.v > 38\"",
                "\"began\":\"",
                "\"operations\":\"insert\\nupdate\"");
        assertEquals(404, client.get("/api/rules/edit?name=none", ada).statusCode());
    }
}
