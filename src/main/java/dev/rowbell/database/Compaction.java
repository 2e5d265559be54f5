package dev.rowbell.database;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A queue that was long once and is empty now gives its room back: a vacuum does not make an index smaller, nor a table that is busy. For Rowbell's
 * own queues alone. Never makes a writer wait for longer than the two times below together.
 */
public final class Compaction {

    private static final Logger LOG = LoggerFactory.getLogger(Compaction.class);

    /** Below this, in bytes, nobody minds. */
    private static final long LARGE = 32 << 20;
    /** For the lock, behind which writers wait: PostgreSQL's lock_timeout. */
    private static final String LOCK = "20 ms";
    /** For seeing that the queue is empty, with the lock held. */
    private static final String LOOK = "50 ms";

    private final DataSource dataSource;

    public Compaction(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** To be called now and then. Does nothing where the queues are small or in use, or where it has no right to. */
    public void run() throws SQLException {
        try (Connection connection = dataSource.getConnection()) {
            for (String table : large(connection)) {
                connection.setAutoCommit(false);
                try {
                    if (truncate(connection, table)) {
                        LOG.debug("{} was empty and gave its room back", table);
                    }
                } catch (SQLException e) {
                    // somebody is at work on it, or it takes too long to see whether anybody is: the next time will do
                    LOG.debug("{} keeps its room", table, e);
                } finally {
                    connection.rollback();
                    connection.setAutoCommit(true);
                }
            }
        }
    }

    private static List<String> large(Connection connection) throws SQLException {
        List<String> large = new ArrayList<>();
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("""
                select name
                from unnest(array['rowbell.feedback', 'rowbell.delivery']) name
                where pg_total_relation_size(name::regclass) > %d
                  and has_table_privilege(name, 'truncate')
                """.formatted(LARGE))) {
            while (rows.next()) {
                large.add(rows.getString(1));
            }
        }
        return large;
    }

    private static boolean truncate(Connection connection, String table) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            // another level would still see the queue as it was before the lock, without what others have committed
            // since
            statement.execute("set transaction isolation level read committed");
            statement.execute(
                    "set local lock_timeout = '%s'; set local statement_timeout = '%s'; set local enable_seqscan = on"
                            .formatted(LOCK, LOOK));
            // without the lock first, so that a queue with something in it is not locked
            if (isEmpty(statement, table)) {
                statement.execute("lock table " + table + " in access exclusive mode");
                if (isEmpty(statement, table)) {
                    statement.execute("truncate " + table);
                    connection.commit();
                    return true;
                }
            }
            return false;
        }
    }

    private static boolean isEmpty(Statement statement, String table) throws SQLException {
        try (ResultSet row = statement.executeQuery("select not exists (select from " + table + ")")) {
            row.next();
            return row.getBoolean(1);
        }
    }
}
