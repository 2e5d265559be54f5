package dev.rowbell.database;

import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Makes text from elsewhere such that PostgreSQL can store it, whatever the encoding of the database. Its methods throw a {@link
 * DataAccessException} where the database fails; only the first text that is not ASCII asks it. Safe for many threads.
 */
public final class StorableText {

    /** Of the server: they store each character of Unicode. */
    private static final Set<String> UNICODE = Set.of("UTF8", "SQL_ASCII");

    /** PostgreSQL indexes no value of more than 2704 bytes. */
    private static final int KEY_AT_MOST = 500;
    /** In characters. */
    private static final int LONGEST = 200;

    private final JdbcClient jdbc;
    /** Null until the database was asked. */
    private volatile Boolean unicode;

    public StorableText(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
    }

    /**
     * The text, in which each character that the database cannot store is written as JSON escapes it: the replacement character as
     * {@code \\ufffd}. So a JSON document stays the same document.
     */
    public String of(String text) {
        int at = 0;
        while (at < text.length() && isStorable(text, at)) {
            at++;
        }
        if (at == text.length()) {
            return text;
        }
        StringBuilder storable = new StringBuilder(text.length() + 64).append(text, 0, at);
        for (; at < text.length(); at++) {
            if (isStorable(text, at)) {
                storable.append(text.charAt(at));
            } else {
                storable.append("\\u%04x".formatted((int) text.charAt(at)));
            }
        }
        return storable.toString();
    }

    /** The same, cut to 200 characters, as long as the name of a rule may be: what alerts from elsewhere say may have any length. */
    public String cut(String text) {
        boolean fits = text.length() <= LONGEST || text.codePointCount(0, text.length()) <= LONGEST;
        return of(fits ? text : text.substring(0, text.offsetByCodePoints(0, LONGEST)));
    }

    /** The value of each, {@link #cut}; null where it is no text. */
    public <T> String[] texts(Collection<T> of, Function<T, Object> value) {
        String[] texts = new String[of.size()];
        int at = 0;
        for (T one : of) {
            texts[at++] = value.apply(one) instanceof String text ? cut(text) : null;
        }
        return texts;
    }

    /** The same for a value of an index: a long one is cut, and different ones stay different. */
    public String key(String text) {
        String key = of(text);
        return key.length() <= KEY_AT_MOST
                ? key
                : key.substring(0, KEY_AT_MOST - 50) + " "
                        + UUID.nameUUIDFromBytes(key.getBytes(StandardCharsets.UTF_8));
    }

    private boolean isStorable(String text, int at) {
        char c = text.charAt(at);
        if (c < 0x80) {
            return c != 0;
        } else if (!isUnicode()) {
            return false;
        }
        return Character.isHighSurrogate(c)
                ? at + 1 < text.length() && Character.isLowSurrogate(text.charAt(at + 1))
                : !Character.isLowSurrogate(c) || at > 0 && Character.isHighSurrogate(text.charAt(at - 1));
    }

    private boolean isUnicode() {
        Boolean known = unicode;
        if (known == null) {
            known = UNICODE.contains(
                    jdbc.sql("show server_encoding").query(String.class).single());
            unicode = known;
        }
        return known;
    }
}
