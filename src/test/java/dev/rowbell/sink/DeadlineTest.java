package dev.rowbell.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.camel.component.http.HttpComponent;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.hc.client5.http.classic.methods.HttpGet;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClientBuilder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the HTTP client of a sink lets a receiver do. */
class DeadlineTest {

    private final DefaultCamelContext context = new DefaultCamelContext();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void stop() throws IOException {
        threads.shutdownNow();
        context.close();
    }

    private CloseableHttpClient client(Duration time) {
        HttpClientBuilder builder = HttpClientBuilder.create().disableAutomaticRetries();
        new Deadline(context, () -> time).configureHttpClient(builder);
        return builder.build();
    }

    @Test
    void aTlsHandshakeByteByByteIsEndedInTime() throws IOException {
        try (ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
                CloseableHttpClient client = client(Duration.ofMillis(700))) {
            threads.execute(() -> {
                try (Socket socket = server.accept()) {
                    // a long record, of which each byte comes before a timeout of the socket
                    socket.getOutputStream().write(new byte[] {22, 3, 3, 0x40, 0});
                    while (!Thread.currentThread().isInterrupted()) {
                        socket.getOutputStream().write(2);
                        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
                    }
                } catch (IOException e) {
                    // the client has gone
                }
            });
            HttpGet request = new HttpGet("https://127.0.0.1:" + server.getLocalPort());
            SocketTimeoutException late = assertTimeoutPreemptively(
                    Duration.ofMinutes(1),
                    () -> assertThrows(
                            SocketTimeoutException.class,
                            () -> client.execute(request, response -> response.getCode())));
            assertTrue(late.getMessage().contains("no whole TLS handshake within 700 ms"), late.getMessage());
        }
    }

    @Test
    void asManyConnectionsAreOpenAsTheComponentAllows() throws Exception {
        int connections = 30;
        context.getComponent("http", HttpComponent.class).setConnectionsPerRoute(connections);
        CountDownLatch together = new CountDownLatch(connections);
        try (WebReceiver web = new WebReceiver();
                CloseableHttpClient client = client(Duration.ofMinutes(1))) {
            web.answer(request -> {
                together.countDown();
                try {
                    return together.await(20, TimeUnit.SECONDS) ? 204 : 500;
                } catch (InterruptedException e) {
                    return 500;
                }
            });
            List<Future<Integer>> answers = new ArrayList<>();
            for (int i = 0; i < connections; i++) {
                answers.add(
                        threads.submit(() -> client.execute(new HttpGet(web.url()), response -> response.getCode())));
            }
            for (Future<Integer> answer : answers) {
                assertEquals(204, answer.get());
            }
        }
    }
}
