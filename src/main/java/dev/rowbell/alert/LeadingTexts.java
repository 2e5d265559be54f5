package dev.rowbell.alert;

/**
 * Walks over the first keys of a document while their values are texts without escapes: all that most sinks ask for. By hand, since a parser takes
 * several times as long. {@link AlertJson#parse} reads documents of any other form. For one thread.
 */
final class LeadingTexts {

    private final String document;
    /** Of the first backslash; the length where there is none. */
    private final int escaped;
    /** Of the quote before the key. */
    private int key = 1;
    /** Of the quote behind the key. */
    private int keyEnd;
    /** Of the quote behind the value. */
    private int valueEnd;

    LeadingTexts(String document) {
        this.document = document;
        int escape = document.indexOf('\\');
        escaped = escape < 0 ? document.length() : escape;
    }

    /** Goes to the first key, or to the next one; false where there is none of this form. */
    boolean next() {
        key = valueEnd == 0 ? 1 : valueEnd + 2;
        keyEnd = document.startsWith("\"", key) ? document.indexOf('"', key + 1) : -1;
        valueEnd = keyEnd > 0 && document.startsWith("\":\"", keyEnd) ? document.indexOf('"', keyEnd + 3) : -1;
        return valueEnd > 0 && valueEnd < escaped && document.startsWith(",", valueEnd + 1);
    }

    boolean isAt(String name) {
        return keyEnd - key - 1 == name.length() && document.startsWith(name, key + 1);
    }

    String key() {
        return document.substring(key + 1, keyEnd);
    }

    String value() {
        return document.substring(keyEnd + 3, valueEnd);
    }
}
