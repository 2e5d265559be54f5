package dev.rowbell.web;

import io.vertx.core.MultiMap;
import java.util.List;

/** What a browser has sent with a form. */
record Form(MultiMap values) {

    /** Empty where it was not given. */
    String text(String name) {
        String value = values.get(name);
        // a text of PostgreSQL has no such character
        return value == null ? "" : value.replace("\0", "").strip();
    }

    /** Of which blanks count. */
    String password() {
        String value = values.get("password");
        return value == null ? "" : value;
    }

    /** Null where it was not given, or is empty. */
    String textOrNull(String name) {
        String text = text(name);
        return text.isEmpty() ? null : text;
    }

    List<String> all(String name) {
        return values.getAll(name).stream()
                .map(value -> value.replace("\0", ""))
                .toList();
    }
}
