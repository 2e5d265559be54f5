package dev.rowbell.database;

import java.sql.Timestamp;
import java.util.function.LongSupplier;

import org.postgresql.PGStatement;

/**
 * From where to look into a queue that is taken from its head. What was taken stays in its index until a vacuum, and for as long as any session
 * has a transaction open that is older: each look from the very beginning would walk over all of it again. So it goes on from what was found
 * last; and now and then it looks at everything, for what was committed late, comes with a time of long ago, or was given back. Safe for many
 * threads.
 */
public final class LowWater {

    private static final Timestamp BEGINNING = new Timestamp(PGStatement.DATE_NEGATIVE_INFINITY);
    /** All that is older has been seen. SQL looks at the last 2 seconds in any case, for those who commit late. */
    private static final Timestamp NOW = new Timestamp(PGStatement.DATE_POSITIVE_INFINITY);

    /** Looks at everything take a tenth of the time at most: where they are quick, which they are as a rule, nearly each look is one. */
    private static final int SHARE = 10;

    /**
     * One look.
     *
     * @param since from where
     * @param forgets how often it had been forgotten before
     */
    public record Look(Timestamp since, long started, int forgets) {

        boolean isAtEverything() {
            return since == BEGINNING;
        }
    }

    private final LongSupplier nanoTime;
    private Timestamp mark = NOW;
    private boolean forgotten = true;
    private int forgets;
    private long everythingAt;
    private long everythingTook;

    public LowWater() {
        this(System::nanoTime);
    }

    LowWater(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /** From where to look now; for {@link #looked}. */
    public synchronized Look next() {
        long now = nanoTime.getAsLong();
        boolean everything = forgotten || now - everythingAt >= everythingTook * SHARE;
        return new Look(everything ? BEGINNING : mark, now, forgets);
    }

    /** The database has answered, before anything is done with what it said. */
    public synchronized void answered(Look look) {
        if (look.isAtEverything()) {
            // what has been given back meanwhile was not seen
            forgotten &= forgets != look.forgets();
            everythingAt = nanoTime.getAsLong();
            everythingTook = everythingAt - look.started();
        }
    }

    /**
     * What was found, once it has been taken for good.
     *
     * @param last the time of the last of it; where that is not known the next look is at everything
     * @param nothing whether there was nothing
     */
    public synchronized void found(Object last, boolean nothing) {
        if (nothing) {
            mark = NOW;
        } else if (last instanceof Timestamp time) {
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
