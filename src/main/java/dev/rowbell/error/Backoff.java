package dev.rowbell.error;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The wait before another attempt: it doubles after each failure up to {@code most}, and varies by a fifth so that things that failed
 * together are not retried together.
 */
public record Backoff(Duration first, Duration most) {

    /** @param failures how many tries have failed in a row, from 1 */
    public Duration after(int failures) {
        double wait = Math.min(first.toMillis() * Math.pow(2, Math.min(failures, 60) - 1), most.toMillis());
        return Duration.ofMillis(Math.round(wait * ThreadLocalRandom.current().nextDouble(0.8, 1.2)));
    }
}
