package dev.rowbell.outbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.error.Backoff;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class RetryPolicyTest {

    private static final Duration MOST = Duration.ofMinutes(15);

    private final RetryPolicy policy = new RetryPolicy(3, new Backoff(Duration.ofSeconds(1), MOST));

    private static Delivery tried(int attempts) {
        return new Delivery(UUID.randomUUID(), List.of("{}"), attempts, Lease.start(Duration.ofMinutes(1)));
    }

    @Test
    void theLastTryIsTheOneThatMakesTheNumberFull() {
        assertFalse(policy.isLast(tried(0)));
        assertFalse(policy.isLast(tried(1)));
        assertTrue(policy.isLast(tried(2)));
        assertTrue(policy.isLast(tried(7)), "a number that was made smaller meanwhile");
        assertTrue(new RetryPolicy(1, new Backoff(Duration.ZERO, MOST)).isLast(tried(0)));
    }

    @Test
    void theWaitIsTheBackoffAndLongerWhereTheReceiverAsksForMore() {
        long millis = policy.waitAfter(3, Duration.ZERO).toMillis();
        assertTrue(millis >= 3200 && millis <= 4800, millis + " ms");
        assertEquals(Duration.ofMinutes(2), policy.waitAfter(3, Duration.ofMinutes(2)));
    }

    @Test
    void noReceiverDelaysADeliveryForLongerThanTheLongestBackoff() {
        assertTrue(policy.waitAfter(1, Duration.ofDays(1)).compareTo(MOST) <= 0);
        assertEquals(MOST, policy.limited(Duration.ofDays(1)));
        assertEquals(Duration.ofSeconds(7), policy.limited(Duration.ofSeconds(7)));
    }
}
