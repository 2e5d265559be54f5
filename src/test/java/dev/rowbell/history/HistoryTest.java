package dev.rowbell.history;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.settings.SettingsException;
import dev.rowbell.testing.BadServer;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The history says what became of each alert. */
class HistoryTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final BadServer web = new BadServer();

    @BeforeEach
    void sinks() {
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.backoff", "1ms");
        settings.put("rowbell.http.url", "http://127.0.0.1:" + web.port());
    }

    @AfterEach
    void close() throws IOException {
        web.close();
    }

    private static BadServer.Answer answer(int status, String text) {
        return BadServer.text("HTTP/1.1 %d So\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                .formatted(status, text.length(), text));
    }

    private void feed(String rules) {
        database.execute(
                "create table public.feed (id int primary key, c int)",
                "insert into rowbell.rule (name, feed, condition, fires, cooldown) values " + rules);
    }

    private void raise(String... ids) {
        for (String id : ids) {
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"%s\", \"rule\": \"r\", \"table\": \"public.feed\","
                                    .formatted(id)
                            + " \"key\": \"id=1\", \"new\": {\"id\": 1, \"email\": \"a@b.example\"}}')");
        }
    }

    private void awaitFolded() {
        await().until(() -> database.isDelivered()
                && database.count("rowbell.history_routed") == 0
                && database.count("rowbell.history_tried") == 0);
    }

    /** What became of an alert, without the times. */
    private List<String> explained(String id) {
        return database.query("select level || ' ' || finding from rowbell.alert_timeline('" + id
                + "') where finding !~ '^the rule was'");
    }

    private String id(String condition) {
        return database.query("select id from rowbell.history where " + condition)
                .get(0);
    }

    @Test
    @Tag("long")
    void anAlertIsFollowedFromItsRowToTheAnswersOfItsSinks() {
        feed("('over', 'public.feed', 'NEW.c > 10', 'once', default)");
        web.answer(socket -> {
            if (web.requests().size() < 3) {
                answer(503, "busy, see https://web.example/hook/secret").give(socket);
            } else {
                BadServer.ok().give(socket);
            }
        });
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("insert into public.feed values (1, 11)");
            await().until(() -> database.isDelivered() && web.requests().size() == 3);
            awaitFolded();
        }
        String id = id("rule = 'over'");
        List<String> explained = explained(id);
        assertEquals("note public.feed id=1 insert: rule over fired (warning: over)", explained.get(0));
        assertEquals("note it was routed to file, http", explained.get(1));
        assertTrue(explained.contains("ok file has it at try 1"), explained.toString());
        List<String> http =
                explained.stream().filter(line -> line.contains("http ")).toList();
        assertEquals(3, http.size(), explained.toString());
        assertTrue(
                http.get(0).matches("note http failed at try 1, answer 503: .*: busy, see https://web.example/…"),
                http.get(0));
        assertEquals("ok http has it at try 3, answer 204", http.get(2));
        assertEquals(
                List.of("the rule was then"),
                database.query(
                        "select substring(finding from 'the rule was then') from rowbell.explain_alert('%s') where finding like '%%NEW.c > 10'"
                                .formatted(id)));
        assertEquals(
                List.of("durable public.feed id=1 firing t"),
                database.query(
                        "select concat_ws(' ', path, feed, key, status, routed > time and document::json ->> 'id' = id)"
                                + " from rowbell.history"));
    }

    @Test
    @Tag("long")
    void aDeadLetterAndItsReplayAreToldAndSoIsWhatWasDiscarded() {
        settings.put("rowbell.outbox.max-attempts", "2");
        web.answer(answer(400, "what is that?"));
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("a1", "a2");
            await().until(() -> database.count("rowbell.dead_letter") == 2);
            web.answer(BadServer.ok());
            database.execute(
                    "select rowbell.replay(id) from rowbell.dead_letter where alert_id = 'a1'",
                    "select rowbell.discard('http')");
            awaitFolded();
        }
        List<String> explained =
                explained("a1").stream().filter(line -> line.contains("http")).toList();
        assertEquals("note it was routed to file, http", explained.get(0));
        assertTrue(
                explained
                        .get(1)
                        .matches("note it became a dead letter of http at try 1, answer 400: .*: what is that.*"),
                explained.get(1));
        String user = database.query("select session_user").get(0);
        assertEquals("note its dead letter of http was replayed by " + user, explained.get(2));
        assertEquals("ok http has it at try 1, answer 204", explained.get(3));
        assertEquals(
                "note its dead letter of http was discarded by " + user,
                explained("a2").get(explained("a2").size() - 1));
        assertEquals(List.of(), explained("a3"));
    }

    @Test
    @Tag("long")
    void whatIsKeptBackIsToldWithItsReason() {
        feed(
                "('silent', 'public.feed', 'NEW.c = 1', 'every', default), ('cool', 'public.feed', 'NEW.c = 2', 'every', '1 h'),"
                        + " ('known', 'public.feed', 'NEW.c = 3', 'every', default), ('sent', 'public.feed', 'NEW.c = 4', 'every', default)");
        database.execute(
                "update rowbell.rule set delivery = 'notify' where name = 'sent'",
                "insert into rowbell.silence (rule, until, why, who) values ('silent', now() + interval '1 h', 'being mended', 'ann')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.awaitListener("channel_1");
            database.execute("insert into public.feed values (1, 1), (2, 2), (3, 3), (4, 4)");
            await().until(() ->
                    database.query("select rowbell.acknowledge('known')").equals(List.of("1")));
            // is in force within a second
            await().until(() -> {
                database.execute("update public.feed set c = c");
                return database.count("rowbell.firing where rule = 'known' and silenced > 0") == 1;
            });
            awaitFolded();
        }
        assertEquals(
                List.of("note it was not sent: silence 1 kept it quiet (being mended, by ann)"),
                explained(id("rule = 'silent'")).subList(1, 2));
        assertEquals(
                List.of("note it was not sent: the cooldown of its rule kept it quiet"),
                explained(id("silenced_by = 'cooldown'")).subList(1, 2));
        assertEquals(
                List.of("note it was not sent: what it is about was acknowledged"),
                explained(id("silenced_by = 'acknowledged'")).subList(1, 2));
        assertTrue(explained(id("path = 'notify' and rule = 'sent'")).contains("ok file has it at try 1"));
        assertEquals(1, database.count("rowbell.history where rule = 'cool' and silenced_by is null"));
    }

    @Test
    @Tag("long")
    void anAlertThatCannotBeRoutedAndOneThatGoesNowhereAreTold() throws IOException {
        RunningRowbell.writeAlertsRoute(dir, """
                - filter:
                    expression:
                      simple:
                        expression: "${body[id]} == 'a1'"
                    steps:
                      - throwException:
                          exceptionType: java.lang.IllegalArgumentException
                          message: a test's
                """);
        try (RunningRowbell rowbell =
                RunningRowbell.start(settings, "file:routes/sources.camel.yaml,file:" + dir + "/alerts.camel.yaml")) {
            raise("a1", "a2");
            awaitFolded();
        }
        assertTrue(
                explained("a1").stream()
                        .anyMatch(line -> line.matches("note it became a dead letter of the routing: .*a test's")),
                explained("a1").toString());
        assertEquals(
                "note it was routed to no sink, see routes/alerts.camel.yaml",
                explained("a2").get(1));
    }

    /** What a kill at any point leaves: the alert and its note commit together, and so does what a sink did. */
    @Test
    @Tag("long")
    void whatIsNotedCommitsWithTheAlertAndWithItsDelivery() {
        feed("('each', 'public.feed', 'NEW.c > 10', 'every', default)");
        database.execute("create table public.noted (of text, xact xid8 default pg_current_xact_id())", """
                create function public.note() returns trigger language plpgsql security definer as
                $$ begin insert into public.noted (of) values (tg_table_name); return null; end $$
                """);
        for (String event : List.of(
                "delete on rowbell.feedback",
                "insert on rowbell.history_routed",
                "delete on rowbell.delivery",
                "insert on rowbell.history_tried")) {
            database.execute(
                    "create trigger note after " + event + " for each statement execute function public.note()");
        }
        database.execute("insert into public.feed select i, 11 from generate_series(1, 100) i");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.count("rowbell.history where tries is not null") == 100);
            awaitFolded();
        }
        assertEquals(
                0,
                database.count(
                        "(select xact from public.noted group by xact having 'history_routed' = any (array_agg(of))"
                                + " and not 'feedback' = any (array_agg(of))) other"));
        assertEquals(
                0,
                database.count(
                        "(select xact from public.noted group by xact having 'history_tried' = any (array_agg(of))"
                                + " and not 'delivery' = any (array_agg(of))) other"));
        assertEquals(200, database.count("rowbell.history_try where outcome = 'delivered'"));
    }

    @Test
    @Tag("long")
    void aHistoryThatIsLockedOrBrokenStopsNoAlert() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings);
                Connection locking = database.connect();
                Statement statement = locking.createStatement()) {
            raise("a1");
            awaitFolded();
            locking.setAutoCommit(false);
            statement.execute("lock table rowbell.history_routed, rowbell.history_tried, rowbell.history_alert,"
                    + " rowbell.history_try in access exclusive mode");
            raise("a2");
            await().until(database::isDelivered);
            locking.rollback();
            database.execute("alter table rowbell.history_routed rename to gone", "drop view rowbell.history");
            raise("a3");
            await().until(database::isDelivered);
            database.execute(
                    "alter table rowbell.gone rename to history_routed",
                    "drop function rowbell.note_tried(text, text[], int[], bigint[], text[], int[], int[], text[], text[])");
            // the pause after the failure is over some time
            await().until(() -> {
                raise("more");
                return database.isDelivered() && database.count("rowbell.history_alert where id = 'more'") > 0;
            });
            await().until(database::isDelivered);
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    /** One statement notes both. */
    @Test
    @Tag("long")
    void theListOfWhatFiresAndTheHistoryGoOnWithoutEachOther() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("a1");
            awaitFolded();
            await().until(() -> times() == 1);
            database.execute("alter table rowbell.firing_event rename to gone");
            raise("a2");
            await().until(() -> database.count("rowbell.history_alert where id = 'a2'") == 1);
            database.execute("alter table rowbell.gone rename to firing_event");
            awaitListed();
            database.execute("alter function rowbell.note_routed rename to gone");
            awaitListed();
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }

    /** The pause after a failure is over some time. */
    private void awaitListed() {
        long before = times();
        await().until(() -> {
            raise("more");
            return database.isDelivered() && times() > before;
        });
    }

    /** How often rules fired, in the list of what fires. */
    private long times() {
        return Long.parseLong(database.query("select coalesce(sum(times), 0) from rowbell.firing")
                .get(0));
    }

    @Test
    @Tag("long")
    void twoProcessesKeepOneHistory() {
        feed("('each', 'public.feed', 'NEW.c > 10', 'every', default)");
        try (RunningRowbell one = RunningRowbell.start(settings);
                RunningRowbell two = RunningRowbell.start(settings)) {
            for (int i = 0; i < 50; i++) {
                database.execute("insert into public.feed select i, 11 from generate_series(%d, %d) i"
                        .formatted(20 * i, 20 * i + 19));
            }
            await().until(() -> database.isDelivered()
                    && database.count("rowbell.history_try where outcome = 'delivered'") == 2000);
            awaitFolded();
        }
        assertEquals(1000, database.count("(select distinct id from rowbell.history_alert) one"));
        assertEquals(
                List.of("file 1000", "http 1000"),
                database.query("select sink || ' ' || count(distinct alert_id) from rowbell.history_try"
                        + " where outcome = 'delivered' group by sink order by sink"));
    }

    @Test
    @Tag("long")
    void withoutAHistoryNothingIsWrittenAndWhatThereWasIsDropped() {
        settings.put("rowbell.history.keep", "1d");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise("a1");
            await().until(() -> database.count("rowbell.history") == 1);
            awaitFolded();
        }
        settings.put("rowbell.history.keep", "0");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.count("pg_inherits where inhparent = 'rowbell.history_alert'::regclass") == 0);
            raise("a2");
            database.execute("select rowbell.discard()");
            await().until(database::isDelivered);
        }
        assertEquals(0, database.count("rowbell.history_routed"));
        assertEquals(0, database.count("rowbell.history_tried"));
        assertEquals(0, database.count("rowbell.history"));
    }

    @Test
    @Tag("long")
    void whatIsLeftOutIsNowhereInTheHistory() {
        settings.put("rowbell.history.redact", "public.person.email, public.person.phone");
        settings.put("rowbell.history.answers", "false");
        web.answer(answer(400, "no ann@example.org"));
        database.execute(
                "create table public.person (email text primary key, phone text, c numeric)",
                "create table public.other (id int primary key, email text, c numeric)",
                "insert into rowbell.rule (name, feed, condition, fires, operations) values"
                        + " ('a', 'public.person', 'NEW.c > 10', 'every', '{insert,update}'), ('b', 'public.other', 'NEW.c > 10', 'every', '{insert}')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into public.person values ('ann@example.org', '0123456', 11.50)",
                    "update public.person set phone = '0123457'",
                    "insert into public.other values (1, 'bob@example.org', 11)");
            await().until(() -> database.count("rowbell.dead_letter") == 3);
            awaitFolded();
        }
        assertEquals(0, database.count("rowbell.history h where h::text ~ 'ann@|01234'"));
        assertEquals(
                List.of("(redacted) {\"email\":\"(redacted)\",\"phone\":\"(redacted)\",\"c\":11.50}"),
                database.query("select key || ' ' || (document::json -> 'old') from rowbell.history"
                        + " where document::json ->> 'operation' = 'UPDATE'"));
        assertEquals(1, database.count("rowbell.history where document like '%bob@example.org%' and key = 'id=1'"));
        assertEquals(3, database.count("rowbell.history_try where status = 400 and answer is null"));
    }

    /** Of what is wrong with a row, a text may say its values. */
    @Test
    @Tag("long")
    void whatIsLeftOutIsInNoTextOfTheAlertEither() {
        settings.put(
                "rowbell.history.redact",
                "public.person.email,public.person.contact,public.Odd.E Mail,public.Person.email");
        database.execute(
                "create table public.person (id int primary key, email text, contact jsonb, c text)",
                "create table public.\"Odd\" (\"E Mail\" text primary key)",
                "insert into rowbell.rule (name, feed, condition, fires) values ('fails', 'public.person', 'NEW.email::int > 1', 'every'),"
                        + " ('odd', 'public.\"Odd\"', 'true', 'every')");
        try (LogLines log = new LogLines(History.class.getName());
                RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> log.lines().toString().contains("no table here has public.Person.email, so"));
            database.execute(
                    "insert into public.person values (1, 'ann@example.org', null, 'c')",
                    "insert into public.\"Odd\" values ('bob@example.org')",
                    """
                    insert into rowbell.feedback (alert) values ('{"rule": "own", "table": "public.person", "key": "id=2",
                      "reason": "cyd@example.org called", "new": {"id": 2, "email": "cyd@example.org", "contact": {"tel": ["0123456"]}},
                      "payload": {"said": "call 0123456", "other": 1}}')""");
            await().until(() -> database.count("rowbell.history") == 3);
            awaitFolded();
        }
        assertEquals(
                List.of(),
                database.query("select h::text from rowbell.history h where h::text ~ 'ann@|bob@|cyd@|0123456'"));
        assertEquals(
                List.of("odd (redacted)", "own id=2", "rowbell-rule-failed rule=fails"),
                database.query("select rule || ' ' || key from rowbell.history order by 1"));
    }

    /** What a route makes of an alert is for its sinks: values that no alert has would keep the list and the history from being brought up to date. */
    @Test
    @Tag("long")
    void aRouteThatChangesAnAlertChangesNothingOfWhatIsKept() throws IOException {
        settings.put("rowbell.history.redact", "public.feed.email");
        RunningRowbell.writeAlertsRoute(dir, """
                - script:
                    expression:
                      simple:
                        expression: "${body.put('table', 'public.other')} ${body.put('time', '+300000-01-01T00:00:00Z')} ${body.remove('key')}"
                - script:
                    expression:
                      simple:
                        expression: "${body.remove('fingerprint')} ${body.remove('id')}"
                - to:
                    uri: outbox:file
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(
                settings,
                "file:routes/sources.camel.yaml,file:routes/file.camel.yaml,file:" + dir + "/alerts.camel.yaml")) {
            raise("a1");
            await().until(() -> database.count("rowbell.history") == 1 && database.count("rowbell.firing") == 1);
            awaitFolded();
        }
        assertEquals(
                List.of("a1 public.feed id=1 t t"),
                database.query(
                        "select concat_ws(' ', id, feed, key, time between now() - interval '1 h' and now(), document !~ 'a@b')"
                                + " from rowbell.history"));
        assertEquals(
                List.of("a1 public.feed id=1"),
                database.query("select concat_ws(' ', alert_id, feed, key) from rowbell.firing"));
    }

    @Test
    void aColumnIsNamedWithItsTable() {
        assertThrows(SettingsException.class, () -> Redaction.of("email"));
        assertThrows(SettingsException.class, () -> Redaction.of("public.person.email,"));
    }

    private List<String> days() {
        return database.query("select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
                + " where i.inhparent = 'rowbell.history_alert'::regclass order by 1");
    }

    private static String noted(String id, String at) {
        return """
                insert into rowbell.history_routed (at, path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)
                values ('%s', 'durable', '{%s}', '{id=1}', '{0}', '{"{}"}', '{1}', '{r}', '{public.feed}', '{info}', '{firing}', '{why}', '{file}')
                """.formatted(at, id);
    }

    @Test
    void daysAreMadeAheadAndDroppedAsAWhole() {
        database.query("select rowbell.keep_history('7 d')");
        assertEquals(
                database.query(
                        "select 'history_alert_' || to_char(now() at time zone 'UTC' + n * interval '1 d', 'YYYYMMDD')"
                                + " from generate_series(0, 1) n"),
                days());
        // as after a stop of some days
        database.execute(noted("old", "2026-11-03 23:30:00+00"), noted("older", "2026-11-02 00:00:00+00"));
        assertEquals(List.of("2"), database.query("select rowbell.fold_history(10)"));
        assertEquals(List.of("history_alert_20261102", "history_alert_20261103"), days().subList(0, 2));
        assertEquals(List.of("old", "older"), database.query("select id from rowbell.history order by routed desc"));
        assertEquals(
                List.of("2"),
                database.query(
                        "select rowbell.keep_history(clock_timestamp() - '2026-11-03 00:00:01+00'::timestamptz)"));
        assertEquals(List.of("old"), database.query("select id from rowbell.history"));
        assertEquals(3, days().size());
        database.execute(
                "alter table rowbell.history_alert detach partition rowbell.history_alert_20261103",
                noted("late", "2026-11-03 23:40:00+00"));
        assertEquals(List.of("1"), database.query("select rowbell.fold_history(10)"));
        assertEquals(List.of("late", "old"), database.query("select id from rowbell.history order by routed desc"));
        for (String ever : List.of("48000000 h", "240000000 h")) {
            assertEquals(List.of("0"), database.query("select rowbell.keep_history('" + ever + "')"), ever);
        }
        assertEquals(List.of("2"), database.query("select rowbell.keep_history('7 d')"));
        assertEquals(2, days().size());
        assertEquals(List.of("4"), database.query("select rowbell.keep_history('0')"));
        assertEquals(List.of(), days());
    }

    @Test
    void theHistoryOfOneRowIsErased() {
        database.query("select rowbell.keep_history('7 d')");
        database.execute(
                noted("a1", "2026-11-29 12:00:00+00"),
                "insert into rowbell.history_tried (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors)"
                        + " values ('http', '{a1,b1}', '{1,1}', '{0}', '{delivered}', '{1}', '{200}', '{thanks}', '{null}')",
                noted("b1", "2026-11-29 12:00:00+00").replace("id=1", "id=2"));
        assertEquals(List.of("1"), database.query("select rowbell.erase_history('public.feed', 'id=1')"));
        assertEquals(List.of("b1"), database.query("select id from rowbell.history_alert"));
        assertEquals(List.of("b1"), database.query("select alert_id from rowbell.history_try"));
        assertEquals(List.of("0"), database.query("select rowbell.erase_history('public.feed', 'id=1')"));
    }

    @Test
    void whoErasesDoesNotWaitForAlertsThatComeMeanwhile() {
        database.query("select rowbell.keep_history('7 d')");
        database.execute(
                noted("a1", "2026-11-29 12:00:00+00"),
                """
                create function public.comes() returns trigger language plpgsql as $$ begin
                  insert into rowbell.history_routed (path, ids, keys, times, documents, kinds, rules, feeds, severities, statuses, reasons, sinks)
                  values ('durable', '{b}', '{id=2}', '{0}', '{"{}"}', '{1}', '{r}', '{public.feed}', '{info}', '{firing}', '{why}', '{file}');
                  return null;
                end $$""",
                "create trigger comes after insert on rowbell.history_alert for each statement execute function public.comes()");
        database.execute("set statement_timeout = '1min'", "select rowbell.erase_history('public.feed', 'id=1')");
        assertEquals(0, database.count("rowbell.history_alert where id = 'a1'"));
    }
}
