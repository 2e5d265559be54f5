package dev.rowbell.alert;

import dev.rowbell.error.Printable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.Body;

/**
 * Many alerts as one mail: grouped by rule, the gravest first, some of each shown and the rest counted. One alert alone looks as
 * {@link AlertText} shows it. The body is a list of alerts, or one. Safe for many threads.
 */
public final class Digest {

    /** In the whole mail. */
    private static final int SHOWN = 50;

    private static final int RULES_IN_SUBJECT = 3;
    private static final int SOURCES = 3;
    private static final List<String> GRAVEST_FIRST = List.of("critical", "warning", "info", "resolved");

    private final AlertText text = new AlertText();

    /** One alert as a digest shows it. Public for the template. */
    public record Line(String time, String text) {}

    /**
     * The alerts of one rule and severity. Public for the template.
     *
     * @param more how many alerts are not shown; empty where all are
     */
    public record Group(String mark, String title, String count, List<Line> lines, String more) {}

    private record Kind(String mark, String title) {}

    /** {@code [critical] 1,234 alerts: stock-negative (1,200), c2-overflow (34)}, without line ends, at most 200 characters. */
    public String subject(@Body Object body) {
        List<Map<String, Object>> alerts = alerts(body);
        if (alerts.size() == 1) {
            return text.subject(alerts.get(0));
        }
        Map<Kind, List<Map<String, Object>>> kinds = kinds(alerts);
        String rules = kinds.entrySet().stream()
                .limit(RULES_IN_SUBJECT)
                .map(kind -> "%s (%s)"
                        .formatted(kind.getKey().title(), number(kind.getValue().size())))
                .collect(Collectors.joining(", "));
        return Printable.line(
                "[%s] %s: %s%s"
                        .formatted(mark(kinds), title(alerts), rules, kinds.size() > RULES_IN_SUBJECT ? ", …" : ""),
                AlertText.SUBJECT);
    }

    /**
     * The content of the mail, as text that the template must escape: {@code template}, the name of the template; for one alert the keys of
     * {@link AlertText#view}, for many {@code mark}, {@code title}, {@code where}, {@code groups} of {@link Group} and {@code foot}.
     */
    public Map<String, Object> view(@Body Object body) {
        List<Map<String, Object>> alerts = alerts(body);
        Map<String, Object> view = new LinkedHashMap<>();
        if (alerts.size() == 1) {
            view.putAll(text.view(alerts.get(0)));
            view.put("template", "alert");
            return view;
        }
        Map<Kind, List<Map<String, Object>>> kinds = kinds(alerts);
        List<String> times = values(alerts, "time").toList();
        view.put("template", "digest");
        view.put("mark", mark(kinds));
        view.put("title", title(alerts));
        view.put(
                "where",
                Printable.line("from %s, %s to %s UTC"
                        .formatted(
                                values(alerts, "source")
                                        .distinct()
                                        .limit(SOURCES)
                                        .collect(Collectors.joining(", ")),
                                second(Collections.min(times)),
                                second(Collections.max(times)))));
        view.put("groups", groups(kinds));
        view.put(
                "foot",
                "rowbell.mail.digest says how often such a mail may come; routes/alerts.camel.yaml says where else alerts go");
        return view;
    }

    /** The mail's text part. */
    public String plain(@Body Object body) {
        List<Map<String, Object>> alerts = alerts(body);
        if (alerts.size() == 1) {
            return text.plain(alerts.get(0));
        }
        Map<String, Object> view = view(alerts);
        StringBuilder plain = new StringBuilder("%s%n%s%n".formatted(view.get("title"), view.get("where")));
        for (Group group : groups(kinds(alerts))) {
            plain.append("%n%s: %s (%s)%n".formatted(group.mark(), group.title(), group.count()));
            group.lines().forEach(line -> plain.append("  %s  %s%n".formatted(line.time(), line.text())));
            if (!group.more().isEmpty()) {
                plain.append("  %s%n".formatted(group.more()));
            }
        }
        return plain.append("%n%s%n".formatted(view.get("foot"))).toString();
    }

    /** The same for every try of the same alerts. */
    public String messageId(@Body Object body) {
        List<Map<String, Object>> alerts = alerts(body);
        return alerts.size() == 1 ? text.messageId(alerts.get(0)) : "<" + id(alerts) + "@rowbell>";
    }

