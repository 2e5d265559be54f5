package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TcpProxy;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The pages of the web console, over HTTP. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class WebConsoleTest {

    private static final String HOSTILE =
            "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202Egnp.exe\u200B";
    private static final List<String> PAGES = List.of(
            "/",
            "/firing",
            "/alerts",
            "/alerts?rule=too-many&outcome=dead",
            "/explain?id=kept-1",
            "/rules",
            "/rules/show?name=too-many",
            "/rules/edit",
            "/rules/edit?name=too-many",
            "/explain?rule=too-many",
            "/sinks",
            "/dead-letters",
            "/dead-letters/show?number=1",
            "/silences",
            "/feeds");

    private final HttpClient http = HttpClient.newHttpClient();
    private final TestDatabase database = TestDatabase.createWithSchema();
    private RunningRowbell rowbell;
    private int port;

    @BeforeAll
    void start(@TempDir Path dir) throws IOException {
        database.execute(
                "create table public.orders (id int primary key, c2 int, note text)",
                "insert into public.orders values (2, 30001, 'shown')",
                "create function public.strange(n int) returns boolean language sql as 'select n > 9999'",
                """
                insert into rowbell.rule (name, feed, condition, reason, severity) values
                  ('too-many', 'public.orders', 'new.c2 > 9999', 'too many', 'critical'),
                  ('strange', 'public.orders', 'public.strange(new.c2)', null, 'info')""",
                """
                insert into rowbell.rule (name, feed, condition, "for") values ('stays', 'public.orders', 'new.c2 > 9999', '1 hour')""",
                """
                insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                select 'pager', 'alert-' || i, json_build_object('rule', 'too-many', 'severity', 'critical', 'key', 'id=' || i, 'changed', json_build_array('c2'),
                    'table', 'public.orders', 'old', json_build_object('id', i, 'c2', 1), 'new', json_build_object('id', i, 'c2', 30001)), 10, now(),
                  'https://joe:secret@pager.example.org answered 410'
                from generate_series(1, 3) i""",
                "insert into rowbell.delivery (sink, documents, last_error, attempts) values ('nowhere', array['{\"id\": \"1\"}'], 'refused for now', 1)",
                "insert into rowbell.silence (rule, key, until, why) values ('too-*', 'id=7', now() + interval '1 hour', 'import of the old shop')");
        Map<String, String> settings = settings(dir);
        rowbell = RunningRowbell.start(settings);
        port = Integer.parseInt(settings.get("rowbell.health.port"));
        Rowbell.of(rowbell.context()).serveWebConsole();
    }

    @AfterAll
    void stop() {
        rowbell.close();
    }

    private Map<String, String> settings(Path dir) throws IOException {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.health.port", String.valueOf(FreePort.find()));
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.embedded.dir", dir.toString());
        return settings;
    }

    private HttpResponse<String> ask(int port, String method, String path) {
        try {
            return http.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:%d%s".formatted(port, path)))
                            .method(method, BodyPublishers.noBody())
                            .build(),
                    BodyHandlers.ofString());
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(path, e);
        }
    }

    private String page(String path) {
        HttpResponse<String> answer = ask(port, "GET", path);
        assertEquals(200, answer.statusCode(), path + ": " + answer.body());
        assertEquals(
                "text/html; charset=utf-8",
                answer.headers().firstValue("Content-Type").orElse(""));
        return answer.body();
    }

    private void assertShows(String path, String... texts) {
        String page = page(path);
        for (String text : texts) {
            assertTrue(page.contains(text), path + " lacks " + text + ":\n" + page);
        }
        assertFalse(page.contains("is missing:"), page);
    }

    /** The number of a dead letter with this alert. */
    private String letter(String sink, String alert, String error) {
        return database.query("""
                        insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                        values ('%s', 'x', %s, 1, now(), '%s') returning id""".formatted(sink, alert, error.replace("'", "''")))
                .get(0);
    }

    @Test
    void theOverviewSaysWhatWaitsAndHowTheSinksAre() {
        assertShows("/", "dead letters", "rules", "<strong>file</strong>", "no process has it");
        await("the timer is armed")
                .until(() -> page("/").replaceAll("<[^>]*>", " ").contains("1  timers are armed"));
    }

    @Test
    void theOverviewCountsTheAlertsOfTheLastHour() {
        String counted = "\\b[1-9]\\d* routed.*\\b[1-9]\\d* delivered";
        database.execute(
                "insert into rowbell.feedback (alert) values ('{\"rule\": \"counted\", \"severity\": \"info\"}')");
        await("the alert is counted")
                .until(() -> Pattern.compile(counted).matcher(page("/")).find());
        assertTrue(page("/").matches("(?s).*<rect x=\"\\d+\" y=\"0.0\" width=\"8\" height=\"40.0\"/>.*"));
        assertTrue(
                page("/").matches("(?s).*<rect class=\"faint\" x=\"\\d+\" y=\"0.0\" width=\"8\" height=\"40.0\"/>.*"));
        assertTrue(
                Pattern.compile("Delivered within <strong>[\\d.]+ (ms|s|min)</strong> \\(half")
                        .matcher(page("/"))
                        .find(),
                page("/"));
    }

    @Test
    void whatFiresIsListedWithFiltersAndWhoTakesCareOfIt() {
        fires("'too-many', 'public.orders', 'id=8', 'critical', 'too many', 1");
        fires("'stays', 'public.orders', 'id=9', 'warning', null, 7");
        fires("null, null, null, 'info', 'from elsewhere', 1");
        fires("'by-hand', 'public.orders', 'id=3', 'info', null, 1");
        database.execute(
                "insert into rowbell.acknowledgement (fingerprint, firing, assignee, note) select fingerprint, id, 'Ada', 'on it' from rowbell.firing where key = 'id=8'");
        assertShows("/", "1 critical, 1 warning");
        assertShows("/firing", "id=8", "Ada: on it", "id=9", "from elsewhere", "/explain?rule=too-many&amp;key=id%3D8");
        // no rule of this database
        assertShows("/firing", "/alerts?rule=by-hand&amp;key=id%3D3");
        Map.of(
                        "rule=too-many", "id=8",
                        "severity=warning", "id=9",
                        "feed=public.orders&text=ADA", "id=8",
                        "text=elsewhere", "from elsewhere")
                .forEach((filter, found) -> {
                    String page = page("/firing?" + filter);
                    for (String entry : List.of("id=8", "id=9", "from elsewhere")) {
                        assertEquals(entry.equals(found), page.contains(">" + entry), filter + page);
                    }
                });
        assertShows("/firing?rule=none", "Nothing of this fires.");
    }

    @Test
    void theHistoryIsSearchedByPages() {
        kept("'kept-' || i, 'often', 'public.orders', 'id=' || i", 450);
        kept("'sent-' || i, 'sent', 'public.orders', 'id=1'", 1);
        String path = "/alerts?rule=often";
        for (int left : List.of(450, 250, 50)) {
            String page = page(path);
            assertTrue(page.contains("Explain kept-%d\"".formatted(left)), page);
            assertFalse(page.contains("Explain kept-%d\"".formatted(left - 200)), page);
            Matcher older = Pattern.compile("href=\"([^\"]+)\">Older<").matcher(page);
            assertEquals(left > 200, older.find(), page);
            path = left > 200 ? older.group(1).replace("&amp;", "&") : path;
        }
        assertShows(path, "/alerts?rule=often\">Newest<", "Explain kept-1\"");
        Map.of(
                        "id=kept-7", "kept-7",
                        "rule=sent", "sent-1",
                        "rule=often&key=id%3D9", "kept-9",
                        "feed=public.orders&key=id%3D450", "kept-450")
                .forEach((filter, id) -> {
                    String page = page("/alerts?" + filter);
                    assertEquals(2, page.split("aria-label=\"Explain ").length, page);
                    assertTrue(page.contains("href=\"/explain?id=%s\"".formatted(id)), page);
                });
        assertShows("/alerts?rule=often&from=2026-01-01T00:00", "kept-450");
        assertShows("/alerts?rule=often&to=2026-01-01", "No alert of this was routed.");
        assertShows("/alerts?rule=often&key=77", "such as <code>id=77</code>");
        assertShows("/alerts?from=yesterday", "give times as 2026-11-23");
        assertShows("/alerts?after=x", "there is no such page");
    }

    /** Alerts in the history, without what became of them. */
    private void kept(String values, int alerts) {
        database.execute("select rowbell.make_history_days()", """
                insert into rowbell.history_alert (at, path, time, sinks, document, id, rule, feed, key)
                select date_trunc('day', now(), 'UTC') + i * interval '1 ms', 'durable', now(), '{file}', '{}', %s from generate_series(1, %d) i""".formatted(values, alerts));
    }

    @Test
    void anAlertIsExplainedWithItsRowOldAndNewSideBySide() {
        database.execute("insert into rowbell.feedback (alert) values ('" + """
                {"id": "old-and-new", "rule": "moved", "severity": "warning", "table": "public.orders", "key": "id=3", "changed": ["c2"],
                 "old": {"id": 3, "c2": 40001}, "new": {"id": 3, "c2": 50001}}""" + "')");
        await("the file has the alert")
                .until(() -> page("/alerts?id=old-and-new").contains("file delivered"));
        assertShows("/alerts?rule=moved", "/explain?id=old-and-new", "id=3", "warning");
        assertShows(
                "/explain?id=old-and-new",
                "it was routed to file",
                "file has it at try 1",
                "<th>OLD</th><th>NEW</th>",
                "c2 <span class=\"tag warning\">changed</span></td><td data-label=\"OLD\" class=\"long\">40001<",
                "class=\"long\">50001<",
                "public.orders · id=3");
    }

    @Test
    void aHistoryThatIsSwitchedOffIsSaidToBe(@TempDir Path dir) throws IOException {
        TestDatabase other = TestDatabase.createWithSchema();
        Map<String, String> settings = settings(dir);
        settings.putAll(other.settings());
        settings.put("rowbell.history.keep", "0");
        try (RunningRowbell off = RunningRowbell.start(settings)) {
            Rowbell.of(off.context()).serveWebConsole();
            int port = Integer.parseInt(settings.get("rowbell.health.port"));
            for (String path : List.of("/alerts", "/alerts?rule=too-many", "/explain?id=alert-1")) {
                String page = ask(port, "GET", path).body();
                assertTrue(page.contains("switched off by <code>rowbell.history.keep=0</code>"), page);
                assertFalse(page.contains("<th>routed"), page);
            }
        }
    }

    private void fires(String values) {
        database.execute("""
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                values (gen_random_uuid(), %s, now(), now(), 0, 'x')""".formatted(values));
    }

    @Test
    void aReasonThatIsTheNameOfTheRuleStandsOnce() {
        fires("'said-once', 'public.orders', 'id=\"4, 1\"', 'critical', 'said-once', 3");
        String page = page("/firing");
        assertTrue(page.contains("<strong>said-once</strong>"), page);
        assertFalse(page.contains("<br>said-once"), page);
    }

    @Test
    void theRulesAreListedAndFoundByAPartOfTheirName() {
        assertShows("/rules", "too-many", "strange", "stays", "public.orders", "for 1h");
        assertFalse(page("/rules?q=TOO").contains("strange"));
    }

    @Test
    void oneRuleIsShownWithItsTriggerAndItsHistory() {
        assertShows(
                "/rules/show?name=too-many",
                "the rule is enabled",
                "new.c2 &gt; 9999",
                "made: new.c2 &gt; 9999",
                "silence 1 keeps it quiet",
                "CREATE OR REPLACE FUNCTION rowbell.on_statement_1()");
    }

    @Test
    void aRowIsExplainedAndNoFunctionOfAStrangerRunsForThat() {
        assertShows("/explain?rule=too-many&key=2", "the row meets the condition now", "shown");
        String strange = page("/explain?rule=strange&key=2");
        assertTrue(strange.contains("the row was not looked at"), strange);
        assertFalse(strange.contains("shown"), strange);
        database.execute("alter table public.orders enable row level security");
        assertShows("/explain?rule=too-many&key=2", "the row was not looked at");
        database.execute("alter table public.orders disable row level security");
        assertShows("/explain?rule=too-many&key=9", "has no row with id=9");
        assertShows("/explain?rule=none", "there is no rule &quot;none&quot;");
        assertShows("/explain?rule=too-many&key=a,b", "is no key of public.orders. Give it as id=VALUE");
        assertShows("/explain?id=alert-1", "it is the dead letter 1 of the sink pager");
        assertShows("/explain?id=nothing", "No alert with this id waits");
    }

    @Test
    void anExplanationBeginsWithTheCauseAndLinksToWhatItIsAbout() {
        assertShows(
                "/explain?rule=too-many&key=7",
                "<strong>No alert: silenced by silence 1 until ",
                "href=\"/silences#silence-1\">Silence 1</a>",
                "href=\"/rules/show?name=too-many\">Rule</a>",
                "<option value=\"too-many\">",
                "<option value=\"strange\">");
        assertShows("/silences", "<tr id=\"silence-1\">");
        assertFalse(page("/explain?rule=too-many&key=7").contains("/rules/edit"));
        assertShows(
                "/explain?rule=too-many&key=1",
                "<strong>Not delivered to pager: dead letter 1 since ",
                "href=\"/dead-letters/show?number=1\">Dead letter 1</a>");
        assertShows("/explain?id=alert-1", "<strong>Not delivered to pager: dead letter 1 since ");
        assertShows("/rules/show?name=stays", "<strong>Nothing keeps it quiet: it has not fired yet");
        kept("'linked', 'too-many', 'public.orders', 'id=6'", 1);
        assertShows(
                "/explain?rule=too-many&key=6",
                "<strong>No alert: public.orders has no row with id=6 now; its last alert: routed to file</strong>",
                "href=\"/explain?id=linked\">Alert</a>");
        assertShows("/explain?id=linked", "<strong>Routed to file</strong>");
    }

    @Test
    void aCircuitThatIsOpenIsSaidByEachProcess(@TempDir Path dir) throws IOException {
        Map<String, String> settings = settings(dir);
        settings.put("rowbell.outbox.circuit", "1");
        try (WebReceiver web = new WebReceiver()) {
            web.answer(request -> 503);
            settings.put("rowbell.http.url", web.url());
            try (RunningRowbell other = RunningRowbell.start(settings)) {
                Rowbell.of(other.context()).serveWebConsole();
                int its = Integer.parseInt(settings.get("rowbell.health.port"));
                database.execute(
                        "insert into rowbell.delivery (sink, documents) values ('http', '{\"{\\\"id\\\": \\\"shut\\\"}\"}')");
                Pattern own = Pattern.compile(
                        "<tr id=\"sink-http\">\\s*<td [^>]*><strong>http</strong></td>\\s*<td [^>]*><span class=\"tag wrong\">circuit open<");
                await("its process says so")
                        .until(() ->
                                own.matcher(ask(its, "GET", "/sinks").body()).find());
                Pattern tries = Pattern.compile(
                        "(?s)<strong>http</strong>((?!</tr>).)*\"circuit\"><span class=\"tag wrong\">open</span> [\\d,]+ tr");
                await("the other one says so, and how often it was tried")
                        .until(() -> tries.matcher(page("/sinks")).find());
                assertShows(
                        "/explain?id=shut",
                        "<strong>Waits: the circuit of the sink http is open, ",
                        "next try ",
                        "href=\"/sinks#sink-http\">Sink http</a>");
            }
        }
        database.execute("delete from rowbell.delivery where sink = 'http'");
    }

    @Test
    void theSinksAreShownWithTheirQueuesAndErrors() {
        assertShows(
                "/sinks",
                "<strong>file</strong>",
                "<strong>mail</strong>",
                ">off<",
                "<strong>nowhere</strong>",
                "refused for now");
    }

    @Test
    void theRateOfASinkIsThatOfAllProcessesThatRun(@TempDir Path dir) throws IOException {
        String columns = "insert into rowbell.sink (process, name, seen, delivered_per_minute, failed_per_minute) ";
        database.execute(
                columns
                        + "select gen_random_uuid(), 'shared', now() + interval '1 hour', 51, 1.7 from generate_series(1, 2)",
                columns + "values (gen_random_uuid(), 'shared', now() - interval '2 minutes', 1000, 1000)",
                "insert into rowbell.feedback (alert) values ('{\"rule\": \"counted\", \"severity\": \"info\"}')");
        assertEquals("102/min 3.4/min fail", rate("shared"));
        assertEquals("", rate("nowhere"));
        await("the process says what it has delivered")
                .until(() -> rate("file").matches("([1-9][\\d,.]*|0\\.\\d|under 0.1)/min"));
        Map<String, String> settings = settings(dir);
        try (WebReceiver web = new WebReceiver()) {
            web.answer(request -> 503);
            settings.put("rowbell.http.url", web.url());
            try (RunningRowbell other = RunningRowbell.start(settings)) {
                database.execute("insert into rowbell.delivery (sink, documents) values ('http', '{\"{}\"}')");
                await("a try has failed").until(() -> rate("http").matches("0/min [1-9][\\d,.]*/min fail"));
            }
        }
        database.execute(
                "delete from rowbell.delivery where sink = 'http'", "delete from rowbell.sink where name = 'shared'");
    }

    private String rate(String sink) {
        Matcher rate = Pattern.compile(
                        "(?s)<strong>%s</strong>((?!</tr>).)*<td data-label=\"rate\">(.*?)</td>".formatted(sink))
                .matcher(page("/sinks"));
        assertTrue(rate.find(), sink);
        return rate.group(2).replaceAll("<[^>]*>", " ").replaceAll("\\s+", " ").strip();
    }

    @Test
    void deadLettersAreGroupedBySinkAndErrorAndShownWithOldAndNew() {
        String groups = page("/dead-letters");
        Matcher group = Pattern.compile("href=\"(/dead-letters\\?sink=pager&amp;error=\\w+)\">3<")
                .matcher(groups);
        assertTrue(group.find(), groups);
        assertShows(group.group(1).replace("&amp;", "&"), "alert-1", "alert-2", "alert-3", "too-many");
        assertShows("/dead-letters/show?number=1", "alert-1", "OLD", "NEW", "30001", "public.orders · id=1");
    }

    @Test
    void silencesAndFeedsAreShown() {
        assertShows("/silences", "in force", "too-*", "id=7", "import of the old shop");
        assertShows("/feeds", "<strong>public.orders</strong>", "statement");
    }

    @Test
    void theTimeOfTheTriggersIsShownWherePostgresCountsIt() {
        database.execute(
                "create table public.counted (id int primary key, c2 int)",
                "insert into rowbell.rule (name, feed, condition) values ('counted', 'public.counted', 'new.c2 > 9')",
                "insert into public.counted values (1, 1)");
        String counted = "(?s)<strong>public.counted</strong>((?!</tr>).)*data-label=\"calls\" class=\"number\">%s</td>"
                + "\\s*<td data-label=\"µs a call\" class=\"number\">%s</td>";
        assertTrue(
                Pattern.compile(counted.formatted("", ""))
                        .matcher(page("/feeds"))
                        .find(),
                page("/feeds"));
        database.execute("set track_functions = 'pl'", "insert into public.counted values (2, 2), (3, 3)");
        await("PostgreSQL shows what it has counted")
                .until(() -> Pattern.compile(counted.formatted("1", "[\\d,]*\\d(\\.\\d)?"))
                        .matcher(page("/feeds"))
                        .find());
        database.execute("delete from rowbell.rule where name = 'counted'", "drop table public.counted");
    }

    @Test
    void noPageShowsALogin() {
        for (String path : PAGES) {
            assertFalse(page(path).contains("secret"), path);
        }
        assertShows("/dead-letters/show?number=1", "https://…@pager.example.org");
    }

    @Test
    void hostileContentIsText() {
        String quoted = HOSTILE.replace("'", "''");
        String number = letter(
                "odd",
                "json_build_object('rule', '%1$s', 'reason', '%1$s', 'new', json_build_object('%1$s', '%1$s'))"
                        .formatted(quoted),
                HOSTILE);
        database.execute(
                "insert into rowbell.silence (rule, since, until, who, why) values ('%1$s', '2026-01-01', now() - interval '1 day', '%1$s', '%1$s')"
                        .formatted(quoted),
                "insert into rowbell.delivery (sink, documents, last_error) values ('%1$s', array['{}'], '%1$s')"
                        .formatted(quoted),
                "insert into rowbell.rule (name, feed, condition, reason) values ('%1$s', 'public.orders', 'new.note = ''%2$s''', '%1$s')"
                        .formatted(quoted, quoted.replace("'", "''")));
        fires("'%1$s', '%1$s', '%1$s', '%1$s', '%1$s', 1".formatted(quoted));
        kept("left('%1$s', 200), '%1$s', '%1$s', '%1$s'".formatted(quoted), 1);
        database.execute(
                """
                update rowbell.history_alert set severity = '%1$s', reason = '%1$s', sinks = array['%1$s'], document =
                  json_build_object('rule', '%1$s', 'reason', '%1$s', 'severity', '%1$s', 'old', json_build_object('%1$s', '%1$s'),
                    'new', json_build_object('%1$s', '%1$s'), 'changed', json_build_array('%1$s'))
                where rule = '%1$s'""".formatted(quoted),
                "insert into rowbell.history_try (at, alert_id, sink, outcome, answer, error) select at, id, rule, rule, rule, rule from rowbell.history_alert where rule = '%s'"
                        .formatted(quoted));
        String encoded = URLEncoder.encode(HOSTILE, StandardCharsets.UTF_8);
        for (String path : List.of(
                "/",
                "/firing",
                "/firing?text=" + encoded,
                "/alerts",
                "/alerts?id=%1$s&rule=%1$s&feed=%1$s&key=%1$s".formatted(encoded),
                "/alerts?outcome=%1$s&from=%1$s&after=%1$s".formatted(encoded),
                "/rules",
                "/rules?q=" + encoded,
                "/rules/show?name=" + encoded,
                "/explain?rule=" + encoded,
                "/explain?rule=too-many&key=" + encoded,
                "/explain?id=" + encoded,
                "/sinks",
                "/dead-letters",
                "/dead-letters?sink=" + encoded + "&error=" + encoded,
                "/dead-letters/show?number=" + number,
                "/silences")) {
            String page = page(path);
            assertFalse(page.matches("(?s).*<(script(?! src=\"/refresh\\.js\">)|img).*"), path + ": " + page);
            assertFalse(page.contains("\u202E") || page.contains("\u200B"), path + ": " + page);
            assertFalse(page.contains("\"'>"), path + ": " + page);
        }
        assertShows("/rules/show?name=" + encoded, "Rule &lt;script&gt;alert(1)&lt;/script&gt;");
        assertTrue(page("/rules").contains("/rules/show?name=" + encoded));
        assertTrue(page("/alerts?rule=" + encoded).contains("/explain?id=" + encoded));
        assertShows("/explain?id=" + encoded, "OLD", "its dead letter of &lt;script&gt;");
    }

    @Test
    void aTextOfFiveMegabytesIsCut() {
        String number =
                letter("long", "json_build_object('new', json_build_object('a', repeat('x', 5000000)))", "long");
        kept("'long', repeat('r', 200), repeat('f', 200), repeat('k', 200)", 1);
        database.execute(
                """
                update rowbell.history_alert set reason = repeat('x', 5000000), document = json_build_object('new', json_build_object('a', repeat('x', 5000000)))
                where id = 'long'""",
                "insert into rowbell.history_try (at, alert_id, sink, outcome, answer) values (now(), 'long', 'http', 'failed', repeat('x', 5000000))");
        for (String path : List.of(
                "/dead-letters",
                "/dead-letters/show?number=" + number,
                "/alerts",
                "/alerts?id=long",
                "/explain?id=long")) {
            assertTrue(page(path).length() < 200_000, path);
        }
        assertShows("/dead-letters/show?number=" + number, "(the first 50,000 of 5,0");
    }

    @Test
    void eachAnswerTellsTheBrowserToRunAndKeepNothing() {
        for (String path : List.of("/feeds", "/style.css", "/nothing", "/rules")) {
            Map<String, List<String>> headers = ask(port, "GET", path).headers().map();
            assertEquals(
                    List.of(
                            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
                    headers.get("content-security-policy"));
            assertEquals(List.of("nosniff"), headers.get("x-content-type-options"));
            assertEquals(List.of("same-origin"), headers.get("referrer-policy"));
            assertEquals(List.of("no-store"), headers.get("cache-control"));
        }
        assertFalse(
                page("/").matches("(?s).*(<script(?! src=\"/)|style=|https?://).*"),
                "the page needs something from elsewhere");
    }

    @Test
    void aPageIsAnsweredToGetAndHeadAlone() {
        assertEquals(403, ask(port, "POST", "/rules").statusCode());
        for (String method : List.of("PUT", "DELETE", "PATCH", "OPTIONS")) {
            HttpResponse<String> answer = ask(port, method, "/rules");
            assertEquals(405, answer.statusCode(), method);
            assertEquals("GET, HEAD, POST", answer.headers().firstValue("Allow").orElse(""));
        }
        HttpResponse<String> head = ask(port, "HEAD", "/rules");
        assertEquals(200, head.statusCode());
        assertEquals("", head.body());
    }

    @Test
    void whatAPageOfAnotherSiteLoadsIsRefusedAndALinkIsFollowed() throws Exception {
        Map.of(
                        "cross-site image", 403,
                        "same-site iframe", 403,
                        "cross-site document", 200,
                        "same-origin style", 200,
                        "none document", 200)
                .forEach((fetch, status) -> assertEquals(
                        status,
                        http.sendAsync(
                                        HttpRequest.newBuilder(URI.create("http://127.0.0.1:%d/rules".formatted(port)))
                                                .header("Sec-Fetch-Site", fetch.split(" ")[0])
                                                .header("Sec-Fetch-Dest", fetch.split(" ")[1])
                                                .build(),
                                        BodyHandlers.discarding())
                                .join()
                                .statusCode(),
                        fetch));
    }

    @Test
    void aHostNameThatIsNotKnownGetsNoPage() throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.getOutputStream()
                    .write("GET /rules HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(answer.startsWith("HTTP/1.1 421 "), answer);
            assertFalse(answer.contains("too-many"), answer);
        }
    }

    @Test
    void anAddressThatCannotBeReadIsRefusedWithoutALineInTheLog() throws IOException {
        try (LogLines log = new LogLines("io.vertx.ext.web.RoutingContext");
                Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.getOutputStream()
                    .write("GET /rules?q=%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(answer.startsWith("HTTP/1.1 400 "), answer);
            assertEquals(List.of(), log.lines());
        }
        assertShows("/rules?q=%00%ff", "No rule.");
    }

    @Test
    void whatIsNotThereIsNotFoundAndHealthIsAsItWas() {
        for (String path : List.of(
                "/nothing",
                "/rules/show",
                "/rules/show?name=none",
                "/dead-letters/show",
                "/dead-letters/show?number=99999",
                "/dead-letters/show?number=1%20or%201",
                "/../etc/passwd",
                "/layout.ftlh")) {
            assertEquals(404, ask(port, "GET", path).statusCode(), path);
        }
        assertEquals(200, ask(port, "GET", "/observe/health/live").statusCode());
        assertEquals(200, ask(port, "GET", "/observe/metrics").statusCode());
    }

    @Test
    void aPartThatTakesTooLongIsLeftOutAndTheOthersAreThere() throws Exception {
        try (Connection holder = database.connect();
                Statement statement = holder.createStatement()) {
            holder.setAutoCommit(false);
            statement.execute("lock table rowbell.silence in access exclusive mode");
            String page = page("/silences");
            assertTrue(page.contains("is missing: it took longer than 2 s"), page);
            assertShows("/dead-letters", "pager");
        }
    }

    /** Each part would wait for a connection anew: a page took half a minute, and two of them kept all others waiting. */
    @Test
    void whileTheDatabaseIsAwayAPageAsksItOnce(@TempDir Path dir) throws IOException {
        try (TcpProxy network = new TcpProxy(database.port())) {
            Map<String, String> settings = settings(dir);
            settings.put(
                    "rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
            try (RunningRowbell away = RunningRowbell.start(settings)) {
                Rowbell.of(away.context()).serveWebConsole();
                network.refuse(true);
                for (String path : PAGES) {
                    HttpResponse<String> answer =
                            ask(Integer.parseInt(settings.get("rowbell.health.port")), "GET", path);
                    assertEquals(200, answer.statusCode(), path + answer.body());
                    assertEquals(
                            2, answer.body().split("A part of this page is missing", -1).length, path + answer.body());
                }
                network.refuse(false);
            }
        }
    }

    @Test
    void theHistoryOfAnAlertIsThereWhereLookingForItInTheQueuesTakesTooLong() throws Exception {
        kept("'busy-' || i, 'busy', 'public.orders', 'id=1'", 1);
        try (Connection holder = database.connect();
                Statement statement = holder.createStatement()) {
            holder.setAutoCommit(false);
            statement.execute("lock table rowbell.dead_letter in access exclusive mode");
            String page = page("/explain?id=busy-1");
            assertTrue(page.contains("is missing: it took longer than 2 s"), page);
            assertTrue(page.contains("it was routed to file"), page);
        }
    }

    @Test
    void manyPagesAtATimeAreRefusedAndKeepHealthWaitingForNothing() throws Exception {
        List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
        try (Connection holder = database.connect();
                Statement statement = holder.createStatement()) {
            holder.setAutoCommit(false);
            statement.execute("lock table rowbell.silence in access exclusive mode");
            for (int i = 0; i < 40; i++) {
                answers.add(http.sendAsync(
                        HttpRequest.newBuilder(URI.create("http://127.0.0.1:%d/silences".formatted(port)))
                                .build(),
                        BodyHandlers.ofString()));
            }
            await().until(() -> answers.stream().anyMatch(CompletableFuture::isDone));
            assertEquals(200, ask(port, "GET", "/observe/health/live").statusCode());
        }
        List<Integer> statuses = answers.stream()
                .map(answer -> answer.join().statusCode())
                .distinct()
                .sorted()
                .toList();
        assertEquals(List.of(200, 503), statuses);
    }

    @Test
    void aRightThatIsMissingIsNamedInThePlaceOfWhatCannotBeRead(@TempDir Path dir) throws IOException {
        String role = "web_of_" + database.name();
        database.execute("create role %s login password 'pw'".formatted(role), "grant rowbell_consumer to " + role);
        Map<String, String> settings = settings(dir);
        settings.put("rowbell.migrate", "false");
        settings.put("rowbell.jdbc.user", role);
        settings.put("rowbell.jdbc.password", "pw");
        try (RunningRowbell consumer = RunningRowbell.start(settings)) {
            Rowbell.of(consumer.context()).serveWebConsole();
            for (String path : PAGES) {
                HttpResponse<String> answer = ask(Integer.parseInt(settings.get("rowbell.health.port")), "GET", path);
                assertEquals(200, answer.statusCode(), path + answer.body());
                boolean explains = path.matches("/explain\\?rule.*|/rules/show.*");
                assertEquals(
                        explains,
                        answer.body()
                                .contains("is missing: permission denied for function explain: grant rowbell_admin to "
                                        + role),
                        path + answer.body());
                assertTrue(explains || !answer.body().contains("is missing"), path + answer.body());
            }
        } finally {
            database.execute("drop owned by " + role, "drop role " + role);
        }
    }

    @Test
    void onAnotherAddressThanLoopbackNoPageIsServedAndTheStartSaysIt(@TempDir Path dir) throws IOException {
        Map<String, String> settings = settings(dir);
        settings.put("rowbell.health.host", "0.0.0.0");
        try (LogLines log = new LogLines("dev.rowbell.web.WebConsole");
                RunningRowbell open = RunningRowbell.start(settings)) {
            Rowbell.of(open.context()).serveWebConsole();
            assertEquals(1, log.lines().size(), log.lines().toString());
            assertTrue(
                    log.lines().get(0).contains("rowbell.health.host=0.0.0.0 is not loopback"),
                    log.lines().toString());
            assertFalse(Banner.of(open.context(), false).contains("  web "));
            int openPort = Integer.parseInt(settings.get("rowbell.health.port"));
            for (String path : List.of("/", "/rules", "/style.css")) {
                HttpResponse<String> answer = ask(openPort, "GET", path);
                assertEquals(404, answer.statusCode());
                assertTrue(answer.body().contains("served on loopback only"), answer.body());
            }
            assertEquals(200, ask(openPort, "GET", "/observe/health/live").statusCode());
        }
    }

    @Test
    void itCanBeSwitchedOff(@TempDir Path dir) throws IOException {
        Map<String, String> settings = settings(dir);
        settings.put("rowbell.web.enabled", "false");
        try (RunningRowbell off = RunningRowbell.start(settings)) {
            Rowbell.of(off.context()).serveWebConsole();
            int port = Integer.parseInt(settings.get("rowbell.health.port"));
            assertEquals(404, ask(port, "GET", "/").statusCode());
            assertEquals(200, ask(port, "GET", "/observe/health/live").statusCode());
            assertFalse(Banner.of(off.context(), false).contains("  web "));
        }
    }

    @Test
    void theStartNamesTheAddress() {
        assertTrue(Banner.of(rowbell.context(), false).contains("  web        http://127.0.0.1:%d/".formatted(port)));
    }
}
