package dev.rowbell.database;

import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import org.springframework.dao.DataAccessException;

/**
 * Limits how long the database works on the rules of each feed, or on a rule: the functions that they call may take any time, and the other feeds wait. A feed
 * that exceeds its limit waits ten times as long for its next turn, and has twice the time then. For one thread.
 */
public final class FeedTurns {

    private static final Duration LIMIT = Duration.ofSeconds(10);
    /** Below the socketTimeout of the pool. */
    private static final Duration HIGHEST = Duration.ofSeconds(40);

    private static final String QUERY_CANCELED = "57014";

    private final Clock clock;
    private final Map<String, Late> late = new HashMap<>();

    private record Late(Duration limit, Instant next) {}

    public FeedTurns(Clock clock) {
        this.clock = clock;
    }

    /** Those that took too long come last. */
    public List<String> inOrder(Collection<String> feeds) {
        return feeds.stream().sorted(Comparator.comparing(late::containsKey)).toList();
    }

    /**
     * Does the work on one feed.
     *
     * @param work is given its limit, and fails with SQLSTATE 57014 where it takes longer
     * @param tooLong the result where it took longer, or took longer before and has not its turn yet
     */
    public <T> T take(String feed, Function<Duration, T> work, Supplier<T> tooLong) {
        Late known = late.getOrDefault(feed, new Late(LIMIT, Instant.MIN));
        Instant begin = clock.instant();
        if (begin.isBefore(known.next())) {
            return tooLong.get();
        }
        try {
            T done = work.apply(known.limit());
            late.remove(feed);
            return done;
        } catch (DataAccessException e) {
            // a function that ignores the cancel ends with the connection
            if (!isCanceled(e) && clock.instant().isBefore(begin.plus(known.limit()))) {
                throw e;
            }
            Duration doubled = known.limit().multipliedBy(2);
            late.put(
                    feed,
                    new Late(
                            doubled.compareTo(HIGHEST) < 0 ? doubled : HIGHEST,
                            clock.instant().plus(known.limit().multipliedBy(10))));
            return tooLong.get();
        }
    }

    /** Whether PostgreSQL has ended the statement, because it took too long or by command. */
    public static boolean isCanceled(DataAccessException e) {
        return e.getRootCause() instanceof SQLException cause && QUERY_CANCELED.equals(cause.getSQLState());
    }
}
