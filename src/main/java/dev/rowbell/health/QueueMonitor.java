package dev.rowbell.health;

import dev.rowbell.error.Errors;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/** Looks at what waits in the database, for the health checks and the metrics. Safe for many threads. */
public final class QueueMonitor {

    private static final Logger LOG = LoggerFactory.getLogger(QueueMonitor.class);

    /** The checks of one call share a snapshot. */
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** PostgreSQL itself warns at one half, and fails each transaction that notifies when it is full. */
    private static final double FULL = 0.1;

    private final QueueRepository repository;
    private final Supplier<Map<String, String>> brokenRules;
    private final Supplier<Duration> maxAge;
    private Snapshot last;
    private long lastAt;
    private boolean warned;

    /**
     * @param feedback the feedback table, as SQL names it
     * @param brokenRules the rules that are left out, and why; may throw a DataAccessException
     * @param maxAge how long a row may wait
     */
    public QueueMonitor(
            DataSource dataSource,
            String feedback,
            Supplier<Map<String, String>> brokenRules,
            Supplier<Duration> maxAge) {
        repository = new QueueRepository(dataSource, feedback);
        this.brokenRules = brokenRules;
        this.maxAge = maxAge;
    }

    /** At most a second old. */
    public synchronized Snapshot snapshot() {
        if (last == null || System.nanoTime() - lastAt > FRESH.toNanos()) {
            last = look();
            lastAt = System.nanoTime();
        }
        return last;
    }

    private Snapshot look() {
        try {
            List<Queue> queues = repository.queues();
            double notificationQueue = repository.notificationQueue();
            warn(notificationQueue);
            List<String> broken = brokenRules.get().entrySet().stream()
                    .map(rule -> "rule \"%s\" is broken and is left out: %s".formatted(rule.getKey(), rule.getValue()))
                    .toList();
            return new Snapshot("", queues, broken, notificationQueue);
        } catch (DataAccessException e) {
            boolean readOnly =
                    e.getMostSpecificCause() instanceof SQLException why && "25006".equals(why.getSQLState());
            return new Snapshot(
                    readOnly
                            ? "the server is read only, as a standby or a primary that was demoted: alerts wait for a primary"
                            : "the database cannot be asked: " + Errors.inWords(e),
                    List.of(),
                    List.of(),
                    0);
        }
    }

    private void warn(double usage) {
        if (usage > FULL && !warned) {
            LOG.warn(
                    "the queue of notifications is {} % full: a session of this server listens and stays in a transaction;"
                            + " when it is full, no transaction that notifies can commit",
                    Math.round(usage * 100));
        }
        warned = usage > FULL;
    }

    /** The queues in which an alert has waited for longer than it may, for a person. A dead letter waits for a person, and may. */
    public List<String> late() {
        Duration most = maxAge.get();
        return snapshot().queues().stream()
                .filter(queue ->
                        !queue.name().equals("dead_letter") && queue.oldest().compareTo(most) > 0)
                .map(queue -> "%s: the oldest of %d has been waiting for %d s"
                        .formatted(queue.name(), queue.rows(), queue.oldest().toSeconds()))
                .toList();
    }
}
