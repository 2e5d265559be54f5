package dev.rowbell.outbox;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.outbox.Throughput.Rate;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class ThroughputTest {

    private static final Duration INTERVAL = Duration.ofSeconds(10);

    /** Close to an overflow, as nanoTime may be. */
    private long now = Long.MAX_VALUE - INTERVAL.toNanos();

    private final Throughput throughput = new Throughput(now);

    private Rate after(Duration time) {
        Rate rate = null;
        for (long i = 0; i < time.dividedBy(INTERVAL); i++) {
            now += INTERVAL.toNanos();
            rate = throughput.rate(now);
        }
        return rate;
    }

    @Test
    void aRateIsThatOfTheLastFiveMinutes() {
        throughput.delivered(500);
        assertEquals(new Rate(100, 0), after(Duration.ofMinutes(5)));
        throughput.delivered(50);
        throughput.failed(5);
        assertEquals(new Rate(10, 1), after(Duration.ofMinutes(5)));
        assertEquals(new Rate(0, 0), after(INTERVAL));
    }

    @Test
    void afterTheStartItIsThatSinceThenAndOfAMinuteAtLeast() {
        throughput.delivered(60);
        assertEquals(new Rate(60, 0), after(INTERVAL));
        assertEquals(new Rate(60, 0), after(Duration.ofSeconds(50)));
        assertEquals(new Rate(30, 0), after(Duration.ofMinutes(1)));
    }

    @Test
    void afterAPauseOfTheProcessItIsThatSinceThen() {
        after(Duration.ofMinutes(5));
        throughput.delivered(600);
        now += Duration.ofMinutes(60).toNanos();
        assertEquals(new Rate(10, 0), throughput.rate(now));
        now += Duration.ofMinutes(5).toNanos();
        assertEquals(new Rate(0, 0), throughput.rate(now));
    }
}
