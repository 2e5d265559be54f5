package dev.rowbell.alert;

import java.util.AbstractMap;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * An alert whose document is parsed when a value is asked for that is not known yet: a route that only passes the alert on, or asks for the
 * values known, does not pay for parsing. While no value is changed it is written as the text that it came as. Otherwise a Map like any other.
 * Safe for many threads that only read.
 */
final class LazyAlert extends AbstractMap<String, Object> {

    private final String text;

    /** Null until a value is asked for. */
    private volatile Map<String, Object> known;
    /** Null until a value is asked for that is not known. */
    private volatile Map<String, Object> parsed;
    /** Whether the caller may have changed what was parsed. */
    private volatile boolean shared;
    /** As parsed was before the caller had it; null until that is asked. */
    private Map<String, Object> original;

    /**
     * @param text the whole document on one line
     * @param known some of its values, none of which can be changed, and null for a key that it does not have; null where nothing is known yet
     */
    LazyAlert(String text, Map<String, Object> known) {
        this.text = text;
        this.known = known;
    }

    /** The document as it came, also where a value of it was changed since. */
    String text() {
        return text;
    }

    /** The alert as it came, also where a value of it was changed since. */
    LazyAlert taken() {
        return shared ? new LazyAlert(text, known) : this;
    }

    /** The document as it came; null where a value of it was changed since. */
    synchronized String unchangedText() {
        if (!shared) {
            return text;
        }
        if (original == null) {
            original = AlertJson.parse(text);
        }
        return original.equals(parsed) ? text : null;
    }

    /** The values that can be had without parsing; none where the caller may have changed one. */
    private Map<String, Object> known() {
        if (shared) {
            return Map.of();
        }
        if (known == null) {
            known = AlertJson.leadingTexts(text);
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

    /** Parsed, and the caller may change it. */
    private Map<String, Object> changeable() {
        Map<String, Object> document = parsed();
        shared = true;
        return document;
    }

    /** All of it, for a caller that changes nothing. */
    Map<String, Object> toBeRead() {
        return Collections.unmodifiableMap(parsed());
    }

    /** As {@link #get}, for a caller that does not change the value. */
    Object peek(Object key) {
        Map<String, Object> known = known();
        Object value = known.get(key);
        return value != null || known.containsKey(key) ? value : parsed().get(key);
    }

    @Override
    public boolean containsKey(Object key) {
        Map<String, Object> known = known();
        return known.containsKey(key) ? known.get(key) != null : parsed().containsKey(key);
    }

    @Override
    public Object get(Object key) {
        Map<String, Object> known = known();
        Object value = known.get(key);
        if (value != null || known.containsKey(key)) {
            return value;
        }
        value = parsed().get(key);
        if (value instanceof Map || value instanceof List) {
            shared = true;
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
     * and the hash code of a Map would parse the document.
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
