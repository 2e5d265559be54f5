package dev.rowbell.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Browsers that show the page Live. Some of them do not read what they are sent. */
final class LiveTails implements AutoCloseable {

    private static final Pattern MISSED = Pattern.compile("\"missed\":(\\d+)");
    private static final String SHOWN = "\"id\":\"";

    private final List<Tail> tails = new ArrayList<>();

    private static final class Tail {

        private final Socket socket;
        private final boolean reads;
        private final CountDownLatch begun = new CountDownLatch(1);
        private final AtomicLong shown = new AtomicLong();
        private final AtomicLong missed = new AtomicLong();

        private Tail(int port, boolean reads) throws IOException {
            this.reads = reads;
            socket = new Socket(InetAddress.getLoopbackAddress(), port);
            socket.getOutputStream()
                    .write("GET /tail/events HTTP/1.1\r\nHost: localhost\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            if (reads) {
                Thread reader = new Thread(this::read, "live tail");
                reader.setDaemon(true);
                reader.start();
            } else {
                begun.countDown();
            }
        }

        private void read() {
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    if (line.equals(":")) {
                        begun.countDown();
                    }
                    Matcher number = MISSED.matcher(line);
                    if (number.find()) {
                        for (int at = line.indexOf(SHOWN); at >= 0; at = line.indexOf(SHOWN, at + 1)) {
                            shown.incrementAndGet();
                        }
                        missed.addAndGet(Long.parseLong(number.group(1)));
                    }
                }
            } catch (IOException e) {
                // it was closed
            }
        }
    }

    /** @param deaf of these, so many do not read */
    LiveTails(RowbellProcess rowbell, int count, int deaf) throws Exception {
        for (int i = 0; i < count; i++) {
            tails.add(new Tail(rowbell.port(), i >= deaf));
        }
        for (Tail tail : tails) {
            if (!tail.begun.await(30, TimeUnit.SECONDS)) {
                throw new WrongCount("a live tail was not opened");
            }
        }
    }

    /** Waits until each that reads has been shown or told of so many alerts, and returns how many were shown to the one that was shown most. */
    long awaitAll(long alerts) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        for (Tail tail : tails) {
            while (tail.reads && tail.missed.get() + tail.shown.get() < alerts) {
                if (System.nanoTime() > end) {
                    throw new WrongCount("%d alerts were routed, a live tail showed %d and said that it left out %d"
                            .formatted(alerts, tail.shown.get(), tail.missed.get()));
                }
                TimeUnit.MILLISECONDS.sleep(10);
            }
        }
        return tails.stream().mapToLong(tail -> tail.shown.get()).max().orElse(0);
    }

    @Override
    public void close() throws IOException {
        for (Tail tail : tails) {
            tail.socket.close();
        }
    }
}
