package dev.rowbell.silence;

import dev.rowbell.alert.AlertText;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;

/**
 * A row of {@code rowbell.silence}; its patterns are null where they ask for anything.
 *
 * @param unquotedFeed the feed as alerts show it, where people write it as SQL does
 */
record Silence(long id, Pattern rule, Pattern feed, Pattern unquotedFeed, Pattern key) {

    private static final java.util.regex.Pattern QUOTED =
            java.util.regex.Pattern.compile("(?<=^|\\.)\"((?:[^\"]|\"\")*+)\"(?=\\.|\\*|$)");

    /** @param rule the patterns as people write them, with a star for anything; null for all */
    static Silence of(long id, String rule, String feed, String key) {
        return new Silence(id, Pattern.of(rule), Pattern.of(feed), Pattern.of(unquoted(feed)), Pattern.of(key));
    }

    /** A feed as alerts show it: {@code Lager.Artikel} for {@code "Lager"."Artikel"}. Null for null. */
    static String unquoted(String feed) {
        return feed == null
                ? null
                : QUOTED.matcher(feed)
                        .replaceAll(
                                part -> Matcher.quoteReplacement(part.group(1).replace("\"\"", "\"")));
    }

    /**
     * No regular expression: one with some stars takes hours for a long key, which anyone can send.
     *
     * @param parts what is between the stars
     */
    record Pattern(List<String> parts) {

        private static Pattern of(String written) {
            return written == null ? null : new Pattern(List.of(written.split("\\*", -1)));
        }

        private boolean matches(String text) {
            String first = parts.get(0);
            if (parts.size() == 1) {
                return text.equals(first);
            }
            String last = parts.get(parts.size() - 1);
            int end = text.length() - last.length();
            int at = text.startsWith(first) && text.endsWith(last) ? first.length() : end + 1;
            for (String part : parts.subList(1, parts.size() - 1)) {
                int found = at > end ? -1 : text.indexOf(part, at);
                at = found < 0 ? end + 1 : found + part.length();
            }
            return at <= end;
        }
    }

    boolean covers(Map<String, Object> alert) {
        return covers(rule, alert.get("rule"))
                && coversFeed(alert.get("table"))
                && (key == null
                        || covers(key, alert.get("key") instanceof String whole ? whole : AlertText.key(alert)));
    }

    boolean covers(String ofRule, String ofFeed, String ofKey) {
        return covers(rule, ofRule) && coversFeed(ofFeed) && covers(key, ofKey);
    }

    private boolean coversFeed(Object shown) {
        return covers(feed, shown) || covers(unquotedFeed, shown);
    }

    private static boolean covers(Pattern pattern, Object value) {
        return pattern == null || value != null && pattern.matches(value.toString());
    }
}
