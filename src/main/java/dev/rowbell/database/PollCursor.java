package dev.rowbell.database;

import java.sql.Timestamp;
import java.time.Duration;
import java.util.function.LongSupplier;
import org.postgresql.PGStatement;

/**
 * Where the next scan of a queue begins. Deleted rows stay in the index until a vacuum, and for as long as any session has an older transaction
 * open: a scan from the beginning would walk over all of them. So a scan goes on from the row that was found last. At times one begins a little
 * before that, for rows that were committed late, and at times one begins at the beginning, for rows with a time of long ago. Safe for many threads.
 */
public final class PollCursor {

    private static final Timestamp BEGINNING = new Timestamp(PGStatement.DATE_NEGATIVE_INFINITY);

    /** A row is rarely committed later than this after it was written. Where the queue was empty, SQL scans as much before its own now(). */
    private static final Duration LATE = Duration.ofSeconds(2);

    /** Scans of everything take one part in so many of the time at most, and so do scans for late rows. They are mostly quick, and then most are. */
    private static final int SHARE = 10;

    /** The same while more waits than one scan takes: late rows wait there like all the others. */
    private static final int SHARE_IN_BACKLOG = 50;

    private enum Kind {
        EVERYTHING,
        LATE,
        NEW
    }

    /** One scan of the queue. */
    public static final class Scan {

        private final Timestamp since;
        private final Kind kind;
        private final long startedAt;
        private final int resets;

        private Scan(Timestamp since, Kind kind, long startedAt, int resets) {
            this.since = since;
            this.kind = kind;
            this.startedAt = startedAt;
            this.resets = resets;
        }

        /** Where it begins; null: two seconds before the database's now(). */
        public Timestamp since() {
            return since;
        }

        boolean isOfEverything() {
            return kind == Kind.EVERYTHING;
        }
    }

    private final LongSupplier nanoTime;
    /** The time of the last row that was found; null where the queue was empty. */
    private Timestamp last;

    private boolean reset = true;
    private int resets;
    private long everythingAt;
    private long everythingTook;
    private long lateAt;
    private long lateTook;

    public PollCursor() {
        this(System::nanoTime);
    }

    PollCursor(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /** The next scan, to be handed to {@link #answered}. */
    public Scan next() {
        return next(false);
    }

    /** @param backlog whether more waits than one scan takes, as far as is known */
    public synchronized Scan next(boolean backlog) {
        long now = nanoTime.getAsLong();
        int share = backlog ? SHARE_IN_BACKLOG : SHARE;
        if (reset || now - everythingAt >= everythingTook * share) {
            return new Scan(BEGINNING, Kind.EVERYTHING, now, resets);
        } else if (last == null) {
            return new Scan(null, Kind.LATE, now, resets);
        } else if (now - lateAt >= lateTook * share) {
            return new Scan(Timestamp.from(last.toInstant().minus(LATE)), Kind.LATE, now, resets);
        }
        return new Scan(last, Kind.NEW, now, resets);
    }

    /** The database has answered the scan; its rows are not used yet. */
    public synchronized void answered(Scan scan) {
        long now = nanoTime.getAsLong();
        if (scan.kind == Kind.EVERYTHING) {
            // rows that came back since the scan began were not seen
            reset &= resets != scan.resets;
            everythingAt = now;
            everythingTook = now - scan.startedAt;
        } else if (scan.kind == Kind.LATE) {
            lateAt = now;
            lateTook = now - scan.startedAt;
        }
    }

    /**
     * The rows of a scan were taken. Where that is undone, {@link #reset} is to be called.
     *
     * @param time of the last row; where that is unknown, infinite or before 1970, the next scan is of everything: PostgreSQL has no
     *     time two seconds before its first
     * @param empty whether the scan found no row
     */
    public synchronized void found(Object time, boolean empty) {
        if (empty) {
            last = null;
        } else if (time instanceof Timestamp moment
                && moment.getTime() >= 0
                && moment.getTime() != PGStatement.DATE_POSITIVE_INFINITY) {
            last = moment;
        } else {
            reset();
        }
    }

    /** How long to wait after this scan found nothing, until one may find a row with a time of long ago; null where it was of everything itself. */
    public synchronized Duration untilEverything(Scan empty) {
        long wait = everythingAt + everythingTook * SHARE - nanoTime.getAsLong();
        return empty.isOfEverything() ? null : Duration.ofNanos(Math.max(1_000_000, wait));
    }

    /** Rows that were found are in the queue again: the next scan is of everything. */
    public synchronized void reset() {
        reset = true;
        resets++;
    }
}
