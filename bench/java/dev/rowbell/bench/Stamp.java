package dev.rowbell.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.apache.camel.Body;

/**
 * The first line of a route that is measured: notes which row the alert is about and when it got here. The clock is System.nanoTime, which on
 * Linux is the same for all processes of a machine (CLOCK_MONOTONIC). Runs in the process that is measured.
 */
public final class Stamp {

    /** A sink of which each alert is noted when it gets there. */
    static final String ROUTE = """
            - route:
                id: stamp
                errorHandler:
                  noErrorHandler: {}
                from:
                  uri: outbox:stamp
                  steps:
                    - bean:
                        beanType: dev.rowbell.bench.Stamp
            """;

    static final Path FILE = Path.of("stamps.txt");

    public synchronized void stamp(@Body Map<String, Object> alert) throws IOException {
        long now = System.nanoTime();
        note(((Map<?, ?>) alert.get("new")).get("id"), now);
    }

    static void note(Object id, long time) throws IOException {
        String line = id + " " + time + "\n";
        Files.write(
                FILE, line.getBytes(StandardCharsets.US_ASCII), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
}
