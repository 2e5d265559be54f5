package dev.rowbell.alert;

import java.nio.charset.StandardCharsets;
import java.sql.Timestamp;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.temporal.TemporalAccessor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.camel.Body;
import org.apache.camel.Header;
import org.postgresql.PGStatement;

/**
 * Makes an alert of a feedback row, a notification, or the body of a route. Never fails on content: values that suit a key of the document are
 * mapped, the rest stands in {@code payload} (of a notification) or {@code new} (of a row). Safe for many threads.
 */
public final class AlertReader {

    /** The article's form, spelled as the article spells it: {@code Resone:c2 overflow::{json}}. */
    private static final Pattern ARTICLE = Pattern.compile("(?:Resone|Reason):(.*?)::(.*)", Pattern.DOTALL);

    /** A backlog of durable alerts is legitimate, however old. */
    private static final Instant OLDEST_DURABLE = Instant.parse("2000-01-01T00:00:00Z");
    /** Before it arrives: the server keeps a notification while its listener is slow. */
    private static final Duration OLDEST_NOTIFICATION = Duration.ofDays(1);
    /** After it arrives: the clocks of two machines differ. */
    private static final Duration AHEAD = Duration.ofHours(1);

    private final Supplier<Source> source;
    private final Clock clock;

    /**
     * Where alerts come from that name no source.
     *
     * @param name the {@code source} of the alerts
     * @param origin the database in their fingerprints, which no other database has
     */
    public record Source(String name, String origin) {

        /** With which the fingerprints of its alerts begin, and those of no other database. */
        public String beginning() {
            return AlertIdentity.beginning(origin);
        }
    }

    /** @param source asked for each alert */
    public AlertReader(Supplier<Source> source, Clock clock) {
        this.source = source;
        this.clock = clock;
    }

    /**
     * @param document of a row of Rowbell's own feedback table; may be null
     * @return null where the document is not in the form in which the compiled triggers write it; {@link #fromRow} reads any
     */
    public Map<String, Object> fromTrigger(String document) {
        return document == null ? null : TriggerDocument.read(document, source.get(), durable());
    }

    /** The times that a durable alert may have: any other was not written by a trigger. */
    private AlertTime.Window durable() {
        return new AlertTime.Window(OLDEST_DURABLE, clock.instant().plus(AHEAD));
    }

    /**
     * @param row with a column {@code feedback}, the row of any table as JSON, or with the columns {@code alert} and {@code crt_time} of Rowbell's
     *     own table. The column {@code alert} is the document, {@code crt_time} its time; columns named like keys of the document become these keys
     *     where their value suits, and all others stand in {@code new}
     */
    public Map<String, Object> fromRow(@Body Map<String, Object> row) {
        boolean own = row.get("feedback") == null && row.containsKey("alert");
        String text = String.valueOf(row.get(own ? "alert" : "feedback"));
        Object value = AlertJson.valueOrText(own ? "{\"alert\":" + text + "}" : text);
        Map<String, Object> alert = new LinkedHashMap<>();
        if (!(value instanceof Map<?, ?> columns)) {
            // deeper than the JSON library reads
            alert.put("payload", text);
            return asWritten(complete(alert));
        }
        Map<String, Object> rest = new LinkedHashMap<>();
        columns.forEach((name, column) -> {
            String key = (String) name;
            if (key.equals("alert") && column instanceof Map<?, ?> document) {
                alert.putAll(AlertKeys.admit(document));
            } else if (!AlertKeys.suits(key, column)) {
                rest.put(key, column);
            } else if (column != null) {
                alert.put(key, column);
            }
        });
        Object written = own ? row.get("crt_time") : rest.remove("crt_time");
        alert.computeIfAbsent("time", time -> inUtc(written));
        if (alert.get("new") instanceof Map<?, ?> known) {
            known.forEach((key, column) -> rest.putIfAbsent((String) key, column));
        }
        if (!rest.isEmpty()) {
            alert.put("new", rest);
        }
        replaceTimeOutside(durable(), alert, clock.instant());
        return asWritten(complete(alert));
    }

