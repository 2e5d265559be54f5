package dev.rowbell.web;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/** Slows down those who try passwords. Safe for many threads. */
final class Tries {

    /** Wrong ones in a row that wait for nothing. */
    private static final int FREE = 5;

    private static final Duration LONGEST = Duration.ofMinutes(5);
    /** Tries are forgotten after this time without one. */
    private static final Duration KEPT = Duration.ofHours(1);
    /** Of these the oldest are forgotten. */
    private static final int MOST = 10_000;

    private final Clock clock;
    /** The one that failed last is the last. */
    private final Map<String, Failed> failed = new LinkedHashMap<>();

    private record Failed(int times, Instant last) {}

    Tries(Clock clock) {
        this.clock = clock;
    }

    /** How long the next try has to wait; zero or less: not at all. */
    synchronized Duration wait(String who) {
        Failed before = failed.get(who);
        if (before == null || before.times() < FREE) {
            return Duration.ZERO;
        }
        Duration pause = Duration.ofSeconds(1L << Math.min(before.times() - FREE, 20));
        Instant next = before.last().plus(pause.compareTo(LONGEST) < 0 ? pause : LONGEST);
        return Duration.between(clock.instant(), next);
    }

    synchronized void failed(String who) {
        Instant now = clock.instant();
        Iterator<Failed> oldest = failed.values().iterator();
        while (oldest.hasNext() && oldest.next().last().isBefore(now.minus(KEPT))) {
            oldest.remove();
        }
        Failed before = failed.remove(who);
        failed.put(who, new Failed(before == null ? 1 : before.times() + 1, now));
        if (failed.size() > MOST) {
            failed.remove(failed.keySet().iterator().next());
        }
    }

    synchronized void succeeded(String who) {
        failed.remove(who);
    }
}
