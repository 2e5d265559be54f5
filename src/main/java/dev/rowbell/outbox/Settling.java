package dev.rowbell.outbox;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * What became of deliveries and is still to be said to the database. The threads of a sink share one, so that one statement settles for all of
 * them and the others go on. Safe for many threads.
 */
final class Settling {

    private final Duration longest;
    private List<Outcome> outcomes = new ArrayList<>();
    private long settledAt = System.nanoTime();

    /** @param longest after which {@link #due} has something */
    Settling(Duration longest) {
        this.longest = longest;
    }

    synchronized void add(List<Outcome> became) {
        outcomes.addAll(became);
    }

    /**
     * What the caller is to settle now, whoever delivered it; none where that can wait.
     *
     * @param all without waiting
     */
    synchronized List<Outcome> due(boolean all) {
        long now = System.nanoTime();
        if (outcomes.isEmpty() || !all && now - settledAt < longest.toNanos()) {
            return List.of();
        }
        List<Outcome> due = outcomes;
        outcomes = new ArrayList<>();
        settledAt = now;
        return due;
    }
}
