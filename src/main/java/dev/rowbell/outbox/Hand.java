package dev.rowbell.outbox;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.UUID;

/**
 * Deliveries that go from the transaction that filed them to their sink by hand: filed as taken by this process already, so that nobody has to
 * look for them in the table, which is the proof that they wait. Only while the sink has caught up with the table: what waits there was first.
 * Safe for many threads.
 */
final class Hand {

    /** Fences what was handed over from what others take when its lease is over; a delivery is handed over once, when it is filed. */
    private final UUID taker = UUID.randomUUID();

    private final int most;
    private final Deque<Handed> waiting = new ArrayDeque<>();
    private int promised;
    private boolean open;
    private boolean closed;

    private record Handed(Delivery delivery, long leased) {}

    /**
     * Some of them.
     *
     * @param leased when the lease of the first of them began, by {@link System#nanoTime()}
     */
    record Handful(List<Delivery> deliveries, long leased) {}

    /** @param most how many may wait in memory */
    Hand(int most) {
        this.most = most;
    }

    UUID taker() {
        return taker;
    }

    /** Whether the table has nothing else for the sink, as far as is known. */
    synchronized void caughtUp(boolean caughtUp) {
        open = caughtUp && !closed;
    }

    /** Whether so many may be filed as taken; then they are to be given or the promise taken back. Where not, they wait in the table. */
    synchronized boolean promise(int deliveries) {
        if (!open || waiting.size() + promised + deliveries > most) {
            open = false;
            return false;
        }
        promised += deliveries;
        return true;
    }

    synchronized void takeBack(int deliveries) {
        promised -= deliveries;
    }

    /**
     * Gives what was promised.
     *
     * @param leased when its lease began, by nanoTime
     * @return false where nobody takes it any more
     */
    synchronized boolean give(List<Delivery> deliveries, long leased) {
        promised -= deliveries.size();
        if (!closed) {
            deliveries.forEach(delivery -> waiting.add(new Handed(delivery, leased)));
        }
        return !closed;
    }

    /**
     * The first of them: up to so many, as long as enough is left for the others who take, and no less than a whole bundle; none where there are none.
     *
     * @param atLeast as many even where nothing is left for others
     * @param takers how many there are, with the caller
     */
    synchronized Handful take(int atMost, int atLeast, int takers) {
        List<Delivery> taken = new ArrayList<>();
        long leased = waiting.isEmpty() ? System.nanoTime() : waiting.peek().leased();
        int share = Math.max(Math.min(atMost, (waiting.size() + takers - 1) / takers), atLeast);
        while (!waiting.isEmpty()
                && (taken.size() < share || isBundledWith(taken, waiting.peek().delivery()))) {
            taken.add(waiting.poll().delivery());
        }
        return new Handful(taken, leased);
    }

    /** All of them. */
    synchronized Handful takeAll() {
        return take(Integer.MAX_VALUE, Integer.MAX_VALUE, 1);
    }

    private static boolean isBundledWith(List<Delivery> taken, Delivery next) {
        return next.isBundled()
                && !taken.isEmpty()
                && taken.get(taken.size() - 1).bundle() == next.bundle();
    }

    synchronized boolean isEmpty() {
        return waiting.isEmpty();
    }

    /** Nothing more is taken; until {@link #reopen}. */
    synchronized void close() {
        closed = true;
        open = false;
    }

    synchronized void reopen() {
        closed = false;
    }
}
