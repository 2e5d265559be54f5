package dev.rowbell.testing;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;

/** A clock that a test moves. For one thread. */
public final class ManualClock extends Clock {

    private Instant now;

    /** @param now as {@code 2026-11-23T08:00:00Z} */
    public ManualClock(String now) {
        this.now = Instant.parse(now);
    }

    public void move(Duration on) {
        now = now.plus(on);
    }

    @Override
    public Instant instant() {
        return now;
    }

    @Override
    public ZoneId getZone() {
        return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
        return this;
    }
}
