package dev.rowbell.silence;

import dev.rowbell.alert.AlertText;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A row of {@code rowbell.silence}; its patterns are null where they ask for anything. */
record Silence(long id, Pattern rule, Pattern feed, Pattern key) {

    /** @param rule the patterns as people write them, with a star for anything; null for all */
    static Silence of(long id, String rule, String feed, String key) {
        return new Silence(id, pattern(rule), pattern(feed), pattern(key));
    }

    private static Pattern pattern(String written) {
        return written == null
                ? null
                : Pattern.compile(
                        Stream.of(written.split("\\*", -1)).map(Pattern::quote).collect(Collectors.joining(".*")),
                        Pattern.DOTALL);
    }

    boolean covers(Map<String, Object> alert) {
        return covers(rule, alert.get("rule"))
                && covers(feed, alert.get("table"))
                && (key == null
                        || covers(key, alert.get("key") instanceof String whole ? whole : AlertText.key(alert)));
    }

    boolean covers(String ofRule, String ofFeed, String ofKey) {
        return covers(rule, ofRule) && covers(feed, ofFeed) && covers(key, ofKey);
    }

    private static boolean covers(Pattern pattern, Object value) {
        return pattern == null
                || value != null && pattern.matcher(value.toString()).matches();
    }
}
