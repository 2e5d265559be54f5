package dev.rowbell.outbox;

import dev.rowbell.error.Backoff;
import java.time.Duration;

/**
 * When a delivery is tried again, and when it is given up.
 *
 * @param maxAttempts tries after which it is given up, from 1
 */
record RetryPolicy(int maxAttempts, Backoff backoff) {

    /** Whether the try that has just failed was the last. */
    boolean isLast(Delivery delivery) {
        return delivery.attempts() + 1 >= maxAttempts;
    }

    /** @param atLeast what the receiver asked for */
    Duration waitAfter(int failures, Duration atLeast) {
        Duration wait = backoff.after(failures);
        Duration least = limited(atLeast);
        return wait.compareTo(least) > 0 ? wait : least;
    }

    /** Never longer than the longest backoff. */
    Duration limited(Duration atLeast) {
        return atLeast.compareTo(backoff.most()) < 0 ? atLeast : backoff.most();
    }
}
