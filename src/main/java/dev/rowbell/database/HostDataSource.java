package dev.rowbell.database;

import com.zaxxer.hikari.HikariDataSource;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.sql.DataSource;
import org.postgresql.ds.common.BaseDataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.datasource.DelegatingDataSource;

/**
 * The DataSource of an application, which has it for its own work too. A session has Rowbell's settings while Rowbell borrows it, and then those of
 * before. Safe for many threads.
 */
final class HostDataSource extends DelegatingDataSource {

    private static final Logger LOG = LoggerFactory.getLogger(HostDataSource.class);
    /** Connections: a transaction that takes alerts has one, and at times needs another. */
    private static final int LEAST = 2;

    private final boolean shared;
    private final Set<Connection> borrowed = Collections.newSetFromMap(new IdentityHashMap<>());

    /** @param shared whether a pooler lends the sessions to others between transactions: no settings are made in them */
    HostDataSource(DataSource host, boolean shared) {
        super(host);
        this.shared = shared;
    }

    /** Ends the statements of Rowbell. */
    void abort() {
        List<Connection> all;
        synchronized (borrowed) {
            all = List.copyOf(borrowed);
        }
        all.forEach(HostDataSource::abort);
    }

    private static void abort(Connection connection) {
        try {
            connection.abort(Runnable::run);
        } catch (SQLException e) {
            LOG.debug("the connection cannot be aborted", e);
        }
    }

    /**
     * Where it leads to, for sessions that last for longer than a pool should lend one.
     *
     * @param login gets its user, its password, and the options of the driver
     * @throws SettingsException where it does not tell
     */
    static String url(DataSource host, Settings settings, Properties login) {
        String name = "rowbell.datasource=" + settings.text("rowbell.datasource");
        if (settings.isSet("rowbell.jdbc.url")) {
            login.setProperty("user", settings.text("rowbell.jdbc.user"));
            login.setProperty("password", settings.password("rowbell.jdbc.password"));
            return settings.text("rowbell.jdbc.url");
        }
        try {
            if (host.isWrapperFor(HikariDataSource.class)) {
                HikariDataSource pool = host.unwrap(HikariDataSource.class);
                if (pool.getJdbcUrl() != null) {
                    login.putAll(pool.getDataSourceProperties());
                    put(login, pool.getUsername(), pool.getPassword());
                    return postgresql(pool.getJdbcUrl(), name);
                } else if (pool.getDataSource() != null) {
                    return url(pool.getDataSource(), settings, login);
                }
            } else if (host instanceof BaseDataSource driver) {
                put(login, driver.getUser(), driver.getPassword());
                return driver.getURL();
            }
        } catch (SQLException e) {
            throw new SettingsException(name + ": " + e.getMessage(), e);
        }
        throw new SettingsException(
                "%s is a %s, which does not say where it leads to: set rowbell.jdbc.url, .user and .password as well"
                        .formatted(name, host.getClass().getName()));
    }

    /**
     * Looks whether Rowbell can work with it.
     *
     * @param known a session of the database that Rowbell works on
     * @throws SettingsException where it cannot
     */
    static void requireUsable(DataSource host, Settings settings, Connection known) throws SQLException {
        String name = "rowbell.datasource=" + settings.text("rowbell.datasource");
        int most = Database.connections(host);
        if (most > 0 && most < LEAST) {
            throw new SettingsException(
                    "%s may have %d connection, and Rowbell needs %d at a time: set a larger maximumPoolSize"
                            .formatted(name, most, LEAST));
        }
        try (Connection connection = host.getConnection()) {
            if (connection.isReadOnly()) {
                throw new SettingsException(name + " is for reading only: name one that may write");
            } else if (!database(connection).equals(database(known))) {
                throw new SettingsException(
                        name + " leads to another database than rowbell.jdbc.url: let both name the same one");
            }
        }
    }

    /** By its number, and by the start of its server. */
    private static String database(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("""
                        select concat_ws(' ', oid, extract(epoch from pg_catalog.pg_postmaster_start_time()))
                        from pg_catalog.pg_database
                        where datname = current_database()
                        """)) {
            row.next();
            return row.getString(1);
        }
    }

    private static String postgresql(String url, String name) {
        if (!url.startsWith("jdbc:postgresql:")) {
            throw new SettingsException(name + " leads to no PostgreSQL: name another one");
        }
        return url;
    }

    private static void put(Properties login, String user, String password) {
        if (user != null) {
            login.setProperty("user", user);
        }
        if (password != null) {
            login.setProperty("password", password);
        }
    }

    @Override
    public Connection getConnection() throws SQLException {
        Connection connection = super.getConnection();
        synchronized (borrowed) {
            borrowed.add(connection);
        }
        boolean autoCommit;
        Map<String, String> before;
        try {
            autoCommit = connection.getAutoCommit();
            if (!autoCommit) {
                connection.setAutoCommit(true);
            }
            before = shared ? Map.of() : begin(connection);
        } catch (SQLException | RuntimeException e) {
            connection.close();
            returned(connection);
            throw e;
        }
        AtomicBoolean closed = new AtomicBoolean();
        return (Connection) Proxy.newProxyInstance(
                HostDataSource.class.getClassLoader(),
                new Class<?>[] {Connection.class},
                (proxy, method, arguments) -> {
                    if (method.getName().equals("close") && !closed.getAndSet(true)) {
                        end(connection, autoCommit, before);
                        returned(connection);
                    }
                    try {
                        return method.invoke(connection, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private void returned(Connection connection) {
        synchronized (borrowed) {
            borrowed.remove(connection);
        }
    }

    /** Returns what to set back. */
    private static Map<String, String> begin(Connection connection) throws SQLException {
        Map<String, String> before = new LinkedHashMap<>();
        // prepared, since to parse and plan it takes longer than to send and run it
        try (PreparedStatement statement = connection.prepareStatement(Sessions.borrowed());
                ResultSet row = statement.executeQuery()) {
            while (row.next()) {
                before.put(row.getString(1), row.getString(2));
            }
        }
        return before;
    }

    private static void end(Connection connection, boolean autoCommit, Map<String, String> before) {
        try {
            if (!connection.getAutoCommit()) {
                connection.rollback();
                connection.setAutoCommit(true);
            }
            if (!before.isEmpty()) {
                try (PreparedStatement statement = connection.prepareStatement("""
                    select pg_catalog.set_config(name, setting, false)
                    from rows from (pg_catalog.unnest(?), pg_catalog.unnest(?)) as before (name, setting)
                    """)) {
                    Array names =
                            connection.createArrayOf("text", before.keySet().toArray());
                    statement.setArray(1, names);
                    statement.setArray(
                            2, connection.createArrayOf("text", before.values().toArray()));
                    statement.execute();
                }
            }
            if (!autoCommit) {
                connection.setAutoCommit(false);
            }
        } catch (SQLException e) {
            LOG.debug("the settings of a session cannot be set back", e);
            // no other user may get it with the settings of Rowbell
            abort(connection);
        }
    }
}
