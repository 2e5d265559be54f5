package dev.rowbell.alert;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import org.apache.camel.Body;

/**
 * Says many alerts in one mail: by rule, the gravest first, some of each shown and the rest counted. One alert alone is said as
 * {@link AlertText} says it. The body is a list of alerts, or one. Safe for many threads.
 */
public final class Digest {

    /** In the whole mail. */
    private static final int SHOWN = 50;

    private static final int RULES_IN_SUBJECT = 3;
    private static final List<String> GRAVEST_FIRST = List.of("critical", "warning", "info", "resolved");

    private final AlertText text = new AlertText();

    /** One alert as a digest shows it. */
    public record Line(String time, String text) {

        public String getTime() {
            return time;
        }

        public String getText() {
            return text;
        }
    }

    /** The alerts of one rule and severity. */
    public record Group(String mark, String title, String count, List<Line> lines, String more) {

        public String getMark() {
            return mark;
        }

        public String getTitle() {
            return title;
        }

        public String getCount() {
            return count;
        }

        public List<Line> getLines() {
            return lines;
        }

        /** Empty where all are shown. */
        public String getMore() {
            return more;
        }
    }

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
        return AlertText.clean(
                "[%s] %s: %s%s"
                        .formatted(mark(kinds), title(alerts), rules, kinds.size() > RULES_IN_SUBJECT ? ", …" : ""),
                AlertText.SUBJECT);
    }

    /**
     * What the mail shows, all of it text to be escaped: {@code template} that shows it; of one alert what {@link AlertText#view} has, of many
     * {@code mark}, {@code title}, {@code where}, {@code groups} of {@link Group} and {@code foot}.
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
        view.put("template", "digest");
        view.put("mark", mark(kinds));
        view.put("title", title(alerts));
        view.put(
                "where",
                "from %s, %s to %s UTC"
                        .formatted(
                                each(alerts, "source"), second(first(alerts, "time")), second(last(alerts, "time"))));
        view.put("groups", groups(kinds));
        view.put(
                "foot",
                "rowbell.mail.digest says how often such a mail may come; each of these alerts is in the other sinks too");
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

    /** Stands for all of them: the alert's own id where it is one, else a UUID made of theirs. */
    public static String id(List<? extends Map<String, Object>> alerts) {
        if (alerts.size() == 1) {
            return String.valueOf(alerts.get(0).get("id"));
        }
        String ids = alerts.stream()
                .map(alert -> String.valueOf(alert.get("id")))
                .sorted()
                .collect(Collectors.joining("\n"));
        return UUID.nameUUIDFromBytes(ids.getBytes(StandardCharsets.UTF_8)).toString();
    }

    /** The gravest first, and of those the most. */
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
        // each gets its share, and what one does not need the next has
        int left = SHOWN;
        int groupsLeft = kinds.size();
        for (Map.Entry<Kind, List<Map<String, Object>>> kind : kinds.entrySet()) {
            List<Map<String, Object>> alerts = kind.getValue();
            int shown = Math.min(alerts.size(), (left + groupsLeft - 1) / groupsLeft);
            left -= shown;
            groupsLeft--;
            List<Line> lines = alerts.subList(0, shown).stream()
                    .map(alert -> new Line(time(alert), AlertText.where(alert)))
                    .toList();
            int rest = alerts.size() - shown;
            groups.add(new Group(
                    kind.getKey().mark(),
                    AlertText.clean(kind.getKey().title(), AlertText.SUBJECT),
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

    /** {@code 2026-11-23T08:00:00.123456Z} without what nobody reads. */
    private static String second(String time) {
        return time.length() >= 19 ? time.substring(0, 19).replace('T', ' ') : time;
    }

    private static String mark(Map<Kind, List<Map<String, Object>>> kinds) {
        return kinds.keySet().iterator().next().mark();
    }

    private static String title(List<Map<String, Object>> alerts) {
        return number(alerts.size()) + " alerts";
    }

    private static String each(List<Map<String, Object>> alerts, String key) {
        return alerts.stream()
                .map(alert -> String.valueOf(alert.get(key)))
                .distinct()
                .limit(RULES_IN_SUBJECT)
                .collect(Collectors.joining(", "));
    }

    private static String first(List<Map<String, Object>> alerts, String key) {
        return alerts.stream()
                .map(alert -> String.valueOf(alert.get(key)))
                .min(Comparator.naturalOrder())
                .orElse("");
    }

    private static String last(List<Map<String, Object>> alerts, String key) {
        return alerts.stream()
                .map(alert -> String.valueOf(alert.get(key)))
                .max(Comparator.naturalOrder())
                .orElse("");
    }

    private static String number(int count) {
        return String.format(Locale.ROOT, "%,d", count);
    }
}
