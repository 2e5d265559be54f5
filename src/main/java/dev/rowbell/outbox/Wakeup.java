package dev.rowbell.outbox;

import java.time.Duration;

/** Lets workers sleep until there is something to do. A call that comes between looking and sleeping is not missed. */
final class Wakeup {

    private long calls;

    synchronized void call() {
        calls++;
        notifyAll();
    }

    /** To be read before looking for work, and given to {@link #sleep}. */
    synchronized long calls() {
        return calls;
    }

    /** Returns when called since {@code seen} was read, at once if that has already happened, when the time is over, or when interrupted, which the thread stays. */
    synchronized void sleep(long seen, Duration most) {
        long end = System.nanoTime() + most.toNanos();
        while (calls == seen) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return;
            }
            try {
                wait(left);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }
}
