package dev.rowbell.time;

import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import dev.rowbell.health.Watchdog;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the queries of rules when they are due, a few at a time, so that a slow one delays no other. Has threads while a rule has a query, and no
 * longer. Safe for many threads.
 */
public final class QueryLoop {

    private static final Logger LOG = LoggerFactory.getLogger(QueryLoop.class);
    private static final String LOOP = "the loop that runs the queries of rules";
    private static final int AT_ONCE = 2;
    /** A rule that is new may be due before all others. */
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(1);

    private static final Duration STOP = Duration.ofSeconds(2);

    private final QueryRepository repository;
    private final QueryRunner runner;
    private final Watchdog watchdog;
    private final Duration longestWait;
    /** Null while no rule has a query. */
    private ExecutorService threads;

    private boolean stopped;

    public QueryLoop(QueryRepository repository, QueryRunner runner, Watchdog watchdog) {
        this(repository, runner, watchdog, LONGEST_WAIT);
    }

    QueryLoop(QueryRepository repository, QueryRunner runner, Watchdog watchdog, Duration longestWait) {
        this.repository = repository;
        this.runner = runner;
        this.watchdog = watchdog;
        this.longestWait = longestWait;
    }

    /** Starts the threads where a rule has a query, and ends them where none has one any more. To be called now and then. */
    public void look() {
        startOrEnd(repository.untilNext().isPresent());
    }

    private synchronized void startOrEnd(boolean needed) {
        if (needed && threads == null && !stopped) {
            ExecutorService started = Executors.newFixedThreadPool(AT_ONCE, work -> {
                Thread daemon = new Thread(work, "rowbell queries");
                daemon.setDaemon(true);
                return daemon;
            });
            threads = started;
            for (int i = 0; i < AT_ONCE; i++) {
                watchdog.start(LOOP, started, () -> run(started));
            }
        } else if (!needed && threads != null) {
            threads.shutdown();
            threads = null;
        }
    }

    private void run(ExecutorService own) {
        try {
            while (!own.isShutdown()) {
                TimeUnit.MILLISECONDS.sleep(step().toMillis());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Runs a query that is due, and returns how long to wait. Throws nothing: without this loop no query would run again. */
    private Duration step() {
        FailureLog failures = watchdog.failures();
        try {
            Duration wait = repository.untilNext().orElse(longestWait);
            if (wait.isZero()) {
                wait = repository.take(this::run) ? Duration.ZERO : longestWait;
            }
            failures.succeeded(LOOP).ifPresent(after -> LOG.info("{} works again {}", LOOP, after));
            return wait.compareTo(longestWait) < 0 ? wait : longestWait;
        } catch (Throwable e) {
            watchdog.caught(e);
            if (!runner.isClosed() && !failures.isDatabaseAway(e)) {
                failures.failed(LOOP)
                        .ifPresent(since -> LOG.warn("{} fails {}, trying again: {}", LOOP, since, Errors.inWords(e)));
            }
            LOG.debug(LOOP, e);
            return longestWait;
        }
    }

    private void run(QueryRepository.Taken taken) {
        Optional<Instant> next;
        try {
            next = taken.next();
        } catch (IllegalArgumentException e) {
            repository.broken(taken, "cron: " + e.getMessage());
            return;
        }
        if (taken.isMissed()) {
            repository.ran(taken, null, next);
            return;
        }
        List<String> result;
        try {
            result = runner.rows(taken.query(), taken.maxRows() + 1, taken.settings());
        } catch (SQLException e) {
            if (runner.isClosed()) {
                throw new IllegalStateException("stopped while the query of a rule ran", e);
            }
            repository.failed(taken, QueryRunner.inWords(e), e.getSQLState(), runner.user(), next);
            return;
        }
        repository.ran(taken, result, next);
    }

    /** Ends the queries that run. Each runs again after the next start. */
    public void stop() {
        ExecutorService ending;
        synchronized (this) {
            stopped = true;
            ending = threads;
            threads = null;
        }
        runner.close();
        if (ending != null) {
            ending.shutdownNow();
            try {
                ending.awaitTermination(STOP.toMillis(), TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
