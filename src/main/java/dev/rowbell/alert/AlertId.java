package dev.rowbell.alert;

import java.time.Clock;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** Ids of alerts that come without one: UUIDs of version 7 (RFC 9562), as {@code rowbell.new_id()} makes them. */
public final class AlertId {

    private AlertId() {}

    /** Unique everywhere, and in the order of the clock's time. */
    public static String next(Clock clock) {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        long high = clock.millis() << 16 | 0x7000 | random.nextInt(1 << 12);
        long low = random.nextLong() >>> 2 | 1L << 63;
        return new UUID(high, low).toString();
    }
}
