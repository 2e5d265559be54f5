package dev.rowbell.rules;

/**
 * Something that is wrong with the rules, in one line when written out: {@code rules.yaml:12: rule "c2-overflow": condition: … (hint)}.
 *
 * @param file as people write it
 * @param line from 1; 0 where it is about no line
 * @param rule the rule's name; null where it has none, or where it is about the file
 * @param field the key of the rule; null where it is about the whole of it
 * @param hint what to change; empty where there is nothing to add
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
        return words.toString().replaceAll("\\s*[\\p{Cntrl}]+\\s*", " ").strip();
    }
}
