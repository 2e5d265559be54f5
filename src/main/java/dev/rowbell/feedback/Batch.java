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
    /** Of each alert what kept it from being sent; null: nothing. */
    private final List<Long> silences = new ArrayList<>();

    /** Adds an alert that came through its route. */
    @SuppressWarnings("unchecked")
    public synchronized void add(Exchange exchange) {
        count++;
        if (OriginalAlert.of(exchange) instanceof Map<?, ?> alert) {
            alerts.add((Map<String, Object>) alert);
            Long silence = exchange.getProperty(Silences.PROPERTY, Long.class);
            silences.add(silence);
            if (silence != null) {
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

    /** Of each of the alerts what kept it from being sent, as {@link Silences#silenceOf} has it; null: nothing. */
    public synchronized List<Long> silences() {
        return new ArrayList<>(silences);
    }

    public synchronized List<Map<String, Object>> silenced() {
        return List.copyOf(silenced);
    }
}
