package dev.rowbell.alert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** How many alerts are said to people; that a storm is a handful of mails is in DigestTest. */
class DigestTextTest {

    private final Digest digest = new Digest();

    private static Map<String, Object> alert(String rule, String severity, int id) {
        return Map.of(
                "id",
                rule + "-" + id,
                "rule",
                rule,
                "severity",
                severity,
                "status",
                "firing",
                "source",
                "orders-db",
                "table",
                "public.feed",
                "time",
                "2026-11-23T08:%02d:%02d.123456Z".formatted(id / 60 % 60, id % 60),
                "old",
                Map.of("id", id, "c2", 1),
                "new",
                Map.of("id", id, "c2", 30000),
                "changed",
                List.of("c2"));
    }

    private static List<Map<String, Object>> alerts(String rule, String severity, int count) {
        List<Map<String, Object>> alerts = new ArrayList<>();
        for (int id = 1; id <= count; id++) {
            alerts.add(alert(rule, severity, id));
        }
        return alerts;
    }

    @SafeVarargs
    private static List<Map<String, Object>> all(List<Map<String, Object>>... some) {
        return List.of(some).stream().flatMap(List::stream).toList();
    }

    @SuppressWarnings("unchecked")
    private List<Digest.Group> groups(List<Map<String, Object>> alerts) {
        return (List<Digest.Group>) digest.view(alerts).get("groups");
    }

    @Test
    void oneAlertIsSaidAsItselfAloneOrInAList() {
        Map<String, Object> alert = alert("c2-overflow", "warning", 2);
        for (Object body : List.of(alert, List.of(alert))) {
            assertEquals("[warning] c2-overflow: public.feed id=2", digest.subject(body));
            assertEquals("alert", digest.view(body).get("template"));
            assertEquals("<c2-overflow-2@rowbell>", digest.messageId(body));
            assertTrue(digest.plain(body).contains("* c2: 1 → 30000"), digest.plain(body));
        }
    }

    @Test
    void theSubjectCountsTheGravestFirstAndOfThoseTheMost() {
        assertEquals(
                "[critical] 1,238 alerts: c4-negative (2), stock (1), c2-overflow (1,200), …",
                digest.subject(all(
                        alerts("hello", "info", 5),
                        alerts("c2-overflow", "warning", 1200),
                        alerts("late", "warning", 30),
                        alerts("stock", "critical", 1),
                        alerts("c4-negative", "critical", 2))));
    }

    @Test
    void aSubjectHasNoLineEndsAndALimit() {
        String subject = digest.subject(all(alerts("x".repeat(300) + "\r\nBcc: a", "info", 2)));
        assertEquals(200, subject.length());
        assertEquals(1, subject.lines().count());
        assertEquals("[info] 2 alerts: a Bcc: thief (2)", digest.subject(alerts("a\r\nBcc: thief", "info", 2)));
    }

    @Test
    void fiftyAreShownAndEachRuleHasItsShareAndTheRestIsCounted() {
        List<Digest.Group> groups = groups(
                all(alerts("many", "warning", 1000), alerts("few", "critical", 3), alerts("some", "warning", 30)));
        assertEquals(
                List.of("few 3/3 ", "many 24/1,000 and 976 more", "some 23/30 and 7 more"),
                groups.stream()
                        .map(group -> "%s %d/%s %s"
                                .formatted(group.title(), group.lines().size(), group.count(), group.more()))
                        .toList());
        assertEquals("08:00:01", groups.get(0).lines().get(0).time());
        assertEquals(
                "public.feed id=1: c2 1 → 30000", groups.get(0).lines().get(0).text());
    }

    @Test
    void whatIsShownOfEachIsInTheTextPartToo() {
        List<Map<String, Object>> alerts = all(alerts("many", "warning", 60), alerts("few", "critical", 1));
        String plain = digest.plain(alerts).replace(System.lineSeparator(), "\n");
        assertTrue(plain.startsWith("""
                        61 alerts
                        from orders-db, 2026-11-23 08:00:01 to 2026-11-23 08:01:00 UTC

                        critical: few (1)
                          08:00:01  public.feed id=1: c2 1 → 30000

                        warning: many (60)
                          08:00:01  public.feed id=1: c2 1 → 30000
                        """), plain);
        assertTrue(plain.contains("\n  and 11 more\n"), plain);
    }

    private static List<Map<String, Object>> reasons(String... reasons) {
        List<Map<String, Object>> alerts = new ArrayList<>();
        for (String reason : reasons) {
            Map<String, Object> alert = new HashMap<>(alert("r", "warning", alerts.size()));
            alert.put("reason", reason);
            alerts.add(alert);
        }
        return alerts;
    }

    /** The rule is for filters, the reason for people. */
    @Test
    void theReasonOfARuleIsSaidOnceAndThatOfAnAlertWithIt() {
        Digest.Group same = groups(reasons("too big", "too big")).get(0);
        assertEquals("r (too big)", same.title());
        assertEquals("public.feed id=0: c2 1 → 30000", same.lines().get(0).text());
        Digest.Group own = groups(reasons("division by zero", "no such column")).get(0);
        assertEquals("r", own.title());
        assertEquals(
                List.of(
                        "division by zero: public.feed id=0: c2 1 → 30000",
                        "no such column: public.feed id=1: c2 1 → 30000"),
                own.lines().stream().map(Digest.Line::text).toList());
        assertEquals("r", groups(reasons("r", "r")).get(0).title());
        assertEquals("[warning] 2 alerts: r (2)", digest.subject(reasons("too big", "too big")));
    }

    /** Which sinks have an alert is the matter of the routes. */
    @Test
    void aDigestPromisesNothingOfOtherSinks() {
        String foot = (String) digest.view(reasons("a", "b")).get("foot");
        assertFalse(foot.contains("other sinks"), foot);
    }

    @Test
    void theIdIsTheSameForEveryTryOfTheSameAlerts() {
        List<Map<String, Object>> alerts = alerts("r", "info", 3);
        List<Map<String, Object>> backwards = List.of(alerts.get(2), alerts.get(1), alerts.get(0));
        assertEquals(digest.messageId(alerts), digest.messageId(backwards));
        assertEquals(
                3,
                List.of(alerts, alerts.subList(0, 2), alerts("s", "info", 3)).stream()
                        .map(digest::messageId)
                        .collect(Collectors.toSet())
                        .size());
    }
}
