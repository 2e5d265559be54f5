package dev.rowbell.bench;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

import com.sun.net.httpserver.HttpServer;

/** Deliveries a second to a receiver that answers after 20 ms, with 16 threads: 16 / 0.020 s = 800/s would be all there is. */
final class HttpPart {

    private static final int PARALLEL = 16;
    private static final long ANSWER = TimeUnit.MILLISECONDS.toNanos(20);
    private static final int ALERTS = Rounds.SHORT ? 400 : 4000;
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
        ExecutorService threads = Executors.newFixedThreadPool(PARALLEL * 2);
        HttpServer receiver = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        receiver.setExecutor(threads);
        receiver.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            LockSupport.parkNanos(ANSWER);
            exchange.sendResponseHeaders(204, -1);
            exchange.close();
            ids.add(exchange.getRequestHeaders().getFirst("webhook-id"));
            requests.incrementAndGet();
        });
        receiver.start();
        String route = Files.readString(Path.of("routes/http.camel.yaml"))
                .replace("      parameters:\n        batch:", "      parameters:\n        parallel: " + PARALLEL + "\n        batch:");
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of("rowbell.http.url", "http://127.0.0.1:" + receiver.getAddress().getPort() + "/",
                "rowbell.file.dir", ""), Map.of("http", route))) {
            Series rate = new Rounds().throwAway(6).add("http", this::drain).run().get("http");
            report.atLeast("drain", "HTTP, 20 ms an answer, parallel=16", rate, "/s", "16 / 0.020 s", Series.of(PARALLEL * 1e9 / ANSWER), 0.95);
        } finally {
            receiver.stop(0);
            threads.shutdownNow();
        }
    }

    private double drain() throws Exception {
        ids.clear();
        requests.set(0);
        db.execute("insert into rowbell.feedback (alert) select json_build_object('id', gen_random_uuid(), 'rule', 'r') from generate_series(1, " + ALERTS + ")");
        long start = System.nanoTime();
        while (requests.get() < ALERTS) {
            if (System.nanoTime() - start > PATIENCE) {
                throw new WrongCount("%d alerts went in, %d requests came".formatted(ALERTS, requests.get()));
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        if (ids.size() != ALERTS || requests.get() != ALERTS) {
            throw new WrongCount("%d alerts went in, %d requests with %d ids came".formatted(ALERTS, requests.get(), ids.size()));
        }
        return ALERTS / seconds;
    }
}
