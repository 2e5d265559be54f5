package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.postgresql.PGStatement;

/** Where the next scan of a queue begins. */
class PollCursorTest {

    private static final Timestamp TEN = Timestamp.valueOf("2026-11-25 10:00:00");

    private final AtomicLong now = new AtomicLong();
    private final PollCursor cursor = new PollCursor(now::get);

    private PollCursor.Scan scan(Duration takes) {
        PollCursor.Scan scan = cursor.next();
        now.addAndGet(takes.toNanos());
        cursor.answered(scan);
        return scan;
    }

    @Test
    void theFirstScanIsOfEverythingAndTheNextGoesOnFromTheLastRow() {
        assertTrue(scan(Duration.ofSeconds(1)).isOfEverything());
        cursor.found(TEN, false);
        assertEquals(
                Timestamp.valueOf("2026-11-25 09:59:58"),
                scan(Duration.ofMillis(1)).since());
        assertEquals(TEN, scan(Duration.ofMillis(1)).since());
    }

    @Test
    void scansForLateRowsTakeATenthOfTheTime() {
        scan(Duration.ofHours(1));
        cursor.found(TEN, false);
        scan(Duration.ofSeconds(1));
        now.addAndGet(Duration.ofSeconds(9).toNanos());
        assertEquals(TEN, cursor.next().since());
        now.addAndGet(Duration.ofSeconds(1).toNanos());
        assertEquals(Timestamp.valueOf("2026-11-25 09:59:58"), cursor.next().since());
    }

    @Test
    void inABacklogTheyTakeAFiftieth() {
        scan(Duration.ofHours(2));
        cursor.found(TEN, false);
        scan(Duration.ofSeconds(1));
        now.addAndGet(Duration.ofSeconds(49).toNanos());
        assertEquals(TEN, cursor.next(true).since());
        assertEquals(
                Timestamp.valueOf("2026-11-25 09:59:58"), cursor.next(false).since());
        now.addAndGet(Duration.ofSeconds(1).toNanos());
        assertEquals(Timestamp.valueOf("2026-11-25 09:59:58"), cursor.next(true).since());
    }

    @Test
    void whereTheQueueWasEmptyTheDatabaseSaysWhichRowsMayBeLate() {
        scan(Duration.ofHours(1));
        cursor.found(null, true);
        assertNull(scan(Duration.ofSeconds(1)).since());
        assertNull(cursor.next().since());
    }

    @Test
    void scansOfEverythingTakeATenthOfTheTime() {
        scan(Duration.ofSeconds(1));
        cursor.found(TEN, false);
        now.addAndGet(Duration.ofSeconds(9).toNanos());
        assertFalse(cursor.next().isOfEverything());
        now.addAndGet(Duration.ofSeconds(1).toNanos());
        assertTrue(cursor.next().isOfEverything());
    }

    @Test
    void afterAScanThatDidNotLookFarBackOneThatDoesFollows() {
        assertNull(cursor.untilEverything(scan(Duration.ofSeconds(1))));
        cursor.found(null, true);
        PollCursor.Scan late = scan(Duration.ofSeconds(4));
        assertEquals(Duration.ofSeconds(6), cursor.untilEverything(late));
        now.addAndGet(Duration.ofSeconds(6).toNanos());
        assertEquals(Duration.ofMillis(1), cursor.untilEverything(late));
        assertTrue(cursor.next().isOfEverything());
    }

    /** PostgreSQL has no time two seconds before its first, which a row may have. */
    @Test
    void aRowWithATimeBefore1970IsNoPlaceToGoOnFrom() {
        scan(Duration.ofSeconds(1));
        cursor.found(Timestamp.from(Instant.parse("-4713-11-24T00:00:00Z")), false);
        assertTrue(cursor.next().isOfEverything());
    }

    @Test
    void rowsThatCameBackAreScannedForAtOnce() {
        scan(Duration.ofSeconds(1));
        cursor.found(TEN, false);
        cursor.reset();
        assertTrue(scan(Duration.ofSeconds(1)).isOfEverything());
        assertFalse(cursor.next().isOfEverything());
    }

    @Test
    void rowsThatCameBackDuringAScanOfEverythingAreScannedForAgain() {
        PollCursor.Scan everything = cursor.next();
        cursor.reset();
        cursor.answered(everything);
        cursor.found(TEN, false);
        assertTrue(cursor.next().isOfEverything());
    }

    @Test
    void aTimeThatIsNotKnownIsNoPlaceToGoOnFrom() {
        scan(Duration.ofSeconds(1));
        cursor.found("today", false);
        assertTrue(scan(Duration.ofSeconds(1)).isOfEverything());
        // two seconds before it is no time that PostgreSQL knows
        cursor.found(new Timestamp(PGStatement.DATE_POSITIVE_INFINITY), false);
        assertTrue(cursor.next().isOfEverything());
    }
}
