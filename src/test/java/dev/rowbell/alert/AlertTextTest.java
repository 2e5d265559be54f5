package dev.rowbell.alert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** How an alert is said to people. */
class AlertTextTest {

    private final AlertText text = new AlertText();

    private static Map<String, Object> alert(String document) {
        return new AlertReader(() -> new AlertReader.Source("orders-db", "orders-db"), Clock.systemUTC())
                .fromNotification(document, "channel_1", "id-1", null);
    }

    @Test
    void anUpdateSaysWhatChanged() {
        assertEquals("warning c2-overflow public.feed id=2: c2 8000 → 30001, c3 NULL → 1", text.line(alert("""
                {"rule": "c2-overflow", "table": "public.feed", "old": {"id": 2, "c2": 8000}, "new": {"id": 2, "c2": 30001, "c3": 1}}""")));
    }

    /** The rule is for filters, the reason for people. */
    @Test
    void theReasonIsSaidWhereItSaysMoreThanTheRule() {
        assertEquals("warning c2-overflow (c2 is over the limit) t id=2: c2 1", text.line(alert("""
                {"rule": "c2-overflow", "reason": "c2 is over the limit", "table": "t", "new": {"id": 2, "c2": 1}}""")));
        assertEquals("warning r t id=2: c2 1", text.line(alert("""
                {"rule": "r", "reason": "r", "table": "t", "new": {"id": 2, "c2": 1}}""")));
        assertEquals("warning late t id=2: c2 1", text.line(alert("""
                {"reason": "late", "table": "t", "new": {"id": 2, "c2": 1}}""")));
    }

    @Test
    void theIdOfAMailIsValidAndItsOwnWhateverTheIdOfTheAlertIs() {
        assertEquals("<0f-a_1.2@rowbell>", text.messageId(Map.of("id", "0f-a_1.2")));
        List<String> bad = List.of("", "é", "ж", "a.", "a", ".a", "a..b", "a b", "ab", "a\n", "<a>", "x".repeat(2000));
        List<String> ids =
                bad.stream().map(id -> text.messageId(Map.of("id", id))).toList();
        ids.forEach(id -> assertTrue(id.matches("<[A-Za-z0-9_-]{1,200}@rowbell>"), id));
        assertEquals(bad.size(), ids.stream().distinct().count());
        assertEquals(text.messageId(Map.of("id", "é")), text.messageId(Map.of("id", "é")));
    }

    @Test
    void anInsertedRowsKeyIsSaidOnce() {
        assertEquals("critical r t id=2: c2 30001", text.line(alert("""
                {"rule": "r", "severity": "critical", "table": "t", "new": {"id": 2, "c1": null, "c2": 30001}}""")));
        assertEquals("warning r t id=2", text.line(alert("{\"rule\": \"r\", \"table\": \"t\", \"new\": {\"id\": 2}}")));
    }

    @Test
    void aDeletedRowAndAResolvedAlertAreSaid() {
        assertEquals("resolved r t id=2: id 2 → NULL, a x → NULL", text.line(alert("""
                {"rule": "r", "status": "resolved", "table": "t", "operation": "DELETE", "old": {"id": 2, "a": "x"}}""")));
    }

    @Test
    void aRuleThatCountsShowsWhatItCounted() {
        String counted = "{\"rule\":\"r\",\"table\":\"t\",\"operation\":\"TIMER\",\"within\":\"PT5M\",%s,"
                + "\"key\":[\"shop\"],\"new\":{\"shop\":7}}";
        assertEquals("warning r t shop=7: count 104 within PT5M", text.line(alert(counted.formatted("\"count\":104"))));
        Map<String, Object> sum = alert(counted.formatted("\"count\":3,\"sum\":5200.50"));
        assertEquals("warning r t shop=7: count 3, sum 5200.50 within PT5M", text.line(sum));
        assertTrue(text.plain(sum).contains("TIMER · shop=7 · count 3, sum 5200.50 within PT5M"), text.plain(sum));
    }

    @Test
    void foreignTextIsSaidWithItsChannel() {
        assertEquals("warning notification channel_1: disk is full", text.line(alert("disk is full")));
        assertEquals("[warning] notification: channel_1", text.subject(alert("disk is full")));
    }

    @Test
    void aLineIsOneLineAndNotEndless() {
        String line = text.line(alert("""
                {"rule": "r\\r\\n[critical] forged", "table": "t", "new": {"id": 1, "note": "a\\u2028b\\u0007%s"}}""".formatted("x".repeat(5000))));
        assertTrue(line.startsWith("warning r [critical] forged t id=1: note a b x"), line);
        assertTrue(line.endsWith("x…") && line.length() < 150, line);
        assertTrue(line.lines().count() == 1, line);
    }

    @Test
    void noCharacterThatSteersATerminalOrIsNotSeenReachesAPerson() {
        String bad = "\u0085\u009b2J\u202e\u2066\u2029\u200b\ufeff\u001b[31m";
        Map<String, Object> alert = alert("""
                {"rule": "r%1$s", "reason": "why%1$s", "table": "t%1$s", "source": "s%1$s", "old": {"i%1$sd": 1, "n": "b%1$s"},
                 "new": {"i%1$sd": 1, "n": "a%1$s", "j": {"k": "%1$s"}}, "time": "now%1$s"}""".formatted(bad.replace("\u001b", "\\u001b")));
        Map<String, Object> one = text.view(alert);
        Digest digest = new Digest();
        List<Map<String, Object>> two = List.of(alert, alert);
        for (String shown : List.of(
                text.line(alert),
                text.subject(alert),
                text.plain(alert),
                one.toString(),
                digest.subject(two),
                digest.plain(two),
                digest.view(two).toString())) {
            assertEquals(
                    "",
                    shown.replaceAll("[^\\p{Cf}\\p{Cc}\\u2028\\u2029]|\n", ""),
                    () -> shown.codePoints()
                            .mapToObj(Integer::toHexString)
                            .toList()
                            .toString());
        }
    }

    @Test
    void aLineOfAValueLooksLikeNoOtherColumn() {
        assertTrue(text.plain(alert("{\"rule\": \"r\", \"new\": {\"a\": \"1\\n  paid: yes\"}}"))
                .contains("  a: 1\n        paid: yes"));
    }

    @Test
    void aSubjectIsShortAndCutsNoCharacterInHalf() {
        String subject = text.subject(alert("{\"rule\": \"%s\"}".formatted("🚨".repeat(500))));
        assertEquals(200, subject.codePointCount(0, subject.length()));
        assertTrue(subject.endsWith("🚨…"), subject);
        String line = text.line(alert("{\"rule\": \"%s\"}".formatted("🚨".repeat(5000))));
        assertEquals(4000, line.codePointCount(0, line.length()));
    }

    @Test
    void manyColumnsAreCounted() {
        StringBuilder row = new StringBuilder("{\"id\": 1");
        for (int i = 0; i < 20; i++) {
            row.append(", \"c").append(i).append("\": ").append(i);
        }
        assertTrue(text.line(alert("{\"rule\": \"r\", \"new\": " + row + "}}")).endsWith("c5 5 and 14 more"));
    }
}
