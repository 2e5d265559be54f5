package dev.rowbell.bench;

import java.io.IOException;
import java.net.ConnectException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import org.apache.camel.Body;

/**
 * A sink that looks into each alert: reads {@code new.id} and {@code old}, and notes how many it has seen. It is down while there is a file
 * {@link #DOWN}. Runs in the process that is measured.
 */
public final class Reads {

    static final Path DOWN = Path.of("down");
    private static final Path FILE = Path.of("reads.txt");

    /**
     * What was seen so far.
     *
     * @param first when the first came, by System.nanoTime
     * @param last when the last were done
     * @param count of all
     * @param different ids
     * @param updates those with an old row
     * @param cpuBefore what the process had taken of all processors before the first, in s
     */
    record Seen(long first, long last, int count, int different, int updates, double cpuBefore) {

        /** In the directory of a process. */
        static Seen in(Path directory) throws IOException {
            Path file = directory.resolve(FILE);
            if (Files.exists(file)) {
                try (Scanner numbers = new Scanner(file)) {
                    return new Seen(
                            numbers.nextLong(),
                            numbers.nextLong(),
                            numbers.nextInt(),
                            numbers.nextInt(),
                            numbers.nextInt(),
                            numbers.nextLong() / 1e3);
                }
            }
            return new Seen(0, 0, 0, 0, 0, 0);
        }
    }

    private final BitSet ids = new BitSet();
    private long first;
    private long cpuBefore;
    private int count;
    private int updates;

    public synchronized void read(@Body List<Map<String, Object>> alerts) throws IOException {
        if (Files.exists(DOWN)) {
            throw new ConnectException("down");
        }
        begin();
        for (Map<String, Object> alert : alerts) {
            if (alert.get("old") != null) {
                updates++;
            }
            add(((Number) ((Map<?, ?>) alert.get("new")).get("id")).intValue());
        }
        write();
    }

    /** The first may be under way. */
    void begin() {
        if (first == 0) {
            cpuBefore = ProcessHandle.current()
                    .info()
                    .totalCpuDuration()
                    .orElseThrow()
                    .toMillis();
            first = System.nanoTime();
        }
    }

    void add(int id) {
        begin();
        ids.set(id);
        count++;
    }

    void write() throws IOException {
        Path next = Path.of(FILE + ".next");
        Files.writeString(
                next,
                "%d %d %d %d %d %d".formatted(first, System.nanoTime(), count, ids.cardinality(), updates, cpuBefore));
        Files.move(next, FILE, StandardCopyOption.ATOMIC_MOVE);
    }
}
