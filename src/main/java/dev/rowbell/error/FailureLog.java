package dev.rowbell.error;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decides when a failure that goes on is logged: when it begins, after 1, 11 and 71 minutes, and then each hour. One that comes back within a minute
 * goes on, so that a thing that flaps is not logged each time. A database that is away is logged here, once for all that need it. Safe for many
 * threads.
 */
public final class FailureLog {

    private static final Logger LOG = LoggerFactory.getLogger(FailureLog.class);

    private static final List<Duration> AGAIN =
            List.of(Duration.ofMinutes(1), Duration.ofMinutes(10), Duration.ofHours(1));
    private static final Duration CALM = Duration.ofMinutes(1);
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");
    private static final String DATABASE = "database";

    private final Clock clock;
    private final Map<String, Ongoing> ongoing = new HashMap<>();
    private boolean quiet;

    private static final class Ongoing {

        private final Instant since;
        private Instant last;
        private Instant next;
        private int logged;
        private long failures;
        /** Logged since it was over last. */
        private boolean open;

        private Ongoing(Instant since) {
            this.since = since;
            next = since;
        }
    }

    public FailureLog(Clock clock) {
        this.clock = clock;
    }

    /**
     * To be called at each failure.
     *
     * @param what fails, a name of few
     * @return since when, for the log: {@code since 2026-11-28 19:15:13, 37 times}; empty where nothing is to be logged now
     */
    public Optional<String> failed(String what) {
        return failed(what, Duration.ZERO);
    }

    /** As {@link #failed(String)}, of a failure that began some time ago. */
    public synchronized Optional<String> failed(String what, Duration ago) {
        Instant now = clock.instant();
        Ongoing failure = ongoing.get(what);
        if (failure == null || Duration.between(failure.last, now).compareTo(CALM) > 0 && !failure.open) {
            failure = new Ongoing(now.minus(ago));
            ongoing.put(what, failure);
        }
        failure.last = now;
        failure.failures++;
        if (quiet || now.isBefore(failure.next)) {
            return Optional.empty();
        }
        failure.next = now.plus(AGAIN.get(Math.min(failure.logged++, AGAIN.size() - 1)));
        failure.open = true;
        return Optional.of("since %s%s"
                .formatted(
                        shown(failure.since, clock.getZone()),
                        failure.failures > 1 ? ", %d times".formatted(failure.failures) : ""));
    }

    /** The time as the log shows it, to the second. */
    public static String shown(Instant time, ZoneId zone) {
        return TIME.format(time.atZone(zone));
    }

    /**
     * To be called at a success.
     *
     * @return how long it failed, for the log: {@code after 63 s}; empty where its failure was not logged
     */
    public synchronized Optional<String> succeeded(String what) {
        Ongoing failure = ongoing.get(what);
        if (failure == null || !failure.open || quiet) {
            return Optional.empty();
        }
        failure.open = false;
        return Optional.of("after %d s"
                .formatted(Duration.between(failure.since, clock.instant()).toSeconds()));
    }

    /** Whether the database is away; that is logged here, with what to do. */
    public boolean isDatabaseAway(Throwable failure) {
        if (!Errors.isDatabaseAway(failure)) {
            return false;
        }
        failed(DATABASE)
                .ifPresent(since -> LOG.warn(
                        "the database is away {}: {}. Nothing is lost, and Rowbell connects again by itself;"
                                + " see whether the server runs and can be reached (rowbell.jdbc.url)",
                        since,
                        Errors.inWords(failure)));
        return true;
    }

    /** The database has answered. */
    public void databaseAnswers() {
        succeeded(DATABASE).ifPresent(after -> LOG.info("the database is back {}", after));
    }

    /** @param quiet during a stop: what is interrupted fails, and is not tried again */
    public synchronized void setQuiet(boolean quiet) {
        this.quiet = quiet;
    }
}
