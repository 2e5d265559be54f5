package dev.rowbell.testing;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.awaitility.Awaitility;

/**
 * A PostgreSQL of one test's own, for faults that must not reach other tests. It keeps its data and its port
 * from one start to the next.
 */
public final class OwnPostgres implements AutoCloseable {

    private final Path data;
    private final Path log;
    private final int port;
    private final Path programs;
    private final List<String> options;
    private Process server;

    /**
     * Makes its data and starts it.
     *
     * @param options as {@code max_wal_size=32MB}
     */
    public OwnPostgres(Path data, String... options) {
        this.data = data;
        this.options = List.of(options);
        log = data.resolveSibling("postgresql.log");
        try (EmbeddedPostgres first = EmbeddedPostgres.builder()
                .setDataDirectory(data)
                .setCleanDataDirectory(false)
                .setServerConfig("unix_socket_directories", "''")
                .setOutputRedirector(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .setErrorRedirector(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start()) {
            port = first.getPort();
            // the command line it was started by
            programs = Path.of(Files.readString(data.resolve("postmaster.opts")).split(" ")[0])
                    .getParent();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        start();
    }

    /** A copy of a server that is stopped, on a port of its own. Not started. */
    private OwnPostgres(OwnPostgres original, Path data, int port) {
        this.data = data;
        this.port = port;
        programs = original.programs;
        options = original.options;
        log = data.resolveSibling(data.getFileName() + ".log");
    }

    /** What a standby would be, that has all of this one: for a switch-over. This one is to be stopped. */
    public OwnPostgres copy(Path to) {
        try (Stream<Path> files = Files.walk(data)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(data.relativize(file).toString()), StandardCopyOption.COPY_ATTRIBUTES);
            }
            Files.deleteIfExists(to.resolve("postmaster.pid"));
            return new OwnPostgres(this, to, FreePort.find());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** At its next start it is a standby, which only reads. */
    public void demote() {
        try {
            Files.createFile(data.resolve("standby.signal"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public int port() {
        return port;
    }

    public Map<String, String> settings() {
        return new HashMap<>(Map.of(
                "rowbell.jdbc.url",
                url(),
                "rowbell.jdbc.user",
                "postgres",
                "rowbell.jdbc.password",
                "postgres",
                "rowbell.rules.file",
                ""));
    }

    private String url() {
        return "jdbc:postgresql://localhost:%d/postgres".formatted(port);
    }

    /** Returns when it takes connections; where it ends before that, it is started again. */
    public void start() {
        Awaitility.await("PostgreSQL starts").atMost(Duration.ofSeconds(60)).until(() -> {
            if (!isAlive()) {
                server = launchServer();
            }
            return takesConnections();
        });
    }

    private Process launchServer() {
        List<String> arguments = new ArrayList<>(List.of("-D", data.toString(), "-p", String.valueOf(port)));
        List<String> all = new ArrayList<>(
                List.of("fsync=on", "synchronous_commit=on", "listen_addresses=localhost", "unix_socket_directories="));
        all.addAll(options);
        all.forEach(option -> arguments.addAll(List.of("-c", option)));
        return launch("postgres", arguments);
    }

    private Process launch(String program, List<String> arguments) {
        List<String> command = new ArrayList<>();
        if (System.getProperty("user.name").equals("root")) {
            // PostgreSQL refuses to run as root
            command.addAll(List.of("unshare", "-U"));
        }
        command.add(programs.resolve(program).toString());
        command.addAll(arguments);
        try {
            return new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean takesConnections() {
        try {
            DriverManager.getConnection(url(), "postgres", "postgres").close();
            return true;
        } catch (SQLException e) {
            return false;
        }
    }

    /** The first column of every row. */
    public List<String> query(String sql) {
        try (Connection connection = DriverManager.getConnection(url(), "postgres", "postgres");
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

    public void execute(String... statements) {
        try (Connection connection = DriverManager.getConnection(url(), "postgres", "postgres");
                Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    public boolean isAlive() {
        return server != null && server.isAlive();
    }

    /** SIGKILL, the postmaster and all. */
    public void kill() {
        List<ProcessHandle> backends = server.descendants().toList();
        server.destroyForcibly();
        backends.forEach(ProcessHandle::destroyForcibly);
        awaitEnd();
    }

    /** {@code pg_ctl stop -m immediate}. */
    public void stopImmediately() {
        stop("immediate");
    }

    /** {@code pg_ctl stop -m fast}: as an administrator stops it. */
    public void stop() {
        stop("fast");
    }

    private void stop(String mode) {
        launch("pg_ctl", List.of("stop", "-D", data.toString(), "-m", mode));
        awaitEnd();
    }

    private void awaitEnd() {
        try {
            if (!server.waitFor(30, TimeUnit.SECONDS)) {
                throw new IllegalStateException("PostgreSQL is still there");
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        if (isAlive()) {
            stopImmediately();
        }
    }
}
