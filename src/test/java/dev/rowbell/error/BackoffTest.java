package dev.rowbell.error;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BackoffTest {

    private final Backoff backoff = new Backoff(Duration.ofSeconds(1), Duration.ofMinutes(15));

    @ParameterizedTest
    @CsvSource({"1, 1", "2, 2", "3, 4", "10, 512", "11, 900", "12, 900", "60, 900", "100000, 900"})
    void aWaitDoublesUpToTheLongestAndVariesByAFifth(int failures, int seconds) {
        for (int i = 0; i < 1000; i++) {
            long millis = backoff.after(failures).toMillis();
            assertTrue(millis >= seconds * 800L && millis <= seconds * 1200L, () -> failures + " failures: " + millis);
        }
    }

    @Test
    void whatFailedTogetherDoesNotComeBackTogether() {
        Set<Duration> waits = new HashSet<>();
        for (int i = 0; i < 100; i++) {
            waits.add(backoff.after(5));
        }
        assertTrue(waits.size() > 50, waits.size() + " different waits of 100");
    }

    @Test
    void theFirstWaitIsNotLongerThanTheLongest() {
        Duration most = new Backoff(Duration.ofHours(1), Duration.ofMillis(100)).after(1);
        assertTrue(most.toMillis() >= 80 && most.toMillis() <= 120, most.toString());
        assertEquals(Duration.ZERO, new Backoff(Duration.ZERO, Duration.ofMinutes(1)).after(7));
    }
}
