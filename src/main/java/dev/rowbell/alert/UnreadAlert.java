package dev.rowbell.alert;

import java.util.AbstractMap;
import java.util.Map;
import java.util.Set;

/**
 * An alert document that is parsed when somebody looks into it: a route that only passes it on pays nothing for that, nor one that asks for no more
 * than what is known already. Otherwise a Map like any other, to be changed at will; and like most of them safe for many threads that only read.
 */
final class UnreadAlert extends AbstractMap<String, Object> {

    /** Null once somebody has looked: what he was given he may have changed. */
    private String text;
    /** Of the document what nobody can change. */
    private final Map<String, Object> known;
    private Map<String, Object> read;

    UnreadAlert(String text) {
        this(text, Map.of());
    }

    /** @param known some of its keys, with values that cannot be changed */
    UnreadAlert(String text, Map<String, Object> known) {
        this.text = text;
        this.known = known;
    }

    /** The document as it came; null where it may have been changed since. */
    synchronized String text() {
        return text;
    }

    private synchronized Map<String, Object> read() {
        if (read == null) {
            read = AlertReader.parse(text);
            text = null;
        }
        return read;
    }

    /** The value of a key that is known and has not been changed; else null. */
    private synchronized Object unchanged(Object key) {
        return read == null ? known.get(key) : null;
    }

    @Override
    public Set<Map.Entry<String, Object>> entrySet() {
        return read().entrySet();
    }

    @Override
    public boolean containsKey(Object key) {
        return unchanged(key) != null || read().containsKey(key);
    }

    @Override
    public Object get(Object key) {
        Object value = unchanged(key);
        return value != null ? value : read().get(key);
    }

    @Override
    public Object put(String key, Object value) {
        return read().put(key, value);
    }

    @Override
    public Object remove(Object key) {
        return read().remove(key);
    }

    /**
     * Of the id alone where that is known, which no other Map has: Camel asks for it at each <code>${body[...]}</code>, for a cache of its beans in which
     * no alert ever is, and the hash code of a Map would read all of it.
     */
    @Override
    public int hashCode() {
        Object id = known.get("id");
        return id == null ? super.hashCode() : id.hashCode();
    }

    /** As of any Map. */
    @Override
    public boolean equals(Object other) {
        return super.equals(other);
    }
}
