package dev.rowbell.database;

import java.sql.SQLException;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.CannotGetJdbcConnectionException;
import org.springframework.jdbc.datasource.JdbcTransactionObjectSupport;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.CannotCreateTransactionException;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.support.DefaultTransactionStatus;

/**
 * Transactions of a pool whose connections break. Where the database fails they throw a {@link DataAccessException}, as statements do, also when they
 * begin and when they commit: who catches one must not miss the other. For many threads.
 */
public final class Transactions extends JdbcTransactionManager {

    private static final Logger LOG = LoggerFactory.getLogger(Transactions.class);

    public Transactions(DataSource dataSource) {
        super(dataSource);
    }

    @Override
    protected void doBegin(Object transaction, TransactionDefinition definition) {
        try {
            super.doBegin(transaction, definition);
        } catch (CannotCreateTransactionException e) {
            if (e.getCause() instanceof SQLException failure) {
                throw new CannotGetJdbcConnectionException("no connection for a transaction", failure);
            }
            throw e;
        }
    }

    /**
     * A connection that broke cannot roll back, and the server has ended its transaction. The exception that was thrown before says why; a second one
     * would hide it, and is logged by Spring with its stack trace.
     */
    @Override
    protected void doRollback(DefaultTransactionStatus status) {
        try {
            super.doRollback(status);
        } catch (TransactionException | DataAccessException e) {
            LOG.debug("not rolled back by command, the connection is given up", e);
            abort((JdbcTransactionObjectSupport) status.getTransaction());
        }
    }

    /** What is still open in it must not be committed by whatever uses the connection next. */
    private static void abort(JdbcTransactionObjectSupport transaction) {
        try {
            transaction.getConnectionHolder().getConnection().abort(Runnable::run);
        } catch (SQLException e) {
            LOG.debug("the connection cannot be aborted", e);
        }
    }
}
