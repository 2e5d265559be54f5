package dev.rowbell.rules;

import dev.rowbell.error.Printable;

/**
 * A problem of the rules, as one line: {@code rules.yaml:12: rule "c2-overflow": condition: … (hint)}.
 *
 * @param file as people write it
 * @param line from 1; 0 if it concerns no line
 * @param rule the rule's name; null if it has none, or if the problem concerns the file
 * @param field the key of the rule; null if the problem concerns the whole rule
 * @param hint the change that fixes it; empty if there is nothing to add
 */
public record Problem(String file, int line, String rule, String field, String text, String hint) {

    @Override
    public String toString() {
        StringBuilder words = new StringBuilder(file);
        if (line > 0) {
            words.append(':').append(line);
        }
        words.append(": ");
        if (rule != null) {
            words.append("rule \"").append(rule).append("\": ");
        }
        if (field != null) {
            words.append(field).append(": ");
        }
        words.append(text);
        if (!hint.isEmpty()) {
            words.append(" (").append(hint).append(')');
        }
        return Printable.line(words.toString()).strip();
    }
}
