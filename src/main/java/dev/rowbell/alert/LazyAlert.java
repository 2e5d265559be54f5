package dev.rowbell.alert;

import java.util.AbstractMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * An alert whose document is parsed when a value is asked for that is not known yet: a route that only passes the alert on, or asks for the
 * values known, does not pay for parsing. Otherwise a Map like any other. Safe for many threads that only read.
 */
final class LazyAlert extends AbstractMap<String, Object> {

    /** Null once the caller may have changed the alert. */
    private volatile String text;

    /** Null until a value is asked for. */
    private volatile Map<String, Object> known;
    /** Null until the text is parsed. */
    private volatile Map<String, Object> parsed;

    /**
     * @param text the whole document on one line
     * @param known some of its values, none of which can be changed; null where nothing is known yet
     */
    LazyAlert(String text, Map<String, Object> known) {
        this.text = text;
        this.known = known;
    }

    /** The document as it came; null where it may have been changed since. */
    String unchangedText() {
        return text;
    }

    /** The values that can be had without parsing; none once it is parsed. */
    private Map<String, Object> known() {
        String document = text;
        if (parsed != null || document == null) {
            return Map.of();
        }
        if (known == null) {
            known = AlertJson.leadingTexts(document);
        }
        return known;
    }

    private Map<String, Object> parsed() {
        Map<String, Object> before = parsed;
        return before == null ? parse() : before;
    }

    private synchronized Map<String, Object> parse() {
        if (parsed == null) {
            parsed = AlertJson.parse(text);
        }
        return parsed;
    }

    /** Parsed, to be changed by the caller. */
    private synchronized Map<String, Object> changeable() {
        Map<String, Object> document = parsed();
        text = null;
        return document;
    }

    @Override
    public boolean containsKey(Object key) {
        return known().containsKey(key) || parsed().containsKey(key);
    }

    @Override
    public Object get(Object key) {
        Object value = known().get(key);
        if (value == null) {
            value = parsed().get(key);
            if (value instanceof Map || value instanceof List) {
                text = null;
            }
        }
        return value;
    }

    @Override
    public Object put(String key, Object value) {
        return changeable().put(key, value);
    }

    @Override
    public Object remove(Object key) {
        return changeable().remove(key);
    }

    @Override
    public Set<Map.Entry<String, Object>> entrySet() {
        return changeable().entrySet();
    }

    @Override
    public int size() {
        return parsed().size();
    }

    /**
     * Of the id alone, unlike any other Map: Camel asks for the hash code at each <code>${body[...]}</code>, for a cache in which no alert ever is,
     * and the hash code of a Map would parse the document and count as a change.
     */
    @Override
    public int hashCode() {
        return Objects.hashCode(get("id"));
    }

    /** As of any Map. */
    @Override
    public boolean equals(Object other) {
        return super.equals(other);
    }
}
