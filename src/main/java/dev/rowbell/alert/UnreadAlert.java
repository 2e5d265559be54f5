package dev.rowbell.alert;

import java.util.AbstractMap;
import java.util.Map;
import java.util.Set;

/**
 * An alert document that is parsed when somebody looks into it: a route that only passes it on pays nothing for that. Otherwise a Map like any
 * other, to be changed at will, and like most of them for one thread at a time.
 */
final class UnreadAlert extends AbstractMap<String, Object> {

    /** Null once somebody has looked: what he was given he may have changed. */
    private String text;
    private Map<String, Object> read;

    UnreadAlert(String text) {
        this.text = text;
    }

    /** The document as it came; null where it may have been changed since. */
    String text() {
        return text;
    }

    private Map<String, Object> read() {
        if (read == null) {
            read = AlertReader.parse(text);
            text = null;
        }
        return read;
    }

    @Override
    public Set<Map.Entry<String, Object>> entrySet() {
        return read().entrySet();
    }

    @Override
    public boolean containsKey(Object key) {
        return read().containsKey(key);
    }

    @Override
    public Object get(Object key) {
        return read().get(key);
    }

    @Override
    public Object put(String key, Object value) {
        return read().put(key, value);
    }

    @Override
    public Object remove(Object key) {
        return read().remove(key);
    }
}
