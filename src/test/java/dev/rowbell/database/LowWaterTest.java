package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.Timestamp;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.postgresql.PGStatement;

/** Where the next look into a queue begins. */
class LowWaterTest {

    private static final Timestamp TEN = Timestamp.valueOf("2026-11-25 10:00:00");

    private final AtomicLong now = new AtomicLong();
    private final LowWater lowWater = new LowWater(now::get);

    private LowWater.Look look(Duration takes) {
        LowWater.Look look = lowWater.next();
        now.addAndGet(takes.toNanos());
        lowWater.answered(look);
        return look;
    }

    @Test
    void theFirstLookIsAtEverythingAndTheNextGoesOnFromWhatWasFound() {
        assertTrue(look(Duration.ofSeconds(1)).isAtEverything());
        lowWater.found(TEN, false);
        assertEquals(
                Timestamp.valueOf("2026-11-25 09:59:58"),
                look(Duration.ofMillis(1)).since());
        assertEquals(TEN, look(Duration.ofMillis(1)).since());
    }

    @Test
    void looksAtWhatMayBeLateTakeATenthOfTheTime() {
        look(Duration.ofHours(1));
        lowWater.found(TEN, false);
        look(Duration.ofSeconds(1));
        now.addAndGet(Duration.ofSeconds(9).toNanos());
        assertEquals(TEN, lowWater.next().since());
        now.addAndGet(Duration.ofSeconds(1).toNanos());
        assertEquals(Timestamp.valueOf("2026-11-25 09:59:58"), lowWater.next().since());
    }

    @Test
    void whereMoreWaitsTheyTakeAFiftieth() {
        look(Duration.ofHours(2));
        lowWater.found(TEN, false);
        look(Duration.ofSeconds(1));
        now.addAndGet(Duration.ofSeconds(49).toNanos());
        assertEquals(TEN, lowWater.next(true).since());
        assertEquals(
                Timestamp.valueOf("2026-11-25 09:59:58"), lowWater.next(false).since());
        now.addAndGet(Duration.ofSeconds(1).toNanos());
        assertEquals(
                Timestamp.valueOf("2026-11-25 09:59:58"), lowWater.next(true).since());
    }

    @Test
    void whereNothingWasLeftTheDatabaseSaysWhatMayBeLate() {
        look(Duration.ofHours(1));
        lowWater.found(null, true);
        assertNull(look(Duration.ofSeconds(1)).since());
        assertNull(lowWater.next().since());
    }

    @Test
    void looksAtEverythingTakeATenthOfTheTime() {
        look(Duration.ofSeconds(1));
        lowWater.found(TEN, false);
        now.addAndGet(Duration.ofSeconds(9).toNanos());
        assertFalse(lowWater.next().isAtEverything());
        now.addAndGet(Duration.ofSeconds(1).toNanos());
        assertTrue(lowWater.next().isAtEverything());
    }

    @Test
    void whatWasGivenBackIsLookedForAtOnce() {
        look(Duration.ofSeconds(1));
        lowWater.found(TEN, false);
        lowWater.forget();
        assertTrue(look(Duration.ofSeconds(1)).isAtEverything());
        assertFalse(lowWater.next().isAtEverything());
    }

    @Test
    void whatWasGivenBackDuringALookAtEverythingIsLookedForAgain() {
        LowWater.Look everything = lowWater.next();
        lowWater.forget();
        lowWater.answered(everything);
        lowWater.found(TEN, false);
        assertTrue(lowWater.next().isAtEverything());
    }

    @Test
    void aTimeThatIsNotKnownIsNoPlaceToGoOnFrom() {
        look(Duration.ofSeconds(1));
        lowWater.found("today", false);
        assertTrue(look(Duration.ofSeconds(1)).isAtEverything());
        // two seconds before it is no time that PostgreSQL knows
        lowWater.found(new Timestamp(PGStatement.DATE_POSITIVE_INFINITY), false);
        assertTrue(lowWater.next().isAtEverything());
    }
}
