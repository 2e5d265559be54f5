package dev.rowbell.outbox;

import dev.rowbell.database.PollCursor;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.UnaryOperator;
import org.springframework.dao.DataAccessException;

/**
 * Leases due deliveries from the table for the workers of a sink: retries, deliveries of other processes, and those for which its queue had no
 * room. Safe for many threads.
 */
final class Fetcher {

    /** It leases as many alerts as keep the workers busy about this long, so that other processes get their share. */
    private static final Duration BUSY = Duration.ofMillis(500);

    private static final int ALERTS_AT_MOST = 500;

    private final OutboxEndpoint endpoint;
    private final DeliveryRepository repository;
    private final HandoffQueue queue;
    private final UnaryOperator<List<Delivery>> readable;
    private final Runnable wakeWorkers;
    private final PollCursor cursor = new PollCursor();
    private final ReentrantLock lock = new ReentrantLock();
    /** The table may have deliveries for the sink. */
    private final AtomicBoolean more = new AtomicBoolean(true);

    private volatile long fetchedAt = System.nanoTime();
    private int alerts;

    /** @param readable puts aside those that no route can read, and returns the others */
    Fetcher(
            OutboxEndpoint endpoint,
            DeliveryRepository repository,
            HandoffQueue queue,
            UnaryOperator<List<Delivery>> readable,
            Runnable wakeWorkers) {
        this.endpoint = endpoint;
        this.repository = repository;
        this.queue = queue;
        this.readable = readable;
        this.wakeWorkers = wakeWorkers;
        alerts = endpoint.getBatch();
    }

    /** The table has deliveries for the sink. */
    void lookSoon() {
        more.set(true);
    }

    /** Deliveries were released, whatever their time. */
    void rewind() {
        cursor.reset();
        more.set(true);
    }

    /**
     * Fetches into the queue where that runs dry, and now and then while deliveries are handed off, which must not keep those in the table waiting.
     *
     * @throws DataAccessException where the database fails
     */
    void fetchIfDue() {
        if (isDue() && lock.tryLock()) {
            try {
                if (isDue()) {
                    fetch();
                }
            } finally {
                lock.unlock();
            }
        }
    }

    private boolean isDue() {
        boolean low = queue.size() < endpoint.getBatch() * endpoint.getParallel();
        return more.get() && low || untilNextFetch().isZero();
    }

    /** Zero where it is time. */
    Duration untilNextFetch() {
        long interval = Duration.ofMillis(endpoint.getPoll()).toNanos() * (queue.isEmpty() ? 1 : 2);
        return Duration.ofNanos(Math.max(0, fetchedAt + interval - System.nanoTime()));
    }

    private void fetch() {
        long before = fetchedAt;
        // first, so that the other workers sleep meanwhile
        fetchedAt = System.nanoTime();
        queue.look();
        List<Delivery> fetched = lease(alerts);
        int found = Delivery.alerts(fetched);
        boolean full = found >= alerts || DeliveryRepository.isHeavy(fetched);
        queue.add(readable.apply(fetched));
        queue.caughtUp(!full);
        if (full) {
            adapt(Duration.ofNanos(fetchedAt - before));
        }
        if (found > 0) {
            more.set(true);
            wakeWorkers.run();
        }
    }

    /** @param took the workers, to deliver as much as was fetched the last time */
    private void adapt(Duration took) {
        if (took.compareTo(BUSY.dividedBy(2)) < 0) {
            alerts = Math.min(alerts * 2, Math.max(ALERTS_AT_MOST, endpoint.getBatch()));
        } else if (took.compareTo(BUSY) > 0) {
            alerts = Math.max(alerts / 2, endpoint.getBatch());
        }
    }

    /** At most one delivery, to probe the sink with. */
    List<Delivery> fetchOne() {
        List<Delivery> fetched = lease(1);
        if (fetched.size() > 1) {
            repository.release(fetched.subList(1, fetched.size()));
        }
        return readable.apply(fetched.stream().limit(1).toList());
    }

    private List<Delivery> lease(int most) {
        more.set(false);
        Lease lease = Lease.start(Duration.ofMillis(endpoint.getLease()));
        return repository.lease(endpoint.getSink(), most, endpoint.getBatch(), lease, cursor);
    }
}