    /**
     * The time of a row as JSON or the driver has it: with an offset, or in the time zone of this machine, which pgjdbc makes the session's. A text
     * that cannot be parsed, as {@code infinity}, stays.
     */
    private static String inUtc(Object time) {
        if (time instanceof Timestamp timestamp) {
            return timestamp.getTime() == PGStatement.DATE_POSITIVE_INFINITY
                    ? "infinity"
                    : timestamp.getTime() == PGStatement.DATE_NEGATIVE_INFINITY
                            ? "-infinity"
                            : timestamp.toInstant().toString();
        }
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
     * @param id the alert's id where the payload has none, so that a second try has the same
     * @param arrived when it arrived, by which its time is judged; null: now
     */
    public Map<String, Object> fromNotification(
            @Body String payload,
            @Header("channel") String channel,
            @Header("alertId") String id,
            @Header("alertArrived") Instant arrived) {
        String text = payload == null ? "" : payload;
        Instant arrival = arrived == null ? clock.instant() : arrived;
        AlertTime.Window window = new AlertTime.Window(arrival.minus(OLDEST_NOTIFICATION), arrival.plus(AHEAD));
        Map<String, Object> compiled = TriggerDocument.read(text, source.get(), window);
        if (compiled != null && compiled.containsKey("channel")) {
            return compiled;
        }
        Map<String, Object> alert = new LinkedHashMap<>();
        Matcher article = ARTICLE.matcher(text);
        if (article.matches()) {
            alert.put("reason", article.group(1));
            Object body = AlertJson.valueOrText(article.group(2));
            alert.put(body instanceof Map ? "new" : "payload", body);
        } else {
            Object body = AlertJson.valueOrText(text);
            if (body instanceof Map<?, ?> document && AlertKeys.looksLikeAlert(document)) {
                alert.putAll(AlertKeys.admit(document));
            } else {
                alert.put("payload", body);
            }
        }
        alert.putIfAbsent("channel", channel);
        alert.putIfAbsent("id", id);
        replaceTimeOutside(window, alert, arrival);
        return asWritten(complete(alert));
    }

    /** The document as sinks get it, written once for all of them. */
    private static Map<String, Object> asWritten(Map<String, Object> alert) {
        return AlertJson.parseLazily(AlertJson.write(alert));
    }

    /** A time that no trigger can have written becomes that of the arrival, and stays readable in {@code payload}. */
    private static void replaceTimeOutside(AlertTime.Window window, Map<String, Object> alert, Instant arrival) {
        Object time = alert.get("time");
        if (time == null || window.admits(time)) {
            return;
        }
        Map<String, Object> payload = new LinkedHashMap<>(Map.of("time", time));
        if (alert.get("payload") instanceof Map<?, ?> known) {
            known.forEach((key, value) -> payload.put((String) key, value));
        } else if (alert.get("payload") != null) {
            payload.put("payload", alert.get("payload"));
        }
        alert.put("payload", payload);
        alert.put("time", arrival.toString());
    }

    /**
     * The alert that a route sends to a sink.
     *
     * @param body the alert, which a route may have changed. A body that is no Map becomes the {@code payload} of the original
     * @param original the alert as it was taken, whose id a body without one gets; null where it is not known
     */
    @SuppressWarnings("unchecked")
    public Map<String, Object> fromBody(Object body, Object original) {
        Map<?, ?> map = body instanceof Map<?, ?> given ? given : null;
        boolean hasId = map != null && AlertId.isId(map.get("id"));
        if (hasId && (body == original || body instanceof LazyAlert)) {
            // a route may have changed its values, but its keys are those of an alert
            return (Map<String, Object>) map;
        }
        Map<String, Object> alert = new LinkedHashMap<>();
        if (!hasId && original instanceof Map<?, ?> known) {
            known.forEach((key, value) -> alert.put(String.valueOf(key), value));
        }
        if (map != null) {
            map.forEach((key, value) -> {
                if (!key.equals("id") || hasId) {
                    alert.put(String.valueOf(key), value);
                }
            });
        } else if (body != original) {
            alert.put("payload", body instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : body);
        }
        return AlertId.isId(alert.get("id")) ? alert : complete(alert);
    }

    /** In the order of the document, with the keys that every alert has. */
    @SuppressWarnings("unchecked")
    private Map<String, Object> complete(Map<String, Object> alert) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("id", orElse(alert.remove("id"), () -> AlertId.next(clock)));
        move(alert, document, "rule", "reason");
        document.put("severity", orElse(alert.remove("severity"), () -> "warning"));
        document.put("status", orElse(alert.remove("status"), () -> "firing"));
        Source known = source.get();
        Object given = orElse(alert.remove("source"), known::name);
        document.put("source", given);
        move(alert, document, "table", "partition", "operation");
        document.put("time", orElse(alert.remove("time"), () -> clock.instant().toString()));
        move(alert, document, "since", "within", "count", "sum", "keys");
        Object changed = alert.remove("changed");
        Object key = alert.remove("key");
        Object fingerprint = alert.remove("fingerprint");
        // an empty row instead of none: ${body[old][c2]} then never fails because a row was inserted
        Map<?, ?> old = row(alert.remove("old"));
        Map<?, ?> now = row(alert.remove("new"));
        document.put("old", old);
        document.put("new", now);
        document.put("changed", changed instanceof List<?> names ? names : ChangedColumns.between(old, now));
        Map<?, ?> row =
                now.isEmpty() || !old.isEmpty() && document.get("status").equals("resolved") ? old : now;
        alert.forEach((name, value) -> {
            if (value != null) {
                document.put(name, value);
            }
        });
        String rowKey = key instanceof String text
                ? text
                : AlertIdentity.key(
                        key instanceof List<?> names ? (List<String>) names : List.of("id"),
                        name -> AlertIdentity.text(row.get(name)),
                        key instanceof List && AlertKeys.TIMER.equals(document.get("operation")));
        if (rowKey != null) {
            document.put("key", rowKey);
        }
        document.put(
                "fingerprint",
                fingerprint != null
                        ? fingerprint
                        : AlertIdentity.fingerprint(
                                given.equals(known.name()) ? known.origin() : given.toString(),
                                orElse(document.get("rule"), () -> (String) document.get("reason")),
                                place(document),
                                rowKey,
                                document.get("id")));
        return document;
    }

    /** The table; where there is none the channel, unless the alert is of a rule without a feed. */
    static Object place(Map<String, Object> alert) {
        return AlertKeys.TIMER.equals(alert.get("operation"))
                ? alert.get("table")
                : orElse(alert.get("table"), () -> (String) alert.get("channel"));
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
}
