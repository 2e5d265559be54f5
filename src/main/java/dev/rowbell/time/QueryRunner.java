package dev.rowbell.time;

import dev.rowbell.database.Database;
import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.sql.DataSource;
import org.postgresql.util.PSQLException;

/**
 * Runs the query of a rule, each on a connection of its own, in a transaction that can change nothing and is rolled back. Without a login of its own
 * the role of queries runs it, which a query cannot leave. Safe for many threads.
 */
public final class QueryRunner implements AutoCloseable {

    private static final String CANCELED = "57014";

    private final DataSource sessions;
    private final Duration timeout;
    /** Null for the role of queries. */
    private final String user;

    private final Set<Connection> running = ConcurrentHashMap.newKeySet();
    private volatile boolean closed;

    /**
     * @param sessions each call of getConnection opens a connection
     * @param user of the sessions, which is for queries alone; null where it is not
     */
    QueryRunner(DataSource sessions, Duration timeout, String user) {
        this.sessions = sessions;
        this.timeout = timeout;
        this.user = user;
    }

    public static QueryRunner of(Database database, Settings settings) {
        return new QueryRunner(
                database.querying(),
                settings.duration("rowbell.query.timeout"),
                settings.isSet("rowbell.query.user") ? settings.text("rowbell.query.user") : null);
    }

    /** Null for the role of queries. */
    String user() {
        return user;
    }

    /**
     * The rows of the result, each as JSON.
     *
     * @param most rows that are read
     * @param settings of the session, each as {@code TimeZone=UTC}
     * @throws SQLException where the query fails, takes longer than the limit, or would change something
     */
    public List<String> rows(String query, int most, List<String> settings) throws SQLException {
        try (Connection connection = sessions.getConnection()) {
            running.add(connection);
            try {
                connection.setAutoCommit(false);
                connection.setReadOnly(true);
                set(connection, settings);
                return user != null ? asOwnLogin(connection, query, most) : asRoleOfQueries(connection, query, most);
            } finally {
                running.remove(connection);
                // also what it set in the session
                rollBack(connection);
            }
        }
    }

    private void set(Connection connection, List<String> settings) throws SQLException {
        List<String> all = new ArrayList<>(settings);
        all.add("statement_timeout=" + timeout.toMillis());
        all.add("idle_in_transaction_session_timeout=0");
        // a standby of another version may lack one
        try (PreparedStatement statement = connection.prepareStatement("""
                select pg_catalog.set_config(p.name, pg_catalog.substr(s, pg_catalog.strpos(s, '=') + 1), true)
                from pg_catalog.unnest(?) s
                join pg_catalog.pg_settings p on p.name = pg_catalog.split_part(s, '=', 1)""")) {
            Array array = connection.createArrayOf("text", all.toArray());
            statement.setArray(1, array);
            statement.execute();
        }
    }

    /** No prepared statement, to which the operator ? would be a parameter. */
    private static List<String> asOwnLogin(Connection connection, String query, int most) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setEscapeProcessing(false);
            return texts(statement.executeQuery(
                    "select pg_catalog.row_to_json(_r.*) from (%s\n) as _r limit %d".formatted(query, most)));
        }
    }

    private static List<String> asRoleOfQueries(Connection connection, String query, int most) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("select rowbell.query_rows(?, ?)")) {
            statement.setString(1, query);
            statement.setInt(2, most);
            return texts(statement.executeQuery());
        }
    }

    private static List<String> texts(ResultSet rows) throws SQLException {
        List<String> texts = new ArrayList<>();
        while (rows.next()) {
            texts.add(rows.getString(1));
        }
        return texts;
    }

    private static void rollBack(Connection connection) throws SQLException {
        if (!connection.isClosed()) {
            connection.rollback();
        }
    }

    /** An error of {@link #rows} for a person, as one line without secrets. */
    public static String inWords(SQLException e) {
        String message = e instanceof PSQLException error && error.getServerErrorMessage() != null
                ? error.getServerErrorMessage().getMessage()
                : Errors.inWords(e);
        return Errors.withoutSecrets(message) + (CANCELED.equals(e.getSQLState()) ? " (rowbell.query.timeout)" : "");
    }

    boolean isClosed() {
        return closed;
    }

    /** Ends the queries that run: each fails. */
    @Override
    public void close() {
        closed = true;
        running.forEach(connection -> {
            try {
                connection.abort(Runnable::run);
            } catch (SQLException e) {
                // it ends by itself
            }
        });
    }
}
