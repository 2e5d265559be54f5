package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.history.Tried;
import java.time.Duration;

/**
 * The result of one try to deliver.
 *
 * @param error null where it succeeded
 * @param retryIn how long to wait before the next try; null where there will be none
 * @param counted whether it is one of the tries after which the delivery is given up
 * @param answer of the receiver; null where it gave none
 * @param at when, by System.nanoTime
 */
record Outcome(Delivery delivery, String error, Duration retryIn, boolean counted, Tried.Answer answer, long at) {

    static Outcome delivered(Delivery delivery, Tried.Answer answer) {
        return new Outcome(delivery, null, null, true, answer, System.nanoTime());
    }

    static Outcome retried(Delivery delivery, Failure failure, Duration retryIn, boolean counted) {
        return new Outcome(delivery, failure.error(), retryIn, counted, failure.answer(), System.nanoTime());
    }

    static Outcome dead(Delivery delivery, String error, Tried.Answer answer) {
        return new Outcome(delivery, error, null, true, answer, System.nanoTime());
    }

    boolean isDelivered() {
        return error == null;
    }

    boolean isDead() {
        return error != null && retryIn == null;
    }

    boolean isRetried() {
        return retryIn != null;
    }

    /** For the history. */
    Tried tried() {
        return new Tried(
                delivery.documents().stream().map(AlertJson::id).toList(),
                isDelivered() ? "delivered" : isDead() ? "dead" : "failed",
                counted ? delivery.attempts() + 1 : null,
                answer,
                error,
                at);
    }
}
