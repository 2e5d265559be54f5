package dev.rowbell.outbox;

import dev.rowbell.database.Transactions;
import java.time.Duration;
import java.util.Collection;
import java.util.UUID;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * The table {@code rowbell.sink}: which process delivers for which sinks. Its methods throw a {@link DataAccessException} where the database fails.
 * Safe for many threads.
 */
final class SinkRepository {

    /** A process that has announced nothing for so long was killed. */
    private static final Duration FORGOTTEN = Duration.ofMinutes(1);

    private final JdbcClient jdbc;
    private final TransactionTemplate outsideOfTransaction;

    SinkRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        outsideOfTransaction = new TransactionTemplate(new Transactions(dataSource));
        outsideOfTransaction.setPropagationBehavior(TransactionDefinition.PROPAGATION_NOT_SUPPORTED);
    }

    /** Stores that the process delivers for these sinks and no others, and deletes what processes announced that were killed. */
    void announce(UUID process, Collection<String> sinks) {
        jdbc.sql("""
                        with announced as (
                          insert into rowbell.sink (process, name, seen)
                          select :process, name, clock_timestamp()
                          from unnest(:sinks::text[]) as name
                          on conflict (process, name) do update set seen = excluded.seen)
                        delete from rowbell.sink
                        where process = :process and name <> all (:sinks::text[])
                          or process <> :process and seen < clock_timestamp() - :forgotten::interval
                        """)
                .param("process", process)
                .param("sinks", sinks.toArray(String[]::new))
                .param("forgotten", FORGOTTEN.toSeconds() + " s")
                .update();
    }

    /** Whether another process delivers for the sink. Uses a connection of its own: a failure must not fail the transaction of the thread. */
    boolean isElsewhere(UUID process, String sink) {
        return outsideOfTransaction.execute(status -> jdbc.sql("""
                        select exists (
                          select from rowbell.sink
                          where name = ?
                            and process <> ?
                            and seen > clock_timestamp() - ?::interval)
                        """)
                .param(sink)
                .param(process)
                .param(FORGOTTEN.toSeconds() + " s")
                .query(Boolean.class)
                .single());
    }
}
