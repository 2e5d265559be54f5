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
    /**
     * Of the document what nobody can change; null until somebody asks. An array, because many alerts wait for their turn and a Map of each takes more of
     * the caches.
     */
    private volatile Object[] known;
    /** Null where nothing was known from the beginning. */
    private final Object id;

    private volatile Map<String, Object> read;

    UnreadAlert(String text) {
        this(text, null);
    }

    /** @param known some of its values, none of which can be changed, in their {@link TriggerDocument#place}; null: to be looked for */
    UnreadAlert(String text, Object[] known) {
        this.text = text;
        this.known = known;
        id = known == null ? null : known[TriggerDocument.place("id")];
    }

    /** The document as it came; null where it may have been changed since. */
    synchronized String text() {
        return text;
    }

    /** Whether it has the id with which it came, which is known to be one. */
    boolean hasItsId() {
        return id != null && read == null;
    }

    private Map<String, Object> read() {
        Map<String, Object> before = read;
        return before == null ? readFirst() : before;
    }

    private synchronized Map<String, Object> readFirst() {
        if (read == null) {
            read = AlertReader.parse(text);
            text = null;
        }
        return read;
    }

    /** The value of a key that is known and has not been changed; else null. */
    private Object unchanged(Object key) {
        int place = read == null ? TriggerDocument.place(key) : -1;
        return place < 0 ? null : known()[place];
    }

    private Object[] known() {
        Object[] before = known;
        return before == null ? knowFirst() : before;
    }

    private synchronized Object[] knowFirst() {
        if (known == null) {
            known = text == null ? TriggerDocument.nothing() : TriggerDocument.beginning(text);
        }
        return known;
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
     * Of the id alone where that came with the document, which no other Map has: Camel asks for it at each <code>${body[...]}</code>, for a cache of its
     * beans in which no alert ever is, and the hash code of a Map would read all of it.
     */
    @Override
    public int hashCode() {
        return id == null ? super.hashCode() : id.hashCode();
    }

    /** As of any Map. */
    @Override
    public boolean equals(Object other) {
        return super.equals(other);
    }
}
