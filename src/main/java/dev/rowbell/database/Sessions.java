package dev.rowbell.database;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.PGConnection;

/** What Rowbell relies on in a session of the server, whatever the defaults of role and database are, and whether a session is its own. */
public final class Sessions {

    /** A session outside of the pool; of a listener too, which is idle for long. */
    public static final String ALONE = set("");

    /**
     * A session of the pool. A transaction that the network left behind ends soon, and not after hours. A plan made while a queue or its statistics
     * were empty would read or sort all of a long queue: only plans in the order of an index, or by ctid, are allowed. One plan serves all
     * executions, since planning takes longer than running. No plan is compiled: before PostgreSQL 18 a scan that cannot be avoided counts as
     * endlessly dear.
     */
    static final String POOLED = set("""
            , ('idle_in_transaction_session_timeout', '30000'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('jit', 'off'),
            ('plan_cache_mode', 'force_generic_plan')""");

    /** The same for a thread that has other work: a wait for a lock ends, as the socketTimeout of Rowbell's own pool ends it. */
    private static final String IMPATIENT = POOLED.replace("('lock_timeout', '0')", "('lock_timeout', '50s')");

    /** Of transactions that both see the same idle sessions. */
    private static final int TRIES = 3;

    private Sessions() {}

    /**
     * A thread whose statements wait for a lock for a while only, also in the sessions of an application's pool. Not for one that takes alerts, which
     * wait for as long as the lock is held: by an error they would become dead letters.
     */
    public static final class ImpatientThread extends Thread {

        public ImpatientThread(Runnable work, String name) {
            super(work, name);
        }
    }

    /** What is set in a session that this thread borrows. */
    static String borrowed() {
        return Thread.currentThread() instanceof ImpatientThread ? IMPATIENT : POOLED;
    }

    /** A session that a pooler lends to others cannot listen. */
    public static final class SharedException extends SQLException {

        private static final long serialVersionUID = 1L;

        public SharedException() {
            super("a pooler in transaction mode cannot carry notifications:"
                    + " set rowbell.listen.url to a connection that leads to the server itself");
        }
    }

    /** Opens another connection of the same kind. */
    public interface Opener {
        Connection open() throws SQLException;
    }

    /**
     * SQL that sets what this version of the server has, and returns the name and the value of before of each. Not default_transaction_read_only, by
     * which an administrator says that a server is no primary any more. Where the network is cut silently, the server notices too, and releases what
     * only one process may hold.
     */
    private static String set(String more) {
        return """
                select relied.name, pg_catalog.current_setting(relied.name, true), pg_catalog.set_config(relied.name, relied.setting, false)
                from (values
                  ('default_transaction_isolation', 'read committed'), ('default_transaction_deferrable', 'off'),
                  ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'), ('idle_session_timeout', '0'),
                  ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'),
                  ('search_path', '"$user", public'), ('default_tablespace', ''), ('default_table_access_method', 'heap'), ('temp_tablespaces', ''),
                  ('standard_conforming_strings', 'on'), ('backslash_quote', 'safe_encoding'), ('array_nulls', 'on'), ('transform_null_equals', 'off'),
                  ('quote_all_identifiers', 'off'), ('check_function_bodies', 'on'), ('row_security', 'on'), ('IntervalStyle', 'postgres'),
                  ('bytea_output', 'hex')%s) as relied (name, setting)
                where pg_catalog.current_setting(relied.name, true) <> relied.setting
                """.formatted(more.isEmpty() ? ", ('idle_in_transaction_session_timeout', '0')" : more);
    }

    /**
     * Whether a pooler lends the session to others between transactions: nothing can be prepared, set or listened to in it. A pooler shows itself by
     * a process id that is not the server's; one that pools transactions by a session that changes.
     */
    public static boolean areShared(Connection connection, Opener opener) throws SQLException {
        int known = process(connection);
        if (connection.unwrap(PGConnection.class).getBackendPID() == known) {
            return false;
        }
        for (int i = 0; i < TRIES; i++) {
            try (Connection other = opener.open()) {
                // the driver would prepare its rollback, in a session that others get
                other.unwrap(PGConnection.class).setPrepareThreshold(0);
                other.setAutoCommit(false);
                int lent = process(other);
                boolean shared = lent == known || process(connection) != known;
                other.rollback();
                if (shared) {
                    return true;
                }
            }
        }
        return false;
    }

    private static int process(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select pg_catalog.pg_backend_pid()")) {
            row.next();
            return row.getInt(1);
        }
    }
}
