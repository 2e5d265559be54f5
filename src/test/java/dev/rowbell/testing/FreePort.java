package dev.rowbell.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A port of this machine on which no server listens. Below those that Linux gives to servers that ask for any (from 32768): tests that run in other
 * processes at the time ask for them.
 */
public final class FreePort {

    private static final int FIRST = 20_000;
    private static final int END = 32_768;
    private static final int TRIES = 1000;

    private FreePort() {}

    public static int find() {
        for (int i = 0; i < TRIES; i++) {
            try (ServerSocket free = new ServerSocket(
                    ThreadLocalRandom.current().nextInt(FIRST, END), 1, InetAddress.getLoopbackAddress())) {
                return free.getLocalPort();
            } catch (IOException e) {
                // a server listens there
            }
        }
        throw new UncheckedIOException(new IOException("no port is free"));
    }
}
