package dev.rowbell.alert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.OddDocuments;
import java.sql.Timestamp;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGStatement;

/** Whatever comes in, nothing of it is dropped. */
class AlertReaderTest {

    private static final Instant NOW = Instant.parse("2026-11-23T08:00:00.123Z");
    private final AlertReader reader =
            new AlertReader(() -> new AlertReader.Source("db", "db"), Clock.fixed(NOW, ZoneOffset.UTC));

    private Map<String, Object> notified(String payload) {
        return reader.fromNotification(payload, "channel_1", "id-1", null);
    }

    @Test
    void theArticlesFormIsReasonAndRow() {
        Map<String, Object> alert = notified("Resone:c2 overflow::{\"id\":2,\"c2\":30001}");
        assertEquals("c2 overflow", alert.get("reason"));
        assertEquals(Map.of("id", 2, "c2", 30001), alert.get("new"));
        assertEquals(List.of("id", "c2"), alert.get("changed"));
        assertEquals("channel_1", alert.get("channel"));
        assertEquals("id-1", alert.get("id"));
        assertFalse(alert.containsKey("payload"));
    }

    @Test
    void theArticlesFormWithSomethingElseThanARowKeepsIt() {
        assertEquals("(2,30001)", notified("Resone:c2 overflow::(2,30001)").get("payload"));
        assertEquals(List.of(1, 2), notified("Reason:x::[1,2]").get("payload"));
        assertEquals("", notified("Resone:::").get("payload"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "plain",
                "",
                " ",
                "{\"open\": ",
                "{} trailing",
                "null",
                "Resone:no end",
                "\"text\\n\"",
                "订单",
                "{\"a\":1}{\"b\":2}"
            })
    void anyTextIsAPayload(String text) {
        Object payload = notified(text).get("payload");
        assertEquals(text.equals("\"text\\n\"") ? "text\n" : text, payload);
        assertEquals("firing", notified(text).get("status"));
    }

    @Test
    void foreignJsonThatOnlySoundsLikeAnAlertIsAPayload() {
        Map<String, Object> alert = notified("{\"id\": 5, \"status\": \"shipped\", \"time\": \"noon\"}");
        assertEquals(Map.of("id", 5, "status", "shipped", "time", "noon"), alert.get("payload"));
        assertEquals("id-1", alert.get("id"));
        assertEquals("firing", alert.get("status"));
    }

    @Test
    void ofAForeignAlertWhatFitsIsMappedAndTheRestStays() {
        Map<String, Object> alert = notified("""
                {"id": 5, "reason": "late", "severity": "apocalyptic", "old": "none", "new": {"a": 1}, "payload": [1], "To": "x@example.org"}""");
        assertEquals("late", alert.get("reason"));
        assertEquals("warning", alert.get("severity"));
        assertEquals(Map.of("a", 1), alert.get("new"));
        assertEquals(
                "{id=5, severity=apocalyptic, old=none, To=x@example.org, payload=[1]}",
                alert.get("payload").toString());
        assertEquals("id-1", alert.get("id"));
    }

    @Test
    void numbersKeepEveryDigit() {
        String exact =
                "{\"a\":1.10,\"b\":123456789012345678901234567890,\"c\":1e400,\"d\":0.1000000000000000055511151231257827,\"e\":[-0,-0.0,1E+2,60000.00,1e99999999999]}";
        Map<String, Object> alert = notified("{\"reason\":\"r\",\"new\":" + exact + "}");
        assertEquals(exact, AlertJson.write(alert.get("new")));
        alert.put("new", AlertJson.parse(exact));
        assertTrue(AlertJson.write(alert).contains(exact));
        assertTrue(AlertJson.write(List.of(Map.of("data", alert))).contains(exact));
        assertTrue(new AlertText().plain(alert).contains("60000.00,1e99999999999]"));
    }

    @Test
    void changedComparesValuesAndTakesAMissingSideForNulls() {
        assertEquals(List.of("b", "c", "d"), notified("""
                {"rule": "r", "old": {"a": 1.0, "b": "x", "c": null, "d": 5, "e": {"x": [1]}}, "new": {"a": 1, "b": "y", "c": 0, "e": {"x": [1]}}}""").get("changed"));
        assertEquals(
                List.of("a"),
                notified("{\"rule\": \"r\", \"new\": {\"a\": 1, \"b\": null}}").get("changed"));
        assertEquals(
                List.of("a"),
                notified("{\"rule\": \"r\", \"old\": {\"a\": 1, \"b\": null}}").get("changed"));
        assertEquals(List.of(), notified("{\"rule\": \"r\"}").get("changed"));
    }

    @Test
    void oldAndNewAreAlwaysThereForARouteToAsk() {
        Map<String, Object> alert = notified("text");
        assertEquals(Map.of(), alert.get("old"));
        assertEquals(Map.of(), alert.get("new"));
        assertEquals(List.of(), alert.get("changed"));
    }

    @Test
    void aBodyThatLostItsIdGetsTheOneOfItsAlert() {
        Map<String, Object> original = notified("{\"rule\": \"r\"}");
        assertEquals("id-1", reader.fromBody(Map.of("just", "this"), original).get("id"));
        assertEquals("id-1", reader.fromBody(Map.of("id", 5), original).get("id"));
        assertEquals("text", reader.fromBody("text", original).get("payload"));
        assertEquals("r", reader.fromBody("text", original).get("rule"));
        assertEquals("id-2", reader.fromBody(Map.of("id", "id-2"), original).get("id"));
    }

    @Test
    void aRowsUnknownColumnsAreTheNewRow() {
        Map<String, Object> alert = reader.fromRow(Map.of("feedback", """
                {"id": 7, "crt_time": "2026-11-23T09:00:00.5+01:00", "rule": "late", "severity": "critical", "weight": "NaN", "note": null}"""));
        assertEquals("late", alert.get("rule"));
        assertEquals("critical", alert.get("severity"));
        assertEquals("{id=7, weight=NaN, note=null}", alert.get("new").toString());
        assertEquals("2026-11-23T08:00:00.500Z", alert.get("time"));
    }

    /** As the compiled triggers write it, and as nobody does: with a line break, which has it taken apart. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "'operation':'INSERT',@,'new':{'id':1,'c2':null,'c3':-0.50,'t':'\\u00e9\\\"\\ud83d\\ude00','j':{'a':[1,{'b':1e3}]}},'channel':'channel_1'",
                "'operation':'DELETE',@,'old':{'id':1,'c2':null,'c3':[]},'channel':'channel_1'",
                "'operation':'UPDATE',@,'old':{'a':1,'b':1.0,'c':null,'d':'x','e':{'f':1.0},'g':1},'new':{'a':1,'b':1.00,'c':0,'d':'y','e':{'f':1},'g':'1'},'channel':'c'",
                "'operation':'UPDATE',@,'old':{'a':1},'new':{'a':1}",
                "'operation':'UPDATE',@,'old':{'a':1,'b':2},'new':{'b':2,'a':1},'channel':'c'",
                "'operation':'UPDATE',@,'old':{'a':1,'b':2},'new':{'a':1},'channel':'c'",
                "'operation':'INSERT',@,'new':{'quoted \\\" name':1,'half':'\\udc00'}",
                "'operation':'INSERT',@,'new':{},'channel':null",
                "'operation':'INSERT',@,'new':{'a':1},'payload':5",
                "'operation':'INSERT',@,'new':{'a':1},'channel':5,'more':[true]",
                "'operation':'INSERT',@,'new':{'a':1,'a':2}",
                "'operation':'INSERT',@,'new':{'a':1,'b':{'c':[{'d':1,'d':2}]}}",
                "'operation':'UPDATE',@,'old':{'a':1,'a':2},'new':{'a':1,'a':2}",
                "'operation':'UPDATE',@,'old':{'a':{'b':1},'c':{'b':1}},'new':{'a':{'b':1},'c':{'b':2,'b':3}}",
                "'rule':'again','operation':'INSERT',@,'new':{'a':1}",
                "'operation':'INSERT',@",
                "'operation':'',@,'new':{'a':1}",
            })
    void theCompiledTriggersDocumentIsTheSameWithoutTakingItApart(String rows) {
        String rest = rows.replace("@", "'time':'2026-11-23T08:00:00.123456Z'");
        for (String source : List.of("", "'source':'other \\\" db',")) {
            String document = ("{'id':'019','rule':'r','reason':'\\u8ba2','severity':'info','status':'resolved',"
                            + source + "'table':'public.feed'," + rest + "}")
                    .replace('\'', '"');
            Map<String, Object> compiled = reader.fromTrigger(document);
            Map<String, Object> row =
                    compiled == null ? reader.fromRow(own("2026-11-23T08:00:00.5Z", document)) : compiled;
            Map<String, Object> apart = reader.fromRow(Map.of(
                    "feedback",
                    "{\"crt_time\":\"2026-11-23T09:00:00.5+01:00\",\"alert\":" + document.replaceFirst("\\{", "{\n")
                            + "}"));
            for (String key : List.of("id", "rule", "severity", "status", "source", "operation", "changed", "key")) {
                assertEquals(apart.get(key), row.get(key), key);
                assertEquals(apart.containsKey(key), row.containsKey(key), key);
            }
            String text = AlertJson.write(row);
            assertEquals(apart.toString(), AlertJson.parse(text).toString());
            assertEquals(apart.toString(), row.toString());
            assertFalse(text.contains("\n"));
        }
    }

    /** As rowbell.timer_alert writes it. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "@,'new':{'account':7,'balance':-1.50}",
                "'table':'public.orders',@,'since':'2026-11-23T07:30:00Z','new':{'account':7,'n':1}",
                "'table':'public.payment',@,'within':'00:05:00','count':100,'sum':1e2,'new':{'account':7,'n':1}",
                "@,'sum':'NaN','new':{'account':7,'n':1}"
            })
    void anAlertOfATimerSaysWhatTheTimerKnowsAndNeedsNoTable(String rest) {
        String document = ("{'id':'019','rule':'r','severity':'info','status':'firing',"
                        + rest.replace("@", "'operation':'TIMER','time':'2026-11-23T08:00:00.123456Z'")
                        + ",'channel':'channel_1','key':['account']}")
                .replace('\'', '"');
        Map<String, Object> alert = reader.fromTrigger(document);
        assertEquals(
                reader.fromRow(Map.of("feedback", "{\"alert\":" + document.replaceFirst("\\{", "{\n") + "}"))
                        .toString(),
                alert.toString());
        assertEquals(
                alert.containsKey("table") ? "db/r/" + alert.get("table") + "/account=7" : "db/r//account=7",
                alert.get("fingerprint"));
        assertEquals(Map.of(), alert.get("old"));
        String line = new AlertText().line(alert);
        assertTrue(line.contains(" account=7: ") && !line.contains("channel_1"), line);
    }

    /** A group may be that of NULL; a document that names no key has none. */
    @Test
    void anAlertOfATimerHasTheKeyOfNullOnlyWhereItNamesTheColumn() {
        String document = "{\"rule\":\"r\",\"operation\":\"TIMER\",\"new\":{\"shop\":null}%s}";
        assertEquals(
                "shop=null",
                reader.fromRow(Map.of("feedback", document.formatted(",\"key\":[\"shop\"]")))
                        .get("key"));
        assertFalse(reader.fromRow(Map.of("feedback", document.formatted(""))).containsKey("key"));
    }

    @Test
    void aDocumentIsReadTheSameWhateverCameBeforeIt() {
        String insert = "'operation':'INSERT','time':'2026-11-23T08:00:00Z',";
        String update = insert.replace("INSERT", "UPDATE");
        List<String> documents = List.of(
                compiled("'reason':'one',", "", insert + "'new':{'a':1,'b':2},'channel':'c'"),
                compiled("'reason':'two',", "", insert + "'new':{'a':1,'b':2},'channel':'c'"),
                compiled("'reason':'\\u006fne',", "", insert + "'new':{'a':1,'b':2},'channel':'c'"),
                compiled("", "", insert + "'new':{'a':1,'b':2},'channel':'c'"),
                compiled("'reason':'one',", "'source':'c',", insert + "'new':{'a':1,'b':2},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{'a':1,'b':2}"),
                compiled("'reason':'one',", "", insert + "'new':{'b':2,'a':1},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{'a':null,'b':2},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{'\\u0061':1,'b':2},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{'a':1,'b':2,'c\\\"d':3},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{},'channel':'c'"),
                compiled("'reason':'one',", "", update + "'old':{'a':1,'b':2},'new':{'a':1,'b':3},'channel':'c'"),
                compiled(
                        "'reason':'one',",
                        "",
                        insert.replace("INSERT", "DELETE") + "'old':{'a':1,'b':2},'channel':'c'"));
        List<String> others = List.of(
                compiled("'reason':'',", "", insert + "'new':{'a':1,'b':2},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{'a':1,'a':2},'channel':'c'"),
                compiled("'reason':'one',", "", update + "'old':{'a':1,'b':2},'new':{'a':1,'c':2},'channel':'c'"),
                compiled("'reason':'one',", "", insert + "'new':{'a':1,'b':2},'channel':'c','more':1"));
        for (String before : Stream.concat(documents.stream(), others.stream()).toList()) {
            for (String document : documents) {
                String apart = AlertJson.write(reader.fromRow(Map.of(
                        "feedback", "{\"crt_time\":null,\"alert\":" + document.replaceFirst("\\{", "{\n") + "}")));
                reader.fromTrigger(before);
                Map<String, Object> alert = reader.fromTrigger(document);
                AlertJson.parse(apart).forEach((key, value) -> assertEquals(value, alert.get(key), key));
                assertEquals(
                        AlertJson.parse(apart).toString(),
                        AlertJson.parse(AlertJson.write(alert)).toString());
            }
            others.forEach(other -> assertNull(reader.fromTrigger(other)));
        }
    }

    private static String compiled(String reason, String source, String rest) {
        return ("{'id':'019','rule':'r'," + reason + "'severity':'info','status':'firing'," + source + "'table':'t',"
                        + rest + "}")
                .replace('\'', '"');
    }

    private static Map<String, Object> own(String time, String document) {
        return Map.of("crt_time", Timestamp.from(Instant.parse(time)), "alert", document);
    }

    @Test
    void aRowOfTheFeedbackTableIsTheSameAsItsJson() {
        for (String document : List.of(
                "{\"id\":\"a\",\"rule\":\"r\"}", "{\"id\":\"a\",\"time\":\"2020\"}", "{\"id\":\"a\",\"foreign\":1}")) {
            assertEquals(
                    reader.fromRow(Map.of(
                            "feedback",
                            "{\"crt_time\":\"2026-11-23T09:00:00.123456+01:00\",\"alert\":" + document + "}")),
                    reader.fromRow(own("2026-11-23T08:00:00.123456Z", document)));
        }
        assertEquals(
                "text",
                ((Map<?, ?>) reader.fromRow(own("2026-11-23T08:00:00Z", "\"text\""))
                                .get("new"))
                        .get("alert"));
        assertEquals(
                NOW.toString(),
                reader.fromRow(Map.of("alert", "{\"id\":\"a\"}")).get("time"));
        Map<String, Object> endless = reader.fromRow(
                Map.of("crt_time", new Timestamp(PGStatement.DATE_POSITIVE_INFINITY), "alert", "{\"id\":\"a\"}"));
        assertEquals(NOW.toString(), endless.get("time"));
        assertEquals(Map.of("time", "infinity"), endless.get("payload"));
    }

    @Test
    void documentsComeOutAlikeWhateverTheirWhiteSpace() {
        String compact = """
                {"id":"019","rule":"r","severity":"info","status":"firing","table":"t","operation":"INSERT","time":"2026-11-23T07:00:00Z","new":{"a":1}}""";
        assertEquals(
                AlertJson.write(reader.fromRow(Map.of("feedback", compact))),
                AlertJson.write(reader.fromRow(
                        Map.of("feedback", compact.replace("\":", "\" : ").replace(",", ", ")))));
    }

    @Test
    void whoeverLooksIntoADocumentMayChangeIt() {
        Map<String, Object> alert = reader.fromRow(Map.of("feedback", """
                {"crt_time":"2026-11-23T08:00:00Z","alert":{"id":"019","rule":"r","severity":"info","status":"firing","table":"t","operation":"INSERT","time":"2026-11-23T07:00:00Z","new":{"a":1}}}"""));
        assertEquals("info", alert.get("severity"));
        ((Map<?, ?>) alert.get("new")).clear();
        alert.put("severity", "critical");
        alert.remove("rule");
        assertEquals("critical", alert.get("severity"));
        assertFalse(alert.containsKey("rule"));
        assertEquals("""
                {"id":"019","severity":"critical","status":"firing","source":"db","table":"t","operation":"INSERT","time":"2026-11-23T07:00:00Z","old":{},"new":{},"changed":["a"],"fingerprint":"db/r/t/"}""", AlertJson.write(alert));
    }

    /** As a sink gets it: what it asks for as a rule stands at the beginning, and the rest need not be read. */
    @Test
    void aWrittenAlertIsPassedOnAsItIsThoughItsBeginningWasRead() {
        String text =
                "{\"id\":\"a1\",\"rule\":\"c2 \\u8ba2 \\\"full\\\"\",\"severity\":\"warning\",\"status\":\"firing\",\"source\":\"shop\",\"old\":{},"
                        + "\"new\":{\"id\": 1.50, \"rule\": \"a column\"},\"changed\":[\"id\"],\"channel\":\"ops\"}";
        Map<String, Object> alert = AlertJson.parseLazily(text);
        assertEquals("a1", alert.get("id"));
        assertEquals("c2 订 \"full\"", alert.get("rule"));
        assertEquals("shop", alert.get("source"));
        assertTrue(alert.containsKey("status"));
        assertSame(text, AlertJson.write(alert));
        // not at the beginning, and looked for
        assertEquals("ops", alert.get("channel"));
        assertNull(alert.get("table"));
        assertEquals(AlertJson.parse(text), alert);
        alert.put("rule", "another");
        assertEquals("another", alert.get("rule"));
        assertTrue(AlertJson.write(alert).startsWith("{\"id\":\"a1\",\"rule\":\"another\""));
        assertThrows(
                IllegalArgumentException.class,
                () -> AlertJson.parseLazily("{\"id\":\"a1\", torn").get("new"));
    }

    @Test
    void aRowThatTheJsonLibraryCannotReadIsKeptAsText() {
        String deep = "{\"a\":" + "[".repeat(2000) + "]".repeat(2000) + "}";
        assertEquals(deep, reader.fromRow(Map.of("feedback", deep)).get("payload"));
    }

    @Test
    void aColumnThatTheJsonLibraryCannotReadIsTextAndTheAlertKeepsItsRule() {
        String deep = "[".repeat(600) + "\"x\"" + "]".repeat(600);
        Map<String, Object> alert = reader.fromTrigger(compiled(
                "",
                "",
                "'operation':'UPDATE','time':'2026-11-23T08:00:00Z','old':{'a':1,'b':2},'new':{'a':%s,'b':2}"
                        .formatted(deep)));
        assertEquals("r", alert.get("rule"));
        assertEquals(List.of("a"), alert.get("changed"));
        String written = AlertJson.write(alert);
        assertEquals(
                Map.of("a", deep.replace('\'', '"'), "b", 2),
                AlertJson.parse(written).get("new"));
    }

    @Test
    void numbersOfAnyLengthAreCompared() {
        String ones = "1".repeat(1500);
        assertEquals(List.of("a", "c", "e"), notified("""
                {"rule": "r", "old": {"a": %1$s, "b": %1$s, "c": 1e99999999999, "d": 1e-99999999999, "e": -1e5},\
                 "new": {"a": %1$s1, "b": %1$s.0, "c": 2e99999999999, "d": 1e-99999999999, "e": 1e5}}""".formatted(ones)).get("changed"));
    }

    @Test
    void anAlertOfAnyPayloadCanBeWrittenAndReadAgain() {
        OddDocuments.all().forEach(document -> {
            AlertJson.parse(AlertJson.write(notified(document)));
            AlertJson.parse(AlertJson.write(reader.fromRow(Map.of("alert", document))));
            AlertJson.parse(AlertJson.write(reader.fromRow(Map.of("feedback", document))));
        });
    }

    @Test
    void aForeignAlertHasAKeyAndAFingerprintToo() {
        Map<String, Object> article = notified("Resone:c2 overflow::{\"id\":2,\"c2\":30001}");
        assertEquals("id=2", article.get("key"));
        assertEquals("db/c2 overflow/channel_1/id=2", article.get("fingerprint"));
        Map<String, Object> own = notified(
                "{\"rule\":\"r\",\"source\":\"a/b\",\"table\":\"t\",\"key\":[\"b\",\"a\"],\"new\":{\"a\":\"x,y\",\"b\":true}}");
        assertEquals("b=true,a=\"x,y\"", own.get("key"));
        assertEquals("a%2Fb/r/t/b=true,a=\"x,y\"", own.get("fingerprint"));
        Map<String, Object> given = notified("{\"rule\":\"r\",\"key\":\"k\",\"fingerprint\":\"f\"}");
        assertEquals("k f", given.get("key") + " " + given.get("fingerprint"));
        // names neither a rule nor a row
        assertEquals("db//channel_1/id-1", notified("disk full").get("fingerprint"));
        assertFalse(notified("{\"rule\":\"r\",\"key\":[\"id\"],\"new\":{\"id\":null}}")
                .containsKey("key"));
    }

    /** Receivers take 255 characters at most, and headers no control characters. */
    @Test
    void aLongOrOddKeyStaysApartFromOthers() {
        Set<Object> fingerprints = new HashSet<>();
        for (String id : List.of("x".repeat(5000), "x".repeat(5001), "\\ud800", "\\u0000\\u007f", "?", "a\\nb", "")) {
            String document = compiled(
                    "",
                    "",
                    "'operation':'INSERT','time':'2026-11-23T08:00:00Z','new':{'id':'" + id + "'},'key':['id']");
            Map<String, Object> alert = reader.fromTrigger(document);
            Map<String, Object> apart = reader.fromRow(Map.of("alert", document.replaceFirst("\\{", "{\n")));
            assertEquals(apart.get("key"), alert.get("key"));
            assertEquals(apart.get("fingerprint"), alert.get("fingerprint"));
            assertTrue(AlertId.isId(alert.get("fingerprint")), () -> "" + alert.get("fingerprint"));
            assertTrue(AlertId.isId(alert.get("key")));
            assertEquals(
                    alert.get("fingerprint"),
                    reader.fromRow(Map.of("alert", AlertJson.write(alert))).get("fingerprint"));
            fingerprints.add(alert.get("fingerprint"));
        }
        assertEquals(7, fingerprints.size());
    }

    @Test
    void idsAreUniqueUuidsOfVersion7InTheOrderOfTime() {
        Set<String> ids = new HashSet<>();
        for (int i = 0; i < 10_000; i++) {
            ids.add(AlertId.next(Clock.systemUTC()));
        }
        assertEquals(10_000, ids.size());
        assertTrue(ids.stream()
                .allMatch(id -> id.matches("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")));
        assertTrue(AlertId.next(Clock.fixed(NOW, ZoneOffset.UTC))
                        .compareTo(AlertId.next(Clock.fixed(NOW.plusMillis(1), ZoneOffset.UTC)))
                < 0);
    }
}
