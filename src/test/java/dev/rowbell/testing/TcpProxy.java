package dev.rowbell.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** A network between a client and a server, both on loopback, that can go silent without a word to either. */
public final class TcpProxy implements AutoCloseable {

    private final ServerSocket server;
    private volatile int target;
    private final List<Socket> sockets = new CopyOnWriteArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private volatile boolean refusing;
    private final AtomicInteger refused = new AtomicInteger();
    /** Of the connections made since the last cut. */
    private volatile AtomicBoolean forwarding = new AtomicBoolean(true);

    public TcpProxy(int target) throws IOException {
        this.target = target;
        server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        threads.execute(() -> {
            while (!server.isClosed()) {
                try {
                    connect(server.accept());
                } catch (IOException e) {
                    if (!server.isClosed()) {
                        throw new UncheckedIOException(e);
                    }
                }
            }
        });
    }

    public int port() {
        return server.getLocalPort();
    }

    /** New connections go to another server; those that there are stay. */
    public void redirect(int port) {
        target = port;
    }

    /** Every connection there is stays open and carries nothing any more; new ones work. */
    public void cutSilently() {
        AtomicBoolean old = forwarding;
        forwarding = new AtomicBoolean(true);
        old.set(false);
    }

    /** As a network that is gone: new connections are taken and carry nothing, too. */
    public void cutAll() {
        cutSilently();
        forwarding.set(false);
    }

    /** Closes every connection there is, and each new one at once, as a server that is down; or takes them again. */
    public void refuse(boolean refused) throws IOException {
        refusing = refused;
        if (refused) {
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }

    /** How many were taken. */
    public int connections() {
        return sockets.size() / 2;
    }

    /** How many have tried in vain. */
    public int refused() {
        return refused.get();
    }

    private void connect(Socket client) throws IOException {
        if (refusing) {
            refused.incrementAndGet();
            client.close();
            return;
        }
        Socket upstream;
        try {
            upstream = new Socket("localhost", target);
        } catch (IOException e) {
            // a server that is down
            client.close();
            return;
        }
        sockets.add(client);
        sockets.add(upstream);
        AtomicBoolean open = forwarding;
        threads.execute(() -> copy(client, upstream, open));
        threads.execute(() -> copy(upstream, client, open));
    }

    private static void copy(Socket from, Socket to, AtomicBoolean open) {
        byte[] buffer = new byte[8192];
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int length = in.read(buffer); length >= 0; length = in.read(buffer)) {
                if (open.get()) {
                    out.write(buffer, 0, length);
                }
            }
            if (open.get()) {
                to.close();
            }
        } catch (IOException e) {
            // one of the two has closed; the other is closed with the proxy
        }
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
