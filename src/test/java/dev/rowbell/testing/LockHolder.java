package dev.rowbell.testing;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Another process of this machine that may read a file, and holds a read lock on it until its input ends. */
public final class LockHolder {

    private LockHolder() {}

    public static void main(String[] file) throws IOException {
        try (FileChannel channel = FileChannel.open(Path.of(file[0]), StandardOpenOption.READ);
                FileLock lock = channel.lock(0, Long.MAX_VALUE, true)) {
            System.out.println(lock.isValid());
            while (System.in.read() >= 0) {
                // until the test closes it
            }
        }
    }

    /** Returns when it holds the lock. */
    public static Process start(Path file) throws IOException {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        Path.of("target", "test-classes").toString(),
                        LockHolder.class.getName(),
                        file.toString())
                .redirectErrorStream(true)
                .start();
        if (process.inputReader().readLine() == null) {
            throw new IOException("it holds no lock");
        }
        return process;
    }
}
