package dev.rowbell.outbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.error.Backoff;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class CircuitTest {

    private static final Duration FIRST = Duration.ofSeconds(10);
    private static final Duration MOST = Duration.ofMinutes(1);

    private final Circuit circuit = new Circuit(3, new Backoff(FIRST, MOST));
    /** Close to an overflow, as nanoTime may be. */
    private long now = Long.MAX_VALUE - FIRST.toNanos();

    private void pass(Duration time) {
        now += time.toNanos();
    }

    private void fail(int times) {
        for (int i = 0; i < times; i++) {
            circuit.failed(now, Duration.ZERO, "connection refused", new Object());
        }
    }

    private void assertWaits(Duration least, Duration most) {
        Duration away = circuit.away(now);
        assertTrue(away.compareTo(least) >= 0 && away.compareTo(most) <= 0, away.toString());
    }

    @Test
    void itOpensAfterSoManyFailuresInARow() {
        fail(2);
        assertFalse(circuit.isOpen());
        assertEquals(Duration.ZERO, circuit.away(now));
        assertEquals(Optional.empty(), circuit.open(now).map(Circuit.Open::error));
        assertEquals(3, circuit.failed(now, Duration.ZERO, "no route", new Object()));
        assertTrue(circuit.isOpen());
        assertEquals(Optional.of("no route"), circuit.open(now).map(Circuit.Open::error));
    }

    @Test
    void whileItIsOpenItSaysHowOftenItFailedAndWhenItIsTriedNext() {
        fail(2);
        assertEquals(Optional.empty(), circuit.open(now));
        fail(2);
        Circuit.Open open = circuit.open(now).orElseThrow();
        assertEquals("connection refused", open.error());
        assertEquals(4, open.failures());
        assertTrue(open.untilTry().compareTo(Duration.ofSeconds(16)) >= 0, open.toString());
        pass(Duration.ofSeconds(24));
        circuit.away(now);
        assertEquals(Duration.ZERO, circuit.open(now).orElseThrow().untilTry());
    }

    @Test
    void aSuccessInBetweenStartsTheCountAnew() {
        fail(2);
        assertTrue(circuit.succeeded());
        assertFalse(circuit.succeeded());
        fail(2);
        assertFalse(circuit.isOpen());
    }

    @Test
    void whileItIsOpenOneThreadProbesOnceABackoff() {
        fail(3);
        assertWaits(Duration.ofSeconds(8), Duration.ofSeconds(12));
        pass(Duration.ofSeconds(12));
        assertEquals(Duration.ZERO, circuit.away(now), "the thread that probes");
        assertEquals(FIRST, circuit.away(now), "any other");
        circuit.failed(now, Duration.ZERO, "still away", new Object());
        circuit.probed();
        // the second backoff
        assertWaits(Duration.ofSeconds(16), Duration.ofSeconds(24));
        assertEquals(Optional.of("still away"), circuit.open(now).map(Circuit.Open::error));
    }

    @Test
    void aProbeThatFoundNothingToTryLeavesItsTurnToTheNext() {
        fail(3);
        pass(Duration.ofSeconds(12));
        assertEquals(Duration.ZERO, circuit.away(now));
        circuit.probed();
        assertEquals(Duration.ZERO, circuit.away(now));
    }

    @Test
    void whereNothingWaitsItIsHalfOpenAndOneFailureOpensItAgain() {
        fail(20);
        circuit.halfOpen();
        assertEquals(Optional.empty(), circuit.open(now).map(Circuit.Open::error));
        assertEquals(Duration.ZERO, circuit.away(now));
        fail(1);
        assertTrue(circuit.isOpen());
        assertTrue(circuit.succeeded());
        circuit.halfOpen();
        fail(2);
        assertFalse(circuit.isOpen());
    }

    @Test
    void aProbeThatSucceedsClosesItForAll() {
        fail(20);
        pass(Duration.ofMinutes(2));
        assertEquals(Duration.ZERO, circuit.away(now));
        assertTrue(circuit.succeeded());
        circuit.probed();
        assertFalse(circuit.isOpen());
        assertEquals(Optional.empty(), circuit.open(now).map(Circuit.Open::error));
        assertEquals(Duration.ZERO, circuit.away(now));
        assertEquals(Duration.ZERO, circuit.away(now));
    }

    @Test
    void theWaitBetweenProbesHasALimitAndTheReceiverMayAskForMore() {
        fail(50);
        assertWaits(MOST.multipliedBy(8).dividedBy(10), MOST.multipliedBy(12).dividedBy(10));
        circuit.failed(now, Duration.ofHours(1), "come back in an hour", new Object());
        assertWaits(Duration.ofHours(1), Duration.ofHours(1));
    }

    @Test
    void whereOneDeliveryAloneHasFailedAnyOtherIsTriedAtOnce() {
        long now = 0;
        Circuit circuit = new Circuit(2, new Backoff(Duration.ofMinutes(1), Duration.ofMinutes(1)));
        circuit.failed(now, Duration.ZERO, "500", "a");
        circuit.failed(now, Duration.ZERO, "500", "a");
        assertTrue(circuit.isOpen());
        assertTrue(circuit.untilProbe(now).compareTo(Duration.ofSeconds(40)) > 0);
        assertEquals(Duration.ZERO, circuit.away(now));
        circuit.probed();
        circuit.failed(now, Duration.ZERO, "500", "b");
        assertTrue(circuit.away(now).compareTo(Duration.ofSeconds(40)) > 0, "both failed: it is the sink");
    }
}
