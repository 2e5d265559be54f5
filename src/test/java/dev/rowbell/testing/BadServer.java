package dev.rowbell.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** An HTTP receiver that reads a whole request and then does with the connection what it likes. */
public final class BadServer implements AutoCloseable {

    /** What becomes of a connection, once the request has been read. */
    public interface Answer {
        void give(Socket socket) throws Exception;
    }

    private final ServerSocket server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final List<Socket> sockets = new CopyOnWriteArrayList<>();
    private volatile Answer answer = ok();

    public BadServer() {
        this(newServer());
    }

    public BadServer(ServerSocket server) {
        this.server = server;
        threads.execute(() -> {
            while (!server.isClosed()) {
                try {
                    Socket socket = server.accept();
                    sockets.add(socket);
                    threads.execute(() -> serve(socket));
                } catch (IOException e) {
                    // the test is over
                }
            }
        });
    }

    private static ServerSocket newServer() {
        try {
            return new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static Answer ok() {
        return text("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }

    public static Answer text(String text) {
        return socket -> socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    public void answer(Answer answer) {
        this.answer = answer;
    }

    /** Each as it was read: lines, headers and body. */
    public List<String> requests() {
        return requests;
    }

    public int port() {
        return server.getLocalPort();
    }

    private void serve(Socket socket) {
        try (socket) {
            requests.add(read(socket.getInputStream()));
            answer.give(socket);
        } catch (Exception e) {
            // the client has gone, or the test
        }
    }

    private static String read(InputStream in) throws IOException {
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        int length = -1;
        while (length < 0 || request.size() < length) {
            int b = in.read();
            if (b < 0) {
                throw new IOException("no whole request");
            }
            request.write(b);
            String head = length < 0 && b == '\n' ? request.toString(StandardCharsets.ISO_8859_1) : "";
            if (head.endsWith("\r\n\r\n")) {
                length = head.length()
                        + head.lines()
                                .filter(line -> line.toLowerCase().startsWith("content-length:"))
                                .mapToInt(line ->
                                        Integer.parseInt(line.substring(15).strip()))
                                .findFirst()
                                .orElse(0);
            }
        }
        return request.toString(StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
        server.close();
        for (Socket socket : sockets) {
            socket.close();
        }
        threads.shutdownNow();
    }
}
