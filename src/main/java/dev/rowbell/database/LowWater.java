package dev.rowbell.database;

import java.sql.Timestamp;
import java.time.Duration;
import java.util.function.LongSupplier;
import org.postgresql.PGStatement;

/**
 * From where to look into a queue that is taken from its head. What was taken stays in its index until a vacuum, and for as long as any session
 * has a transaction open that is older: each look from the very beginning would walk over all of it again. So a look goes on from what was found
 * last; now and then one begins a little before that, for what was committed late, and now and then one looks at everything, for what has a
 * time of long ago or was given back. Safe for many threads.
 */
public final class LowWater {

    private static final Timestamp BEGINNING = new Timestamp(PGStatement.DATE_NEGATIVE_INFINITY);

    /** Who writes a row commits it so much later at most, as a rule. Where nothing waited, SQL looks at as much before its own now(). */
    private static final Duration LATE = Duration.ofSeconds(2);

    /**
     * Looks at everything take one part in so many of the time at most, and so do those at what may be late: where they are quick, which they are as a
     * rule, nearly each look is one.
     */
    private static final int SHARE = 10;

    /** Where more waits than one look takes, what is late has to wait like all the rest, and each of them would take the time of others. */
    private static final int SHARE_IN_BACKLOG = 50;

    /** What a look is at: all there is, what may have been committed late, or no more than what is new. */
    public enum Kind {
        EVERYTHING,
        LATE,
        NEW
    }

    /**
     * One look.
     *
     * @param since from where; null: the last 2 seconds
     * @param forgets how often it had been forgotten before
     */
    public record Look(Timestamp since, Kind kind, long started, int forgets) {

        boolean isAtEverything() {
            return kind == Kind.EVERYTHING;
        }
    }

    private final LongSupplier nanoTime;
    /** Null where nothing was left. */
    private Timestamp mark;

    private boolean forgotten = true;
    private int forgets;
    private long everythingAt;
    private long everythingTook;
    private long lateAt;
    private long lateTook;

    public LowWater() {
        this(System::nanoTime);
    }

    LowWater(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /** From where to look now; for {@link #answered}. */
    public Look next() {
        return next(false);
    }

    /** @param backlog whether more waits than a look takes, as far as is known */
    public synchronized Look next(boolean backlog) {
        long now = nanoTime.getAsLong();
        int share = backlog ? SHARE_IN_BACKLOG : SHARE;
        if (forgotten || now - everythingAt >= everythingTook * share) {
            return new Look(BEGINNING, Kind.EVERYTHING, now, forgets);
        } else if (mark == null) {
            return new Look(null, Kind.LATE, now, forgets);
        } else if (now - lateAt >= lateTook * share) {
            return new Look(Timestamp.from(mark.toInstant().minus(LATE)), Kind.LATE, now, forgets);
        }
        return new Look(mark, Kind.NEW, now, forgets);
    }

    /** The database has answered, before anything is done with what it said. */
    public synchronized void answered(Look look) {
        long now = nanoTime.getAsLong();
        if (look.kind() == Kind.EVERYTHING) {
            // what has been given back meanwhile was not seen
            forgotten &= forgets != look.forgets();
            everythingAt = now;
            everythingTook = now - look.started();
        } else if (look.kind() == Kind.LATE) {
            lateAt = now;
            lateTook = now - look.started();
        }
    }

    /**
     * What was found. Where it is not taken for good after all, it is to be forgotten.
     *
     * @param last the time of the last of it; where that is not known or infinite the next look is at everything
     * @param nothing whether there was nothing
     */
    public synchronized void found(Object last, boolean nothing) {
        if (nothing) {
            mark = null;
        } else if (last instanceof Timestamp time
                && time.getTime() != PGStatement.DATE_POSITIVE_INFINITY
                && time.getTime() != PGStatement.DATE_NEGATIVE_INFINITY) {
            mark = time;
        } else {
            forget();
        }
    }

    /** The next look is at everything: what was found is there again. */
    public synchronized void forget() {
        forgotten = true;
        forgets++;
    }
}
