package dev.rowbell.sink;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.LocalDate;
import java.util.List;
import java.util.function.Supplier;
import org.apache.camel.Body;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends alerts to {@code alerts-YYYY-MM-DD.jsonl} of the clock's day: JSON Lines (jsonlines.org) in UTF-8. The lines of one call are
 * written and synced to disk together: all of them or none, even if a second process appends to the same file. The next call cuts off a line
 * that a crash of the machine left torn: its alert was never acknowledged and comes again. Safe for many threads.
 */
public final class JsonLines {

    private static final Logger LOG = LoggerFactory.getLogger(JsonLines.class);

    /** A file lock belongs to the process and does not separate its threads. */
    private static final Object IN_THIS_PROCESS = new Object();

    private final Supplier<String> dir;
    private final Clock clock;

    /** @param dir the directory, asked for each call */
    public JsonLines(Supplier<String> dir, Clock clock) {
        this.dir = dir;
        this.clock = clock;
    }

    /**
     * Creates the directory if it does not exist.
     *
     * @throws SettingsException if the directory cannot be created or written
     */
    public void check() {
        Path path = Path.of(dir.get());
        try {
            Files.createDirectories(path);
        } catch (IOException e) {
            throw new SettingsException("rowbell.file.dir=%s: cannot be made a directory".formatted(path), e);
        }
        if (!Files.isWritable(path)) {
            throw new SettingsException("rowbell.file.dir=%s: cannot be written".formatted(path));
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

    private static void append(Path file, byte[] lines) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        try (FileChannel channel = FileChannel.open(
                        file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
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
