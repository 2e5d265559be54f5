package dev.rowbell.alert;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The keys of the alert document, and which values they may have. */
final class AlertKeys {

    private static final Set<String> SEVERITIES = Set.of("info", "warning", "critical");
    private static final Set<String> STATUSES = Set.of("firing", "resolved");

    /** The operation of an alert that a timer raises, and no write. */
    static final String TIMER = "TIMER";

    /** The keys that such an alert alone may have. */
    static final Set<String> OF_TIMERS = Set.of("since", "within", "count", "sum");

    /** A foreign JSON object with one of these is read as an alert; {@code id} or {@code status} alone are common words. */
    private static final List<String> SIGNS = List.of("rule", "reason", "old", "new");

    private AlertKeys() {}

    /** Whether the value may stand under this key. Null suits every key of the document. */
    static boolean suits(String key, Object value) {
        return switch (key) {
            case "id" -> value == null || AlertId.isId(value);
            case "rule", "reason", "source", "table", "operation", "time", "channel", "partition", "since", "within" ->
                value == null || value instanceof String;
            case "count" -> value == null || value instanceof Number;
            // a sum may be NaN
            case "sum" -> value == null || value instanceof Number || value instanceof String;
            case "fingerprint" -> value == null || AlertId.isId(value);
            // of the row, or the names of its columns
            case "key" -> value == null || AlertId.isId(value) || isNames(value);
            case "severity" -> value == null || SEVERITIES.contains(value);
            case "status" -> value == null || STATUSES.contains(value);
            case "old", "new" -> value == null || value instanceof Map;
            case "changed", "keys" -> value == null || value instanceof List;
            case "truncated" -> value == null || value instanceof Boolean;
            case "payload" -> true;
            default -> false;
        };
    }

    private static boolean isNames(Object value) {
        return value instanceof List<?> names && names.stream().allMatch(String.class::isInstance);
    }

    static boolean looksLikeAlert(Map<?, ?> document) {
        return SIGNS.stream().anyMatch(key -> document.get(key) != null && suits(key, document.get(key)));
    }

    /** The entries that suit their key; all others stand in {@code payload}. */
    static Map<String, Object> admit(Map<?, ?> document) {
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
}
