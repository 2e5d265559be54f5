package dev.rowbell.rules;

import java.util.Map;
import java.util.stream.Stream;

/**
 * One rule as it stands in the file.
 *
 * @param name null where a faulty rule has none
 * @param values by key, as rowbell.rule has them: text, a Boolean or a List of text; without the keys that the file leaves out
 * @param line where the rule begins, from 1
 * @param lines where each of its keys stands, from 1
 */
public record FileRule(String name, Map<String, Object> values, int line, Map<String, Integer> lines) {

    /** Keys that stand in the file with a value that cannot be read. */
    Stream<String> unreadable() {
        return lines.keySet().stream()
                .filter(key -> Key.of(key)
                        .filter(known -> !values.containsKey(known.column()))
                        .isPresent());
    }

    /** As the rule names it; empty where it has none. */
    String feed() {
        return (String) values.getOrDefault("feed", "");
    }

    /** @param field null or a key that the file leaves out: where the rule begins */
    int lineOf(String field) {
        return lines.getOrDefault(Key.inFile(field), line);
    }
}
