package dev.rowbell.outbox;

import java.time.Duration;

/**
 * The result of one try to deliver.
 *
 * @param error null where it succeeded
 * @param retryIn how long to wait before the next try; null where there will be none
 * @param counted whether it is one of the tries after which the delivery is given up
 */
record Outcome(Delivery delivery, String error, Duration retryIn, boolean counted) {

    static Outcome delivered(Delivery delivery) {
        return new Outcome(delivery, null, null, true);
    }

    static Outcome dead(Delivery delivery, String error) {
        return new Outcome(delivery, error, null, true);
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
}
