package dev.rowbell.time;

import dev.rowbell.database.Transactions;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * When the queries of rules are due, and the results that they had. The methods throw a {@link DataAccessException} if the database fails. Safe for
 * many threads.
 */
public final class QueryRepository {

    /** A run that is later than this was missed: no process was there. */
    private static final Duration MISSED = Duration.ofMinutes(5);

    private final JdbcClient jdbc;
    private final JdbcClient lasting;
    private final TransactionTemplate transaction;

    /** @param lasting opens connections outside of the pool, each for a transaction that lasts as long as a query */
    public QueryRepository(DataSource pool, DataSource lasting) {
        jdbc = JdbcClient.create(pool);
        this.lasting = JdbcClient.create(lasting);
        transaction = new TransactionTemplate(new Transactions(lasting));
    }

    /**
     * A rule whose query is due.
     *
     * @param json the rule as it was when it was taken
     * @param every null where the rule has a cron
     * @param due null for a rule that is new, or whose schedule is
     * @param clock the time of the database
     */
    record Taken(
            String json,
            String name,
            String query,
            int maxRows,
            Duration every,
            String cron,
            String zone,
            Instant due,
            Instant clock,
            List<String> settings) {

        private static Taken of(ResultSet row, int number) throws SQLException {
            Timestamp due = row.getTimestamp(8);
            String[] settings = (String[]) row.getArray(10).getArray();
            return new Taken(
                    row.getString(1),
                    row.getString(2),
                    row.getString(3),
                    row.getInt(4),
                    row.getString(5) == null ? null : Duration.ofMillis(row.getLong(5)),
                    row.getString(6),
                    row.getString(7),
                    due == null ? null : due.toInstant(),
                    row.getTimestamp(9).toInstant(),
                    List.of(settings));
        }

        /** Whether it is too late to run it: a run at a time of day is then left out, and so is the first of a new schedule. */
        boolean isMissed() {
            return every == null && (due == null || due.plus(MISSED).isBefore(clock));
        }

        /**
         * When it is to run again; empty for never. A clock that was set back does not have it run again for the same time.
         *
         * @throws IllegalArgumentException where its cron cannot be read
         */
        Optional<Instant> next() {
            return every == null
                    ? new Cron(cron, zone).next(due != null && due.isAfter(clock) ? due : clock)
                    : Optional.of(clock.plus(every));
        }
    }

    /** How long it is until a query is due; empty where no rule has a query. */
    Optional<Duration> untilNext() {
        return jdbc.sql("select next from rowbell.next_query() next where next is not null")
                .query((row, number) -> Duration.ofMillis(row.getLong(1)))
                .optional();
    }

    /**
     * Has the work done on a rule whose query is due, in a transaction that keeps other processes from it.
     *
     * @return false where none is due, or others have taken them
     */
    boolean take(Consumer<Taken> work) {
        return transaction.execute(status -> {
            Optional<Taken> taken = lasting.sql("""
                            select rule, rule ->> 'name', rule ->> 'query', (rule ->> 'max_rows')::int,
                              (extract(epoch from (rule ->> 'every')::interval) * 1000)::bigint, rule ->> 'cron', rule ->> 'zone', due, clock, settings,
                              set_config('idle_in_transaction_session_timeout', '0', true)
                            from rowbell.take_query()
                            """).query(Taken::of).optional();
            taken.ifPresent(work);
            return taken.isPresent();
        });
    }

    /**
     * Within {@link #take}.
     *
     * @param result null where it did not run
     */
    void ran(Taken taken, List<String> result, Optional<Instant> next) {
        lasting.sql("select from rowbell.query_ran(:taken::jsonb, :result, :next::timestamptz)")
                .param("taken", taken.json())
                .param("result", result == null ? null : result.toArray(String[]::new))
                .param("next", text(next))
                .query(row -> {});
    }

    /**
     * Within {@link #take}.
     *
     * @param user that ran the query; null for the role of queries
     */
    void failed(Taken taken, String error, String state, String user, Optional<Instant> next) {
        lasting.sql("select from rowbell.query_failed(:taken::jsonb, :error, :state, :user, :next::timestamptz)")
                .param("taken", taken.json())
                .param("error", error)
                .param("state", state)
                .param("user", user)
                .param("next", text(next))
                .query(row -> {});
    }

    /** Within {@link #take}: leaves out a rule that can have no time. */
    void broken(Taken taken, String problem) {
        lasting.sql("select from rowbell.query_broken(?, ?)")
                .params(taken.name(), problem)
                .query(row -> {});
    }

    private static String text(Optional<Instant> time) {
        return time.map(Instant::toString).orElse("infinity");
    }
}
