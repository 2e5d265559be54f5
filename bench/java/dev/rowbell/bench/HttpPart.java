package dev.rowbell.bench;

import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Deliveries a second by 16 threads to a receiver that answers after 20 ms, so at most 16 / 0.020 s = 800/s. 16 plain sockets with the same
 * receiver show what this machine reaches.
 */
final class HttpPart {

    private static final int PARALLEL = 16;
    private static final long ANSWER = TimeUnit.MILLISECONDS.toNanos(20);
    private static final int ALERTS = Rounds.SHORT ? 400 : 8000;
    private static final int PLAIN = Rounds.SHORT ? 400 : 1000;
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(60);

    private final Db db;
    private final Report report;
    private final Set<String> ids = ConcurrentHashMap.newKeySet();
    private final AtomicInteger requests = new AtomicInteger();

    HttpPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        db.feed();
        String route = Files.readString(Path.of("routes/http.camel.yaml"))
                .replace(
                        "      parameters:\n        batch:",
                        "      parameters:\n        parallel: " + PARALLEL + "\n        batch:");
        try (Receiver receiver = new Receiver(ANSWER, id -> {
                    ids.add(id);
                    requests.incrementAndGet();
                });
                RowbellProcess rowbell = RowbellProcess.start(
                        db,
                        Map.of(
                                "rowbell.http.url",
                                "http://127.0.0.1:" + receiver.address().getPort() + "/",
                                "rowbell.file.dir",
                                ""),
                        Map.of("http", route))) {
            Map<String, Series> rates = new Rounds()
                    .throwAway(4)
                    .add("plain", () -> plain(receiver.address()))
                    .add("http", this::drain)
                    .run();
            Series most = Series.of(PARALLEL * 1e9 / ANSWER);
            report.atLeast(
                    "drain", "HTTP, 20 ms an answer, parallel=16", rates.get("http"), "/s", "16 / 0.020 s", most, 0.95);
            report.atLeast(
                    "drain", "the same receiver, 16 plain sockets", rates.get("plain"), "/s", "16 / 0.020 s", most, 0);
        }
    }

    private double drain() throws Exception {
        ids.clear();
        requests.set(0);
        db.raise(ALERTS);
        long start = System.nanoTime();
        while (requests.get() < ALERTS) {
            if (System.nanoTime() - start > PATIENCE) {
                throw new WrongCount("%d alerts went in, %d requests came".formatted(ALERTS, requests.get()));
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        if (ids.size() != ALERTS || requests.get() != ALERTS) {
            throw new WrongCount(
                    "%d alerts went in, %d requests with %d ids came".formatted(ALERTS, requests.get(), ids.size()));
        }
        return ALERTS / seconds;
    }

    private static double plain(InetSocketAddress receiver) throws Exception {
        byte[] request = ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n\r\n" + "x".repeat(300))
                .getBytes(StandardCharsets.US_ASCII);
        ExecutorService threads = Executors.newFixedThreadPool(PARALLEL);
        AtomicInteger left = new AtomicInteger(PLAIN);
        try {
            long start = System.nanoTime();
            List<Future<Void>> senders = threads.invokeAll(Collections.nCopies(PARALLEL, () -> {
                try (Socket socket = new Socket(receiver.getAddress(), receiver.getPort())) {
                    socket.setTcpNoDelay(true);
                    byte[] answer = new byte[1000];
                    while (left.decrementAndGet() >= 0) {
                        socket.getOutputStream().write(request);
                        // an answer without a body is one packet here
                        if (socket.getInputStream().read(answer) < 0) {
                            throw new WrongCount("the receiver hung up");
                        }
                    }
                }
                return null;
            }));
            for (Future<Void> sender : senders) {
                sender.get();
            }
            return PLAIN * 1e9 / (System.nanoTime() - start);
        } finally {
            threads.shutdownNow();
        }
    }
}
