package dev.rowbell.bench;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/**
 * An HTTP receiver that answers each request so long after it was read, on an average, and does nothing else: what it takes of the two cores, and any lateness of its
 * own, would be counted against the one that is measured. A thread and a plain socket for each connection; knows no more of HTTP than it is sent.
 */
final class Receiver implements AutoCloseable {

    private static final byte[] ANSWER = "HTTP/1.1 204 No Content\r\n\r\n".getBytes(StandardCharsets.US_ASCII);

    private final ServerSocket server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final long pause;
    private final Consumer<String> received;

    /**
     * @param pause between a request and its answer, in nanoseconds
     * @param received is told the header webhook-id of each request that has one, once it was answered; by several threads
     */
    Receiver(long pause, Consumer<String> received) throws IOException {
        server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        this.pause = pause;
        this.received = received;
        threads.execute(this::accept);
    }

    InetSocketAddress address() {
        return (InetSocketAddress) server.getLocalSocketAddress();
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                threads.execute(() -> serve(socket));
            } catch (IOException e) {
                if (!server.isClosed()) {
                    throw new UncheckedIOException(e);
                }
            }
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            socket.setTcpNoDelay(true);
            InputStream in = new BufferedInputStream(socket.getInputStream());
            // how long after its time this thread wakes up, on an average: some 0.3 ms on a machine of ours
            long late = 0;
            while (true) {
                String id = null;
                int length = 0;
                String line = line(in);
                if (line == null) {
                    return;
                }
                for (; !line.isEmpty(); line = line(in)) {
                    String header = line.toLowerCase(Locale.ROOT);
                    if (header.startsWith("content-length:")) {
                        length = Integer.parseInt(line.substring(15).trim());
                    } else if (header.startsWith("webhook-id:")) {
                        id = line.substring(11).trim();
                    }
                }
                in.skipNBytes(length);
                long due = System.nanoTime() + pause - late;
                for (long left = pause - late; left > 0; left = due - System.nanoTime()) {
                    LockSupport.parkNanos(left);
                }
                late += (System.nanoTime() - due - late) / 16;
                socket.getOutputStream().write(ANSWER);
                if (id != null) {
                    received.accept(id);
                }
            }
        } catch (IOException e) {
            // a client that hangs up within a request shows in the count
        }
    }

    /** Null at the end of the stream. */
    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                return null;
            }
            if (c != '\r') {
                line.append((char) c);
            }
        }
        return line.toString();
    }

    @Override
    public void close() throws IOException {
        server.close();
        threads.shutdownNow();
    }
}
