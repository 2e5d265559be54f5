package dev.rowbell.silence;

import dev.rowbell.alert.AlertJson;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * How long a rule keeps quiet about a row.
 *
 * @param key the columns of the feed's primary key; empty where it has none, and then the whole feed counts as one row
 */
record Cooldown(Duration time, List<String> key) {

    /** Of the row that an alert is about: the values of its key, as JSON. */
    String keyOf(Map<String, Object> alert) {
        Map<?, ?> row = alert.get("new") instanceof Map<?, ?> now && !now.isEmpty()
                ? now
                : alert.get("old") instanceof Map<?, ?> old ? old : Map.of();
        return AlertJson.write(key.stream()
                .map(column -> row.containsKey(column) ? row.get(column) : "")
                .toList());
    }
}
