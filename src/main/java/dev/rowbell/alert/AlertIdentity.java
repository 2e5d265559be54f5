package dev.rowbell.alert;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.function.UnaryOperator;

/** What an alert is about: {@code key} names the row, {@code fingerprint} the thing that is wrong. The same texts in every version and process. */
final class AlertIdentity {

    /** In characters: a longer one ends in a hash of the whole. Receivers take 255. */
    private static final int LONGEST = 200;

    private static final int KEPT = 160;

    private AlertIdentity() {}

    /**
     * As {@code a=1,b="x,y"}: a value that has a comma, a quote or a control character is a JSON string, so that no two keys look alike.
     *
     * @param names the columns of the key
     * @param value the value of a column as text; null where the row has none
     * @param mayBeNull of a group, which may be that of NULL: {@code a=null}, where a text is {@code a="null"}
     * @return null where there are no columns, or one of them has no value
     */
    static String key(List<String> names, UnaryOperator<String> value, boolean mayBeNull) {
        StringJoiner key = new StringJoiner(",");
        for (String name : names) {
            String text = value.apply(name);
            if (text == null && !mayBeNull) {
                return null;
            }
            String shown = text == null ? "null" : mayBeNull && text.equals("null") ? "\"null\"" : quoted(text);
            key.add(quoted(name) + "=" + shown);
        }
        return names.isEmpty() ? null : cut(key.toString());
    }

    /** The value of a column as text; null where it is null. */
    static String text(Object value) {
        return value == null
                ? null
                : value instanceof Map || value instanceof List ? AlertJson.write(value) : value.toString();
    }

    /**
     * As {@code source/rule/table/key}.
     *
     * @param source names the database, and no other
     * @param id of the alert, whose thing is its own where neither a rule nor a reason says what is wrong
     */
    static String fingerprint(String source, Object rule, Object table, String key, Object id) {
        return cut(beginning(source) + escaped(rule) + "/" + escaped(table) + "/"
                + (key == null ? rule == null ? id : "" : key));
    }

    /** With which the fingerprints of a source begin. */
    static String beginning(String source) {
        return escaped(source) + "/";
    }

    private static String quoted(String text) {
        boolean plain = true;
        for (int i = 0; plain && i < text.length(); i++) {
            char c = text.charAt(i);
            plain = c >= ' ' && c != ',' && c != '"' && c != 0x7F && !Character.isSurrogate(c);
        }
        return plain
                ? text
                : '"'
                        + new String(JsonStringEncoder.getInstance().quoteAsString(wellFormed(text)))
                                .replace("\u007f", "\\u007f")
                        + '"';
    }

    /** Without slashes, which stand between the parts. */
    private static String escaped(Object part) {
        String text = part == null ? "" : part.toString();
        StringBuilder escaped = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c == '/' || c == '%' || c == 0x7F) {
                escaped = escaped == null ? new StringBuilder(text.substring(0, i)) : escaped;
                escaped.append("%%%02X".formatted((int) c));
            } else if (escaped != null) {
                escaped.append(c);
            }
        }
        return escaped == null ? text : escaped.toString();
    }

    private static String cut(String text) {
        if (text.length() <= LONGEST) {
            return text;
        }
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            int end = Character.isHighSurrogate(text.charAt(KEPT - 1)) ? KEPT - 1 : KEPT;
            return text.substring(0, end) + "…" + HexFormat.of().formatHex(hash, 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    /** Half of a surrogate pair, which UTF-8 cannot encode, becomes a question mark. */
    private static String wellFormed(String text) {
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
    }
}
