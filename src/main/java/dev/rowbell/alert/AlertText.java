package dev.rowbell.alert;

import dev.rowbell.error.Printable;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.UUID;
import java.util.regex.Pattern;
import org.apache.camel.Body;

/** An alert as text for people: a line of the console, the subject and the parts of a mail. Safe for many threads. */
public final class AlertText {

    private static final int COLUMNS_ON_A_LINE = 6;
    private static final int VALUE_ON_A_LINE = 60;
    private static final int VALUE_IN_A_MAIL = 4000;
    static final int SUBJECT = 200;
    /** An alert from elsewhere may have a rule of a megabyte. */
    private static final int LINE = 4000;
    /** A dot-atom of RFC 5322, short enough for a line of a mail. */
    private static final Pattern ID = Pattern.compile("(?=.{1,200}$)[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*");

    /** {@code warning c2-overflow (c2 overflow) public.feed id=2: c2 8000 → 30001}, at most 4,000 characters. */
    public String line(@Body Map<String, Object> alert) {
        String what = what(alert);
        return Printable.line(what.isEmpty() ? head(alert) : head(alert) + ": " + what, LINE);
    }

    /** {@code [warning] c2-overflow: public.feed id=2}, without line ends, at most 200 characters. */
    public String subject(@Body Map<String, Object> alert) {
        StringJoiner where = new StringJoiner(" ");
        add(where, AlertReader.place(alert));
        add(where, key(alert));
        return Printable.line("[%s] %s: %s".formatted(mark(alert), title(alert), where), SUBJECT);
    }

    /** One column as a mail shows it. Public for the template. */
    public record Row(String name, String old, String now, boolean changed) {}

    /**
     * The content of a mail, as text that the template must escape: {@code mark}, {@code title}, {@code where}, {@code rows} of {@link Row},
     * {@code both} (whether there are OLD and NEW), {@code payload} and {@code foot}.
     */
    public Map<String, Object> view(@Body Map<String, Object> alert) {
        StringJoiner where = new StringJoiner(" · ");
        add(where, alert.get("reason") == null ? null : alert.get("rule"));
        add(where, AlertReader.place(alert));
        add(where, alert.get("operation"));
        add(where, key(alert));
        add(where, counted(alert));
        return Map.of(
                "mark", mark(alert),
                "title", Printable.line(String.valueOf(orElse(alert.get("reason"), title(alert)))),
                "where", Printable.line(where.toString()),
                "rows", rows(alert),
                "both", hasOld(alert) && !row(alert, "new").isEmpty(),
                "payload", payload(alert) == null ? "" : cut(payload(alert)),
                "foot",
                        Printable.line("%s from %s, alert %s"
                                .formatted(alert.get("time"), alert.get("source"), alert.get("id"))));
    }

    /** The mail's text part. */
    public String plain(@Body Map<String, Object> alert) {
        Map<String, Object> view = view(alert);
        StringBuilder text =
                new StringBuilder("%s: %s%n%s%n%n".formatted(view.get("mark"), view.get("title"), view.get("where")));
        for (Row row : rows(alert)) {
            String line = row.changed() && (boolean) view.get("both")
                    ? "* %s: %s → %s".formatted(row.name(), row.old(), row.now())
                    : "  %s: %s".formatted(row.name(), row.now());
            // a line of a value looks like no row
            text.append(line.replace("\n", "\n      ")).append("%n".formatted());
        }
        return text.append(view.get("payload"))
                .append("%n%s%n".formatted(view.get("foot")))
                .toString();
    }

    private static List<Row> rows(Map<String, Object> alert) {
        return row(alert, side(alert)).entrySet().stream()
                .map(column -> new Row(
                        Printable.line(String.valueOf(column.getKey())),
                        cut(value(alert, "old", column.getKey())),
                        cut(column.getValue()),
                        changed(alert).contains(column.getKey())))
                .toList();
    }

    /**
     * The same for every try, so that a mail server or reader can drop repeats. It has the id of the alert where RFC 5322 allows that there,
     * else a UUID made of it.
     */
    public String messageId(@Body Map<String, Object> alert) {
        String id = String.valueOf(alert.get("id"));
        String valid = ID.matcher(id).matches()
                ? id
                : UUID.nameUUIDFromBytes(id.getBytes(StandardCharsets.UTF_8)).toString();
        return "<" + valid + "@rowbell>";
    }

    /** The key of the alert, cut to be shown; where it has none, the column id of its row, else the first; empty where there is no row. */
    public static String key(Map<String, Object> alert) {
        if (alert.get("key") instanceof String key) {
            return Printable.line(key, VALUE_ON_A_LINE);
        }
        String column = keyColumn(alert);
        return column == null
                ? ""
                : Printable.line(column, VALUE_ON_A_LINE) + "=" + brief(value(alert, side(alert), column));
    }

    private static String keyColumn(Map<String, Object> alert) {
        Map<?, ?> row = row(alert, side(alert));
        if (row.isEmpty()) {
            return null;
        }
        return row.containsKey("id")
                ? "id"
                : String.valueOf(row.keySet().iterator().next());
    }

