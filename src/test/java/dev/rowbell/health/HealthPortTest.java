package dev.rowbell.health;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What strangers can do to the port of health and metrics. */
class HealthPortTest {

    @TempDir
    Path dir;

    private final Map<String, String> settings = TestDatabase.createWithSchema().settings();
    private RunningRowbell rowbell;
    private int port;

    @BeforeEach
    void start() throws IOException {
        port = FreePort.find();
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.health.port", String.valueOf(port));
        settings.put("rowbell.health.names", "alerts.example.org, Rowbell");
        settings.put("rowbell.file.dir", dir.toString());
        rowbell = RunningRowbell.start(settings);
    }

    @AfterEach
    void stop() {
        rowbell.close();
    }

    private Socket connect() throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setSoTimeout((int) Duration.ofSeconds(60).toMillis());
        return socket;
    }

    /** The status line; empty where the connection ends without one. */
    private String ask(Socket socket, String headers) throws IOException {
        socket.getOutputStream()
                .write(("GET /observe/health/live HTTP/1.1\r\n" + headers + "\r\n")
                        .getBytes(StandardCharsets.US_ASCII));
        StringBuilder line = new StringBuilder();
        InputStream in = socket.getInputStream();
        for (int read = in.read(); read >= 0 && read != '\r'; read = in.read()) {
            line.append((char) read);
        }
        return line.toString();
    }

    private String askFor(String host) throws IOException {
        try (Socket socket = connect()) {
            return ask(socket, "Host: " + host + "\r\n");
        }
    }

    @Test
    @Tag("long")
    void aHostNameThatIsNotKnownIsRefusedAndEveryAddressIsKnown() throws IOException {
        for (String known : List.of(
                "localhost",
                "LocalHost.",
                "127.0.0.1",
                "10.1.2.3",
                "[::1]",
                "[fe80::1]",
                "alerts.example.org",
                "rowbell",
                InetAddress.getLocalHost().getHostName())) {
            assertEquals("HTTP/1.1 200 OK", askFor(known), known);
            assertEquals("HTTP/1.1 200 OK", askFor(known + ":" + port), known);
        }
        for (String stranger : List.of(
                "evil.example.org",
                "localhost.evil.example.org",
                "127.0.0.1.evil.example.org",
                "evil.127.0.0.1",
                "a:b@localhost",
                "x y",
                "")) {
            String answer = askFor(stranger);
            assertTrue(answer.matches("HTTP/1.1 4(21|00) .*"), stranger + ": " + answer);
        }
        try (Socket probe = connect()) {
            assertEquals("HTTP/1.1 400 Bad Request", ask(probe, ""));
        }
    }

    @Test
    @Tag("long")
    void aConnectionThatSendsNoWholeRequestEnds() throws IOException {
        try (Socket silent = connect();
                Socket half = connect();
                Socket used = connect()) {
            half.getOutputStream()
                    .write("GET /observe/health/live HTTP/1.1\r\nHost: local".getBytes(StandardCharsets.US_ASCII));
            assertEquals("HTTP/1.1 200 OK", ask(used, "Host: localhost\r\n"));
            used.getInputStream().skipNBytes(1);
            await("the half request goes on, a byte at a time").until(() -> {
                try {
                    half.getOutputStream().write('x');
                    return false;
                } catch (IOException e) {
                    return true;
                }
            });
            assertEquals(-1, silent.getInputStream().read());
            used.getInputStream().readAllBytes();
        }
    }

    /** Such answers would fill the memory of the process. */
    @Test
    @Tag("long")
    void whoDoesNotReadTheAnswersGetsNoMoreOfThemAndOthersDo() throws IOException {
        byte[] request = ("GET /observe/health?data=true HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n"
                        .formatted("x".repeat(7000)))
                .getBytes(StandardCharsets.US_ASCII);
        try (Socket deaf = connect()) {
            assertThrows(IOException.class, () -> {
                for (int i = 0; i < 10_000; i++) {
                    deaf.getOutputStream().write(request);
                }
            });
        }
        try (Socket reads = connect()) {
            for (int i = 0; i < 100; i++) {
                reads.getOutputStream()
                        .write("GET /observe/health?data=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                .getBytes(StandardCharsets.US_ASCII));
            }
            reads.getOutputStream()
                    .write("GET /observe/health?data=true HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            String all = new String(reads.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(101, all.split("HTTP/1.1 ", -1).length - 1);
        }
        assertEquals("HTTP/1.1 200 OK", askFor("localhost"));
    }

    @Test
    void aPathThatCannotBeReadIsRefusedInOneLineAndNotLogged() throws IOException {
        try (LogLines log = new LogLines("io.vertx.ext.web.RoutingContext")) {
            for (String path : List.of("/%zz", "/%", "/a%2", "/observe/%-1", "*", "/%GG?x=%zz")) {
                try (Socket socket = connect()) {
                    socket.getOutputStream()
                            .write("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                                    .formatted(path)
                                    .getBytes(StandardCharsets.US_ASCII));
                    String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
                    assertTrue(answer.startsWith("HTTP/1.1 400 "), path + ": " + answer);
                }
            }
            assertEquals(List.of(), log.lines());
        }
    }

    @Test
    void manyConnectionsKeepNoProbeOut() throws IOException {
        List<Socket> sockets = new ArrayList<>();
        try {
            for (int i = 0; i < 500; i++) {
                sockets.add(connect());
            }
            assertEquals("HTTP/1.1 200 OK", askFor("localhost"));
            for (Socket socket : sockets.subList(0, 400)) {
                assertEquals(-1, socket.getInputStream().read());
            }
        } finally {
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }
}
