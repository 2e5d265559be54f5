package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import dev.rowbell.testing.WebReceiver.Request;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Numbers and texts arrive as PostgreSQL writes them, through every path that an alert can take. */
class AsWrittenTest {

    /** Values of the columns n numeric, f float8, j json and t text, as SQL. */
    private static final List<String> HOSTILE = List.of(
            "60000.00, 1e300, '1e2', 'plain'",
            "0.0000001, '-0', '-0.0', ''",
            "-0.00, 5e-324, '1E+2', E'\\u0001 \\t \\\" \\\\\\\\ / </script>'",
            "1000000000000000000000.10, 'NaN', '{\"a\" : [ 1e2 ,-0.0,-0, 1.0e5, 0e0 ] , \"a\":2 }', '订单 😀'",
            "'NaN', 'Infinity', '\"\\u00e9\\/\\ud83d\\ude00 \\u0000\"', U&'\\2028\\202E\\0085'",
            "1, 0.1, '1e99999999999', 'é'",
            "2, 1e-7, '[-1e99999999999, 1e-99999999999]', '1e2'",
            // more digits than JSON libraries take
            "('1' || repeat('0', 1200) || '.50')::numeric, 1, ('0.' || repeat('3', 1300))::json, '-0.0'",
            "1e-1500, 123456789012345678, ('[' || repeat('9', 1400) || ']')::json, '60000.00'");

    /** Longer than a notification can be, or than JSON libraries read. */
    private static final List<String> LONG = List.of(
            "1e131000, 1, ('\"' || repeat('x', 500000) || '\"')::json, 'long number'",
            "1, 1, ('{\"' || repeat('k', 60000) || '\": 1e2}')::json, 'long name'");

    @TempDir
    Path routes;

    @TempDir
    Path alerts;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @Test
    @Tag("long")
    void everyPathKeepsNumbersAndTexts() throws IOException {
        settings.put("rowbell.file.dir", alerts.toString());
        // whole alerts are shown to people, too
        settings.put("rowbell.console", "INFO");
        database.execute(
                "create table odd (id int primary key, n numeric, f float8, j json, t text, touched int default 0)",
                """
                insert into rowbell.rule (name, feed, condition, fires, delivery, cooldown) values
                  ('durable', 'public.odd', 'true', 'every', 'durable', default),
                  ('cooled', 'public.odd', 'true', 'every', 'durable', '1 h'),
                  ('unroutable', 'public.odd', 'NEW.id < 100', 'every', 'durable', default),
                  ('quick', 'public.odd', 'NEW.id < 100', 'every', 'notify', default)
                """);
        try (WebReceiver web = new WebReceiver()) {
            settings.put("rowbell.http.url", web.url() + "/http");
            web.answer(request -> request.uri().equals("/refuse") ? 400 : 204);
            routes(web, true);
            try (RunningRowbell rowbell = start()) {
                database.awaitListener("channel_1");
                insert();
                database.execute("update odd set touched = 1 where id = 1");
                await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
                await().until(() -> dead("sink is null").size() == HOSTILE.size() + 1
                        && dead("sink = 'refuse'").size() == expected(3, 1));
                // an update of the row that is in its cooldown
                await().until(() -> lines("quick").size() == HOSTILE.size() + 1);
            }
            assertAsPostgresWrites(lines("durable"));
            assertAsPostgresWrites(lines("cooled"));
            assertAsPostgresWrites(lines("quick"));
            for (String path : List.of("/http", "/read", "/changed", "/jq")) {
                assertAsPostgresWrites(bodies(web, path));
            }
            assertAsPostgresWrites(dead("true"));
            assertSimpleShowsThem(web);

            // each dead letter again, by both ways
            int before = web.requests().size();
            web.answer(request -> 204);
            routes(web, false);
            database.execute("select rowbell.retry()");
            try (RunningRowbell rowbell = start()) {
                await().until(() ->
                        database.isDelivered() && lines("unroutable").size() == HOSTILE.size() + 1);
            }
            List<Request> replayed =
                    web.requests().subList(before, web.requests().size());
            assertAsPostgresWrites(lines("unroutable"));
            assertAsPostgresWrites(replayed.stream()
                    .filter(request -> request.uri().equals("/refuse"))
                    .map(Request::body)
                    .toList());
            assertEquals(List.of(), dead("true"));
        }
    }

    private RunningRowbell start() {
        return RunningRowbell.start(settings, "file:" + routes + "/*.camel.yaml");
    }

    /** Alerts of so many rules, and so many for the updated row. */
    private static int expected(int rules, int updates) {
        return (HOSTILE.size() + LONG.size()) * 2 + HOSTILE.size() * (rules - 2) + updates * (rules - 1);
    }

    private void insert() {
        int id = 1;
        for (String values : HOSTILE) {
            database.execute("insert into odd (id, n, f, j, t) values (%d, %s)".formatted(id++, values));
        }
        id = 100;
        for (String values : LONG) {
            database.execute("insert into odd (id, n, f, j, t) values (%d, %s)".formatted(id++, values));
        }
    }

