package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Timestamp;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.temporal.TemporalAccessor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.camel.Body;
import org.apache.camel.Header;
import org.postgresql.PGStatement;

/**
 * Makes the alert document out of whatever a feedback row or a notification holds. Never fails on content: what can be read is mapped,
 * the rest stands in {@code payload} (of a notification) or {@code new} (of a row). Safe for many threads.
 */
public final class AlertReader {

    private static final TypeReference<LinkedHashMap<String, Object>> DOCUMENT = new TypeReference<>() {};

    /** The article's form, spelled as it spells it: {@code Resone:c2 overflow::{json}}. */
    private static final Pattern ARTICLE = Pattern.compile("(?:Resone|Reason):(.*?)::(.*)", Pattern.DOTALL);

    private static final int LONGEST_ID = 200;

    private static final Set<String> SEVERITIES = Set.of("info", "warning", "critical");
    private static final Set<String> STATUSES = Set.of("firing", "resolved");

    /** What makes a foreign JSON object readable as an alert; {@code id} or {@code status} alone are anybody's words. */
    private static final List<String> SIGNS = List.of("rule", "reason", "old", "new");

    private final Supplier<String> source;
    private final Clock clock;

    /** @param source the {@code source} of alerts that name none; asked for each of them */
    public AlertReader(Supplier<String> source, Clock clock) {
        this.source = source;
        this.clock = clock;
    }

    /** Parses a document that is already an alert. */
    public static Map<String, Object> parse(String alert) {
        try {
            return Json.MAPPER.readValue(alert, DOCUMENT);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not an alert document", e);
        }
    }

    /** The same as {@link #parse}, once somebody looks into it. */
    public static Map<String, Object> unread(String alert) {
        return new UnreadAlert(alert);
    }

    /** The document as JSON text on one line, which UTF-8 can say. */
    public static String write(Object alert) {
        String unread = alert instanceof UnreadAlert document ? document.text() : null;
        if (unread != null) {
            return unread;
        }
        try {
            String text = Json.MAPPER.writeValueAsString(alert);
            // half of a surrogate pair, which JSON may escape and nothing else can hold
            return hasHalfAPair(text)
                    ? Json.MAPPER
                            .writer()
                            .with(JsonWriteFeature.ESCAPE_NON_ASCII)
                            .writeValueAsString(alert)
                    : text;
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(
                    "the alert has something that JSON cannot say: " + e.getOriginalMessage(), e);
        }
    }

