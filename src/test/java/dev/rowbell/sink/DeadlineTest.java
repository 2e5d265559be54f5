package dev.rowbell.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.WebReceiver;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
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
import org.apache.hc.client5.http.classic.methods.HttpPost;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClientBuilder;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

    /** Answers a request to connect so, then, where there is any, the handshake, and then a byte at a time without end. */
    private void drip(ServerSocket proxy, String answer, String handshake) {
        threads.execute(() -> {
            try (Socket socket = proxy.accept()) {
                socket.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
                if (!handshake.isEmpty()) {
                    // bytes that come with the answer are none of the handshake, which the client begins after its
                    // request
                    BufferedReader request = new BufferedReader(
                            new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1), 1);
                    while (!request.readLine().isEmpty()) {
                        // the headers
                    }
                    request.read();
                    socket.getOutputStream().write(handshake.getBytes(StandardCharsets.US_ASCII));
                }
                while (!Thread.currentThread().isInterrupted()) {
                    socket.getOutputStream().write('y');
                    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
                }
            } catch (IOException e) {
                // the client has gone
            }
        });
    }

    @ParameterizedTest
    @CsvSource({"'x: ', '', no whole answer", "'\r\n', '\u0016\u0003\u0003\u0040', no whole TLS handshake"})
    void aProxyThatAnswersByteByByteIsEndedInTime(String headers, String handshake, String late) throws IOException {
        try (ServerSocket proxy = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            drip(proxy, "HTTP/1.1 200 Connected\r\n" + headers, handshake);
            HttpClientBuilder builder = HttpClientBuilder.create()
                    .disableAutomaticRetries()
                    .setProxy(new HttpHost("127.0.0.1", proxy.getLocalPort()));
            new Deadline(context, () -> Duration.ofMillis(700)).configureHttpClient(builder);
            try (CloseableHttpClient client = builder.build()) {
                SocketTimeoutException ended = assertTimeoutPreemptively(
                        Duration.ofSeconds(20),
                        () -> assertThrows(
                                SocketTimeoutException.class,
                                () -> client.execute(
                                        new HttpGet("https://hooks.example.org"), response -> response.getCode())));
                assertTrue(ended.getMessage().contains(late + " within 700 ms"), ended.getMessage());
            }
        }
    }

    /** The outbox retries and counts the tries; an application that embeds the jar may have left those of the client on. */
    @Test
    void theClientRetriesNothingByItself() throws IOException {
        HttpClientBuilder builder = HttpClientBuilder.create();
        new Deadline(context, () -> Duration.ofMinutes(1)).configureHttpClient(builder);
        try (WebReceiver web = new WebReceiver();
                CloseableHttpClient client = builder.build()) {
            web.answer(request -> 503);
            int status = client.execute(new HttpPost(web.url()), response -> response.getCode());
            assertEquals(503, status);
            assertEquals(1, web.requests().size());
        }
    }

    /** Some receivers refuse a body of unknown length, as chunks are. */
    @Test
    void aBodyOfUnknownLengthIsSentWithItsLength() throws IOException {
        try (WebReceiver web = new WebReceiver();
                CloseableHttpClient client = client(Duration.ofMinutes(1))) {
            HttpPost request = new HttpPost(web.url());
            request.setEntity(new InputStreamEntity(
                    new ByteArrayInputStream("{\"text\": \"ü\"}".getBytes(StandardCharsets.UTF_8)),
                    -1,
                    ContentType.APPLICATION_JSON));
            int status = client.execute(request, response -> response.getCode());
            assertEquals(204, status);
            WebReceiver.Request got = web.requests().get(0);
            assertEquals("14", got.headers().getFirst("Content-Length"));
            assertNull(got.headers().getFirst("Transfer-Encoding"));
            assertEquals("application/json; charset=UTF-8", got.headers().getFirst("Content-Type"));
            assertEquals("{\"text\": \"ü\"}", got.body());
        }
    }

    @Test
    void theProxyOfJavaIsUsed() throws IOException {
        try (WebReceiver proxy = new WebReceiver();
                WebReceiver web = new WebReceiver();
                CloseableHttpClient client = client(Duration.ofMinutes(1))) {
            System.setProperty("http.proxyHost", "127.0.0.1");
            System.setProperty("http.proxyPort", proxy.url().replaceFirst(".*:", ""));
            System.setProperty("http.nonProxyHosts", "127.*");
            try {
                client.execute(new HttpGet("http://hooks.example.invalid/a"), response -> response.getCode());
                client.execute(new HttpGet(web.url() + "/b"), response -> response.getCode());
            } finally {
                System.clearProperty("http.proxyHost");
                System.clearProperty("http.proxyPort");
                System.clearProperty("http.nonProxyHosts");
            }
            assertEquals(
                    "http://hooks.example.invalid/a", proxy.requests().get(0).uri());
            assertEquals(1, proxy.requests().size());
            assertEquals(1, web.requests().size());
        }
    }
}
