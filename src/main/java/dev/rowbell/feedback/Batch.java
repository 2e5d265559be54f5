package dev.rowbell.feedback;

import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.silence.Silences;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.camel.Exchange;

/** The alerts of one transaction that were routed, as they were taken. Safe for many threads: a route may go on in another. */
public final class Batch {

    private int count;
    private final List<Map<String, Object>> alerts = new ArrayList<>();
    private final List<Map<String, Object>> silenced = new ArrayList<>();

    /** Adds an alert that came through its route. */
    @SuppressWarnings("unchecked")
    public synchronized void add(Exchange exchange) {
        count++;
        if (OriginalAlert.of(exchange) instanceof Map<?, ?> alert) {
            alerts.add((Map<String, Object>) alert);
            if (exchange.getProperty(Silences.PROPERTY) != null) {
                silenced.add((Map<String, Object>) alert);
            }
        }
    }

    /** How many were added, also of exchanges without an alert, as a route of the user's may make them. */
    synchronized int count() {
        return count;
    }

    public synchronized List<Map<String, Object>> alerts() {
        return List.copyOf(alerts);
    }

    public synchronized List<Map<String, Object>> silenced() {
        return List.copyOf(silenced);
    }
}
