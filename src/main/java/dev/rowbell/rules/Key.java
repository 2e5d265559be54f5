package dev.rowbell.rules;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The keys of a rule, named as the columns of rowbell.rule. */
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
    COOLDOWN(Type.DURATION);

    enum Type {
        TEXT,
        BOOLEAN,
        /** As settings have it: 500ms, 1s, 15m, 1h, 7d. */
        DURATION,
        /** Or one text, which is a list of one. */
        LIST
    }

    static final List<Key> REQUIRED = List.of(NAME, FEED, CONDITION);
    static final List<String> NAMES = Arrays.stream(values()).map(Key::text).toList();

    private final Type type;

    Key(Type type) {
        this.type = type;
    }

    /** @param text null for what is no text */
    static Optional<Key> of(String text) {
        return Arrays.stream(values()).filter(key -> key.text().equals(text)).findFirst();
    }

    Type type() {
        return type;
    }

    /** As it is written in the file. */
    String text() {
        return name().toLowerCase(Locale.ROOT);
    }
}
