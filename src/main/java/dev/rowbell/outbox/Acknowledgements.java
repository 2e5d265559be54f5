package dev.rowbell.outbox;

import dev.rowbell.error.Errors;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/**
 * Outcomes that the database is still to be told. The threads of a sink share them, so that one statement acknowledges for all. Safe for many
 * threads.
 */
final class Acknowledgements {

    /** A crash repeats what was delivered within this time at most. */
    static final Duration INTERVAL = Duration.ofMillis(50);

    private static final Logger LOG = LoggerFactory.getLogger(Acknowledgements.class);

    private final String sink;
    private final DeliveryRepository repository;
    private List<Outcome> outcomes = new ArrayList<>();
    private long flushedAt = System.nanoTime();

    Acknowledgements(String sink, DeliveryRepository repository) {
        this.sink = sink;
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
        if (!due.isEmpty()) {
            acknowledge(due);
        }
    }

    /** What PostgreSQL refuses to store keeps no other outcome from being stored. */
    private void acknowledge(List<Outcome> due) {
        try {
            repository.acknowledge(sink, due);
        } catch (RuntimeException | Error e) {
            if (!(e instanceof DataAccessException failure) || !OutboxComponent.isRefusal(failure)) {
                add(due);
                throw e;
            } else if (due.size() > 1) {
                Deque<Outcome> rest = new ArrayDeque<>(due);
                try {
                    while (!rest.isEmpty()) {
                        acknowledge(List.of(rest.poll()));
                    }
                } finally {
                    add(rest);
                }
            } else {
                LOG.error(
                        "PostgreSQL refuses to store what became of delivery {}, which comes again after its lease: {}."
                                + " Remove the row from rowbell.delivery if that goes on",
                        due.get(0).delivery().id(),
                        Errors.inWords(e));
            }
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
