package dev.rowbell.health;

import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/** Looks at what waits in the database, for the health checks and the metrics. Safe for many threads. */
public final class QueueMonitor {

    private static final Logger LOG = LoggerFactory.getLogger(QueueMonitor.class);

    /** Within which a snapshot is there, or what is known is. */
    private static final Duration ANSWER = Duration.ofMillis(500);
    /** A look that takes longer says that the database is away. */
    private static final Duration PATIENCE = Duration.ofSeconds(3);
    /** The checks of one call share a snapshot. */
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** PostgreSQL itself warns at one half, and fails each transaction that notifies when it is full. */
    private static final double FULL = 0.1;

    private final QueueRepository repository;
    private final Supplier<Map<String, String>> brokenRules;
    private final Supplier<Duration> maxAge;
    private final FailureLog failures;
    private Snapshot last;
    private long lastAt;
    /** Under way, since {@code startedAt} by nanoTime; null between two. */
    private CompletableFuture<Snapshot> looking;

    private long startedAt;
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
            FailureLog failures,
            Supplier<Duration> maxAge) {
        repository = new QueueRepository(dataSource, feedback);
        this.brokenRules = brokenRules;
        this.failures = failures;
        this.maxAge = maxAge;
    }

    /**
     * At most a second old, or else what is known: a probe gives up after a second, and a database that is away is asked for longer than that.
     */
    public Snapshot snapshot() {
        CompletableFuture<Snapshot> asked;
        synchronized (this) {
            if (last != null && System.nanoTime() - lastAt < FRESH.toNanos()) {
                return last;
            }
            asked = looking;
            if (asked == null) {
                startedAt = System.nanoTime();
                asked = CompletableFuture.supplyAsync(this::look, task -> new Thread(task, "rowbell monitor").start());
                looking = asked;
                // at once, where the look has ended already: then nothing is under way any more
                asked.whenComplete((seen, error) -> keep(seen));
            }
        }
        try {
            return asked.get(ANSWER.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException | ExecutionException e) {
            return known();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return known();
        }
    }

    private synchronized void keep(Snapshot seen) {
        looking = null;
        if (seen != null) {
            last = seen;
            lastAt = System.nanoTime();
        }
    }

    private synchronized Snapshot known() {
        Duration since = Duration.ofNanos(System.nanoTime() - startedAt);
        boolean silent = looking != null && since.compareTo(PATIENCE) > 0;
        if (last == null || last.isUp() && silent) {
            return new Snapshot(
                    "the database has not answered for %d s".formatted(since.toSeconds()), List.of(), List.of(), 0);
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
            failures.databaseAnswers();
            return new Snapshot("", queues, broken, notificationQueue);
        } catch (DataAccessException e) {
            failures.isDatabaseAway(e);
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
                            + " when it is full, no transaction that notifies can commit. End that session: it is in pg_stat_activity",
                    Math.round(usage * 100));
        }
        warned = usage > FULL;
    }

    /**
     * The queues in which an alert has waited for longer than it may, for a person. A dead letter waits for a person, and may.
     *
     * @param paused the sinks whose alerts may wait too
     */
    public List<String> late(Set<String> paused) {
        Duration most = maxAge.get();
        return snapshot().queues().stream()
                .filter(queue -> !queue.name().equals("dead_letter")
                        && !(queue.isOfSink() && paused.contains(queue.sink()))
                        && queue.oldest().compareTo(most) > 0)
                .map(queue -> "%s: the oldest of %d has been waiting for %d s"
                        .formatted(queue.name(), queue.rows(), queue.oldest().toSeconds()))
                .toList();
    }
}
