package dev.rowbell.feedback;

import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;
import org.postgresql.PGConnection;
import org.postgresql.jdbc.AutoSave;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.datasource.DataSourceUtils;

/**
 * While alerts are routed, the driver sets a savepoint before each statement of the thread's transaction: a statement of a route that fails then
 * fails its own alert and not the batch for ever. Not around the statements of Rowbell, where each costs a round trip.
 */
final class Savepoints {

    private static final Logger LOG = LoggerFactory.getLogger(Savepoints.class);

    private final DataSource dataSource;
    private final AutoSave before;

    private Savepoints(DataSource dataSource, AutoSave before) {
        this.dataSource = dataSource;
        this.before = before;
    }

    /** From now on, in the transaction of this thread. */
    static Savepoints begin(DataSource dataSource) {
        return new Savepoints(dataSource, set(dataSource, AutoSave.ALWAYS));
    }

    /** The connection is again as it came. */
    void end() {
        if (before != null) {
            set(dataSource, before);
        }
    }

    /** Returns what was set before; null where the connection is not the driver's, or is gone, which the next statement will say. */
    private static AutoSave set(DataSource dataSource, AutoSave autosave) {
        Connection connection = DataSourceUtils.getConnection(dataSource);
        try {
            if (!connection.isWrapperFor(PGConnection.class)) {
                return null;
            }
            PGConnection driver = connection.unwrap(PGConnection.class);
            AutoSave before = driver.getAutosave();
            driver.setAutosave(autosave);
            return before;
        } catch (SQLException e) {
            LOG.debug("savepoints are left as they are", e);
            return null;
        } finally {
            DataSourceUtils.releaseConnection(connection, dataSource);
        }
    }
}
