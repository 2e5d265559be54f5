package dev.rowbell.testing;

import java.util.ArrayList;
import java.util.List;

/** What a stranger can send as an alert: each key of the document with values of every type, size and depth. */
public final class OddDocuments {

    private OddDocuments() {}

    /** Each fits into a notification. */
    public static List<String> all() {
        List<String> keys = List.of(
                "id",
                "rule",
                "reason",
                "severity",
                "status",
                "source",
                "table",
                "partition",
                "operation",
                "time",
                "old",
                "new",
                "changed",
                "channel",
                "key",
                "fingerprint",
                "truncated",
                "since",
                "within",
                "count",
                "sum",
                "payload");
        List<String> values = List.of(
                "null",
                "true",
                "-0",
                "1e999999999",
                "-1E-999999999",
                "1" + "0".repeat(3000),
                "0.1e400",
                "\"\"",
                "\"\\u0000\"",
                "\"\\ud800\"",
                "\"a\\r\\nb: c\\u2028d\"",
                "\"" + "x".repeat(7000) + "\"",
                "[]",
                "[null]",
                "[[{}]]",
                "{}",
                "{\"id\": null}",
                "{\"a\": 1, \"a\": 2}",
                "{\"\": {\"\": \"\\u0000\"}}",
                "[".repeat(990) + "]".repeat(990),
                "[".repeat(3500) + "]".repeat(3500),
                "{\"a\":".repeat(999) + "1" + "}".repeat(999),
                "NaN",
                "[1,");
        List<String> payloads = new ArrayList<>();
        for (String key : keys) {
            for (String value : values) {
                String rule = key.equals("rule") ? "" : "\"rule\": \"r\", ";
                payloads.add("{%s\"%s\": %s}".formatted(rule, key, value));
            }
        }
        payloads.addAll(values);
        payloads.add("[".repeat(7999));
        payloads.add("Resone:" + "x".repeat(3000) + "::" + "[".repeat(2000) + "]".repeat(2000));
        payloads.add("{\"rule\": \"r\", \"rule\": 5, \"new\": {\"id\": 1}, \"new\": []}");
        return payloads;
    }

    /** Whether a column of type json takes it. */
    public static boolean isJson(String document) {
        return document.startsWith("{") && !document.contains("NaN") && !document.contains("[1,");
    }
}
