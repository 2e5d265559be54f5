package dev.rowbell.outbox;

import dev.rowbell.error.Backoff;
import java.time.Duration;
import java.util.Optional;

/**
 * Whether a sink is worth a try. After some failures in a row it is open: one delivery is tried once a backoff, and the rest of the queue is
 * left alone, until one succeeds. Where none is left to try, and after a pause, it is half open: the next one is tried at once, and opens it again if
 * it fails. While it is one delivery alone that has failed, that may be the fault of the delivery: any other is tried at once. Safe for many threads.
 */
final class Circuit {

    private final int opensAfter;
    private final Backoff backoff;
    private int failuresInARow;
    private String lastError = "";
    /** The only one that has failed since the last success; null where there were several. */
    private Object lone;

    private long nextProbe;
    private boolean probing;

    /** @param opensAfter failures in a row, from 1 */
    Circuit(int opensAfter, Backoff backoff) {
        this.opensAfter = opensAfter;
        this.backoff = backoff;
    }

    /** How long a thread has to keep away from the sink; zero: it may go on, and where the circuit is open it is the one that probes. */
    synchronized Duration away(long nanoTime) {
        if (!isOpen()) {
            return Duration.ZERO;
        } else if (probing) {
            return backoff.first();
        } else if (lone == null && nanoTime - nextProbe < 0) {
            return Duration.ofNanos(nextProbe - nanoTime);
        }
        probing = true;
        return Duration.ZERO;
    }

    /** How long the delivery that has failed has to wait at least; zero where the circuit is closed. */
    synchronized Duration untilProbe(long nanoTime) {
        return isOpen() ? Duration.ofNanos(Math.max(0, nextProbe - nanoTime)) : Duration.ZERO;
    }

    /** Whether the sink is there is not known, since no delivery waits or it was paused: the next one is tried at once. */
    synchronized void halfOpen() {
        failuresInARow = Math.min(failuresInARow, opensAfter - 1);
    }

    /** The thread that was to probe has done so, or found nothing to probe with. */
    synchronized void probed() {
        probing = false;
    }

    synchronized boolean isOpen() {
        return failuresInARow >= opensAfter;
    }

    /**
     * An open circuit.
     *
     * @param error the last one
     * @param failures in a row
     * @param untilTry zero while it is tried
     */
    record Open(String error, int failures, Duration untilTry) {}

    /** Empty where it is not open. */
    synchronized Optional<Open> open(long nanoTime) {
        return isOpen()
                ? Optional.of(new Open(lastError, failuresInARow, probing ? Duration.ZERO : untilProbe(nanoTime)))
                : Optional.empty();
    }

    /** @return whether it had failed before */
    synchronized boolean succeeded() {
        boolean failed = failuresInARow > 0;
        failuresInARow = 0;
        return failed;
    }

    /**
     * @param delivery equals itself in each try
     * @return failures in a row, with this one
     */
    synchronized int failed(long nanoTime, Duration notBefore, String error, Object delivery) {
        lone = failuresInARow == 0 || delivery.equals(lone) ? delivery : null;
        failuresInARow++;
        lastError = error;
        if (isOpen()) {
            Duration wait = backoff.after(failuresInARow - opensAfter + 1);
            nextProbe = nanoTime + (wait.compareTo(notBefore) > 0 ? wait : notBefore).toNanos();
        }
        return failuresInARow;
    }
}
