package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import java.util.List;
import java.util.UUID;

/**
 * A row of {@code rowbell.delivery} that this process has leased: a batch of alerts on their way to one sink.
 *
 * @param documents the alerts as JSON, at least one
 * @param attempts tries that failed so far
 */
record Delivery(UUID id, List<String> documents, int attempts, Lease lease) {

    Delivery with(Lease renewed) {
        return new Delivery(id, documents, attempts, renewed);
    }

    /** How many alerts. */
    int size() {
        return documents.size();
    }

    boolean isReadable() {
        return documents.stream().allMatch(AlertJson::isDocument);
    }

    static int alerts(List<Delivery> deliveries) {
        return deliveries.stream().mapToInt(Delivery::size).sum();
    }

    static long characters(List<String> documents) {
        return documents.stream().mapToLong(String::length).sum();
    }

    /** The id of the alert; empty where the document cannot be read. */
    static String alertId(String document) {
        try {
            return String.valueOf(AlertJson.parse(document).get("id"));
        } catch (IllegalArgumentException e) {
            return "";
        }
    }
}
