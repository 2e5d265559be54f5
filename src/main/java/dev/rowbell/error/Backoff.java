package dev.rowbell.error;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The wait between tries: twice as long after each, never longer than {@code most}, and up to a fifth more or less so that what failed
 * together does not come back together.
 */
public record Backoff(Duration first, Duration most) {

    /** @param failures how many tries have failed in a row, from 1 */
    public Duration after(int failures) {
        double wait = Math.min(first.toMillis() * Math.pow(2, Math.min(failures, 60) - 1), most.toMillis());
        return Duration.ofMillis(Math.round(wait * ThreadLocalRandom.current().nextDouble(0.8, 1.2)));
    }
}
