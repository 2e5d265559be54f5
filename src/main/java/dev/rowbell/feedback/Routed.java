package dev.rowbell.feedback;

import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.silence.Silences;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.camel.Exchange;

/** The alerts of one transaction that came through. Safe for many threads: a route may go on in another. */
final class Routed {

    private int count;
    private List<Map<String, Object>> alerts = new ArrayList<>();
    private List<Map<String, Object>> silenced = new ArrayList<>();
    private List<Long> silences = new ArrayList<>();

    /**
     * What came through, as it was taken.
     *
     * @param count also of those that a route of the user's made without the alert
     */
    record Batch(int count, List<Map<String, Object>> alerts, List<Map<String, Object>> silenced, List<Long> silences) {

        static final Batch NONE = new Batch(0, List.of(), List.of(), List.of());
    }

    synchronized void clear() {
        count = 0;
        alerts = new ArrayList<>();
        silenced = new ArrayList<>();
        silences = new ArrayList<>();
    }

    @SuppressWarnings("unchecked")
    synchronized void add(Exchange exchange) {
        count++;
        if (OriginalAlert.of(exchange) instanceof Map<?, ?> alert) {
            alerts.add((Map<String, Object>) alert);
            Long silence = exchange.getProperty(Silences.PROPERTY, Long.class);
            if (silence != null) {
                silenced.add((Map<String, Object>) alert);
                silences.add(silence);
            }
        }
    }

    synchronized Batch batch() {
        return new Batch(count, alerts, silenced, silences);
    }
}
