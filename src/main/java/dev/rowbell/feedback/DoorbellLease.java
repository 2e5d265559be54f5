package dev.rowbell.feedback;

import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * The row of {@code rowbell.doorbell_lease} that tells writers of a feedback table whether to ring: they ring while a listener's lease lasts, and
 * not while it is suppressed because polls in a storm follow each other anyway. Both leases end by themselves when this process dies. A lease that
 * cannot be written delays alerts, or slows writers down; it loses nothing. Safe for many threads.
 */
final class DoorbellLease {

    private static final Logger LOG = LoggerFactory.getLogger(DoorbellLease.class);

    /** From so many alerts a second, polling all the time costs less than to be rung for. */
    private static final int STORM = 200;
    /** Alerts are counted for this long; and this many are a storm before that. */
    private static final Duration COUNTED = Duration.ofMillis(250);

    private static final int MANY = 50;

    private static final Duration SUPPRESSED = Duration.ofSeconds(1);
    private static final Duration SUPPRESSED_AGAIN = Duration.ofMillis(500);
    /** A writer that found the doorbell suppressed at the last moment has yet to commit. */
    private static final Duration LAST_COMMITS = Duration.ofMillis(500);

    /** Lasts this long after the next poll should have renewed it. */
    private static final Duration LISTENING = Duration.ofSeconds(30);

    private static final Duration LISTENING_AGAIN = Duration.ofSeconds(5);
    /** While alerts come all the time, so that no poll is idle. */
    private static final Duration LISTENING_AGAIN_AT_LAST = Duration.ofSeconds(15);

    private static final String LEASE = "doorbell lease";

    private final FailureLog failures;
    private boolean listening;
    private long listeningAt;
    private boolean suppressed;
    private long suppressedAt;
    private long countedAt = System.nanoTime();
    private int counted;
    private boolean storm;

    DoorbellLease(FailureLog failures) {
        this.failures = failures;
    }

    /**
     * Has writers ring from now on, where that was not written a short while ago. To be called before a poll: a writer that does not see the lease
     * yet is found by that poll.
     *
     * @param table the feedback table
     * @param poll the longest time until the next poll
     * @param idle whether no alert waits meanwhile
     */
    synchronized void listen(JdbcClient jdbc, String table, Duration poll, boolean idle) {
        Duration again = idle ? LISTENING_AGAIN : LISTENING_AGAIN_AT_LAST;
        if (!listening || System.nanoTime() - listeningAt > again.toNanos()) {
            // also where it fails: it is tried again when it would be renewed
            listening = true;
            listeningAt = System.nanoTime();
            write(jdbc, table, "listening_until", LISTENING.plus(poll));
        }
    }

    /** Counts the alerts of a batch that was committed, and has writers not ring where that makes a storm. */
    synchronized void count(JdbcClient jdbc, String table, int alerts) {
        long now = System.nanoTime();
        counted += alerts;
        long elapsed = now - countedAt;
        if (elapsed > COUNTED.toNanos()) {
            storm = counted * 1e9 / elapsed > STORM || alerts >= MANY;
            counted = 0;
            countedAt = now;
        } else if (counted >= MANY) {
            storm = true;
        }
        if (storm && (!suppressed || now - suppressedAt > SUPPRESSED_AGAIN.toNanos())) {
            write(jdbc, table, "suppressed_until", SUPPRESSED);
            suppressed = true;
            suppressedAt = System.nanoTime();
        }
    }

    /** Whether a writer may not have rung because the doorbell was suppressed. */
    synchronized boolean isSuppressed() {
        if (suppressed
                && System.nanoTime() - suppressedAt
                        > SUPPRESSED.plus(LAST_COMMITS).toNanos()) {
            suppressed = false;
        }
        return suppressed;
    }

    /** The database was away and may have lost the lease. */
    synchronized void reset() {
        listening = false;
    }

    private void write(JdbcClient jdbc, String table, String column, Duration length) {
        try {
            jdbc.sql("""
                    insert into rowbell.doorbell_lease (relation, %1$s)
                    values (to_regclass(:table), clock_timestamp() + :length * interval '1 ms')
                    on conflict (relation) do update set %1$s = excluded.%1$s
                    """.formatted(column))
                    .param("table", table)
                    .param("length", length.toMillis())
                    .update();
            failures.succeeded(LEASE).ifPresent(after -> LOG.info("the doorbell can be asked for again {}", after));
        } catch (DataAccessException e) {
            // of a database that is away, the poll that follows tells
            if (!Errors.isDatabaseAway(e)) {
                failures.failed(LEASE)
                        .ifPresent(since -> LOG.warn(
                                "the doorbell cannot be asked for (rowbell.doorbell_lease) {}, so alerts wait for the next poll: {}",
                                since,
                                Errors.inWords(e)));
            }
        }
    }
}
