package dev.rowbell.outbox;

import dev.rowbell.alert.AlertReader;
import java.util.Map;

/**
 * One alert to be filed.
 *
 * @param sink where it goes; null where it could not be routed and is dead from the start
 * @param time the {@code time} of the alert; null where it has none
 * @param error why it could not be routed; null where it can be delivered
 * @param origin the alert as it was taken, the very same object for all that is filed of it
 */
record Filed(String sink, String alertId, String alert, String time, String error, Object origin) {

    /** Whether it has the id with which it was taken, and so will have it again where it is taken once more. */
    boolean isUnderItsOwnId() {
        return origin instanceof Map<?, ?> taken && alertId.equals(taken.get("id"));
    }

    /** As a dead letter for its sink, the document as plain text in its payload: whatever it was that PostgreSQL would not take. */
    Filed refused() {
        String text = alert.replace("\\u0000", "");
        return new Filed(
                sink,
                alertId,
                AlertReader.write(Map.of("payload", text)),
                time,
                "PostgreSQL refused the document",
                origin);
    }
}
