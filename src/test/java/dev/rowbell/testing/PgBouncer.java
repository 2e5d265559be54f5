package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Assumptions;

/**
 * A real PgBouncer in front of the test server, as Debian packages it. Without one its tests are skipped, unless ROWBELL_TEST_PGBOUNCER is {@code
 * required}.
 */
public final class PgBouncer implements AutoCloseable {

    private final TestDatabase database;
    private final Map<String, String> login;
    private final int port;
    private final Process process;

    /** @param mode {@code session} or {@code transaction} */
    public PgBouncer(Path dir, TestDatabase database, String mode) {
        String program = program();
        this.database = database;
        login = database.settings();
        port = FreePort.find();
        try {
            Path users = Files.writeString(
                    dir.resolve("users.txt"), "\"%s\" \"%s\"\n".formatted(user(), login.get("rowbell.jdbc.password")));
            Path file =
                    Files.writeString(dir.resolve("pgbouncer.ini"), """
                    [databases]
                    * = host=localhost port=%d
                    [pgbouncer]
                    listen_addr = localhost
                    listen_port = %d
                    unix_socket_dir =
                    auth_type = trust
                    auth_file = %s
                    pool_mode = %s
                    ignore_startup_parameters = extra_float_digits
                    """.formatted(database.port(), port, users, mode));
            List<String> command = new ArrayList<>();
            if (System.getProperty("user.name").equals("root")) {
                // PgBouncer refuses to run as root
                command.addAll(List.of("unshare", "-U"));
            }
            command.addAll(List.of(program, file.toString()));
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(dir.resolve("pgbouncer.log").toFile())
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Awaitility.await("PgBouncer starts").until(this::takesConnections);
    }

    private static String program() {
        String found = Stream.of((System.getenv("PATH") + File.pathSeparator + "/usr/sbin").split(File.pathSeparator))
                .map(directory -> Path.of(directory, "pgbouncer"))
                .filter(Files::isExecutable)
                .map(Path::toString)
                .findFirst()
                .orElse("");
        String missing = "pgbouncer is not installed: apt-get install pgbouncer";
        assertFalse(found.isEmpty() && "required".equals(System.getenv("ROWBELL_TEST_PGBOUNCER")), missing);
        Assumptions.assumeFalse(found.isEmpty(), missing);
        return found;
    }

    private String user() {
        return login.get("rowbell.jdbc.user");
    }

    public int port() {
        return port;
    }

    public String url() {
        return "jdbc:postgresql://localhost:%d/%s".formatted(port, database.name());
    }

    private boolean takesConnections() {
        try {
            DriverManager.getConnection(url(), user(), login.get("rowbell.jdbc.password"))
                    .close();
            return true;
        } catch (SQLException e) {
            return false;
        }
    }

    @Override
    public void close() {
        process.destroy();
        try {
            process.waitFor(30, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
