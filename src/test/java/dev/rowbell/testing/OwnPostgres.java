package dev.rowbell.testing;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
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
        launch("pg_ctl", List.of("stop", "-D", data.toString(), "-m", "immediate"));
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
