package dev.rowbell.outbox;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.springframework.dao.DataAccessException;

/**
 * Outcomes that the database is still to be told. The threads of a sink share them, so that one statement acknowledges for all. Safe for many
 * threads.
 */
final class Acknowledgements {

    /** A crash repeats what was delivered within this time at most. */
    private static final Duration INTERVAL = Duration.ofMillis(50);

    private final DeliveryRepository repository;
    private List<Outcome> outcomes = new ArrayList<>();
    private long flushedAt = System.nanoTime();

    Acknowledgements(DeliveryRepository repository) {
        this.repository = repository;
    }

    synchronized void add(Collection<Outcome> more) {
        outcomes.addAll(more);
    }

    /**
     * Tells the database, if it is time.
     *
     * @param now do not wait for the end of the interval
     * @throws DataAccessException where the database fails; the outcomes are kept
     */
    void flush(boolean now) {
        List<Outcome> due = takeDue(now);
        if (due.isEmpty()) {
            return;
        }
        try {
            repository.acknowledge(due);
        } catch (DataAccessException e) {
            add(due);
            throw e;
        }
    }

    private synchronized List<Outcome> takeDue(boolean now) {
        long time = System.nanoTime();
        if (outcomes.isEmpty() || !now && time - flushedAt < INTERVAL.toNanos()) {
            return List.of();
        }
        List<Outcome> due = outcomes;
        outcomes = new ArrayList<>();
        flushedAt = time;
        return due;
    }

    synchronized int size() {
        return outcomes.size();
    }
}
