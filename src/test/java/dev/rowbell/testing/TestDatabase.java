package dev.rowbell.testing;

import dev.rowbell.database.Database;
import dev.rowbell.settings.Settings;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.awaitility.Awaitility;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;
import org.testcontainers.containers.Container.ExecResult;
import org.testcontainers.postgresql.PostgreSQLContainer;
import org.testcontainers.utility.DockerImageName;

/**
 * A fresh database on a real PostgreSQL: an embedded one, or a container of the image that {@code
 * -Drowbell.test.image} or ROWBELL_TEST_IMAGE names. One server serves a whole test run and ends with it.
 */
public final class TestDatabase {

    private static final AtomicInteger COUNT = new AtomicInteger();

    /**
     * Nobody needs the data after a crash of this server: what tests durability has an {@link OwnPostgres}. With the
     * default, a worker of autovacuum would start ten times a second for the hundreds of databases.
     */
    private static final Map<String, String> SERVER =
            Map.of("fsync", "off", "full_page_writes", "off", "autovacuum_naptime", "10min");

    private final String name = "test_" + COUNT.incrementAndGet();

    private record Server(String host, int port, String user, String password, PostgreSQLContainer container) {

        static final Server INSTANCE = start();

        private static Server start() {
            String image =
                    System.getProperty("rowbell.test.image", System.getenv().getOrDefault("ROWBELL_TEST_IMAGE", ""));
            if (!image.isBlank()) {
                PostgreSQLContainer container = new PostgreSQLContainer(
                                DockerImageName.parse(image).asCompatibleSubstituteFor("postgres"))
                        .withCommand(Stream.concat(
                                        Stream.of("postgres"),
                                        SERVER.entrySet().stream()
                                                .flatMap(e -> Stream.of("-c", e.getKey() + "=" + e.getValue())))
                                .toArray(String[]::new));
                container.start();
                Runtime.getRuntime().addShutdownHook(new Thread(container::stop));
                return new Server(
                        container.getHost(),
                        container.getMappedPort(5432),
                        container.getUsername(),
                        container.getPassword(),
                        container);
            }
            try {
                EmbeddedPostgres.Builder builder =
                        EmbeddedPostgres.builder().setServerConfig("unix_socket_directories", "''");
                SERVER.forEach(builder::setServerConfig);
                EmbeddedPostgres embedded = builder.start();
                return new Server("localhost", embedded.getPort(), "postgres", "postgres", null);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        String url(String database) {
            return "jdbc:postgresql://%s:%d/%s".formatted(host, port, database);
        }
    }

    private TestDatabase() {}

    /** Without anything in it, for a test of what Rowbell makes at its first start. */
    public static TestDatabase create() {
        return create("template1");
    }

    /** With the schema that Rowbell makes at its first start: a copy of one that was migrated once. */
    public static TestDatabase createWithSchema() {
        return create(Migrated.INSTANCE.name);
    }

    /** Without anything in it. */
    public static TestDatabase createInEncoding(String encoding) {
        return create("template0 encoding '%s' lc_collate 'C' lc_ctype 'C'".formatted(encoding));
    }

    private static TestDatabase create(String template) {
        TestDatabase database = new TestDatabase();
        onServer("create database %s template %s".formatted(database.name, template));
        return database;
    }

    private static void onServer(String sql) {
        try (Connection connection = DriverManager.getConnection(
                        Server.INSTANCE.url("postgres"), Server.INSTANCE.user, Server.INSTANCE.password);
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The template. It refuses connections, since PostgreSQL copies no database that is in use. */
    private static final class Migrated {

        static final TestDatabase INSTANCE = migrate();

        private static TestDatabase migrate() {
            TestDatabase database = create();
            Properties settings = new Properties();
            settings.putAll(database.settings());
            // never started: it only holds the settings
            CamelContext context = new DefaultCamelContext();
            context.getPropertiesComponent().addLocation("file:application.properties");
            context.getPropertiesComponent().setOverrideProperties(settings);
            Database.open(new Settings(context)).close();
            onServer("alter database %s allow_connections false".formatted(database.name));
            return database;
        }
    }

    /** A new database that is restored from a dump of this one. Only of a container, which has the tools. */
    public TestDatabase dumpedAndRestored() throws IOException, InterruptedException {
        TestDatabase restored = create();
        ExecResult result = Server.INSTANCE.container.execInContainer(
                "sh",
                "-c",
                "pg_dump -U %1$s %2$s > /tmp/%2$s.sql && psql -q -v ON_ERROR_STOP=1 -U %1$s -d %3$s -f /tmp/%2$s.sql"
                        .formatted(Server.INSTANCE.user, name, restored.name));
        if (result.getExitCode() != 0) {
            throw new IllegalStateException(result.getStderr());
        }
        return restored;
    }

    public String name() {
        return name;
    }

    /** The major version of the server, as 18. */
    public int major() {
        return Integer.parseInt(query("show server_version_num").get(0)) / 10_000;
    }

    public String url() {
        return Server.INSTANCE.url(name);
    }

    public int port() {
        return Server.INSTANCE.port;
    }

    /**
     * The settings with which Rowbell works on this database, without the rules of the demo, whose feed is missing
     * here.
     */
    public Map<String, String> settings() {
        return new HashMap<>(Map.of(
                "rowbell.jdbc.url",
                url(),
                "rowbell.jdbc.user",
                Server.INSTANCE.user,
                "rowbell.jdbc.password",
                Server.INSTANCE.password,
                "rowbell.rules.file",
                ""));
    }

    public Connection connect() throws SQLException {
        // PostgreSQL 13 tells of a setting that is another one within a statement only
        return DriverManager.getConnection(
                url() + "?allowEncodingChanges=true", Server.INSTANCE.user, Server.INSTANCE.password);
    }

    /** Of one connection, to be destroyed. */
    public SingleConnectionDataSource singleConnection() {
        return new SingleConnectionDataSource(url(), Server.INSTANCE.user, Server.INSTANCE.password, true);
    }

    public Connection connectAs(String user, String password) throws SQLException {
        return DriverManager.getConnection(url(), user, password);
    }

    public void execute(String... statements) {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The first column of every row. */
    public List<String> query(String sql) {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            List<String> values = new ArrayList<>();
            while (rows.next()) {
                values.add(rows.getString(1));
            }
            return values;
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    public long count(String sql) {
        return Long.parseLong(query("select count(*) from " + sql).get(0));
    }

    /** Whether no alert waits to be routed or delivered. One statement: a commit moves alerts between the tables. */
    public boolean isDelivered() {
        return query("select (select count(*) from rowbell.feedback) + (select count(*) from rowbell.delivery)")
                .equals(List.of("0"));
    }

    /** How many alerts of the outbox are in rows for which the condition is true. */
    public long alerts(String condition) {
        return Long.parseLong(query("select coalesce(sum(alerts), 0) from rowbell.delivery where " + condition)
                .get(0));
    }

    /** The ids of all alerts in the outbox. */
    public List<String> alertIds() {
        return query("select document::json ->> 'id' from rowbell.delivery, unnest(documents) as document");
    }

    /** Returns once a connection listens: a notification that is sent before that is lost. */
    public void awaitListener(String channel) {
        Awaitility.await()
                .until(() -> count("pg_stat_activity where datname = current_database() and query ilike 'listen%"
                                + channel + "%'")
                        > 0);
    }
}
