package dev.rowbell.alert;

import java.time.Clock;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** Ids of alerts that come without one: UUIDs of version 7 (RFC 9562), as {@code rowbell.new_id()} makes them. */
public final class AlertId {

    private static final int LONGEST = 200;

    private AlertId() {}

    /** Whether the value can be a key of a table and part of a header: 1 to 200 characters, no control character, no lone surrogate. */
    public static boolean isId(Object value) {
        if (!(value instanceof String text)) {
            return false;
        }
        int characters = 0;
        for (int at = 0; at < text.length(); characters++) {
            int c = text.codePointAt(at);
            if (c < ' ' || c == 0x7F || AlertJson.isSurrogate(c)) {
                return false;
            }
            at += Character.charCount(c);
        }
        return characters >= 1 && characters <= LONGEST;
    }

    /** Unique everywhere, and in the order of the clock's time. */
    public static String next(Clock clock) {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        long high = clock.millis() << 16 | 0x7000 | random.nextInt(1 << 12);
        long low = random.nextLong() >>> 2 | 1L << 63;
        return new UUID(high, low).toString();
    }
}