    /** With {@code batch: 1} the body is the alert itself. */
    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> alerts(Object body) {
        return body instanceof List<?> list ? (List<Map<String, Object>>) list : List.of((Map<String, Object>) body);
    }

    /** The id of the alert where there is one, else a UUID made of the ids of all. */
    public static String id(List<Map<String, Object>> alerts) {
        if (alerts.size() == 1) {
            return String.valueOf(alerts.get(0).get("id"));
        }
        String ids = values(alerts, "id").sorted().collect(Collectors.joining("\n"));
        return UUID.nameUUIDFromBytes(ids.getBytes(StandardCharsets.UTF_8)).toString();
    }

    /** The gravest first; of the same severity the largest group first. */
    private static Map<Kind, List<Map<String, Object>>> kinds(List<Map<String, Object>> alerts) {
        Map<Kind, List<Map<String, Object>>> kinds = alerts.stream()
                .collect(Collectors.groupingBy(alert -> new Kind(AlertText.mark(alert), AlertText.title(alert))));
        Map<Kind, List<Map<String, Object>>> sorted = new LinkedHashMap<>();
        kinds.entrySet().stream()
                .sorted(Comparator.comparing((Map.Entry<Kind, List<Map<String, Object>>> kind) ->
                                gravity(kind.getKey().mark()))
                        .thenComparing(kind -> -kind.getValue().size())
                        .thenComparing(kind -> kind.getKey().title()))
                .forEach(kind -> sorted.put(kind.getKey(), kind.getValue()));
        return sorted;
    }

    private static int gravity(String mark) {
        int known = GRAVEST_FIRST.indexOf(mark);
        return known < 0 ? GRAVEST_FIRST.indexOf("warning") : known;
    }

    private List<Group> groups(Map<Kind, List<Map<String, Object>>> kinds) {
        List<Group> groups = new ArrayList<>();
        // each group gets its share; lines that it does not need go to the next
        int left = SHOWN;
        int groupsLeft = kinds.size();
        for (Map.Entry<Kind, List<Map<String, Object>>> kind : kinds.entrySet()) {
            List<Map<String, Object>> alerts = kind.getValue();
            int shown = Math.min(alerts.size(), (left + groupsLeft - 1) / groupsLeft);
            left -= shown;
            groupsLeft--;
            // the reason stands in the title, unless each alert has one of its own
            List<String> titles = alerts.stream()
                    .map(AlertText::titleWithReason)
                    .distinct()
                    .limit(2)
                    .toList();
            boolean common = titles.size() == 1;
            List<Line> lines = alerts.subList(0, shown).stream()
                    .map(alert ->
                            new Line(time(alert), common ? AlertText.where(alert) : AlertText.reasonAndWhere(alert)))
                    .toList();
            int rest = alerts.size() - shown;
            groups.add(new Group(
                    kind.getKey().mark(),
                    Printable.line(common ? titles.get(0) : kind.getKey().title(), AlertText.SUBJECT),
                    number(alerts.size()),
                    lines,
                    rest == 0 ? "" : "and %s more".formatted(number(rest))));
        }
        return groups;
    }

    /** The time of day, to the second, as the alert has it. */
    private static String time(Map<String, Object> alert) {
        String time = String.valueOf(alert.get("time"));
        return time.length() >= 19 && time.charAt(10) == 'T' ? time.substring(11, 19) : "";
    }

    /** {@code 2026-11-23 08:00:00} of {@code 2026-11-23T08:00:00.123456Z}. */
    private static String second(String time) {
        return time.length() >= 19 ? time.substring(0, 19).replace('T', ' ') : time;
    }

    private static String mark(Map<Kind, List<Map<String, Object>>> kinds) {
        return kinds.keySet().iterator().next().mark();
    }

    private static String title(List<Map<String, Object>> alerts) {
        return number(alerts.size()) + " alerts";
    }

    private static Stream<String> values(List<Map<String, Object>> alerts, String key) {
        return alerts.stream().map(alert -> String.valueOf(alert.get(key)));
    }

    private static String number(int count) {
        return String.format(Locale.ROOT, "%,d", count);
    }
}
