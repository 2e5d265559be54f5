package dev.rowbell.outbox;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;

/** How many alerts a sink of this process takes a minute, and how many tries fail. Safe for many threads. */
final class Throughput {

    private static final Duration WINDOW = Duration.ofMinutes(5);
    /** The first alert after a start is no high rate. */
    private static final Duration SHORTEST = Duration.ofMinutes(1);

    private final LongAdder delivered = new LongAdder();
    private final LongAdder failed = new LongAdder();
    /** The oldest first, which is the newest that is at least as old as the window. */
    private final Deque<Sample> samples = new ArrayDeque<>();

    /** @param nanoTime now */
    Throughput(long nanoTime) {
        samples.add(new Sample(nanoTime, 0, 0));
    }

    private record Sample(long nanoTime, long delivered, long failed) {

        private long age(long now) {
            return now - nanoTime;
        }
    }

    /**
     * Over the last five minutes, or since the start where that is later.
     *
     * @param failed also those that were given up
     */
    record Rate(double deliveredPerMinute, double failedPerMinute) {}

    void delivered(int alerts) {
        delivered.add(alerts);
    }

    void failed(int alerts) {
        failed.add(alerts);
    }

    /** To be called every few seconds. */
    synchronized Rate rate(long nanoTime) {
        Sample last = new Sample(nanoTime, delivered.sum(), failed.sum());
        samples.add(last);
        Sample first = samples.remove();
        while (samples.element().age(nanoTime) >= WINDOW.toNanos()) {
            first = samples.remove();
        }
        samples.addFirst(first);
        double minutes = (double) Math.max(first.age(nanoTime), SHORTEST.toNanos()) / TimeUnit.MINUTES.toNanos(1);
        return new Rate((last.delivered() - first.delivered()) / minutes, (last.failed() - first.failed()) / minutes);
    }
}
