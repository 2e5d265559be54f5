package dev.rowbell.sink;

import java.io.FilterInputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.concurrent.TimeUnit;
import javax.net.SocketFactory;

/**
 * Limits what a mail server can reply: the mail library keeps a reply of any length in memory, and its timeout begins anew with each byte. A reply is
 * what comes until the client sends again; it has to be complete within the timeout of the socket. Safe for many threads.
 */
public final class MailSockets extends SocketFactory {

    private static final int REPLY_AT_MOST = 256 * 1024;

    /** By this name and signature the mail library asks for it. */
    public static SocketFactory getDefault() {
        return new MailSockets();
    }

    @Override
    public Socket createSocket() {
        return new Limited();
    }

    @Override
    public Socket createSocket(String host, int port) throws IOException {
        throw new IOException("only sockets that are connected later");
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress localHost, int localPort) throws IOException {
        return createSocket(host, port);
    }

    @Override
    public Socket createSocket(InetAddress host, int port) throws IOException {
        return createSocket(host.getHostAddress(), port);
    }

    @Override
    public Socket createSocket(InetAddress host, int port, InetAddress localHost, int localPort) throws IOException {
        return createSocket(host, port);
    }

    private static final class Limited extends Socket {

        private volatile long sentAt;
        private volatile int replied;

        private void sending() {
            sentAt = System.nanoTime();
            replied = 0;
        }

        /** @param length negative at the end of the stream */
        private int received(int length) throws IOException {
            replied += Math.max(0, length);
            if (replied > REPLY_AT_MOST) {
                throw new IOException("the mail server replied more than %d bytes".formatted(REPLY_AT_MOST));
            }
            long most = getSoTimeout();
            if (most > 0 && System.nanoTime() - sentAt > TimeUnit.MILLISECONDS.toNanos(most)) {
                throw new SocketTimeoutException("no whole reply of the mail server within %d ms".formatted(most));
            }
            return length;
        }

        @Override
        public InputStream getInputStream() throws IOException {
            sending();
            return new FilterInputStream(super.getInputStream()) {
                @Override
                public int read() throws IOException {
                    int b = super.read();
                    received(b < 0 ? b : 1);
                    return b;
                }

                @Override
                public int read(byte[] bytes, int from, int length) throws IOException {
                    return received(super.read(bytes, from, length));
                }
            };
        }

        @Override
        public OutputStream getOutputStream() throws IOException {
            return new FilterOutputStream(super.getOutputStream()) {
                @Override
                public void write(int b) throws IOException {
                    sending();
                    out.write(b);
                    sending();
                }

                @Override
                public void write(byte[] bytes, int from, int length) throws IOException {
                    sending();
                    out.write(bytes, from, length);
                    sending();
                }
            };
        }
    }
}
