package dev.rowbell.outbox;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;

/**
 * Leased deliveries in memory, waiting for a worker. Those that this process files come here straight after their commit, and those in the table by
 * {@link Fetcher}. Takes no new ones while older deliveries wait in the table. Counts alerts. Safe for many threads.
 */
final class HandoffQueue {

    private final int capacity;
    private final Deque<Delivery> waiting = new ArrayDeque<>();
    private int size;
    private int reserved;
    private boolean open;
    private boolean closed;

    /** @param capacity alerts that may be handed off and wait */
    HandoffQueue(int capacity) {
        this.capacity = capacity;
    }

    /** @param caughtUp whether no other delivery is due in the table, as far as is known */
    synchronized void caughtUp(boolean caughtUp) {
        open = caughtUp && !closed;
    }

    /** Whether so many alerts may be filed as leased. If so, they are to be offered, or the reservation is to be cancelled. */
    synchronized boolean reserve(int alerts) {
        if (!open || size + reserved + alerts > capacity) {
            open = false;
            return false;
        }
        reserved += alerts;
        return true;
    }

    synchronized void cancel(int alerts) {
        reserved -= alerts;
    }

    /** @return false where the queue was closed since they were reserved */
    synchronized boolean offer(List<Delivery> deliveries) {
        reserved -= Delivery.alerts(deliveries);
        if (closed) {
            return false;
        }
        add(deliveries);
        return true;
    }

    /** Adds deliveries from the table. */
    synchronized void add(Collection<Delivery> deliveries) {
        for (Delivery delivery : deliveries) {
            waiting.add(delivery);
            size += delivery.size();
        }
    }

    /** The first deliveries, with up to so many alerts together; the first one in any case. */
    synchronized List<Delivery> take(int alerts) {
        List<Delivery> taken = new ArrayList<>();
        for (int sum = 0; !waiting.isEmpty(); ) {
            sum += waiting.peek().size();
            if (!taken.isEmpty() && sum > alerts) {
                break;
            }
            taken.add(waiting.poll());
        }
        size -= Delivery.alerts(taken);
        return taken;
    }

    synchronized List<Delivery> takeAll() {
        return take(Integer.MAX_VALUE);
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
