package dev.rowbell.sink;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.time.Duration;
import java.time.LocalDate;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.camel.Body;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends alerts to {@code alerts-YYYY-MM-DD.jsonl} of the clock's day: JSON Lines (jsonlines.org) in UTF-8. The lines of one call are
 * written and synced to disk together: all of them or none, even if a second process appends to the same file. The next call cuts off a line
 * that a crash of the machine left torn: its alert was never acknowledged and comes again. Files and directories that it makes are private unless
 * the permissions say otherwise: a user who may read a file can lock it. Safe for many threads.
 */
public final class JsonLines {

    private static final Logger LOG = LoggerFactory.getLogger(JsonLines.class);

    /** A file lock belongs to the process and does not separate its threads. */
    private static final Object IN_THIS_PROCESS = new Object();

    /** How long another process may hold the lock of the file. */
    private static final Duration LOCKED = Duration.ofSeconds(5);

    private final Supplier<String> dir;
    private final Supplier<String> permissions;
    private final Clock clock;

    /**
     * @param dir the directory, asked for each call
     * @param permissions of new files, as {@link #mode} reads them, asked for each new one
     */
    public JsonLines(Supplier<String> dir, Supplier<String> permissions, Clock clock) {
        this.dir = dir;
        this.permissions = permissions;
        this.clock = clock;
    }

    /**
     * The permissions of a file.
     *
     * @param octal as {@code 640}
     * @throws SettingsException if it is no such number, or if Rowbell itself could not read and write the file
     */
    public static Set<PosixFilePermission> mode(String octal) {
        if (!octal.matches("[67][0-7]{2}")) {
            throw new SettingsException(
                    "rowbell.file.permissions=%s: give three octal digits, such as 600 or 640".formatted(octal));
        }
        Set<PosixFilePermission> mode = EnumSet.noneOf(PosixFilePermission.class);
        int bits = Integer.parseInt(octal, 8);
        // in the order of the bits, from the owner's right to read
        PosixFilePermission[] all = PosixFilePermission.values();
        for (int i = 0; i < all.length; i++) {
            if ((bits & 0400 >> i) != 0) {
                mode.add(all[i]);
            }
        }
        return mode;
    }

    /**
     * Creates the directory if it does not exist. A directory that cannot be written is logged: its alerts wait, and the other sinks go on.
     *
     * @throws SettingsException if it is a file
     */
    public void check() {
        Path path = Path.of(dir.get());
        if (Files.exists(path) && !Files.isDirectory(path)) {
            throw new SettingsException("rowbell.file.dir=%s: it is no directory".formatted(path));
        }
        try {
            makeDirectory(path);
        } catch (IOException e) {
            LOG.debug("not made", e);
        }
        if (!Files.isWritable(path)) {
            LOG.warn(
                    "rowbell.file.dir={}: it cannot be written, alerts for the file wait: give {} the right to write there",
                    path,
                    System.getProperty("user.name"));
        }
    }

    /**
     * @param alerts one alert or a list of them
     * @throws UncheckedIOException if the file cannot be written; it is then as it was before
     */
    public void append(@Body Object alerts) {
        StringBuilder lines = new StringBuilder();
        for (Object alert : alerts instanceof List<?> list ? list : List.of(alerts)) {
            lines.append(AlertJson.write(alert)).append('\n');
        }
        Path file = Path.of(dir.get(), "alerts-" + LocalDate.now(clock) + ".jsonl");
        try {
            synchronized (IN_THIS_PROCESS) {
                append(file, lines.toString().getBytes(StandardCharsets.UTF_8));
            }
        } catch (IOException e) {
            // logs and dead letters show the message of the innermost exception
            throw new UncheckedIOException(new IOException("rowbell.file.dir: " + e));
        }
    }

    private void append(Path file, byte[] lines) throws IOException {
        makeDirectory(file.toAbsolutePath().getParent());
        try (FileChannel channel = open(file);
                FileLock lock = lock(channel)) {
            long end = endOfLastLine(channel);
            if (end < channel.size()) {
                LOG.warn(
                        "{} ended in a torn line, cutting off {} bytes; that alert comes again",
                        file,
                        channel.size() - end);
                channel.truncate(end);
            }
            try {
                ByteBuffer bytes = ByteBuffer.wrap(lines);
                for (long at = end; bytes.hasRemaining(); ) {
                    at += channel.write(bytes, at);
                }
                channel.force(true);
            } catch (IOException e) {
                channel.truncate(end);
                throw e;
            }
        }
    }

    private FileChannel open(Path file) throws IOException {
        try {
            FileChannel made = FileChannel.open(
                    file,
                    Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE),
                    attributes(file, mode(permissions.get())));
            setPermissions(file, mode(permissions.get()));
            return made;
        } catch (FileAlreadyExistsException e) {
            return FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
        }
    }

    /** With its parents. Whoever may read its files may list it. */
    private void makeDirectory(Path path) throws IOException {
        if (Files.isDirectory(path)) {
            return;
        }
        Set<PosixFilePermission> mode = mode(permissions.get());
        Map.of(
                        PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_EXECUTE,
                        PosixFilePermission.GROUP_READ, PosixFilePermission.GROUP_EXECUTE,
                        PosixFilePermission.OTHERS_READ, PosixFilePermission.OTHERS_EXECUTE)
                .forEach((read, list) -> {
                    if (mode.contains(read)) {
                        mode.add(list);
                    }
                });
        Files.createDirectories(path, attributes(path, mode));
        setPermissions(path, mode);
    }

    /** None where the file system has none. */
    private static FileAttribute<?>[] attributes(Path path, Set<PosixFilePermission> mode) {
        return isPosix(path)
                ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(mode)}
                : new FileAttribute<?>[0];
    }

    /** Those that the umask of the process took away, too. */
    private static void setPermissions(Path path, Set<PosixFilePermission> mode) throws IOException {
        if (isPosix(path)) {
            Files.setPosixFilePermissions(path, mode);
        }
    }

    private static boolean isPosix(Path path) {
        return path.getFileSystem().supportedFileAttributeViews().contains("posix");
    }

    private static FileLock lock(FileChannel channel) throws IOException {
        long start = System.nanoTime();
        try {
            FileLock lock = channel.tryLock();
            while (lock == null) {
                if (System.nanoTime() - start > LOCKED.toNanos()) {
                    throw new IOException(
                            "the file has been locked by another process for %d s".formatted(LOCKED.toSeconds()));
                }
                TimeUnit.MILLISECONDS.sleep(2);
                lock = channel.tryLock();
            }
            return lock;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("stopped while the file was locked by another process");
        }
    }

    private static long endOfLastLine(FileChannel channel) throws IOException {
        ByteBuffer one = ByteBuffer.allocate(1);
        for (long end = channel.size(); end > 0; end--) {
            one.clear();
            channel.read(one, end - 1);
            if (one.get(0) == '\n') {
                return end;
            }
        }
        return 0;
    }
}
