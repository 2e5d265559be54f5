package dev.rowbell.bench;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.flywaydb.core.Flyway;

/** The PostgreSQL of the benchmark: an embedded one, durable as in production, or that of {@code -Drowbell.jdbc.url}. */
final class Server implements AutoCloseable {

    private final EmbeddedPostgres embedded;
    private final String url;
    private int databases;

    private Server(EmbeddedPostgres embedded, String url) {
        this.embedded = embedded;
        this.url = url;
    }

    static Server start() throws Exception {
        return start("replica");
    }

    /** @param walLevel logical for programs that read the write-ahead log */
    static Server start(String walLevel) throws Exception {
        String url = System.getProperty("rowbell.jdbc.url", "");
        if (!url.isEmpty()) {
            return new Server(null, url);
        }
        Path data = Files.createDirectories(Path.of("target", "bench")).toAbsolutePath();
        EmbeddedPostgres embedded = EmbeddedPostgres.builder()
                .setOverrideWorkingDirectory(data.toFile())
                .setServerConfig("fsync", "on")
                .setServerConfig("synchronous_commit", "on")
                .setServerConfig("full_page_writes", "on")
                .setServerConfig("shared_buffers", "256MB")
                .setServerConfig("max_wal_size", "4GB")
                .setServerConfig("wal_level", walLevel)
                .setServerConfig("unix_socket_directories", "''")
                .setLocaleConfig("locale", "C.UTF-8")
                .start();
        return new Server(embedded, embedded.getJdbcUrl("postgres", "postgres"));
    }

    String describe() throws SQLException {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("""
                        select format('%s, fsync %s, synchronous_commit %s, shared_buffers %s, max_wal_size %s', current_setting('server_version'),
                          current_setting('fsync'), current_setting('synchronous_commit'), current_setting('shared_buffers'), current_setting('max_wal_size'))
                        """)) {
            row.next();
            return row.getString(1) + "; " + Runtime.getRuntime().availableProcessors() + " cores; Java "
                    + Runtime.version();
        }
    }

    /** A fresh database with Rowbell's schema. */
    Db database() throws SQLException {
        String name = "bench_" + ++databases;
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement()) {
            statement.execute("drop database if exists " + name);
            statement.execute("create database " + name);
        }
        Db db = new Db(url.replaceFirst("(jdbc:postgresql://[^/]+/)[^?]*", "$1" + name));
        Flyway.configure()
                .dataSource(db.url(), null, null)
                .defaultSchema("rowbell")
                .schemas("rowbell")
                .locations("classpath:dev/rowbell/schema")
                .placeholderReplacement(false)
                .load()
                .migrate();
        return db;
    }

    @Override
    public void close() throws Exception {
        if (embedded != null) {
            embedded.close();
        }
    }
}
