package dev.rowbell.test;

import dev.rowbell.Rowbell;
import dev.rowbell.alert.AlertJson;
import dev.rowbell.rules.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.ds.PGSimpleDataSource;

/** A database with rules, and no process that takes its alerts. For one thread. */
public final class WatchedDatabase {

    private final PGSimpleDataSource dataSource;
    /** Never started: it holds the settings. */
    private final CamelContext settings = new DefaultCamelContext();

    WatchedDatabase(PGSimpleDataSource dataSource, String rules) {
        this.dataSource = dataSource;
        Properties given = new Properties();
        given.setProperty("rowbell.jdbc.url", dataSource.getUrl());
        given.setProperty("rowbell.jdbc.user", dataSource.getUser() == null ? "" : dataSource.getUser());
        given.setProperty("rowbell.jdbc.password", dataSource.getPassword() == null ? "" : dataSource.getPassword());
        given.setProperty("rowbell.rules.file", rules);
        settings.getPropertiesComponent().setOverrideProperties(given);
    }

    /** @throws AssertionError where a rule is wrong, with its line */
    void open(List<String> scripts) {
        scripts.forEach(script -> execute(dataSource, read(script)));
        Rowbell rowbell = Rowbell.of(settings);
        rowbell.database();
        List<Problem> problems = rowbell.rules().problems();
        if (!problems.isEmpty()) {
            throw new AssertionError(problems.stream().map(Problem::toString).collect(Collectors.joining("\n")));
        }
    }

    void close() {
        Rowbell.of(settings).stop();
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
     */
    public List<Map<String, Object>> alertsOf(String... statements) {
        try (Connection connection = dataSource.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute("delete from rowbell.feedback");
            for (String channel : channels(statement)) {
                statement.execute("listen " + channel);
            }
            connection.setAutoCommit(false);
            for (String sql : statements) {
                statement.execute(sql);
            }
            connection.commit();
            connection.setAutoCommit(true);
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
