package dev.rowbell.outbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class HandoffQueueTest {

    private static final Lease LEASE = Lease.start(Duration.ofMinutes(1));

    private final HandoffQueue queue = new HandoffQueue(10);

    private static List<String> documents(int alerts) {
        return Collections.nCopies(alerts, "{}");
    }

    private static Delivery delivery(int alerts) {
        return new Delivery(UUID.randomUUID(), documents(alerts), 0, LEASE);
    }

    /** The table was looked at, and nothing is due there. */
    private void catchUp() {
        queue.look();
        queue.caughtUp(true);
    }

    private static List<Integer> sizes(List<Delivery> deliveries) {
        return deliveries.stream().map(Delivery::size).toList();
    }

    private void handOff(int... alerts) {
        for (int each : alerts) {
            assertTrue(queue.reserve(documents(each)));
            assertTrue(queue.offer(List.of(delivery(each))));
        }
    }

    @Test
    void nothingIsHandedOffBeforeTheTableIsKnownToHaveNothingOlder() {
        assertFalse(queue.reserve(documents(1)));
        catchUp();
        assertTrue(queue.reserve(documents(1)));
        queue.caughtUp(false);
        assertFalse(queue.reserve(documents(1)));
    }

    @Test
    void deliveriesComeOutInTheOrderInWhichTheyWereOffered() {
        queue.caughtUp(true);
        List<Delivery> offered =
                Stream.of(1, 2, 3).map(HandoffQueueTest::delivery).toList();
        assertTrue(queue.reserve(documents(6)));
        assertTrue(queue.offer(offered));
        assertEquals(6, queue.size());
        assertEquals(offered, queue.takeAll());
        assertTrue(queue.isEmpty());
    }

    @Test
    void aFullQueueSendsAllThatComesLaterToTheTableUntilItHasCaughtUp() {
        queue.caughtUp(true);
        handOff(9);
        assertFalse(queue.reserve(documents(2)));
        // there is room for one, but an older one waits in the table
        assertFalse(queue.reserve(documents(1)));
        queue.takeAll();
        assertFalse(queue.reserve(documents(1)));
        catchUp();
        assertTrue(queue.reserve(documents(1)));
    }

    @Test
    void whatGoesToTheTableWhileItIsLookedAtIsNotOvertaken() {
        queue.look();
        assertFalse(queue.reserve(documents(1)));
        queue.caughtUp(true);
        assertFalse(queue.reserve(documents(1)), "the look may have come before the one that went to the table");
        queue.look();
        queue.caughtUp(true);
        queue.bypass();
        assertFalse(queue.reserve(documents(1)), "it was committed after the look");
        queue.look();
        queue.caughtUp(true);
        assertTrue(queue.reserve(documents(1)));
    }

    @Test
    void whatIsReservedTakesRoomUntilItIsCancelled() {
        queue.caughtUp(true);
        assertTrue(queue.reserve(documents(10)));
        assertFalse(queue.reserve(documents(1)));
        queue.cancel(List.of(delivery(10)));
        catchUp();
        assertTrue(queue.reserve(documents(10)));
    }

    @Test
    void deliveriesOfTheTableAreTakenWhateverRoomThereIs() {
        queue.add(List.of(delivery(8), delivery(8)));
        assertEquals(16, queue.size());
        queue.caughtUp(true);
        assertFalse(queue.reserve(documents(1)));
        assertEquals(List.of(8, 8), sizes(queue.takeAll()));
    }

    @Test
    void aWorkerTakesWholeDeliveriesUpToSoManyAlertsAndAtLeastOne() {
        queue.caughtUp(true);
        handOff(2, 2, 2, 4);
        assertEquals(List.of(2, 2), sizes(queue.take(5, true)));
        assertEquals(List.of(2), sizes(queue.take(1, true)));
        assertEquals(List.of(4), sizes(queue.take(1, true)), "a delivery of more than a worker takes at a time");
        assertEquals(List.of(), queue.take(1, true));
        assertEquals(0, queue.size());
    }

    @Test
    void whatHasFailedComesAloneUnlessItsBatchIsNotSplit() {
        queue.add(List.of(delivery(1), failed(1), failed(1), delivery(1), delivery(1)));
        assertEquals(List.of(1), sizes(queue.take(5, true)));
        assertEquals(List.of(1), sizes(queue.take(5, true)));
        assertEquals(List.of(1, 1, 1), sizes(queue.take(5, false)));
        queue.add(List.of(failed(1), delivery(1), delivery(1)));
        assertEquals(List.of(1), sizes(queue.take(5, true)));
        assertEquals(List.of(1, 1), sizes(queue.take(5, true)));
    }

    private static Delivery failed(int alerts) {
        return new Delivery(UUID.randomUUID(), documents(alerts), 1, LEASE);
    }

    @Test
    void aQueueThatIsClosedTakesNothingNotEvenWhatWasReserved() {
        queue.caughtUp(true);
        assertTrue(queue.reserve(documents(1)));
        queue.close();
        assertFalse(queue.offer(List.of(delivery(1))));
        assertTrue(queue.isEmpty());
        queue.caughtUp(true);
        assertFalse(queue.reserve(documents(1)), "closed means closed");
        queue.reopen();
        assertFalse(queue.reserve(documents(1)), "nobody has looked at the table since");
        catchUp();
        assertTrue(queue.reserve(documents(10)), "what was refused takes no room");
    }

    @Test
    void manyThreadsLoseNothingAndTakeNothingTwice() throws Exception {
        HandoffQueue shared = new HandoffQueue(50);
        shared.caughtUp(true);
        ConcurrentLinkedQueue<UUID> offered = new ConcurrentLinkedQueue<>();
        ConcurrentLinkedQueue<UUID> taken = new ConcurrentLinkedQueue<>();
        AtomicBoolean over = new AtomicBoolean();
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<?>> writers = new ArrayList<>();
            List<Future<?>> workers = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                writers.add(threads.submit(() -> {
                    for (int i = 0; i < 2000; i++) {
                        Delivery delivery = delivery(1 + i % 3);
                        if (shared.reserve(delivery.documents())) {
                            offered.add(delivery.id());
                            shared.offer(List.of(delivery));
                        }
                    }
                }));
                workers.add(threads.submit(() -> {
                    while (!over.get() || !shared.isEmpty()) {
                        shared.take(5, true).forEach(delivery -> taken.add(delivery.id()));
                        shared.look();
                        shared.caughtUp(true);
                    }
                }));
            }
            for (Future<?> writer : writers) {
                writer.get(1, TimeUnit.MINUTES);
            }
            over.set(true);
            for (Future<?> worker : workers) {
                worker.get(1, TimeUnit.MINUTES);
            }
        } finally {
            threads.shutdownNow();
        }
        Set<UUID> distinct = new HashSet<>(taken);
        assertEquals(taken.size(), distinct.size());
        assertEquals(new HashSet<>(offered), distinct);
        assertEquals(0, shared.size());
        shared.look();
        shared.caughtUp(true);
        assertTrue(shared.reserve(documents(50)), "every reservation was given back");
    }
}
