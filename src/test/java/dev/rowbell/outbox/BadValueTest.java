package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.SmtpServer;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A value that cannot be read or stored is put aside alone, and all others go on. */
class BadValueTest {

    @TempDir
    Path dir;

    private Map<String, String> settings(TestDatabase database) {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.outbox.backoff", "50ms");
        settings.put("rowbell.outbox.poll", "50ms");
        return settings;
    }

    private List<String> filed() {
        return AlertFiles.values(dir, "id").stream()
                .map(String::valueOf)
                .sorted()
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"WIN1252", "SQL_ASCII"})
    @Tag("long")
    void aRowWithBytesThatAreNoTextIsADeadLetterAndTheOthersOfItsBatchGoOn(String encoding) {
        TestDatabase database = TestDatabase.createInEncoding(encoding);
        try (RunningRowbell rowbell = RunningRowbell.start(settings(database))) {
            database.execute("""
                    insert into rowbell.feedback (alert)
                    select convert_from(case when i = 3 then '\\x7b226964223a226133222c2272756c65223a2272222c226e6577223a7b226964223a332c2274223a2278815c5c79227d7d'::bytea
                      else convert_to(json_build_object('id', 'a' || i, 'rule', 'r')::text, 'SQL_ASCII') end, getdatabaseencoding())::json
                    from generate_series(1, 5) i
                    """);
            await().until(() -> filed().equals(List.of("a1", "a2", "a4", "a5")) && database.isDelivered());
            assertEquals(
                    List.of("a3 x\\x81\\y"),
                    database.query("select alert_id || ' ' || (alert -> 'new' ->> 't') from rowbell.dead_letter"));
            // as it is readable now, it can be sent
            database.execute("select rowbell.retry()");
            await().until(() -> filed().contains("a3") && database.isDelivered());
        }
    }

    @Test
    @Tag("long")
    void aRefusalInLettersThatTheDatabaseDoesNotHaveIsStoredAndTheSinkGoesOn() throws Exception {
        TestDatabase database = TestDatabase.createInEncoding("WIN1252");
        Map<String, String> settings = settings(database);
        try (SmtpServer server = new SmtpServer()) {
            settings.put("rowbell.mail.host", "127.0.0.1");
            settings.put("rowbell.mail.port", String.valueOf(server.port()));
            settings.put("rowbell.mail.starttls", "false");
            settings.put("rowbell.mail.to", "ops@example.org");
            settings.put("rowbell.mail.digest", "1ms");
            server.answer("550 нет такого");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                database.execute(
                        "insert into rowbell.feedback (alert) values ('{\"id\": \"a1\", \"rule\": \"\\u0436\"}')");
                await().until(() -> database.count("rowbell.dead_letter where strpos(last_error, '550 \\u') > 0") == 1);
                await().until(database::isDelivered);
                server.answer("451 нет места");
                database.execute("select rowbell.retry()");
                await().until(() ->
                        database.count("rowbell.sink where name = 'mail' and strpos(circuit_error, '451 \\u') > 0")
                                == 1);
                server.answer("250 OK");
                await().until(() -> server.taken() == 1 && database.isDelivered());
            }
            assertEquals(List.of("a1"), filed());
            assertEquals("ж", AlertFiles.read(dir).get(0).get("rule"));
        }
    }

    @Test
    @Tag("long")
    void aNotificationWithBytesThatAreNoTextArrivesAndEndsNoListener() {
        TestDatabase database = TestDatabase.createInEncoding("WIN1252");
        // makes the schema
        RunningRowbell.start(settings(database)).close();
        database.execute(
                "create table public.feed (id int primary key, t text)",
                "insert into rowbell.rule (name, feed, condition, delivery) values ('r', 'public.feed', 'new.id > 0', 'notify')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings(database))) {
            database.awaitListener("channel_1");
            String listener =
                    "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'";
            List<String> before = database.query(listener);
            database.execute(
                    "insert into public.feed values (1, convert_from('\\x6181', 'WIN1252'))",
                    "insert into public.feed values (2, 'next')");
            await().until(() -> AlertFiles.read(dir).stream()
                    .map(alert -> ((Map<?, ?>) alert.get("new")).get("t"))
                    .toList()
                    .equals(List.of("a\\x81", "next")));
            assertEquals(before, database.query(listener));
        }
    }

    @Test
    @Tag("long")
    void aCooldownForARowWhoseKeyCannotBeIndexedHoldsUpNoOther() {
        TestDatabase database = TestDatabase.createInEncoding("WIN1252");
        // makes the schema
        RunningRowbell.start(settings(database)).close();
        database.execute(
                "create table public.feed (id text primary key, c2 int)",
                "insert into rowbell.rule (name, feed, condition, cooldown) values ('r', 'public.feed', 'new.c2 > 1', '1 h')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings(database))) {
            String alert =
                    "insert into rowbell.feedback (alert) select json_build_object('id', 'a%d', 'rule', 'r', 'new', json_build_object('id', %s))";
            // the key of the primary key is the text; random, so that it cannot be compressed
            String random = "(select string_agg(md5(i::text), '') from generate_series(1, 300) i)";
            database.execute(
                    alert.formatted(1, random),
                    alert.formatted(2, random),
                    alert.formatted(3, random + " || '.'"),
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"a4\", \"rule\": \"r\", \"new\": {\"id\": \"\\u0436\\u0000\"}}')");
            await().until(() -> database.isDelivered() && filed().size() >= 3);
            assertEquals(List.of("a1", "a3", "a4"), filed());
        }
    }

    @Test
    void aDeadLetterWithAnEscapedNulIsListedRetriedAndDiscardedLikeAnyOther() {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute("""
                insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                values
                  ('http', 'a1', '{"id": "a1", "rule": "r", "new": {"t": "\\u0000", "p": "c:\\\\u0000"}}', 10, now(), 'refused'),
                  ('http', 'a2', '{"id": "a2", "rule": "r\\u0000"}', 10, now(), 'refused'),
                  ('http', 'a3', '{"id": "a3", "rule": "other"}', 10, now(), 'refused'),
                  ('http', 'a4', '[]', 10, now(), 'refused')
                """.replace("\\\\", "\\"));
        assertEquals(List.of("1"), database.query("select rowbell.retry(rule => 'r')"));
        assertEquals(List.of("1"), database.query("select rowbell.discard(rule => 'r?')"));
        assertEquals(List.of("a3", "a4"), database.query("select alert_id from rowbell.dead_letters()"));
        assertEquals(List.of("2"), database.query("select rowbell.retry()"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"no json", "null", "[]", "{\"id\": \"a2\", \"time\": \"2026-11-28T00:00:00Z\", \"new\": {", ""})
    void aDocumentInTheOutboxThatIsNoJsonIsADeadLetterAndTheOthersOfItsRowAreDelivered(String document) {
        TestDatabase database = TestDatabase.createWithSchema();
        try (WebReceiver web = new WebReceiver();
                RunningRowbell rowbell = RunningRowbell.start(http(database, web))) {
            for (String sink : List.of("file", "http")) {
                database.execute(
                        "insert into rowbell.delivery (sink, documents) values ('%s', array['{\"id\": \"a1\"}', '%s', '{\"id\": \"a3\"}'])"
                                .formatted(sink, document));
            }
            await().until(() -> filed().equals(List.of("a1", "a3")) && database.isDelivered());
            assertEquals(2, web.requests().size());
            web.requests().forEach(request -> assertTrue(AlertJson.isDocument(request.body())));
            assertEquals(
                    List.of("file " + document, "http " + document),
                    database.query("select sink || ' ' || (alert ->> 'payload') from rowbell.dead_letter order by 1"));
        }
    }

    private Map<String, String> http(TestDatabase database, WebReceiver web) {
        Map<String, String> settings = settings(database);
        settings.put("rowbell.http.url", web.url());
        return settings;
    }
}
