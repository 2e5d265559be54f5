package dev.rowbell.outbox;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * Leased deliveries in memory, waiting for a worker. Those that this process files come here straight after their commit, and those in the table by
 * {@link Fetcher}. Takes no new ones while older deliveries wait in the table. Counts alerts. Safe for many threads.
 */
final class HandoffQueue {

    /** Alerts may be as long as a megabyte, and each sink has a queue. */
    static final int CHARACTERS_AT_MOST = 16_000_000;

    private final int capacity;
    private final Deque<Delivery> waiting = new ArrayDeque<>();
    private int size;
    private int reserved;
    /** Of those that wait, and those for which there is a reservation. */
    private long characters;

    private boolean open;
    private boolean closed;
    /** Whether a delivery went to the table since the last look at it began. */
    private boolean bypassed;

    /** @param capacity alerts that may be handed off and wait */
    HandoffQueue(int capacity) {
        this.capacity = capacity;
    }

    /** To be called before the table is looked at, and {@link #caughtUp} after it. */
    synchronized void look() {
        bypassed = false;
    }

    /** @param caughtUp whether no other delivery is due in the table, as far as the look at it says */
    synchronized void caughtUp(boolean caughtUp) {
        open = caughtUp && !bypassed && !closed;
    }

    /** A delivery goes past the queue to the table, or has gone there: those that come next go there too, until a look has found it. */
    synchronized void bypass() {
        bypassed = true;
        open = false;
    }

    /** Whether alerts may be filed as leased. If so, they are to be offered, or the reservation is to be cancelled. */
    synchronized boolean reserve(List<String> documents) {
        long length = Delivery.characters(documents);
        boolean fits = size + reserved + documents.size() <= capacity && characters + length <= CHARACTERS_AT_MOST;
        if (!open || !fits) {
            bypass();
            return false;
        }
        reserved += documents.size();
        characters += length;
        return true;
    }

    synchronized void cancel(List<Delivery> deliveries) {
        reserved -= Delivery.alerts(deliveries);
        characters -= characters(deliveries);
    }

    private static long characters(List<Delivery> deliveries) {
        return deliveries.stream()
                .mapToLong(delivery -> Delivery.characters(delivery.documents()))
                .sum();
    }

    /** @return false where the queue was closed since they were reserved */
    synchronized boolean offer(List<Delivery> deliveries) {
        cancel(deliveries);
        if (closed) {
            return false;
        }
        add(deliveries);
        return true;
    }

    /** Adds deliveries from the table. */
    synchronized void add(List<Delivery> deliveries) {
        waiting.addAll(deliveries);
        size += Delivery.alerts(deliveries);
        characters += characters(deliveries);
    }

    /**
     * The first deliveries, with up to so many alerts together; the first one in any case.
     *
     * @param split one that has failed comes alone: it may be what the others of its batch failed for
     */
    synchronized List<Delivery> take(int alerts, boolean split) {
        List<Delivery> taken = new ArrayList<>();
        for (int sum = 0; !waiting.isEmpty(); ) {
            Delivery next = waiting.peek();
            sum += next.size();
            boolean alone = split
                    && (next.attempts() > 0 || !taken.isEmpty() && taken.get(0).attempts() > 0);
            if (!taken.isEmpty() && (alone || sum > alerts)) {
                break;
            }
            taken.add(waiting.poll());
        }
        size -= Delivery.alerts(taken);
        characters -= characters(taken);
        return taken;
    }

    synchronized List<Delivery> takeAll() {
        return take(Integer.MAX_VALUE, false);
    }

    synchronized int size() {
        return size;
    }

    boolean isEmpty() {
        return size() == 0;
    }

    /** Takes no more until {@link #reopen}. */
    synchronized void close() {
        closed = true;
        open = false;
    }

    synchronized void reopen() {
        closed = false;
    }
}
