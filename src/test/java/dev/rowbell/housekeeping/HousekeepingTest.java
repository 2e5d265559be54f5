package dev.rowbell.housekeeping;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.health.Watchdog;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class HousekeepingTest {

    private static final Duration OFTEN = Duration.ofMillis(5);
    private static final Duration ONCE = Duration.ofHours(1);

    private final Housekeeping housekeeping = new Housekeeping(new Watchdog());
    private final AtomicInteger runs = new AtomicInteger();

    @AfterEach
    void stop() {
        housekeeping.stop(true);
    }

    @Test
    void aTaskThatFailsIsTriedAgainAndHoldsUpNoOther() {
        housekeeping.register("fail", OFTEN, () -> {
            throw new AssertionError("a mistake");
        });
        housekeeping.register("run", OFTEN, runs::incrementAndGet);
        housekeeping.start();
        await().until(() -> runs.get() > 2);
    }

    @Test
    @Tag("long")
    void aTaskThatDoesNotEndHoldsUpNoOtherAndLosesNoCounts() {
        CountDownLatch never = new CountDownLatch(1);
        housekeeping.register("wait for a stranger", ONCE, () -> {
            try {
                never.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        housekeeping.registerAlsoAtStop("count", ONCE, runs::incrementAndGet);
        housekeeping.start();
        await().until(() -> runs.get() == 1);
        housekeeping.stop(true);
        assertEquals(2, runs.get());
    }

    @Test
    void aTaskMayBeRegisteredLater() {
        housekeeping.start();
        housekeeping.register("run", ONCE, runs::incrementAndGet);
        await().until(() -> runs.get() == 1);
    }

    @Test
    void countsAreWrittenAtTheStopUnlessTheyCouldNotBeWrittenBefore() {
        AtomicInteger failed = new AtomicInteger();
        housekeeping.registerAlsoAtStop("count", ONCE, runs::incrementAndGet);
        housekeeping.registerAlsoAtStop("fail", ONCE, () -> {
            failed.incrementAndGet();
            throw new IllegalStateException("a mistake");
        });
        housekeeping.start();
        await().until(() -> failed.get() == 1);
        housekeeping.stop(true);
        assertEquals(2, runs.get());
        assertEquals(1, failed.get());
    }
}