    private void routes(WebReceiver web, boolean unroutable) throws IOException {
        for (String file : List.of("sources", "file", "http")) {
            Files.copy(
                    Path.of("routes", file + ".camel.yaml"),
                    routes.resolve(file + ".camel.yaml"),
                    StandardCopyOption.REPLACE_EXISTING);
        }
        RunningRowbell.writeAlertsRoute(routes, """
                - log:
                    message: "${bean:rowbellText?method=line}"
                - setVariable:
                    name: seen
                    expression: {simple: {expression: "${body[new][n]}"}}
                - filter:
                    expression:
                      simple:
                        expression: "${body[rule]} == 'unroutable' && %s"
                    steps:
                      - throwException:
                          exceptionType: java.lang.IllegalArgumentException
                          message: this rule is unroutable
                - to: {uri: outbox:file}
                - to: {uri: outbox:http}
                - to: {uri: outbox:refuse}
                - to: {uri: outbox:read}
                - to: {uri: outbox:jq}
                - to: {uri: outbox:simple}
                - setVariable:
                    name: before
                    expression: {simple: {expression: "${body.put('team', 'stock')}"}}
                - to: {uri: outbox:changed}
                """.formatted(unroutable));
        sink(web, "refuse", "");
        sink(web, "changed", "");
        sink(web, "read", """
                - setVariable:
                    name: seen
                    expression: {simple: {expression: "${body[new][j]} ${body[changed]}"}}
                """);
        // the recipe of docs/sinks.md
        sink(web, "jq", """
                - transform:
                    expression:
                      jq: {expression: '{id: .id, rule: .rule, text: (.severity + ": " + .reason), new: .new}'}
                """);
        sink(web, "simple", """
                - setBody:
                    expression: {simple: {expression: "${body[new][id]}|${body[new][n]}|${body[new][f]}|${body[new][t]}"}}
                """);
    }

    private void sink(WebReceiver web, String name, String steps) throws IOException {
        Files.writeString(routes.resolve(name + ".camel.yaml"), """
                - route:
                    id: %1$s
                    errorHandler: {noErrorHandler: {}}
                    from:
                      uri: outbox:%1$s
                      steps:
                %2$s
                        - removeHeaders: {pattern: "*"}
                        - bean: {ref: rowbellWebhook, method: sign}
                        - setHeader: {name: CamelHttpMethod, expression: {constant: {expression: POST}}}
                        - to: {uri: "%3$s/%1$s"}
                """.formatted(
                        name, steps.stripTrailing().indent(8), web.url()));
    }

    /** What PostgreSQL writes of the rows, without the last column, which changes. */
    private Map<Integer, String> written() {
        return database.query("select row_to_json(o)::text from odd o order by id").stream()
                .collect(Collectors.toMap(
                        row -> Integer.valueOf(row.substring(6, row.indexOf(','))),
                        row -> row.substring(0, row.lastIndexOf(','))));
    }

    private void assertAsPostgresWrites(List<String> documents) {
        Map<Integer, String> written = written();
        assertTrue(documents.size() >= HOSTILE.size(), documents.size() + " alerts");
        for (String document : documents) {
            Object id = ((Map<?, ?>) AlertJson.parse(document).get("new")).get("id");
            assertTrue(
                    same(document, written.get(id)), () -> "expected\n%s\nin\n%s".formatted(written.get(id), document));
            assertTrue(
                    Stream.of("durable", "cooled", "quick", "unroutable")
                            .anyMatch(rule ->
                                    rule.equals(AlertJson.parse(document).get("rule"))),
                    document);
        }
    }

    /** JSON that was taken apart may have other white space and escapes; its numbers have each character. */
    private static boolean same(String document, String row) {
        if (document.contains(row)) {
            return true;
        }
        Map<?, ?> now = (Map<?, ?>) AlertJson.parse(document).get("new");
        now.remove("touched");
        return now.toString().equals(AlertJson.parse(row + "}").toString());
    }

    private void assertSimpleShowsThem(WebReceiver web) {
        List<String> shown = database.query("select concat_ws('|', id, n, f, t) from odd where id < 100 order by id");
        List<String> bodies = bodies(web, "/simple");
        shown.forEach(row -> assertTrue(bodies.contains(row), row));
    }

    private static List<String> bodies(WebReceiver web, String path) {
        return web.requests().stream()
                .filter(request -> request.uri().equals(path))
                .map(Request::body)
                .toList();
    }

    private List<String> dead(String condition) {
        return database.query("select alert::text from rowbell.dead_letter where " + condition);
    }

    private List<String> lines(String rule) throws IOException {
        try (Stream<Path> files = Files.list(alerts)) {
            return files.flatMap(file -> {
                        try {
                            return Files.readString(file).lines();
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                    })
                    .filter(line -> line.contains("\"rule\":\"" + rule + "\""))
                    .toList();
        }
    }
}
