package dev.rowbell;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import dev.rowbell.testing.Axe;
import dev.rowbell.testing.Chromium;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The web console in a real browser, as an operator uses it. Each test leaves pictures in {@code target/pictures}. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class WebBrowserTest {

    private static final List<String> PAGES = List.of(
            "/",
            "/firing",
            "/alerts",
            "/alerts?rule=moved",
            "/explain?id=moved-3",
            "/tail",
            "/rules",
            "/rules/show?name=stays",
            "/rules/edit?name=stays",
            "/explain?rule=too-many&key=2",
            "/sinks",
            "/dead-letters",
            "/silences",
            "/silences/new?look=1&for=1h&rule=too-*&why=import",
            "/feeds",
            "/audit");

    private final TestDatabase database = TestDatabase.createWithSchema();
    private Chromium chromium;
    private RunningRowbell rowbell;
    private String address;
    private BrowserContext context;
    private Page page;
    private final List<String> complaints = new ArrayList<>();

    @BeforeAll
    void start(@TempDir Path dir) throws Exception {
        chromium = new Chromium();
        database.execute(
                "create table public.orders (id int primary key, c2 int)",
                "insert into public.orders values (2, 30001)",
                """
                insert into rowbell.rule (name, feed, condition, "for", severity, reason) values
                  ('too-many', 'public.orders', 'new.c2 > 9999', null, 'critical', 'too many at once'),
                  ('stays', 'public.orders', 'new.c2 > 9999', '1 hour', 'warning', null)""");
        Map<String, String> settings = WebClient.settings(database, dir);
        settings.put(
                "rowbell.web.users",
                "ada:operator:%s,bob:viewer:%s".formatted(WebClient.hash("Ada's"), WebClient.hash("Bob's")));
        // each link, form and script has it
        settings.put("rowbell.web.base-path", "/rowbell");
        rowbell = RunningRowbell.start(settings);
        Rowbell.of(rowbell.context()).serveWebConsole();
        address = "http://127.0.0.1:" + settings.get("rowbell.health.port") + "/rowbell";
    }

    @AfterAll
    void stop() {
        if (rowbell != null) {
            rowbell.close();
        }
        if (chromium != null) {
            chromium.close();
        }
    }

    @BeforeEach
    void open() {
        database.execute(
                "delete from rowbell.acknowledgement",
                "delete from rowbell.firing_event",
                "delete from rowbell.firing_state",
                "delete from rowbell.dead_letter",
                "delete from rowbell.silence",
                "delete from rowbell.paused_sink",
                "delete from rowbell.history_alert",
                "delete from rowbell.history_try",
                "select rowbell.make_history_days()",
                """
                insert into rowbell.history_alert (at, id, path, rule, feed, key, severity, status, reason, time, silence, sinks, document)
                select now() - i * interval '1 ms', 'moved-' || i, 'durable', 'moved', 'public.orders', 'id=' || i, 'warning', 'firing', 'moved at once', now(),
                  case when i % 2 = 0 then 0 end, case when i % 2 = 1 then '{file,http}'::text[] else '{}'::text[] end,
                  json_build_object('id', 'moved-' || i, 'rule', 'moved', 'severity', 'warning', 'reason', 'moved at once', 'table', 'public.orders', 'operation', 'UPDATE',
                    'key', 'id=' || i, 'changed', json_build_array('c2'), 'old', json_build_object('id', i, 'c2', 1, 'note', 'as it was'),
                    'new', json_build_object('id', i, 'c2', 30001, 'note', 'as it was'))
                from generate_series(1, 9) i""",
                """
                insert into rowbell.history_try (at, alert_id, sink, outcome, attempt, status, answer, error)
                values (now(), 'moved-3', 'file', 'delivered', 1, null, null, null), (now(), 'moved-3', 'http', 'failed', 1, 503, 'busy', 'the receiver answered 503'),
                  (now() + interval '1 ms', 'moved-3', 'http', 'delivered', 2, 204, null, null)""",
                """
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                select 'f' || i, 'too-late', 'public.orders', 'id=' || i, 'critical', 'too many at once', i, now() - i * interval '1 min', now(), 0, 'x'
                from generate_series(7, 9) i""",
                """
                insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                select 'nowhere', 'alert-' || i, json_build_object('id', 'alert-' || i, 'rule', 'too-many', 'severity', 'critical', 'key', 'id=' || i,
                    'table', 'public.orders', 'new', json_build_object('id', i, 'c2', 30001)), 10, now(), 'the receiver answered 410'
                from generate_series(1, 3) i""");
        with(new Browser.NewContextOptions().setViewportSize(1200, 900));
    }

    private void with(Browser.NewContextOptions options) {
        close();
        context = chromium.browser().newContext(options);
        context.setDefaultTimeout(120_000);
        context.setDefaultNavigationTimeout(120_000);
        page = context.newPage();
        complaints.clear();
        page.onConsoleMessage(message -> {
            if (message.type().equals("error")) {
                complaints.add(message.text());
            }
        });
        page.onPageError(complaints::add);
    }

    @AfterEach
    void close() {
        if (context != null) {
            context.close();
            context = null;
        }
    }

    private void login(String user, String password) {
        page.navigate(address + "/");
        page.getByLabel("User").fill(user);
        page.getByLabel("Password").fill(password);
        page.getByRole(AriaRole.BUTTON, new Page.GetByRoleOptions().setName("Log in"))
                .click();
        page.waitForURL(address + "/");
    }

    private Locator button(String name) {
        return page.getByRole(
                AriaRole.BUTTON, new Page.GetByRoleOptions().setName(name).setExact(true));
    }

    private Locator link(String name) {
        return page.getByRole(
                AriaRole.LINK, new Page.GetByRoleOptions().setName(name).setExact(true));
    }

    private Locator said() {
        return page.locator("main > p[role=status]");
    }

    private void picture(String name) {
        page.screenshot(new Page.ScreenshotOptions()
                .setPath(Path.of("target/pictures", name + ".png"))
                .setFullPage(true));
    }

    @Test
    void anOperatorLogsInAcknowledgesAndLogsOut() {
        page.navigate(address + "/firing");
        picture("login");
        page.getByLabel("User").fill("ada");
        page.getByLabel("Password").fill("wrong");
        button("Log in").click();
        assertThat(page.getByRole(AriaRole.ALERT)).hasText("The name or the password is wrong.");
        login("ada", "Ada's");
        assertThat(page.locator(".who")).containsText("ada");
        link("Firing").click();
        page.getByLabel("too-late id=7").check();
        page.getByLabel("too-late id=9").check();
        page.getByLabel("Note").fill("on <b>it</b>");
        button("Acknowledge").click();
        assertThat(said()).hasText("2 acknowledged.");
        assertEquals(
                List.of("id=7 ada on <b>it</b>", "id=9 ada on <b>it</b>"),
                database.query(
                        "select concat_ws(' ', key, assignee, note) from rowbell.firing where acknowledged is not null order by key"));
        picture("firing");
        page.getByLabel("too-late id=9").check();
        button("Take back").click();
        assertThat(said()).hasText("1 not acknowledged any more.");
        button("Log out").click();
        page.waitForURL(address + "/login");
        page.navigate(address + "/firing");
        assertTrue(page.url().endsWith("/login"), page.url());
        assertEquals(
                List.of(),
                complaints.stream().filter(line -> !line.contains("403")).toList());
    }

    @Test
    void aRuleIsWrittenCheckedTestedAndChanged() {
        login("ada", "Ada's");
        link("Rules").click();
        link("New rule").click();
        page.getByLabel("name").first().fill("typed");
        page.getByLabel("feed").first().fill("public.orders");
        page.getByLabel("condition").first().fill("NEW.c3 > 9");
        button("Check").click();
        assertThat(page.getByRole(AriaRole.ALERT)).containsText("condition: column new.c3 does not exist");
        assertThat(page.getByLabel("condition").first()).hasValue("NEW.c3 > 9");
        page.getByLabel("condition").first().fill("NEW.c2 > 9\n  and NEW.c2 <> 11 -- '<b>'");
        button("Test against the table").click();
        assertThat(said()).hasText("1 row meets it now.");
        assertThat(page.locator("main pre")).hasText("{\"id\":2,\"c2\":30001}");
        picture("edit");
        button("Apply").click();
        assertThat(said()).hasText("The rule was written.");
        assertThat(page.locator("dl")).containsText("-- '<b>'");
        link("Edit").click();
        page.getByLabel("severity").selectOption("critical");
        button("Apply").click();
        assertThat(said()).hasText("The rule was written.");
        assertEquals(
                List.of("critical NEW.c2 > 9\n  and NEW.c2 <> 11 -- '<b>'"),
                database.query("select severity || ' ' || condition from rowbell.rule where name = 'typed'"));
        page.getByLabel("Note").fill("import");
        button("Disable").click();
        assertThat(page.locator(".findings")).containsText("the rule is disabled by ada since");
        picture("rule-disabled");
        button("Enable").click();
        assertThat(said()).hasText("It is enabled.");
        database.execute("delete from rowbell.rule where name = 'typed'");
        assertEquals(
                List.of(),
                complaints.stream().filter(line -> !line.contains("400")).toList());
    }

    @Test
    void aRuleIsCheckedWhileItIsTyped() {
        login("ada", "Ada's");
        page.navigate(address + "/rules/edit?name=stays");
        List<String> checks = new ArrayList<>();
        page.onRequest(request -> {
            if (request.method().equals("POST")) {
                checks.add(request.url());
            }
        });
        Locator result = page.locator("#checked");
        Locator condition = page.getByLabel("condition").first();
        condition.fill("NEW.c2 > 9999 and NEW.c3 = '<b>'");
        assertThat(result.locator("li")).containsText("condition: column new.c3 does not exist");
        assertThat(condition).hasAttribute("aria-invalid", "true");
        assertThat(result).hasAttribute("role", "status");
        assertEquals(List.of(address + "/api/rules/check"), checks);
        assertThat(result).isInViewport();
        assertEquals(List.of(), Axe.serious(page));
        picture("typed");
        page.setViewportSize(390, 844);
        assertThat(result).isInViewport();
        assertEquals(List.of(), Axe.serious(page));
        page.screenshot(new Page.ScreenshotOptions().setPath(Path.of("target/pictures/typed-390.png")));
        page.setViewportSize(1200, 900);
        condition.fill("NEW.c2 > 9999");
        assertThat(result).hasText("No fault was found.");
        assertEquals("false", condition.evaluate("field => String(field.hasAttribute('aria-invalid'))"));
        assertEquals(2, checks.size());
        page.clock().install();
        condition.press("End");
        condition.press("x");
        condition.press("Backspace");
        page.clock().runFor(10_000);
        assertEquals(2, checks.size(), "nothing has changed");
        page.getByLabel("cooldown").fill("soon");
        button("Check").click();
        assertThat(page.getByRole(AriaRole.ALERT)).containsText("cooldown: is no duration");
        page.getByLabel("cooldown").fill("1h");
        page.clock().runFor(1_000);
        assertThat(result).hasText("No fault was found.");
        assertThat(page.getByRole(AriaRole.ALERT)).hasCount(0);
        assertEquals(List.of(), database.query("select condition from rowbell.rule where condition like '%c3%'"));
        assertEquals(
                List.of(),
                complaints.stream().filter(line -> !line.contains("400")).toList());
    }

    @Test
    void deadLettersAreSentAgainOneAndAll() {
        login("ada", "Ada's");
        link("Dead letters").click();
        page.locator("td.number a").click();
        page.locator("td.number a").first().click();
        picture("dead-letter");
        button("Send again").click();
        assertThat(said()).hasText("1 is sent again.");
        link("Retry all").click();
        picture("dead-letters-all");
        button("Send 2 again").click();
        assertThat(said()).hasText("2 are sent again.");
        assertEquals(0, database.count("rowbell.dead_letter"));
        assertEquals(List.of(), complaints);
    }

    @Test
    void aSilenceIsAddedFromWhatFiresAndEnded() {
        login("ada", "Ada's");
        link("Firing").click();
        link("Silence this").first().click();
        assertThat(page.getByLabel("Rule")).hasValue("too-late");
        page.getByLabel("Key").fill("");
        page.getByLabel("Why").fill("import of the old shop");
        button("Look what it covers").click();
        assertThat(page.locator("main")).containsText("Of what fires now 3");
        picture("silence-new");
        button("Add this silence").click();
        assertThat(said()).containsText("keeps alerts back");
        picture("silences");
        page.getByText("End now").click();
        assertThat(said()).containsText("has ended");
        link("New silence").click();
        page.getByLabel("From")
                .fill(LocalDateTime.now()
                        .plusDays(1)
                        .truncatedTo(ChronoUnit.MINUTES)
                        .toString());
        page.getByLabel("For", new Page.GetByLabelOptions().setExact(true)).fill("2h");
        page.getByLabel("Why").fill("the shop moves");
        button("Look what it covers").click();
        assertThat(page.locator("main")).containsText("lasts 2h");
        picture("silence-planned");
        button("Add this silence").click();
        assertThat(said()).containsText("is planned");
        picture("silences-planned");
        page.getByText("Remove").click();
        assertThat(said()).containsText("will not begin");
        assertEquals(List.of(), complaints);
    }

    @Test
    void aSinkIsPausedWithANoteAndResumed() {
        login("ada", "Ada's");
        link("Sinks").click();
        page.getByLabel("Why file is paused").fill("the disk is full");
        button("Pause file").click();
        assertThat(said()).hasText("file is paused: its alerts wait.");
        assertThat(page.locator("main")).containsText("ada: the disk is full");
        picture("sinks-paused");
        button("Resume file").click();
        assertThat(said()).hasText("file goes on.");
        assertThat(button("Pause file")).isVisible();
        assertEquals(List.of(), complaints);
    }

    @Test
    void withTheKeyboardAloneOneLogsInAndAcknowledges() {
        page.navigate(address + "/");
        // the browser gives it the focus soon after the page is there
        assertThat(page.getByLabel("User")).isFocused();
        page.keyboard().type("ada");
        page.keyboard().press("Tab");
        page.keyboard().type("Ada's");
        page.keyboard().press("Enter");
        page.waitForURL(address + "/");
        tabTo("Firing");
        page.keyboard().press("Enter");
        page.waitForURL(address + "/firing");
        tabTo("too-late id=7");
        page.keyboard().press("Space");
        tabTo("Note");
        page.keyboard().type("by keyboard");
        tabTo("Acknowledge");
        picture("keyboard");
        page.keyboard().press("Enter");
        assertThat(said()).hasText("1 acknowledged.");
        assertEquals(
                List.of("by keyboard"),
                database.query("select note from rowbell.firing where acknowledged is not null"));
    }

    /** Until the thing of this name has the focus, which is to be seen. */
    private void tabTo(String name) {
        for (int i = 0; i < 100; i++) {
            page.keyboard().press("Tab");
            Object focused = page.evaluate("""
                    () => { const e = document.activeElement;
                      return (e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent).trim() }""");
            if (name.equals(focused)) {
                assertEquals("solid", page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle"));
                return;
            }
        }
        throw new AssertionError("Tab does not come to " + name);
    }

    @Test
    void aViewerSeesNoButtonThatOperates() {
        login("bob", "Bob's");
        for (String path : PAGES) {
            page.navigate(address + path);
            assertEquals(
                    List.of("/rowbell/logout"),
                    page.locator("form[method=post]").all().stream()
                            .map(form -> form.getAttribute("action"))
                            .toList(),
                    path);
        }
    }

    @Test
    void eachPageFitsOnAPhoneIsReadInTheDarkAndAxeFindsNothingSerious() {
        for (ColorScheme scheme : List.of(ColorScheme.LIGHT, ColorScheme.DARK)) {
            for (int width : List.of(390, 1200)) {
                with(new Browser.NewContextOptions().setViewportSize(width, 844).setColorScheme(scheme));
                check("/login", scheme, width);
                login("ada", "Ada's");
                PAGES.forEach(path -> check(path, scheme, width));
                deadLetterPages().forEach(path -> check(path, scheme, width));
                assertEquals(List.of(), complaints);
            }
        }
    }

    /** The first group, all of it, and its first letter. */
    private List<String> deadLetterPages() {
        String group = linked("/dead-letters", "td.number a");
        return List.of(group, linked("/dead-letters", "text=Retry all"), linked(group, "td.number a"));
    }

    private String linked(String path, String link) {
        page.navigate(address + path);
        return page.locator(link).first().getAttribute("href").replaceFirst("^/rowbell", "");
    }

    private void check(String path, ColorScheme scheme, int width) {
        page.navigate(address + path);
        // numbers differ from run to run
        String name = path.replaceFirst("(number|error)=\\w+", "").replaceAll("\\W+", "-");
        picture("%s-%d-%s".formatted(name, width, scheme.name().toLowerCase()));
        assertFalse(
                (boolean) page.evaluate("() => document.documentElement.scrollWidth > innerWidth"),
                path + " is wider than " + width);
        assertEquals(
                scheme == ColorScheme.DARK,
                page.evaluate("() => +getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 100"));
        assertEquals(List.of(), Axe.serious(page), path);
    }

    @Test
    void anAlertIsFoundInTheHistoryAndExplained() {
        login("bob", "Bob's");
        link("Alerts").click();
        page.getByLabel("Rule").fill("moved");
        page.getByLabel("What became of it").selectOption("failed");
        page.getByLabel("Routed from").fill("2026-01-01T08:00");
        button("Search").click();
        link("Explain moved-3").click();
        assertThat(page.locator(".findings")).containsText("http failed at try 1, answer 503");
        assertThat(page.locator("tr.changed")).hasText("c2 changed130001");
        assertEquals(List.of(), complaints);
    }

    @Test
    void theTailShowsAlertsWhenTheyAreRoutedAndCanBePaused() {
        login("ada", "Ada's");
        link("Live").click();
        assertThat(page.locator("#state")).hasText("Live.");
        alert("one", "<img src=x onerror=alert(1)>");
        Locator rows = page.locator("#alerts tr");
        assertThat(rows).hasCount(1);
        assertThat(rows.first()).containsText("<img src=x onerror=alert(1)>");
        button("Pause").click();
        assertThat(page.locator("#state")).hasText("Paused.");
        alert("two", "later");
        assertThat(page.locator("#state")).hasText("Paused. 1 came meanwhile.");
        assertThat(rows).hasCount(1);
        button("Go on").click();
        alert("three", "last");
        assertThat(rows).hasCount(2);
        assertThat(rows.first()).containsText("last");
        picture("tail");
        link("Live").click();
        assertThat(rows).hasCount(0);
        assertThat(page.locator("#state")).hasText("Live.");
        alert("four", "explained");
        rows.first().getByRole(AriaRole.LINK).click();
        assertThat(page.locator("main")).containsText("four");
        assertTrue(page.url().endsWith("/explain?id=four"), page.url());
        assertEquals(List.of(), complaints);
    }

    private void alert(String id, String reason) {
        database.execute(
                "insert into rowbell.feedback (alert) values (json_build_object('id', '%s', 'rule', 'r', 'severity', 'critical', 'reason', '%s'))"
                        .formatted(id, reason));
        await().until(() -> database.count("rowbell.feedback") == 0);
    }

    @Test
    void aPageShowsWhatIsNewUntilItIsPaused() {
        login("bob", "Bob's");
        page.clock().install();
        link("Firing").click();
        assertThat(page.locator("#state")).containsText("every 10 seconds");
        database.execute("update rowbell.firing_state set reason = 'as it is now'");
        page.clock().runFor(10_000);
        assertThat(page.locator("main")).containsText("as it is now");
        button("Pause this page").click();
        assertThat(page.locator("#state")).hasText("Paused.");
        picture("paused");
        database.execute("delete from rowbell.firing_state");
        List<String> requests = new ArrayList<>();
        page.onRequest(request -> requests.add(request.url()));
        page.clock().runFor(30_000);
        assertEquals(List.of(), requests);
        button("Go on").click();
        assertThat(page.locator("main")).containsText("Nothing fires.");
        assertEquals(List.of(), complaints);
    }

    @Test
    void withoutJavaScriptOneOperatesToo() {
        with(new Browser.NewContextOptions().setJavaScriptEnabled(false));
        login("ada", "Ada's");
        link("Firing").click();
        page.getByLabel("too-late id=8").check();
        button("Acknowledge").click();
        assertThat(said()).hasText("1 acknowledged.");
        link("Live").click();
        assertThat(page.locator("main")).containsText("needs JavaScript");
    }
}
