package dev.rowbell.rules;

import dev.rowbell.database.Transactions;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.function.Function;
import javax.sql.DataSource;
import org.springframework.jdbc.CannotGetJdbcConnectionException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Evaluates rules, which may call functions of strangers: in a session of its own, which ends afterwards, and a transaction that is rolled back. Safe for
 * many threads.
 *
 * @param sessions each call of getConnection opens a connection
 * @param limit of a statement
 */
record OwnSession(DataSource sessions, Duration limit) {

    /** A function may ignore the limit of the server. */
    private static final Duration SILENCE = Duration.ofSeconds(15);

    <T> T run(Function<RuleRepository, T> work) {
        try (Connection connection = sessions.getConnection()) {
            connection.setNetworkTimeout(Runnable::run, (int) SILENCE.toMillis());
            DataSource one = new SingleConnectionDataSource(connection, true);
            return new TransactionTemplate(new Transactions(one)).execute(transaction -> {
                transaction.setRollbackOnly();
                JdbcClient.create(one)
                        .sql("select set_config('statement_timeout', ?, true), set_config('lock_timeout', '2s', true)")
                        .param(String.valueOf(limit.toMillis()))
                        .query(row -> {});
                return work.apply(new RuleRepository(one));
            });
        } catch (SQLException e) {
            throw new CannotGetJdbcConnectionException("no connection for a rule", e);
        }
    }
}
