package dev.rowbell.feedback;

import java.util.HashMap;
import java.util.Map;

import dev.rowbell.Rowbell;
import org.apache.camel.Exchange;

/** The alerts of one transaction that came through. Safe for many threads: a route may go on in another. */
final class Routed {

    private int count;
    private final Map<String, Long> hits = new HashMap<>();

    synchronized void clear() {
        count = 0;
        hits.clear();
    }

    synchronized void add(Exchange exchange) {
        count++;
        // that a condition ended is no hit
        if (exchange.getVariable(Rowbell.ALERT_VARIABLE) instanceof Map<?, ?> alert && alert.get("rule") instanceof String rule
                && !"resolved".equals(alert.get("status"))) {
            hits.merge(rule, 1L, Long::sum);
        }
    }

    synchronized int count() {
        return count;
    }

    /** By rule. */
    synchronized Map<String, Long> hits() {
        return Map.copyOf(hits);
    }
}
