package dev.rowbell.database;

import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A PostgreSQL of Rowbell's own, its data kept in {@code rowbell.embedded.dir} between runs. It is as durable as any other: fsync and
 * synchronous_commit are on.
 */
final class EmbeddedServer implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(EmbeddedServer.class);
    private static final String DATABASE = "rowbell";

    private final String url;
    /** Null where another Rowbell runs it, as the lock. */
    private final EmbeddedPostgres server;

    private final FileChannel lock;

    private EmbeddedServer(String url, EmbeddedPostgres server, FileChannel lock) {
        this.url = url;
        this.server = server;
        this.lock = lock;
    }

    /** @throws SettingsException where the directory or the port cannot be used */
    static EmbeddedServer start(Settings settings) {
        Path dir = dir(settings);
        FileChannel lock = lock(dir);
        if (lock == null) {
            throw new SettingsException("rowbell.embedded.dir=%s: another Rowbell is running there".formatted(dir));
        }
        return start(settings, dir, lock);
    }

    /**
     * The one that another Rowbell runs in the directory, or where none does, one that is started on the data it left.
     *
     * @throws SettingsException where there is no data
     */
    static EmbeddedServer visit(Settings settings) {
        Path dir = dir(settings);
        if (!Files.exists(dir.resolve("data/PG_VERSION"))) {
            throw new SettingsException(
                    "rowbell.jdbc.url is empty and there is no database in rowbell.embedded.dir=%s yet: set the URL, or start Rowbell"
                            .formatted(dir));
        }
        FileChannel lock = lock(dir);
        if (lock != null) {
            return start(settings, dir, lock);
        }
        try {
            String port = Files.readString(dir.resolve("port")).strip();
            return new EmbeddedServer(
                    "jdbc:postgresql://localhost:%s/%s?user=postgres".formatted(port, DATABASE), null, null);
        } catch (IOException e) {
            throw new SettingsException(
                    "rowbell.embedded.dir=%s: another Rowbell is starting there, try again".formatted(dir), e);
        }
    }

    private static Path dir(Settings settings) {
        return Path.of(settings.text("rowbell.embedded.dir")).toAbsolutePath().normalize();
    }

    private static EmbeddedServer start(Settings settings, Path dir, FileChannel lock) {
        try {
            int port = settings.number("rowbell.embedded.port", 0);
            stopOrphan(dir.resolve("data"));
            int chosen = port == 0 ? portOfLastTime(dir) : port;
            if (port != 0 && !isFree(port)) {
                throw new SettingsException("rowbell.embedded.port=%d: the port is in use".formatted(port));
            }
            Path log = dir.resolve("postgresql.log");
            EmbeddedPostgres server = EmbeddedPostgres.builder()
                    .setDataDirectory(dir.resolve("data"))
                    .setOverrideWorkingDirectory(dir.toFile())
                    .setCleanDataDirectory(false)
                    .setRegisterShutdownHook(false)
                    .setPort(chosen)
                    .setServerConfig("fsync", "on")
                    .setServerConfig("synchronous_commit", "on")
                    .setServerConfig("listen_addresses", "localhost")
                    .setServerConfig("unix_socket_directories", "''")
                    .setLocaleConfig("locale", "C.UTF-8")
                    .setOutputRedirector(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .setErrorRedirector(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .setPGStartupWait(Duration.ofSeconds(60))
                    .start();
            Files.writeString(dir.resolve("port"), String.valueOf(server.getPort()));
            ownersAlone(dir);
            createDatabase(server);
            return new EmbeddedServer(server.getJdbcUrl("postgres", DATABASE), server, lock);
        } catch (IOException | SQLException | IllegalStateException e) {
            release(lock);
            throw new SettingsException(
                    "rowbell.embedded.dir=%s: the embedded PostgreSQL did not start, see %s: %s"
                            .formatted(
                                    settings.text("rowbell.embedded.dir"),
                                    dir.resolve("postgresql.log"),
                                    e.getMessage()),
                    e);
        } catch (RuntimeException e) {
            release(lock);
            throw e;
        }
    }

    String url() {
        return url;
    }

    @Override
    public void close() {
        if (server == null) {
            return;
        }
        try {
            server.close();
        } catch (IOException e) {
            LOG.warn(
                    "the embedded PostgreSQL did not stop ({}): nothing is lost; end its process before the next start if that fails",
                    e.getMessage());
        }
        release(lock);
    }

    /** One Rowbell a directory, since two cannot share a data directory. Null where another holds the lock. */
    private static FileChannel lock(Path dir) {
        try {
            Files.createDirectories(dir);
            FileChannel channel =
                    FileChannel.open(dir.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            FileLock lock = null;
            try {
                lock = channel.tryLock();
            } catch (OverlappingFileLockException e) {
                LOG.debug("locked in this process", e);
            }
            if (lock == null) {
                channel.close();
                return null;
            }
            return channel;
        } catch (IOException e) {
            throw new SettingsException("rowbell.embedded.dir=%s: cannot be written".formatted(dir), e);
        }
    }

    /** The library leaves the directory open to all users. */
    private static void ownersAlone(Path dir) throws IOException {
        if (Files.getFileStore(dir).supportsFileAttributeView("posix")) {
            Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwx------"));
        }
    }

    private static void release(FileChannel lock) {
        try {
            lock.close();
        } catch (IOException e) {
            LOG.debug("the lock goes with the process", e);
        }
    }

    /** A Rowbell that was killed leaves its server behind; the lock says that no other Rowbell uses it. */
    private static void stopOrphan(Path data) throws IOException {
        Path pidFile = data.resolve("postmaster.pid");
        if (!Files.exists(pidFile)) {
            return;
        }
        long pid = Long.parseLong(Files.readAllLines(pidFile).get(0).strip());
        Optional<ProcessHandle> orphan = ProcessHandle.of(pid)
                .filter(process -> process.info()
                        .command()
                        .map(command -> command.endsWith("postgres"))
                        .orElse(false));
        if (orphan.isEmpty()) {
            return;
        }
        LOG.info("stopping the embedded PostgreSQL that a killed Rowbell left behind, process {}", pid);
        // SIGINT is PostgreSQL's fast shutdown; Java can only send SIGTERM, which waits for clients
        new ProcessBuilder(List.of("kill", "-INT", String.valueOf(pid))).start();
        try {
            orphan.get().onExit().get(20, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            throw new SettingsException(
                    "rowbell.embedded.dir: PostgreSQL process %d is still running on %s, stop it".formatted(pid, data),
                    e);
        }
    }

    private static int portOfLastTime(Path dir) throws IOException {
        Path file = dir.resolve("port");
        if (Files.exists(file)) {
            int last = Integer.parseInt(Files.readString(file).strip());
            if (isFree(last)) {
                return last;
            }
        }
        return 0;
    }

    private static boolean isFree(int port) {
        try (ServerSocket socket = new ServerSocket()) {
            socket.setReuseAddress(true);
            socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static void createDatabase(EmbeddedPostgres server) throws SQLException {
        try (Connection connection = server.getPostgresDatabase().getConnection();
                Statement statement = connection.createStatement()) {
            try (ResultSet found =
                    statement.executeQuery("select from pg_database where datname = '" + DATABASE + "'")) {
                if (found.next()) {
                    return;
                }
            }
            statement.execute("create database " + DATABASE);
        }
    }
}
