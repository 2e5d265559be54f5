package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.history.Tried;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * An alert that is given up.
 *
 * @param delivery the row that had it; null where it was not filed
 * @param sink null where it could not be routed
 */
record NewDeadLetter(UUID delivery, String sink, String alertId, String alert, String error) {

    /** For the history, of an alert that was not filed. */
    Tried tried() {
        return new Tried(List.of(alertId), "dead", null, null, error, System.nanoTime());
    }

    static NewDeadLetter of(Delivery delivery, String document, String error) {
        String id = Delivery.alertId(document);
        return new NewDeadLetter(
                delivery.id(), null, id, id.isEmpty() ? AlertJson.write(Map.of("payload", document)) : document, error);
    }
}
