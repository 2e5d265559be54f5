package dev.rowbell.testing;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.ToIntFunction;

/** A real HTTP server on loopback that keeps what it got and answers as it is told. */
public final class WebReceiver implements AutoCloseable {

    public record Request(String method, String uri, Headers headers, String body, int client) {}

    private final List<Request> requests = new CopyOnWriteArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final HttpServer server;
    private volatile ToIntFunction<Request> answer = request -> 204;
    private volatile Function<Request, String> answerBody = request -> "";
    private final Map<String, String> answerHeaders = new ConcurrentHashMap<>();

    public WebReceiver() {
        try {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            Request request = new Request(
                    exchange.getRequestMethod(),
                    exchange.getRequestURI().toString(),
                    exchange.getRequestHeaders(),
                    new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8),
                    exchange.getRemoteAddress().getPort());
            requests.add(request);
            answerHeaders.forEach(exchange.getResponseHeaders()::set);
            byte[] body = answerBody.apply(request).getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(answer.applyAsInt(request), body.length == 0 ? -1 : body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    /** @param answer the status of the answer; may take its time */
    public void answer(ToIntFunction<Request> answer) {
        this.answer = answer;
    }

    /** What every answer says besides its status. */
    public void answerHeader(String name, String value) {
        answerHeaders.put(name, value);
    }

    /** What an answer has besides its status and headers. */
    public void answerBody(Function<Request, String> body) {
        answerBody = body;
    }

    /** As a receiver answers that is busy or far away. */
    public void answerAfter(Duration delay) {
        answer(request -> {
            LockSupport.parkNanos(delay.toNanos());
            return 200;
        });
    }

    public String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    public List<Request> requests() {
        return requests;
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
