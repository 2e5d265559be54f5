package dev.rowbell.time;

import dev.rowbell.database.FeedTurns;
import dev.rowbell.database.Transactions;
import java.time.Clock;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.springframework.dao.ConcurrencyFailureException;
import org.springframework.dao.DataAccessException;
import org.springframework.dao.DuplicateKeyException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Has the database work on the timers of rules with {@code for}, and on what rules with {@code count}, {@code sum} and {@code absent} count: when the next one is due, and at short
 * intervals on the events that triggers append. Asks for no row of a feed but those that are due. Several processes may do it at a time. For one thread.
 */
public final class Timers {

    /** Between two calls of {@link #run}, most of which do not ask the database. */
    public static final Duration LOOK = Duration.ofMillis(50);

    /** How late an event is seen at most, where no timer is due before. */
    private static final Duration EVENTS = Duration.ofMillis(250);
    /** The same while there is no such rule. */
    private static final Duration NO_RULES = Duration.ofSeconds(1);
    /** While events are folded. How long that takes has no limit: no function of a rule runs, and after a stop there may be millions. */
    private static final Duration LOCK_LIMIT = Duration.ofSeconds(40);

    private static final int MOST = 5000;

    private final JdbcClient jdbc;
    private final TransactionTemplate transaction;
    private final FeedTurns turns = new FeedTurns(Clock.systemUTC());
    private final int most;
    /** Rules that took too long for many rows, and for how many they look at one at a time from now on. */
    private final Map<Integer, Integer> slow = new HashMap<>();

    private long askedAt;
    private Duration pause = Duration.ZERO;

    /**
     * What there is to do.
     *
     * @param rule null: events of the feed are to be folded
     * @param name of the rule or the feed
     * @param dueIn in milliseconds; null if there is nothing to wait for
     * @param counts whether the work is on what rules of the feed count, and not on timers
     */
    private record Work(int feed, Integer rule, String name, Double dueIn, boolean counts) {

        boolean isDue() {
            return dueIn != null && dueIn <= 0;
        }

        boolean folds() {
            return rule == null && !counts;
        }
    }

    public Timers(DataSource dataSource) {
        this(dataSource, MOST);
    }

    /** @param most events, or rows of a rule, in one step */
    Timers(DataSource dataSource, int most) {
        jdbc = JdbcClient.create(dataSource);
        transaction = new TransactionTemplate(new Transactions(dataSource));
        this.most = most;
    }

    /**
     * Fires what is due.
     *
     * @throws DataAccessException where the database fails; the other rules had their turn
     * @throws IllegalStateException where a rule takes too long; the other rules had their turn
     */
    public void run() {
        if (System.nanoTime() - askedAt >= pause.toNanos()) {
            work();
        }
    }

    /** The same, however short ago the last look was. */
    public void work() {
        RuntimeException failure = null;
        boolean more = true;
        while (more && !Thread.currentThread().isInterrupted()) {
            more = false;
            askedAt = System.nanoTime();
            List<Work> work = look();
            // first, since a rule fires for what was due until then
            for (int feed : work.stream()
                    .filter(due -> due.isDue() && !due.counts())
                    .map(Work::feed)
                    .collect(Collectors.toSet())) {
                try {
                    fold(feed);
                } catch (DataAccessException e) {
                    failure = e;
                }
            }
            if (work.stream().anyMatch(due -> due.isDue() && due.folds())) {
                work = look();
            }
            pause = work.stream()
                    .map(Work::dueIn)
                    .filter(dueIn -> dueIn != null && dueIn > 0)
                    .map(dueIn -> Duration.ofMillis(dueIn.longValue()))
                    .filter(dueIn -> dueIn.compareTo(EVENTS) < 0)
                    .min(Comparator.naturalOrder())
                    .orElse(work.isEmpty() ? NO_RULES : EVENTS);
            for (Work due : work) {
                try {
                    more |= due.isDue() && !due.folds() && run(due);
                } catch (DataAccessException | IllegalStateException e) {
                    failure = e;
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    private List<Work> look() {
        return jdbc.sql("""
                        select feed, rule, name, due_in, false as counts from rowbell.timer_feeds()
                        union all
                        select feed, null, name, due_in, true from rowbell.window_feeds()
                        """).query(Work.class).list();
    }

    /** In one transaction that sees whole transactions of others, so that no statement is seen in two parts. */
    private void fold(int feed) {
        try {
            transaction.executeWithoutResult(begun -> {
                jdbc.sql("set transaction isolation level repeatable read").update();
                limit("lock_timeout", LOCK_LIMIT);
                if (ask("select rowbell.begin_fold(?)", feed)) {
                    Long last = 0L;
                    while (last != null) {
                        last = jdbc.sql("select rowbell.fold_timers(?, ?, ?)")
                                .params(feed, most, last)
                                .query(Long.class)
                                .optional()
                                .orElse(null);
                    }
                }
            });
        } catch (ConcurrencyFailureException | DuplicateKeyException e) {
            // rules were changed, or another process armed rows, since this transaction began; the next look does it
        }
    }

    /** Returns whether there is more to do. */
    private boolean run(Work due) {
        if (due.counts()) {
            // no function of a stranger runs there
            return ask("select rowbell.run_windows(?)", due.feed());
        }
        int rule = due.rule();
        boolean more = turns.take(due.name(), limit -> run(rule, limit), () -> {
            throw new IllegalStateException(
                    "the timers of rule \"%s\" wait, because a function that it calls takes too long"
                            .formatted(due.name()));
        });
        if (!more) {
            slow.remove(rule);
        }
        return more;
    }

    private boolean run(int rule, Duration limit) {
        try {
            boolean more = run(rule, slow.containsKey(rule) ? 1 : most, limit);
            slow.computeIfPresent(rule, (id, left) -> left == 1 ? null : left - 1);
            return more;
        } catch (DataAccessException e) {
            if (!FeedTurns.isCanceled(e)) {
                throw e;
            }
            if (slow.putIfAbsent(rule, most) == null) {
                return true;
            }
            jdbc.sql("select rowbell.pass_over_slow_row(?, ? * interval '1 s')")
                    .params(rule, limit.toSeconds())
                    .query(row -> {});
            throw e;
        }
    }

    private boolean run(int rule, int rows, Duration limit) {
        return Boolean.TRUE.equals(transaction.execute(begun -> {
            limit("statement_timeout", limit);
            return ask("select rowbell.run_timers(?, ?)", rule, rows);
        }));
    }

    private void limit(String setting, Duration limit) {
        jdbc.sql("select set_config(?, ?, true)")
                .params(setting, String.valueOf(limit.toMillis()))
                .query(String.class)
                .single();
    }

    private boolean ask(String question, Object... params) {
        return jdbc.sql(question).params(params).query(Boolean.class).single();
    }

    /** Also those of rules that are disabled. */
    public void dropOfGoneRules() {
        jdbc.sql("select rowbell.forget_timers(), rowbell.forget_windows()").query(row -> {});
    }
}
