package dev.rowbell.rules;

import dev.rowbell.time.Cron;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.camel.util.TimeUtils;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/** The keys of a rule, named as the columns of rowbell.rule, and how the value of each is read. */
enum Key {
    NAME(Type.TEXT),
    FEED(Type.TEXT),
    CONDITION(Type.TEXT),
    REASON(Type.TEXT),
    SEVERITY(Type.TEXT),
    FIRES(Type.TEXT),
    COLUMNS(Type.LIST),
    DELIVERY(Type.TEXT),
    CHANNEL(Type.TEXT),
    RESOLVED(Type.BOOLEAN),
    OPERATIONS(Type.LIST),
    ENABLED(Type.BOOLEAN),
    COOLDOWN(Type.DURATION),
    FOR(Type.DURATION),
    EXISTING(Type.BOOLEAN),
    SINCE(Type.TEXT),
    QUERY(Type.TEXT),
    KEY(Type.LIST),
    EVERY(Type.DURATION),
    CRON(Type.CRON),
    ZONE(Type.TEXT),
    MAX_ROWS(Type.NUMBER),
    COUNT(Type.NUMBER),
    SUM(Type.TEXT),
    OVER(Type.DECIMAL),
    WITHIN(Type.DURATION),
    BY(Type.LIST),
    MAX_GROUPS(Type.NUMBER),
    ABSENT(Type.DURATION),
    GROUPS(Type.TEXT),
    FORGET(Type.DURATION);

    private enum Type {
        TEXT("is no text"),
        BOOLEAN("is neither true nor false"),
        NUMBER("is no whole number"),
        DECIMAL("is no number"),
        CRON("is none"),
        /** Written as in the settings, 500ms or 7d; read as PostgreSQL writes an interval. */
        DURATION("is no duration"),
        /** Also a single text, which is a list of one. */
        LIST("is no list of names");

        private final String problem;

        Type(String problem) {
            this.problem = problem;
        }
    }

    static final List<Key> REQUIRED = List.of(NAME, FEED, CONDITION);
    static final List<Key> REQUIRED_OF_ABSENT = List.of(NAME, FEED);
    static final List<Key> REQUIRED_OF_QUERY = List.of(NAME, QUERY);
    /** Of a form: a rule is enabled by itself. */
    static final List<Key> EDITED =
            Arrays.stream(values()).filter(key -> key != ENABLED).toList();

    /** The defaults that a form leaves out, as the form would have them. */
    static final Map<Key, String> DEFAULTS =
            Map.of(COOLDOWN, "0d", MAX_ROWS, "1000", MAX_GROUPS, "10000", FORGET, "7d");

    static final List<String> NAMES = Arrays.stream(values()).map(Key::text).toList();

    private static final Pattern PERIOD = Pattern.compile("([0-9]{1,9}(ms|s|m|h|d))+|0");

    /** PostgreSQL has no interval of a million years. */
    private static final Duration LONGEST = Duration.ofDays(36500);

    private final Type type;

    Key(Type type) {
        this.type = type;
    }

    /** @param text null for a key that is no text */
    static Optional<Key> of(String text) {
        return Arrays.stream(values()).filter(key -> key.text().equals(text)).findFirst();
    }

    /** As it is written in the file. */
    String text() {
        return inFile(column());
    }

    /** As it is named in the database. */
    String column() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** @param column null for none */
    static String inFile(String column) {
        return column == null ? null : column.replace('_', '-');
    }

    /** The value of a field of a form, as a node of the file; a list has an element a line. */
    Node node(String given) {
        return switch (type) {
            case BOOLEAN -> new ScalarNode(given.matches("true|false") ? Tag.BOOL : Tag.STR, given, ScalarStyle.PLAIN);
            case LIST ->
                new SequenceNode(
                        Tag.SEQ,
                        given.lines()
                                .map(String::strip)
                                .filter(line -> !line.isEmpty())
                                .map(line -> (Node) new ScalarNode(Tag.STR, line, ScalarStyle.PLAIN))
                                .toList(),
                        FlowStyle.FLOW);
            default -> new ScalarNode(Tag.STR, given, ScalarStyle.PLAIN);
        };
    }

    /** A Boolean, a text or a list of texts; null if the node is no value of this key. */
    Object read(Node node) {
        return switch (type) {
            case TEXT -> storable(scalar(node));
            case BOOLEAN ->
                node instanceof ScalarNode && node.getTag().equals(Tag.BOOL) ? Boolean.valueOf(scalar(node)) : null;
            case NUMBER ->
                node instanceof ScalarNode && scalar(node).matches("[0-9]{1,9}") ? Integer.valueOf(scalar(node)) : null;
            case DECIMAL ->
                node instanceof ScalarNode && scalar(node).matches("-?[0-9]{1,100}([.][0-9]{1,100})?")
                        ? scalar(node)
                        : null;
            case CRON -> unreadableCron(node) == null ? scalar(node) : null;
            case DURATION -> interval(scalar(node));
            case LIST -> {
                List<Node> items = node instanceof SequenceNode sequence ? sequence.getValue() : List.of(node);
                yield items.stream().allMatch(item -> !isNull(item) && storable(scalar(item)) != null)
                        ? items.stream().map(Key::scalar).toList()
                        : null;
            }
        };
    }

    /** Why {@link #read} gave null. */
    String problem(Node node) {
        return type == Type.CRON && scalar(node) != null
                ? unreadableCron(node)
                : type == Type.TEXT && scalar(node) != null
                        ? "has a character that PostgreSQL cannot store"
                        : type.problem;
    }

    private static String unreadableCron(Node node) {
        try {
            new Cron(String.valueOf(scalar(node)), null);
            return null;
        } catch (IllegalArgumentException e) {
            return e.getMessage();
        }
    }

    /** SQL of a column of this key as text, as a form has it. */
    String sql(String column, UnaryOperator<String> duration) {
        return switch (type) {
            case LIST -> "array_to_string(%s, E'\\n')".formatted(column);
            case DURATION -> duration.apply(column);
            default -> "cast(%s as text)".formatted(column);
        };
    }

    /** How to write it instead; empty if there is nothing to add. */
    String hint() {
        return switch (type) {
            case DURATION -> "write it as 30s, 10m, 1h or 7d";
            case CRON -> "write it as \"0 8 * * MON-FRI\"";
            case LIST ->
                "write it as [%s]"
                        .formatted(this == OPERATIONS ? "insert, update" : this == BY ? "NEW.shop" : "c1, c2");
            default -> "";
        };
    }

    static boolean isNull(Node node) {
        return node instanceof ScalarNode && node.getTag().equals(Tag.NULL);
    }

    /** The text as it is written, also of a number; null if the node is no scalar. */
    static String scalar(Node node) {
        return node instanceof ScalarNode scalar ? scalar.getValue() : null;
    }

    /** Null for null and for a text with NUL or half of a surrogate pair. */
    private static String storable(String text) {
        return text == null
                        || text.codePoints()
                                .anyMatch(c -> c == 0 || c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE)
                ? null
                : text;
    }

    private static String interval(String text) {
        try {
            long ms = text != null && PERIOD.matcher(text).matches() ? TimeUtils.toMilliSeconds(text) : -1;
            // PostgreSQL 13 and 14 read no more than 24 days of milliseconds
            return ms >= 0 && ms <= LONGEST.toMillis() ? Duration.ofMillis(ms).toString() : null;
        } catch (ArithmeticException | NumberFormatException e) {
            return null;
        }
    }
}
