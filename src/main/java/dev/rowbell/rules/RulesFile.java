package dev.rowbell.rules;

import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * The content of a file of rules, and the problems of its form. Whether a condition or a feed is right, the database knows.
 *
 * @param file as people write it
 * @param readable false where it is no YAML or has no list of rules; it is then not applied, not even as an empty list
 * @param rules the readable rules, each name once
 * @param faulty those of which a part alone can be read, and those with the name of another
 * @param unread the names of the rules that cannot be read
 * @param nameless whether an unreadable rule has no name, so that it may be any
 */
public record RulesFile(
        String file,
        boolean readable,
        List<FileRule> rules,
        List<FileRule> faulty,
        List<String> unread,
        boolean nameless,
        List<Problem> problems) {

    List<FileRule> rulesOf(String feed) {
        return rules.stream().filter(rule -> feed.equals(rule.feed())).toList();
    }

    /** As the rules name them, each once; empty for the rules without a feed. */
    List<String> feeds() {
        return rules.stream().map(FileRule::feed).distinct().toList();
    }

    /** Of all rules that have one. */
    List<String> names() {
        return Stream.concat(rules.stream().map(FileRule::name), unread.stream())
                .toList();
    }

    /** A problem that the database found in one of its rules, with the line of the file. */
    Problem problem(String rule, String field, String text, String hint) {
        int line = rules.stream()
                .filter(r -> r.name().equals(rule))
                .mapToInt(r -> r.lineOf(field))
                .findFirst()
                .orElse(0);
        return new Problem(file, line, rule, Key.inFile(field), text, hint == null ? "" : hint);
    }

    Problem problem(FileRule rule, String field, String text, String hint) {
        return new Problem(file, rule.lineOf(field), rule.name(), Key.inFile(field), text, hint == null ? "" : hint);
    }

    /** A problem of a feed, in the line of its first rule. */
    Problem problemOf(String feed, String text, String hint) {
        int line = rulesOf(feed).stream()
                .findFirst()
                .map(rule -> rule.lineOf("feed"))
                .orElse(0);
        return new Problem(file, line, null, null, text, hint);
    }

    /** Its own problems and others, ordered by line. */
    List<Problem> problemsWith(List<Problem> others) {
        return Stream.concat(problems.stream(), others.stream())
                .sorted(Comparator.comparingInt(Problem::line))
                .toList();
    }
}
