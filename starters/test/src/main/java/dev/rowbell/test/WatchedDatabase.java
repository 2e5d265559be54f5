package dev.rowbell.test;

import dev.rowbell.Rowbell;
import dev.rowbell.alert.AlertJson;
import dev.rowbell.rules.Problem;
import dev.rowbell.time.Timers;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.component.properties.PropertiesComponent;
import org.apache.camel.impl.DefaultCamelContext;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.ds.PGSimpleDataSource;

/** A database with rules, and no process that works on it. Safe for many threads, of which one writes at a time. */
public final class WatchedDatabase {

    /** What rules over time have seen, older by so many milliseconds. */
    private static final List<String> AGED = List.of(
            "update rowbell.timer set began = began - interval '%1$s ms', since = since - interval '%1$s ms'",
            "update rowbell.window_count set at = at - interval '%1$s ms'");

    private final PGSimpleDataSource dataSource;
    private final String rules;
    private final Timers timers;

    WatchedDatabase(PGSimpleDataSource dataSource, String rules) {
        this.dataSource = dataSource;
        this.rules = rules;
        timers = new Timers(dataSource);
    }

    /** A context that is never started, for its settings. Those of the environment may be of another database, even of one in production. */
    private CamelContext settings() {
        PropertiesComponent properties = new PropertiesComponent();
        properties.setEnvironmentVariableMode(PropertiesComponent.ENVIRONMENT_VARIABLES_MODE_NEVER);
        properties.setSystemPropertiesMode(PropertiesComponent.SYSTEM_PROPERTIES_MODE_NEVER);
        Properties given = new Properties();
        given.setProperty("rowbell.jdbc.url", dataSource.getUrl());
        given.setProperty("rowbell.jdbc.user", dataSource.getUser() == null ? "" : dataSource.getUser());
        given.setProperty("rowbell.jdbc.password", dataSource.getPassword() == null ? "" : dataSource.getPassword());
        given.setProperty("rowbell.rules.file", rules);
        properties.setOverrideProperties(given);
        CamelContext settings = new DefaultCamelContext();
        settings.setPropertiesComponent(properties);
        return settings;
    }

    /** @throws AssertionError where a rule is wrong, with its line */
    void open(List<String> scripts) {
        scripts.forEach(script -> execute(dataSource, read(script)));
        Rowbell rowbell = Rowbell.of(settings());
        List<Problem> problems;
        try {
            rowbell.database();
            problems = rowbell.rules().problems();
        } finally {
            // its housekeeping would store alerts of what a test wrote before among those of the next write
            rowbell.stop();
        }
        if (!problems.isEmpty()) {
            throw new AssertionError(problems.stream().map(Problem::toString).collect(Collectors.joining("\n")));
        }
    }

    /** For what the test writes and reads by other means, such as JPA. */
    public DataSource dataSource() {
        return dataSource;
    }

    /** Runs SQL whose alerts do not matter: they are dropped. */
    public void execute(String... statements) {
        alertsOf(statements);
    }

    /**
     * Runs these statements in one transaction and commits it.
     *
     * @return the alerts that it raises, durable ones first, each as routes get it. Silences and cooldowns, which act later, drop none
     * @throws IllegalStateException where a statement fails
     * @throws AssertionError where a rule fails on a row: it would fire for none
     */
    public synchronized List<Map<String, Object>> alertsOf(String... statements) {
        return alerts((connection, statement) -> {
            connection.setAutoCommit(false);
            for (String sql : statements) {
                statement.execute(sql);
            }
            connection.commit();
            connection.setAutoCommit(true);
        });
    }

    /**
     * Has so much time pass for rules with {@code for}, {@code count} and {@code sum}, at once: what they have seen so far is as much older. The clock
     * of the database stays.
     *
     * @return as {@link #alertsOf}
     * @throws AssertionError as there
     */
    public synchronized List<Map<String, Object>> alertsAfter(Duration time) {
        return alerts((connection, statement) -> {
            // what is still to be folded has its time of before
            timers.work();
            for (String aged : AGED) {
                statement.execute(aged.formatted(time.toMillis()));
            }
        });
    }

    private interface Cause {
        void run(Connection connection, Statement statement) throws SQLException;
    }

    private List<Map<String, Object>> alerts(Cause cause) {
        try (Connection connection = dataSource.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute("delete from rowbell.feedback; delete from rowbell.rule_failure");
            for (String channel : channels(statement)) {
                statement.execute("listen " + channel);
            }
            cause.run(connection, statement);
            timers.work();
            requireNoFailure(statement);
            List<Map<String, Object>> alerts = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery(
                    "with taken as (delete from rowbell.feedback returning crt_time, ctid, alert) select alert from taken order by crt_time, ctid")) {
                while (rows.next()) {
                    alerts.add(AlertJson.parse(rows.getString(1)));
                }
            }
            for (PGNotification notification :
                    connection.unwrap(PGConnection.class).getNotifications()) {
                alerts.add(AlertJson.parse(notification.getParameter()));
            }
            return alerts;
        } catch (SQLException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }

    /** The rules that fire, once for each alert: what {@link #alertsOf} says in short. */
    public List<String> firedBy(String... statements) {
        return alertsOf(statements).stream()
                .map(alert -> String.valueOf(alert.get("rule")))
                .toList();
    }

    private static void requireNoFailure(Statement statement) throws SQLException {
        try (ResultSet failure = statement.executeQuery("select rule, failure from rowbell.rule_failure limit 1")) {
            if (failure.next()) {
                throw new AssertionError("rule \"%s\" fails: %s".formatted(failure.getString(1), failure.getString(2)));
            }
        }
    }

    private static List<String> channels(Statement statement) throws SQLException {
        List<String> channels = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery(
                "select distinct quote_ident(channel) from rowbell.rule where delivery = 'notify' and channel is not null")) {
            while (rows.next()) {
                channels.add(rows.getString(1));
            }
        }
        return channels;
    }

    static void execute(DataSource on, String sql) {
        try (Connection connection = on.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }

    private static String read(String resource) {
        try (InputStream in =
                Thread.currentThread().getContextClassLoader().getResourceAsStream(resource.replaceFirst("^/", ""))) {
            if (in == null) {
                throw new IllegalArgumentException(resource + " is not on the class path");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
