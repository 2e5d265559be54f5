package dev.rowbell.database;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import com.zaxxer.hikari.pool.HikariPool.PoolInitializationException;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.util.ClassUtils;

/** The PostgreSQL that Rowbell works on: the user's, or an embedded one where no URL is set. Safe for many threads. */
public final class Database implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Database.class);
    private static final int OLDEST = 130000;
    private static final Duration CLOSE = Duration.ofSeconds(2);

    /**
     * How each session begins: with the values that Rowbell relies on, whatever are the defaults of the role and the database. Settings that a version
     * of PostgreSQL does not know are left out.
     */
    private static final String SESSION = """
            select pg_catalog.set_config(s.name, relied.setting, false)
            from (values
              ('default_transaction_isolation', 'read committed'), ('default_transaction_read_only', 'off'), ('default_transaction_deferrable', 'off'),
              ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'), ('idle_session_timeout', '0'),
              ('search_path', '"$user", public'), ('default_tablespace', ''), ('default_table_access_method', 'heap'), ('temp_tablespaces', ''),
              ('standard_conforming_strings', 'on'), ('backslash_quote', 'safe_encoding'), ('array_nulls', 'on'), ('transform_null_equals', 'off'),
              ('quote_all_identifiers', 'off'), ('check_function_bodies', 'on'), ('row_security', 'on'), ('IntervalStyle', 'postgres'),
              ('bytea_output', 'hex'), ('idle_in_transaction_session_timeout', '%s')) relied (name, setting)
            join pg_catalog.pg_settings s on s.name = relied.name and s.setting <> relied.setting;
            """;

    private final EmbeddedServer embedded;
    private final String url;
    private final String name;
    private final String version;
    private final HikariDataSource pool;
    private final PGSimpleDataSource listening;

    private Database(Settings settings, EmbeddedServer embedded, boolean visited) {
        this.embedded = embedded;
        url = embedded == null ? settings.text("rowbell.jdbc.url") : embedded.url();
        Properties login = new Properties();
        put(login, "user", embedded == null ? settings.text("rowbell.jdbc.user") : "");
        put(login, "password", embedded == null ? settings.text("rowbell.jdbc.password") : "");
        put(login, "connectTimeout", "10");
        // also where a server accepts the connection and does not answer
        put(login, "loginTimeout", "10");
        put(login, "tcpKeepAlive", "true");
        put(login, "ApplicationName", "rowbell");
        // the message of an error would contain the row
        put(login, "logServerErrorDetail", "false");
        try (Connection connection = DriverManager.getConnection(url, login);
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(
                        "select current_database(), current_setting('server_version'), current_setting('server_version_num')::int")) {
            row.next();
            name = row.getString(1);
            version = row.getString(2);
            if (row.getInt(3) < OLDEST) {
                throw new SettingsException("rowbell.jdbc.url: %s is PostgreSQL %s, Rowbell needs 13 or newer"
                        .formatted(shownUrl(), version));
            }
        } catch (SQLException e) {
            throw refused(e);
        }
        pool = visited ? visitor(login) : pool(settings, login);
        listening = sessions(login, "rowbell listen", "");
        try {
            if (visited) {
                Schema.expect(pool);
            } else {
                // a name of its own: the sessions that wait for a lock are found by it
                String start = "rowbell start " + ProcessHandle.current().pid() + " "
                        + Instant.now().toEpochMilli();
                DataSource starting = sessions(
                        login,
                        start,
                        "set lock_timeout = "
                                + Math.max(
                                        1,
                                        settings.duration("rowbell.jdbc.wait").toMillis()));
                try (LockWatch watch = new LockWatch(starting, start)) {
                    Schema.apply(settings, starting, watch, name);
                }
            }
        } catch (RuntimeException e) {
            pool.close();
            throw e;
        }
    }

    /** @throws SettingsException where it cannot be reached, is too old, or lacks the schema and the right to make it */
    public static Database open(Settings settings) {
        return open(settings, false);
    }

    /**
     * The same for a command: it changes no schema, and uses the embedded PostgreSQL of another Rowbell where one runs.
     *
     * @throws SettingsException where it cannot be reached, or has not the whole schema
     */
    public static Database visit(Settings settings) {
        return open(settings, true);
    }

    private static Database open(Settings settings, boolean visited) {
        String url = settings.text("rowbell.jdbc.url");
        if (!url.isEmpty() && !url.startsWith("jdbc:postgresql:")) {
            throw new SettingsException("rowbell.jdbc.url: write it as jdbc:postgresql://host:5432/database");
        }
        if (url.isEmpty()
                && !ClassUtils.isPresent(
                        "io.zonky.test.db.postgres.embedded.EmbeddedPostgres", Database.class.getClassLoader())) {
            throw new SettingsException(
                    "rowbell.jdbc.url is empty and there is no embedded PostgreSQL on the class path: set the URL");
        }
        EmbeddedServer embedded = null;
        if (url.isEmpty()) {
            embedded = visited ? EmbeddedServer.visit(settings) : EmbeddedServer.start(settings);
        }
        try {
            return new Database(settings, embedded, visited);
        } catch (RuntimeException e) {
            if (embedded != null) {
                embedded.close();
            }
            throw e;
        }
    }

    /** Without time limits: a person waits for the command and can stop it. */
    private HikariDataSource visitor(Properties login) {
        HikariConfig config = new HikariConfig();
        config.setPoolName("rowbell command");
        config.setJdbcUrl(url);
        config.setDataSourceProperties(login);
        // Flyway looks at the schema with two
        config.setMaximumPoolSize(2);
        config.setMinimumIdle(1);
        config.setConnectionInitSql(SESSION.formatted("0"));
        return started(config);
    }

    private HikariDataSource pool(Settings settings, Properties login) {
        HikariConfig config = new HikariConfig();
        config.setPoolName("rowbell");
        config.setJdbcUrl(url);
        config.setDataSourceProperties(login);
        config.setMaximumPoolSize(settings.number("rowbell.jdbc.pool-size", 2));
        config.setMinimumIdle(1);
        config.setConnectionTimeout(5_000);
        // less than that, so that one connection that died silently leaves time to try another
        config.setValidationTimeout(1_000);
        // for the savepoints that are set while alerts are routed
        config.addDataSourceProperty("cleanupSavepoints", "true");
        // no statement of Rowbell takes as long: such a connection died silently
        config.addDataSourceProperty("socketTimeout", "60");
        /*
         * Where the network is cut silently, the server releases the locks of a transaction soon, and not after hours.
         * A plan made while a queue or its statistics were empty would read or sort all of a long queue: only plans in the
         * order of an index, or by ctid, are allowed. One plan serves all executions, since planning takes longer than
         * running. No plan is compiled: before PostgreSQL 18 a scan that cannot be avoided counts as endlessly dear.
         */
        config.setConnectionInitSql(SESSION.formatted("30000")
                + "set enable_seqscan = off; set enable_bitmapscan = off; set jit = off; set plan_cache_mode = force_generic_plan;"
                + " set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3");
        return started(config);
    }

    private HikariDataSource started(HikariConfig config) {
        try {
            return new HikariDataSource(config);
        } catch (PoolInitializationException e) {
            throw e.getCause() instanceof SQLException why ? refused(why) : e;
        }
    }

    /** Sessions outside of the pool. */
    private PGSimpleDataSource sessions(Properties login, String application, String settings) {
        PGSimpleDataSource sessions = new Sessions(SESSION.formatted("0") + settings);
        sessions.setUrl(url);
        login.forEach((key, value) -> set(sessions, key.toString(), value.toString()));
        set(sessions, "ApplicationName", application);
        return sessions;
    }

    private static final class Sessions extends PGSimpleDataSource {

        private final String beginning;

        Sessions(String beginning) {
            this.beginning = beginning;
        }

        @Override
        public Connection getConnection(String user, String password) throws SQLException {
            Connection connection = super.getConnection(user, password);
            try (Statement statement = connection.createStatement()) {
                statement.execute(beginning);
                return connection;
            } catch (SQLException e) {
                connection.close();
                throw e;
            }
        }
    }

    private SettingsException refused(SQLException e) {
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String why = e.getMessage().lines().findFirst().orElse("").strip();
        if (state.startsWith("28")) {
            return new SettingsException(
                    "rowbell.jdbc.user, rowbell.jdbc.password: %s refuses them: %s".formatted(shownUrl(), why), e);
        } else if (state.equals("3D000")) {
            return new SettingsException("rowbell.jdbc.url: %s".formatted(why), e);
        }
        return new SettingsException("rowbell.jdbc.url: cannot connect to %s: %s".formatted(shownUrl(), why), e);
    }

    /** The URL without its parameters and its login, which may hold a password. */
    public String shownUrl() {
        return embedded != null ? url : url.replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    }

    public String name() {
        return name;
    }

    /** The server's version, as {@code 18.6}. */
    public String version() {
        return version;
    }

    public boolean isEmbedded() {
        return embedded != null;
    }

    public DataSource pool() {
        return pool;
    }

    /** Whether the pool has a connection, as far as it knows. */
    public boolean isConnected() {
        HikariPoolMXBean connections = pool.getHikariPoolMXBean();
        return connections != null && connections.getTotalConnections() > 0;
    }

    /**
     * Closes the idle connections of the pool: where one that listens is lost, they most likely are too, and each would fail its next user.
     */
    public void invalidateConnections() {
        HikariPoolMXBean connections = pool.getHikariPoolMXBean();
        if (connections != null) {
            connections.softEvictConnections();
        }
    }

    /** Each call of getConnection opens a connection outside the pool, to be kept for as long as one listens. */
    public DataSource listening() {
        return listening;
    }

    /** Ends all statements, and waits for a short while: the pool itself waits for longer where the server is silent. */
    public void closeConnections() {
        try {
            CompletableFuture.runAsync(pool::close).get(CLOSE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException e) {
            LOG.debug("the last connections end by themselves", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        closeConnections();
        if (embedded != null) {
            embedded.close();
        }
    }

    private static void put(Properties properties, String key, String value) {
        if (!value.isEmpty()) {
            properties.setProperty(key, value);
        }
    }

    private static void set(PGSimpleDataSource dataSource, String key, String value) {
        try {
            dataSource.setProperty(key, value);
        } catch (SQLException e) {
            throw new IllegalArgumentException(e);
        }
    }
}