    /** The line without severity and rule, which a digest shows once for all alerts of a rule: {@code public.feed id=2: c2 8000 → 30001}. */
    static String where(Map<String, Object> alert) {
        StringJoiner where = new StringJoiner(" ");
        add(where, AlertReader.place(alert));
        add(where, key(alert));
        String what = what(alert);
        return Printable.line(what.isEmpty() ? where.toString() : where + ": " + what, LINE);
    }

    /** {@code c2 overflow: public.feed id=2: c2 8000 → 30001}. */
    static String reasonAndWhere(Map<String, Object> alert) {
        Object reason = alert.get("reason");
        return reason == null ? where(alert) : Printable.line(reason.toString(), SUBJECT) + ": " + where(alert);
    }

    private static String head(Map<String, Object> alert) {
        StringJoiner head = new StringJoiner(" ");
        add(head, mark(alert));
        add(head, titleWithReason(alert));
        add(head, AlertReader.place(alert));
        add(head, key(alert));
        return head.toString();
    }

    /** {@code c2-overflow (c2 overflow)}; the rule alone where the reason says no more. */
    static String titleWithReason(Map<String, Object> alert) {
        String reason = String.valueOf(orElse(alert.get("reason"), ""));
        return reason.isBlank() || reason.equals(title(alert)) ? title(alert) : title(alert) + " (" + reason + ")";
    }

    private static String what(Map<String, Object> alert) {
        // the key of an inserted row stands in the head of the line already
        String key = keyColumn(alert);
        List<?> changed = changed(alert).stream()
                .filter(column -> hasOld(alert) || !column.equals(key))
                .toList();
        String counted = counted(alert);
        if (changed.isEmpty()) {
            return payload(alert) == null ? counted : brief(payload(alert));
        }
        StringJoiner what = new StringJoiner(", ");
        add(what, counted);
        for (Object column : changed.subList(0, Math.min(changed.size(), COLUMNS_ON_A_LINE))) {
            String now = brief(value(alert, "new", column));
            what.add(
                    hasOld(alert)
                            ? column + " " + brief(value(alert, "old", column)) + " → " + now
                            : column + " " + now);
        }
        return changed.size() > COLUMNS_ON_A_LINE
                ? what + " and " + (changed.size() - COLUMNS_ON_A_LINE) + " more"
                : what.toString();
    }

    /** What a rule that counts has counted: {@code count 104 within PT5M}; empty of other rules. */
    private static String counted(Map<String, Object> alert) {
        StringJoiner counted = new StringJoiner(", ");
        for (String key : List.of("count", "sum")) {
            add(counted, alert.get(key) == null ? null : key + " " + brief(alert.get(key)));
        }
        return counted.length() == 0 || alert.get("within") == null
                ? counted.toString()
                : counted + " within " + brief(alert.get("within"));
    }

    static String mark(Map<String, Object> alert) {
        return "resolved".equals(alert.get("status")) ? "resolved" : String.valueOf(alert.get("severity"));
    }

    static String title(Map<String, Object> alert) {
        return String.valueOf(orElse(orElse(alert.get("rule"), alert.get("reason")), "notification"));
    }

    private static List<?> changed(Map<String, Object> alert) {
        return AlertJson.peek(alert, "changed") instanceof List<?> names ? names : List.of();
    }

    private static boolean hasOld(Map<String, Object> alert) {
        return !row(alert, "old").isEmpty();
    }

    /** The side that has the row: a deleted row has only OLD. */
    private static String side(Map<String, Object> alert) {
        return row(alert, "new").isEmpty() ? "old" : "new";
    }

    private static Map<?, ?> row(Map<String, Object> alert, String side) {
        return AlertJson.peek(alert, side) instanceof Map<?, ?> row ? row : Map.of();
    }

    private static Object payload(Map<String, Object> alert) {
        return AlertJson.peek(alert, "payload");
    }

    private static Object value(Map<String, Object> alert, String side, Object column) {
        return row(alert, side).get(column);
    }

    private static Object orElse(Object value, Object other) {
        return value == null ? other : value;
    }

    private static void add(StringJoiner words, Object word) {
        if (word != null && !word.equals("")) {
            words.add(word.toString());
        }
    }

    private static String show(Object value) {
        if (value == null) {
            return "NULL";
        }
        return value instanceof Map || value instanceof List ? AlertJson.write(value) : value.toString();
    }

    /** A long value is cut for a mail. */
    private static String cut(Object value) {
        String text = show(value);
        return text.length() <= VALUE_IN_A_MAIL
                ? Printable.text(text)
                : String.format(
                        Locale.ROOT,
                        "%s… (%,d characters)",
                        Printable.text(text.substring(0, text.offsetByCodePoints(0, VALUE_IN_A_MAIL / 2))),
                        text.length());
    }

    private static String brief(Object value) {
        return Printable.line(show(value), VALUE_ON_A_LINE);
    }
}
