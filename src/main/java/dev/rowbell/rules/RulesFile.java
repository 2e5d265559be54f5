package dev.rowbell.rules;

import java.util.List;

/**
 * What a file says, and what is wrong with how it says it. Whether a condition or a feed is right is for the database to say.
 *
 * @param file as people write it
 * @param readable false where it is no YAML or has no list of rules: it says nothing then, not even that there are no rules
 * @param rules what can be read, each name once
 * @param unread the names of rules that cannot be read: what they were before stays
 * @param nameless whether one cannot be read that has no name, and so may be any
 */
record RulesFile(
        String file,
        boolean readable,
        List<FileRule> rules,
        List<String> unread,
        boolean nameless,
        List<Problem> problems) {

    /** What the database says about one of its rules, with the line that it is about. */
    Problem problem(String rule, String field, String text, String hint) {
        int line = rules.stream()
                .filter(r -> r.name().equals(rule))
                .mapToInt(r -> r.lineOf(field))
                .findFirst()
                .orElse(0);
        return new Problem(file, line, rule, field, text, hint == null ? "" : hint);
    }
}
