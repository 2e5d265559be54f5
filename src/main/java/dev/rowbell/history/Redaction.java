package dev.rowbell.history;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.settings.SettingsException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Which columns the history does not have. Safe for many threads. */
public final class Redaction {

    /** Of what is in their place. */
    static final String MARK = "(redacted)";

    /** Its reason and payload have the error of a rule, which may have any value of the row. */
    private static final String FAILURE = "rowbell-rule-failed";

    /** By table, as alerts name it. */
    private final Map<String, Set<String>> columns;

    private Redaction(Map<String, Set<String>> columns) {
        this.columns = columns;
    }

    /**
     * @param setting columns as {@code schema.table.column}, separated by commas
     * @throws SettingsException where it is something else
     */
    public static Redaction of(String setting) {
        Map<String, Set<String>> columns = new HashMap<>();
        for (String column : setting.isBlank() ? new String[0] : setting.split(",", -1)) {
            String name = column.strip();
            int dot = name.lastIndexOf('.');
            if (!name.matches("[^.]+\\..+\\.[^.]+")) {
                throw new SettingsException(
                        "rowbell.history.redact=%s: give columns as schema.table.column, separated by commas"
                                .formatted(setting));
            }
            columns.computeIfAbsent(name.substring(0, dot), table -> new HashSet<>())
                    .add(name.substring(dot + 1));
        }
        return new Redaction(columns);
    }

    /** The columns, as the setting names them. */
    List<String> names() {
        return columns.entrySet().stream()
                .flatMap(table -> table.getValue().stream().map(column -> table.getKey() + "." + column))
                .sorted()
                .toList();
    }

    /** The alert; where it has a value that the history is not to have, a copy without. */
    Map<String, Object> apply(Map<String, Object> alert) {
        Set<String> left =
                columns.isEmpty() || !(alert.get("table") instanceof String table) ? null : columns.get(table);
        if (left == null) {
            return alert;
        }
        Map<String, Object> copy = new LinkedHashMap<>();
        Map<String, Object> document = AlertJson.parse(AlertJson.asTaken(alert));
        document.forEach((key, value) -> copy.put(key, without(value, left)));
        Set<String> values = new HashSet<>();
        addValues(document.get("old"), left, values);
        addValues(document.get("new"), left, values);
        for (String key : List.of("reason", "payload")) {
            copy.computeIfPresent(
                    key, (name, value) -> FAILURE.equals(document.get("rule")) || has(value, values) ? MARK : value);
        }
        if (copy.get("key") instanceof String key
                && left.stream().anyMatch(column -> ("," + key).contains("," + column + "="))) {
            copy.put("key", MARK);
            // ends with the key
            copy.put("fingerprint", MARK);
        }
        return copy;
    }

    /** Adds the texts and numbers of the columns of a row. */
    private static void addValues(Object row, Set<String> columns, Set<String> values) {
        if (row instanceof Map<?, ?> known) {
            columns.forEach(column -> addTexts(known.get(column), values));
        }
    }

    private static void addTexts(Object value, Set<String> texts) {
        if (value instanceof Map<?, ?> map) {
            map.values().forEach(of -> addTexts(of, texts));
        } else if (value instanceof List<?> list) {
            list.forEach(element -> addTexts(element, texts));
        } else if (value != null && !value.toString().isEmpty()) {
            texts.add(value.toString());
        }
    }

    private static boolean has(Object value, Set<String> texts) {
        Set<String> all = new HashSet<>();
        addTexts(value, all);
        return all.stream().anyMatch(text -> texts.stream().anyMatch(text::contains));
    }

    /** Without the columns at any depth: of a rule that counts, keys of rows are texts in a list. */
    private static Object without(Object value, Set<String> columns) {
        if (value instanceof Map<?, ?> row) {
            Map<Object, Object> copy = new LinkedHashMap<>();
            row.forEach((column, of) -> copy.put(column, columns.contains(column) ? MARK : without(of, columns)));
            return copy;
        } else if (value instanceof List<?> list) {
            return list.stream().map(element -> without(element, columns)).toList();
        }
        return value instanceof String text
                        && columns.stream()
                                .anyMatch(column -> text.contains("\"" + column + "\"") || text.contains(column + "="))
                ? MARK
                : value;
    }
}
