package dev.rowbell.feedback;

import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;
import org.postgresql.PGConnection;
import org.postgresql.jdbc.AutoSave;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.Ordered;
import org.springframework.jdbc.datasource.DataSourceUtils;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * The driver sets a savepoint before each statement of Rowbell's own pool, so that a route's statement which fails takes its own alert alone with
 * it. Around the statements of Rowbell, with which the whole batch fails, they would be nothing but round trips: there are none until routing
 * begins, and none when deliveries are filed. Bound to the thread's transaction.
 */
final class Savepoints implements TransactionSynchronization, Ordered {

    private static final Logger LOG = LoggerFactory.getLogger(Savepoints.class);

    private final DataSource dataSource;
    /** What the connection came with; null where it is not the driver's. */
    private AutoSave own;

    private Savepoints(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** None, from now on, in the transaction of this thread. */
    static Savepoints none(DataSource dataSource) {
        Savepoints savepoints = new Savepoints(dataSource);
        savepoints.set(AutoSave.NEVER);
        TransactionSynchronizationManager.registerSynchronization(savepoints);
        return savepoints;
    }

    /** As the connection came. */
    void restore() {
        if (own != null) {
            set(own);
        }
    }

    @Override
    public void beforeCommit(boolean readOnly) {
        set(AutoSave.NEVER);
    }

    @Override
    public void beforeCompletion() {
        restore();
    }

    /** Before what files deliveries. */
    @Override
    public int getOrder() {
        return Ordered.HIGHEST_PRECEDENCE;
    }

    private void set(AutoSave autosave) {
        try {
            Connection connection = DataSourceUtils.doGetConnection(dataSource);
            try {
                if (connection.isWrapperFor(PGConnection.class)) {
                    PGConnection driver = connection.unwrap(PGConnection.class);
                    own = own == null ? driver.getAutosave() : own;
                    driver.setAutosave(autosave);
                }
            } finally {
                DataSourceUtils.doReleaseConnection(connection, dataSource);
            }
        } catch (SQLException e) {
            // a connection that is gone fails the next statement, which says so
            LOG.debug("savepoints are left as they are", e);
        }
    }
}
