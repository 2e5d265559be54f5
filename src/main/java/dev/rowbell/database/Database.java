package dev.rowbell.database;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import com.zaxxer.hikari.SQLExceptionOverride;
import com.zaxxer.hikari.pool.HikariPool.PoolInitializationException;
import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.net.ConnectException;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.datasource.AbstractDataSource;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.util.ClassUtils;

/** The PostgreSQL that Rowbell works on: the user's, or an embedded one where no URL is set. Safe for many threads. */
public final class Database implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Database.class);
    private static final int OLDEST = 130000;
    private static final String READ_ONLY = "25006";
    static final String FORBIDDEN = "42501";
    private static final String UNREACHED = "08001";
    /** What is granted to rowbell_admin alone, and what to rowbell_consumer: R__98_rights.sql. */
    private static final Pattern ADMINS = Pattern.compile(
            "\\b(rule|silence|row_feed|(apply|find|test|check|validate)_(rules?|feed)|rule_of|feeds_named|rows_by_name|all_settings"
                    + "|explain(_rule|_alert)?|rule_findings|row_query|key_(written|part|query)|plain_condition|document_settings"
                    + "|tables_of|tree_of|sql_name|for_each|pause|resume|disable|enable|write_rule|trial_of|measure_of|look_of)\\b");

    private static final Pattern CONSUMERS = Pattern.compile(
            "\\b(rowbell|audit|feedback|notification|delivery|dead_letters?|retry|discard|cooldown|sink|paused_sink|(pause|resume)_sink|listener"
                    + "|doorbell_lease|setting|waiting|feed|flyway_schema_history|rule_state|rule_override|rule_version|refresh|report_failures|silent_triggers"
                    + "|(claim|release)_channels|listening_session|passes_cooldown|readable|alert_text|put_unreadable_aside"
                    + "|query_(run|key|ran|failed|broken)|(next|take)_query)\\b");

    /** Of a condition that a command tests, it is of the user's own. */
    private static final Pattern DENIED = Pattern.compile(
            "permission denied for (schema|function|table|view|materialized view|foreign table|sequence) (.+)");

    private static final Duration CLOSE = Duration.ofSeconds(2);

    private final EmbeddedServer embedded;
    private final String url;
    private final String name;
    private final String version;
    /** By which the sessions run, as SQL writes it. */
    private final String role;

    private final String feedbackTable;
    private final DataSource pool;
    /** Null where the application has the pool. */
    private final HikariDataSource own;
    /** Between transactions a pooler lends the sessions of the pool to others. */
    private final boolean shared;

    private final DataSource listening;
    private final DataSource lasting;
    private final DataSource querying;

    /** What it is opened for. */
    private enum Use {
        RUN,
        COMMAND,
        INSPECTION
    }

    /** @param host the application's own DataSource; null where there is none */
    private Database(Settings settings, EmbeddedServer embedded, DataSource host, Use use) {
        this.embedded = embedded;
        feedbackTable = settings.text("rowbell.feedback.table");
        Properties login = new Properties();
        if (host != null) {
            url = HostDataSource.url(host, settings, login);
        } else {
            url = embedded == null ? settings.text("rowbell.jdbc.url") : embedded.url();
            put(login, "user", embedded == null ? settings.text("rowbell.jdbc.user") : "");
            put(login, "password", embedded == null ? settings.password("rowbell.jdbc.password") : "");
        }
        put(login, "connectTimeout", "10");
        // also where a server accepts the connection and does not answer
        put(login, "loginTimeout", "10");
        put(login, "tcpKeepAlive", "true");
        put(login, "ApplicationName", "rowbell");
        // the message of an error would contain the row
        put(login, "logServerErrorDetail", "false");
        // whichever server answers, so that a standby can be named
        put(login, "targetServerType", "preferPrimary");
        try (Connection connection = DriverManager.getConnection(url, login);
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("""
                        select current_database(), current_setting('server_version'), current_setting('server_version_num')::int,
                          pg_is_in_recovery(), setting = 'on' and source in ('user', 'database', 'database user'), quote_ident(current_user)
                        from pg_settings where name = 'default_transaction_read_only'
                        """)) {
            row.next();
            name = row.getString(1);
            version = row.getString(2);
            role = row.getString(6);
            if (row.getInt(3) < OLDEST) {
                throw new SettingsException("rowbell.jdbc.url: %s is PostgreSQL %s, Rowbell needs 13 or newer"
                        .formatted(shownUrl(), version));
            } else if (row.getBoolean(4)) {
                throw new SQLException("it is a standby, Rowbell needs the primary", READ_ONLY);
            }
            shared = Sessions.areShared(connection, () -> DriverManager.getConnection(url, login));
            if (row.getBoolean(5) && !shared) {
                put(login, "options", "-c default_transaction_read_only=off");
            }
            if (host != null) {
                HostDataSource.requireUsable(host, settings, connection);
            }
        } catch (SQLException e) {
            throw refused(e);
        }
        // a primary that was demoted is no server to stay with
        put(login, "targetServerType", "primary");
        listening = shared && !settings.isSet("rowbell.listen.url")
                ? new Unheard()
                : sessions(listenUrl(settings), listenLogin(settings, login), "rowbell listen", "");
        if (shared) {
            put(login, "prepareThreshold", "0");
            warnOfSharedSessions(settings);
        }
        lasting = sessions(url, login, "rowbell", shared ? "" : Sessions.ALONE);
        querying = querying(settings, login);
        if (host != null) {
            own = null;
            pool = new HostDataSource(host, shared);
        } else {
            own = use == Use.RUN ? pool(settings, login) : visitor(login);
            pool = own;
        }
        try {
            if (use == Use.COMMAND) {
                Schema.expect(pool);
            } else if (use == Use.RUN) {
                // a name of its own: the sessions that wait for a lock are found by it
                String start = "rowbell start " + ProcessHandle.current().pid() + " "
                        + Instant.now().toEpochMilli();
                DataSource starting = starting(settings, login, start);
                try (LockWatch watch = new LockWatch(starting, start)) {
                    Schema.apply(settings, starting, watch, this);
                }
            }
        } catch (RuntimeException e) {
            closeConnections();
            throw e;
        }
    }

    /** @throws SettingsException where it cannot be reached, is too old, or lacks the schema and the right to make it */
    public static Database open(Settings settings) {
        return open(settings, null, Use.RUN);
    }

    /**
     * The same over the DataSource of an application, which stays open when this is closed. Null for none.
     *
     * @throws SettingsException as {@link #open(Settings)}
     */
    public static Database open(Settings settings, DataSource host) {
        return open(settings, host, Use.RUN);
    }

    /**
     * The same for a command: it changes no schema, and uses the embedded PostgreSQL of another Rowbell where one runs.
     *
     * @throws SettingsException where it cannot be reached, or has not the whole schema
     */
    public static Database visit(Settings settings) {
        return open(settings, null, Use.COMMAND);
    }

    /**
     * The same whatever the schema is like. It changes nothing.
     *
     * @throws SettingsException where it cannot be reached, or is too old
     */
    static Database inspect(Settings settings) {
        return open(settings, null, Use.INSPECTION);
    }

    private static Database open(Settings settings, DataSource host, Use use) {
        String url = settings.text("rowbell.jdbc.url");
        if (!url.isEmpty() && !url.startsWith("jdbc:postgresql:")) {
            throw new SettingsException("rowbell.jdbc.url: write it as jdbc:postgresql://host:5432/database");
        }
        if (host != null) {
            return new Database(settings, null, host, use);
        }
        if (url.isEmpty()
                && !ClassUtils.isPresent(
                        "io.zonky.test.db.postgres.embedded.EmbeddedPostgres", Database.class.getClassLoader())) {
            throw new SettingsException(
                    "rowbell.jdbc.url is empty and there is no embedded PostgreSQL on the class path: set the URL");
        }
        EmbeddedServer embedded = null;
        if (url.isEmpty()) {
            embedded = use == Use.RUN ? EmbeddedServer.start(settings) : EmbeddedServer.visit(settings);
        }
        try {
            return new Database(settings, embedded, null, use);
        } catch (RuntimeException e) {
            if (embedded != null) {
                embedded.close();
            }
            throw e;
        }
    }

    /** What is known of the pooler since the start: to look again could miss it while other sessions come and go. */
    private static final class Unheard extends AbstractDataSource {

        @java.lang.Override
        public Connection getConnection() throws SQLException {
            throw new Sessions.SharedException();
        }

        @java.lang.Override
        public Connection getConnection(String user, String password) throws SQLException {
            throw new Sessions.SharedException();
        }
    }

    private String listenUrl(Settings settings) {
        return settings.isSet("rowbell.listen.url") ? settings.text("rowbell.listen.url") : url;
    }

    private static Properties listenLogin(Settings settings, Properties login) {
        Properties own = new Properties();
        own.putAll(login);
        put(own, "user", settings.text("rowbell.listen.user"));
        put(own, "password", settings.password("rowbell.listen.password"));
        return own;
    }

    /** Of the user and on the server that the settings name for the queries of rules. */
    private DataSource querying(Settings settings, Properties login) {
        Properties own = new Properties();
        own.putAll(login);
        String server = settings.isSet("rowbell.query.url") ? settings.text("rowbell.query.url") : url;
        if (settings.isSet("rowbell.query.url")) {
            put(own, "targetServerType", "any");
        }
        if (settings.isSet("rowbell.query.user")) {
            own.remove("password");
            put(own, "user", settings.text("rowbell.query.user"));
            put(own, "password", settings.password("rowbell.query.password"));
            // a login in the URL would have its way
            server = server.replaceAll("(?<=[?&])(user|password)=[^&]*&?", "");
        }
        // a server that has gone silently answers no cancel
        put(
                own,
                "socketTimeout",
                String.valueOf(settings.duration("rowbell.query.timeout").toSeconds() + 10));
        put(own, "maxResultBuffer", "32M");
        return sessions(server, own, "rowbell query", "");
    }

    /** For the schema: in sessions of its own where that can be had, since it sets them up. */
    private DataSource starting(Settings settings, Properties login, String application) {
        if (shared && !settings.isSet("rowbell.listen.url")) {
            return sessions(url, login, application, "");
        }
        // the URL may give sessions another name
        String beginning = "%s; set lock_timeout = %d; set application_name = '%s'"
                .formatted(
                        Sessions.ALONE,
                        Math.max(1, settings.duration("rowbell.jdbc.wait").toMillis()),
                        application);
        return shared
                ? sessions(listenUrl(settings), listenLogin(settings, login), application, beginning)
                : sessions(url, login, application, beginning);
    }

    private void warnOfSharedSessions(Settings settings) {
        LOG.warn(
                "rowbell.jdbc.url: a pooler in transaction mode is in front of {}: Rowbell prepares no statements and leaves the settings"
                        + " of its sessions alone (see docs/schema.md){}",
                shownUrl(),
                settings.isSet("rowbell.listen.url")
                        ? ""
                        : "; nothing can listen through it: set rowbell.listen.url to a connection that leads to the server itself");
    }

    /** Without time limits: a person waits for the command and can stop it. */
    private HikariDataSource visitor(Properties login) {
        HikariConfig config = new HikariConfig();
        config.setPoolName("rowbell command");
        config.setJdbcUrl(url);
        config.setDataSourceProperties(login);
        // Flyway looks at the schema with two, and a checkup has one
        config.setMaximumPoolSize(3);
        config.setMinimumIdle(1);
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
        return started(config);
    }

    private HikariDataSource started(HikariConfig config) {
        if (!shared) {
            // else settings would reach the other clients of the pooler
            config.setConnectionInitSql(Sessions.POOLED);
        }
        config.setExceptionOverride(new SQLExceptionOverride() {
            @java.lang.Override
            public Override adjudicate(SQLException e) {
                if (FORBIDDEN.equals(e.getSQLState()) && e.getNextException() == null) {
                    e.setNextException(new SQLException(grant(e)));
                }
                if (!READ_ONLY.equals(e.getSQLState())) {
                    return Override.CONTINUE_EVICT;
                }
                // a primary that was demoted keeps its connections: each would fail its next user
                invalidateConnections();
                return Override.MUST_EVICT;
            }
        });
        try {
            return new HikariDataSource(config);
        } catch (PoolInitializationException e) {
            throw e.getCause() instanceof SQLException why ? refused(why) : e;
        }
    }

    /** Sessions outside of the pool that begin with this SQL, unless it is empty. */
    private static DataSource sessions(String url, Properties login, String application, String beginning) {
        Properties own = new Properties();
        own.putAll(login);
        put(own, "ApplicationName", application);
        return new DriverManagerDataSource(url, own) {
            @java.lang.Override
            protected Connection getConnectionFromDriverManager(String url, Properties login) throws SQLException {
                Connection connection = super.getConnectionFromDriverManager(url, login);
                try (Statement statement = connection.createStatement()) {
                    if (!beginning.isEmpty()) {
                        statement.execute(beginning);
                    }
                    return connection;
                } catch (SQLException e) {
                    connection.close();
                    throw e;
                }
            }
        };
    }

    /** What to grant to whom where PostgreSQL refuses a thing for want of a right, which its message names in the language of the server. */
    String grant(SQLException e) {
        String refused = e.getMessage().lines().findFirst().orElse("");
        String table = feedbackTable.substring(feedbackTable.lastIndexOf('.') + 1);
        if (!feedbackTable.equals("rowbell.feedback") && refused.matches(".*\\b" + Pattern.quote(table) + "\\b.*")) {
            return "grant select, update, delete on %s to %s".formatted(feedbackTable, role);
        } else if (ADMINS.matcher(refused).find()) {
            return "grant rowbell_admin to " + role;
        } else if (CONSUMERS.matcher(refused).find()) {
            return "grant rowbell_consumer to " + role;
        }
        Matcher denied = DENIED.matcher(refused);
        if (!denied.find()) {
            return "grant the right, or the role that owns it, to " + role;
        }
        return switch (denied.group(1)) {
            case "schema" -> "grant usage on schema %s to %s".formatted(denied.group(2), role);
            case "function" -> "grant execute on function %s to %s".formatted(denied.group(2), role);
            default -> "grant select on %s to %s".formatted(denied.group(2), role);
        };
    }

    private SettingsException refused(SQLException e) {
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String why = e.getMessage().lines().findFirst().orElse("").strip();
        if (state.startsWith("28")) {
            return new SettingsException(
                    "rowbell.jdbc.user, rowbell.jdbc.password: %s refuses them: %s".formatted(shownUrl(), why), e);
        } else if (state.equals(FORBIDDEN)) {
            return new SettingsException(
                    "rowbell.jdbc.url: %s: grant connect on the database of %s to the role of rowbell.jdbc.user"
                            .formatted(why, shownUrl()),
                    e);
        } else if (state.equals("3D000")) {
            return new SettingsException("rowbell.jdbc.url: %s".formatted(why), e);
        }
        // of a file that is missing, the driver says something else; of a host that is unknown, nothing
        boolean said = e.getCause() == null || e.getCause() instanceof ConnectException;
        String cause =
                said || Errors.isDatabaseAway(e) && !state.equals(UNREACHED) ? "" : " (" + Errors.inWords(e) + ")";
        return new SettingsException(
                "rowbell.jdbc.url: cannot connect to %s: %s%s".formatted(shownUrl(), why, cause), e);
    }

    /** The URL without its parameters and its login, which may hold a password. */
    public String shownUrl() {
        return embedded != null ? url : url.replaceFirst("\\?.*", "").replaceFirst("//[^/]*@", "//");
    }

    public String name() {
        return name;
    }

    String role() {
        return role;
    }

    /** The server's version, as {@code 18.6}. */
    public String version() {
        return version;
    }

    /** Whether a pooler lends the sessions to others between transactions. */
    boolean isShared() {
        return shared;
    }

    public boolean isEmbedded() {
        return embedded != null;
    }

    public DataSource pool() {
        return pool;
    }

    /** Whether the pool has a connection, as far as it knows; true where the application has the pool. */
    public boolean isConnected() {
        HikariPoolMXBean connections = own == null ? null : own.getHikariPoolMXBean();
        return own == null || connections != null && connections.getTotalConnections() > 0;
    }

    /**
     * Closes the idle connections of the pool: where one that listens is lost, they most likely are too, and each would fail its next user.
     */
    public void invalidateConnections() {
        HikariPoolMXBean connections = own == null ? null : own.getHikariPoolMXBean();
        if (connections != null) {
            connections.softEvictConnections();
        }
    }

    /** Each call of getConnection opens a connection outside the pool, to be kept for as long as one listens. */
    public DataSource listening() {
        return listening;
    }

    /** Each call of getConnection opens a connection outside the pool, for a transaction that lasts longer than those of the pool. */
    public DataSource lasting() {
        return lasting;
    }

    /** Each call of getConnection opens a connection for the query of a rule: rowbell.query.url, rowbell.query.user. */
    public DataSource querying() {
        return querying;
    }

    /** How many connections a pool has at most; 0 where it is another than HikariCP. */
    public static int connections(DataSource pool) {
        try {
            return pool.isWrapperFor(HikariDataSource.class)
                    ? pool.unwrap(HikariDataSource.class).getMaximumPoolSize()
                    : 0;
        } catch (SQLException e) {
            return 0;
        }
    }

    /** Ends all statements, and waits for a short while: the pool itself waits for longer where the server is silent. */
    public void closeConnections() {
        if (pool instanceof HostDataSource host) {
            host.abort();
            return;
        }
        try {
            CompletableFuture.runAsync(own::close).get(CLOSE.toMillis(), TimeUnit.MILLISECONDS);
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
}