    private static boolean hasHalfAPair(String text) {
        for (int i = 0; i < text.length(); i++) {
            // text seldom has a surrogate at all
            if (Character.isSurrogate(text.charAt(i))) {
                return text.codePoints().anyMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE);
            }
        }
        return false;
    }

    /**
     * @param document of a row of Rowbell's own feedback table; may be null
     * @return null where it is not in the form in which the compiled triggers write it; {@link #fromRow} reads any
     */
    public Map<String, Object> fromTrigger(String document) {
        return document == null ? null : TriggerDocument.read(document, source.get());
    }

    /**
     * @param row its column {@code feedback} is the row of any table as PostgreSQL says it in JSON, which it can for every type. A column
     *     {@code alert} is taken as the document, {@code crt_time} as its time; columns named like keys of the document are those keys where
     *     their value suits, and all the rest become {@code new}. Where it has no {@code feedback}, it is itself such a row, of these two columns, and
     *     {@link #fromTrigger} has been asked before
     */
    public Map<String, Object> fromRow(@Body Map<String, Object> row) {
        boolean own = row.get("feedback") == null && row.containsKey("alert");
        String text = String.valueOf(row.get(own ? "alert" : "feedback"));
        if (own) {
            text = "{\"crt_time\":%s,\"alert\":%s}".formatted(inJson(row.get("crt_time")), text);
        } else {
            Map<String, Object> compiled = TriggerDocument.read(text, source.get());
            if (compiled != null) {
                return compiled;
            }
        }
        Map<String, Object> alert = new LinkedHashMap<>();
        if (!(json(text) instanceof Map<?, ?> columns)) {
            // deeper or longer than the JSON library reads
            alert.put("payload", text);
            return complete(alert);
        }
        Map<String, Object> rest = new LinkedHashMap<>();
        Object[] written = new Object[1];
        columns.forEach((name, value) -> {
            String column = (String) name;
            if (column.equals("alert") && value instanceof Map<?, ?> document) {
                alert.putAll(admit(document));
            } else if (column.equals("crt_time")) {
                written[0] = value;
            } else if (!suits(column, value)) {
                rest.put(column, value);
            } else if (value != null) {
                alert.put(column, value);
            }
        });
        alert.computeIfAbsent("time", time -> inUtc(written[0]));
        if (alert.get("new") instanceof Map<?, ?> known) {
            known.forEach((key, value) -> rest.putIfAbsent((String) key, value));
        }
        if (!rest.isEmpty()) {
            alert.put("new", rest);
        }
        return complete(alert);
    }

    /** As PostgreSQL says it. */
    private static String inJson(Object time) {
        if (!(time instanceof Timestamp timestamp)) {
            return "null";
        } else if (timestamp.getTime() == PGStatement.DATE_POSITIVE_INFINITY) {
            return "\"infinity\"";
        }
        return timestamp.getTime() == PGStatement.DATE_NEGATIVE_INFINITY
                ? "\"-infinity\""
                : "\"" + timestamp.toInstant() + "\"";
    }

    /** PostgreSQL's time, with an offset or in the time zone of this machine, which pgjdbc makes the session's. */
    private static Object inUtc(Object time) {
        try {
            TemporalAccessor parsed = DateTimeFormatter.ISO_DATE_TIME.parseBest(
                    String.valueOf(time), OffsetDateTime::from, LocalDateTime::from);
            return parsed instanceof OffsetDateTime offset
                    ? offset.toInstant().toString()
                    : ((LocalDateTime) parsed)
                            .atZone(ZoneId.systemDefault())
                            .toInstant()
                            .toString();
        } catch (DateTimeException e) {
            return time == null ? null : time.toString();
        }
    }

    /**
     * @param payload an alert document, {@code Resone:reason::{json}}, any JSON or any text; null counts as empty text
     * @param channel the channel it came on
     * @param id the alert's id where the payload has none of its own, so that a second try has the same
     */
    public Map<String, Object> fromNotification(
            @Body String payload, @Header("channel") String channel, @Header("alertId") String id) {
        String text = payload == null ? "" : payload;
        Map<String, Object> compiled = TriggerDocument.read(text, source.get());
        if (compiled != null && compiled.containsKey("channel")) {
            return compiled;
        }
        Map<String, Object> alert = new LinkedHashMap<>();
        Matcher article = ARTICLE.matcher(text);
        if (article.matches()) {
            alert.put("reason", article.group(1));
            Object body = json(article.group(2));
            alert.put(body instanceof Map ? "new" : "payload", body);
        } else if (json(text) instanceof Map<?, ?> document
                && SIGNS.stream().anyMatch(key -> document.get(key) != null && suits(key, document.get(key)))) {
            alert.putAll(admit(document));
        } else {
            alert.put("payload", json(text));
        }
        alert.putIfAbsent("channel", channel);
        alert.putIfAbsent("id", id);
        return complete(alert);
    }

    /**
     * What a route sends to a sink.
     *
     * @param body the alert, which a route may have changed. Anything that is no Map goes as the {@code payload} of the original
     * @param original the alert as it was taken, whose id the body keeps where it has none; null where it is not known
     */
    @SuppressWarnings("unchecked")
    public Map<String, Object> fromBody(Object body, Object original) {
        if (body == original
                && body instanceof Map<?, ?> map
                && (map instanceof UnreadAlert unread && unread.hasItsId() || isId(map.get("id")))) {
            // whatever was done to it, its keys are those of an alert
            return (Map<String, Object>) map;
        }
        Map<String, Object> alert = new LinkedHashMap<>();
        if (original instanceof Map<?, ?> known && (!(body instanceof Map<?, ?> map) || !isId(map.get("id")))) {
            known.forEach((key, value) -> alert.put(String.valueOf(key), value));
        }
        if (body instanceof Map<?, ?> map) {
            map.forEach((key, value) -> {
                if (!key.equals("id") || isId(value)) {
                    alert.put(String.valueOf(key), value);
                }
            });
        } else if (body != original) {
            alert.put("payload", body instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : body);
        }
        return isId(alert.get("id")) ? alert : complete(alert);
    }

    private static boolean isId(Object value) {
        return value != null && suits("id", value);
    }

    /** JSON where it is JSON, else the text as it is; also where a number in it is too large for the JSON library. */
    private static Object json(String text) {
        try {
            Object value = Json.MAPPER.readValue(text, Object.class);
            return value == null ? text : value;
        } catch (IOException | NumberFormatException e) {
            return text;
        }
    }

    /** What of a document may stand under its own key; the rest of it is the payload. */
    private static Map<String, Object> admit(Map<?, ?> document) {
        Map<String, Object> alert = new LinkedHashMap<>();
        Map<String, Object> rest = new LinkedHashMap<>();
        document.forEach((key, value) -> (suits((String) key, value) ? alert : rest).put((String) key, value));
        if (!rest.isEmpty()) {
            if (alert.containsKey("payload")) {
                rest.put("payload", alert.get("payload"));
            }
            alert.put("payload", rest);
        }
        return alert;
    }

    /** What can be a key of a table and part of a header; others' ids that cannot are kept in the payload. Asked for each alert. */
    private static boolean canBeId(String text) {
        int characters = 0;
        for (int at = 0; at < text.length(); characters++) {
            int c = text.codePointAt(at);
            if (c < ' ' || c == 0x7F || c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                return false;
            }
            at += Character.charCount(c);
        }
        return characters >= 1 && characters <= LONGEST_ID;
    }

    /** Whether a value may stand under this key of the document. Null suits every key of it. */
    static boolean suits(String key, Object value) {
        return switch (key) {
            case "id" -> value == null || value instanceof String id && canBeId(id);
            case "rule", "reason", "source", "table", "operation", "time", "channel", "partition" ->
                value == null || value instanceof String;
            case "severity" -> value == null || SEVERITIES.contains(value);
            case "status" -> value == null || STATUSES.contains(value);
            case "old", "new" -> value == null || value instanceof Map;
            case "changed" -> value == null || value instanceof List;
            case "truncated" -> value == null || value instanceof Boolean;
            case "payload" -> true;
            default -> false;
        };
    }

    /** In the order of the document, with what it never goes without. */
    private Map<String, Object> complete(Map<String, Object> alert) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("id", orElse(alert.remove("id"), () -> AlertId.next(clock)));
        move(alert, document, "rule", "reason");
        document.put("severity", orElse(alert.remove("severity"), () -> "warning"));
        document.put("status", orElse(alert.remove("status"), () -> "firing"));
        document.put("source", orElse(alert.remove("source"), source));
        move(alert, document, "table", "partition", "operation");
        document.put("time", orElse(alert.remove("time"), () -> clock.instant().toString()));
        Object changed = alert.remove("changed");
        // always there, if only empty: what a route or a receiver asks of them never fails because a row was inserted
        Map<?, ?> old = row(alert.remove("old"));
        Map<?, ?> now = row(alert.remove("new"));
        document.put("old", old);
        document.put("new", now);
        document.put("changed", changed instanceof List<?> given ? given : changed(old, now));
        alert.forEach((key, value) -> {
            if (value != null) {
                document.put(key, value);
            }
        });
        return document;
    }

    private static Map<?, ?> row(Object value) {
        return value instanceof Map<?, ?> row ? row : Map.of();
    }

    private static void move(Map<String, Object> from, Map<String, Object> to, String... keys) {
        for (String key : keys) {
            Object value = from.remove(key);
            if (value != null) {
                to.put(key, value);
            }
        }
    }

    private static Object orElse(Object value, Supplier<String> other) {
        return value == null || value.equals("") ? other.get() : value;
    }

    /** The columns whose value differs; a missing side counts as a row of NULLs. */
    private static List<String> changed(Map<?, ?> before, Map<?, ?> after) {
        List<String> names = new ArrayList<>();
        after.forEach((column, value) -> {
            if (!same(before.get(column), value)) {
                names.add((String) column);
            }
        });
        before.forEach((column, value) -> {
            if (value != null && !after.containsKey(column)) {
                names.add((String) column);
            }
        });
        return names;
    }

    private static boolean same(Object one, Object other) {
        if (Objects.equals(one, other)) {
            return true;
        }
        boolean whole = one instanceof Integer && other instanceof Integer;
        if (one instanceof Number && other instanceof Number && !whole) {
            return new BigDecimal(one.toString()).compareTo(new BigDecimal(other.toString())) == 0;
        }
        return false;
    }
}
