package dev.rowbell.time;

import dev.rowbell.database.FeedTurns;
import dev.rowbell.database.Transactions;
import java.time.Clock;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Has the database work on the timers of rules with {@code for}, and on what rules with {@code count} and {@code sum} count: when the next one is due, and at short
 * intervals on the events that triggers append. Asks for no row of a feed but those that are due. Several processes may do it at a time. For one thread.
 */
public final class Timers {

    /** Between two calls of {@link #run}, most of which do not ask the database. */
    public static final Duration LOOK = Duration.ofMillis(50);

    /** How late an event is seen at most, where no timer is due before. */
    private static final Duration EVENTS = Duration.ofMillis(250);
    /** The same while there is no such rule. */
    private static final Duration NO_RULES = Duration.ofSeconds(1);

    private final JdbcClient jdbc;
    private final TransactionTemplate transaction;
    private final FeedTurns turns = new FeedTurns(Clock.systemUTC());
    private long askedAt;
    private Duration pause = Duration.ZERO;

    /**
     * @param dueIn in milliseconds; null if there is nothing to wait for
     * @param counts whether the work is on what rules count, and not on timers
     */
    private record Feed(int feed, String name, Double dueIn, boolean counts) {

        boolean isDue() {
            return dueIn != null && dueIn <= 0;
        }
    }

    public Timers(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        transaction = new TransactionTemplate(new Transactions(dataSource));
    }

    /**
     * Fires what is due.
     *
     * @throws DataAccessException where the database fails; the other feeds had their turn
     * @throws IllegalStateException where a feed takes too long; the other feeds had their turn
     */
    public void run() {
        if (System.nanoTime() - askedAt < pause.toNanos()) {
            return;
        }
        RuntimeException failure = null;
        boolean more = true;
        while (more && !Thread.currentThread().isInterrupted()) {
            more = false;
            askedAt = System.nanoTime();
            List<Feed> feeds = jdbc.sql("""
                            select feed, name, due_in, false as counts from rowbell.timer_feeds()
                            union all
                            select feed, name, due_in, true from rowbell.window_feeds()
                            """).query(Feed.class).list();
            pause = feeds.stream()
                    .map(Feed::dueIn)
                    .filter(dueIn -> dueIn != null && dueIn > 0)
                    .map(dueIn -> Duration.ofMillis(dueIn.longValue()))
                    .filter(dueIn -> dueIn.compareTo(EVENTS) < 0)
                    .min(Comparator.naturalOrder())
                    .orElse(feeds.isEmpty() ? NO_RULES : EVENTS);
            for (Feed feed : feeds.stream().filter(Feed::isDue).toList()) {
                try {
                    more |= run(feed);
                } catch (DataAccessException | IllegalStateException e) {
                    failure = e;
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** Returns whether there is more to do. */
    private boolean run(Feed feed) {
        if (feed.counts()) {
            // no function of a stranger runs there
            return transaction.execute(begun -> jdbc.sql("select rowbell.run_windows(?)")
                    .param(feed.feed())
                    .query(Boolean.class)
                    .single());
        }
        return turns.take(
                feed.name(),
                limit -> transaction.execute(begun -> {
                    jdbc.sql("select set_config('statement_timeout', ?, true)")
                            .param(String.valueOf(limit.toMillis()))
                            .query(String.class)
                            .single();
                    return jdbc.sql("select rowbell.run_timers(?)")
                            .param(feed.feed())
                            .query(Boolean.class)
                            .single();
                }),
                () -> {
                    throw new IllegalStateException(
                            "the timers of feed %s wait, because a function that its rules call takes too long"
                                    .formatted(feed.name()));
                });
    }

    /** Also those of rules that are disabled. */
    public void dropOfGoneRules() {
        jdbc.sql("select rowbell.forget_timers(), rowbell.forget_windows()").query(row -> {});
    }
}
