package dev.rowbell.web;

import java.util.List;
import java.util.Map;

/** What a browser or a program has sent with a form. */
record Form(Map<String, List<String>> values) {

    /** Empty where it was not given. */
    String text(String name) {
        List<String> all = all(name);
        return all.isEmpty() ? "" : all.get(0).strip();
    }

    /** Of which blanks count. */
    String password() {
        List<String> all = values.getOrDefault("password", List.of());
        return all.isEmpty() ? "" : all.get(0);
    }

    /** Of a row, where blanks count: a value may end with some. Null where it was not given, or is blank. */
    String key() {
        return all("key").stream().findFirst().filter(key -> !key.isBlank()).orElse(null);
    }

    /** Null where it was not given, or is empty. */
    String textOrNull(String name) {
        String text = text(name);
        return text.isEmpty() ? null : text;
    }

    List<String> all(String name) {
        // a text of PostgreSQL has no such character
        return values.getOrDefault(name, List.of()).stream()
                .map(value -> value.replace("\0", ""))
                .toList();
    }
}
