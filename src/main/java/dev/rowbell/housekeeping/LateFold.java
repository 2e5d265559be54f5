package dev.rowbell.housekeeping;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntUnaryOperator;

/**
 * When what was noted beside alerts is brought to where it is looked for: each second, and later while many alerts come, since the sinks need the
 * CPU. Safe for many threads; one at a time folds.
 */
public final class LateFold {

    /** How often {@link #run} is to be called. */
    public static final Duration PAUSE = Duration.ofSeconds(1);
    /** How late it may be. */
    public static final Duration LATE = Duration.ofMinutes(5);
    /** Alerts in a second. */
    private static final int MANY = 5000;
    /** Transactions that one statement folds. */
    private static final int AT_ONCE = 20;

    private final AtomicInteger lately = new AtomicInteger();
    private volatile long foldedAt = System.nanoTime();

    /** So many alerts were noted. */
    public void noted(int alerts) {
        lately.addAndGet(alerts);
    }

    /**
     * Folds, unless many alerts come and all was folded within that time.
     *
     * @param fold folds so many transactions at most, and returns how many
     */
    public void run(Duration latest, IntUnaryOperator fold) {
        boolean late = System.nanoTime() - foldedAt > latest.toNanos();
        if (lately.getAndSet(0) < MANY || late) {
            boolean more = true;
            while (more && (late || lately.get() < MANY)) {
                more = fold.applyAsInt(AT_ONCE) == AT_ONCE;
            }
            if (!more) {
                foldedAt = System.nanoTime();
            }
        }
    }
}
