package dev.rowbell.outbox;

import java.time.Duration;
import java.util.UUID;

/**
 * Makes deliveries this process's own for a while. Each lease has an id of its own, so that a statement about a lease that has ended changes nothing
 * of the next one.
 *
 * @param startedAt by {@link System#nanoTime()}
 */
record Lease(UUID id, Duration length, long startedAt) {

    static Lease start(Duration length) {
        return new Lease(UUID.randomUUID(), length, System.nanoTime());
    }

    Lease renewed() {
        return new Lease(id, length, System.nanoTime());
    }

    boolean isHalfOver() {
        return System.nanoTime() - startedAt > length.toNanos() / 2;
    }
}
