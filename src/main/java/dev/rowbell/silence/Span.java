package dev.rowbell.silence;

import dev.rowbell.settings.SettingsException;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import org.apache.camel.util.TimeUtils;

/**
 * When a silence begins and ends, as people write it.
 *
 * @param from null: now, by the clock of the database
 * @param until null where it ends after {@code length}
 * @param length null where it ends at {@code until}
 */
public record Span(Instant from, Instant until, Duration length) {

    private static final Duration LONGEST = Duration.ofDays(366);

    /**
     * @param from empty for now
     * @param until empty where a length is given
     * @param length as 30m; empty where an end is given
     * @param clock a time without an offset is in its time zone
     * @throws SettingsException where it is no such span, is over already, or is longer than a year or begins later than that
     */
    public static Span of(String from, String until, String length, Clock clock) {
        Instant now = clock.instant();
        Instant begin = time("from", from, clock.getZone());
        Instant end = time("until", until, clock.getZone());
        if (begin != null && begin.isAfter(now.plus(LONGEST))) {
            throw new SettingsException("a silence begins within a year");
        }
        if (end == null) {
            Duration given = length(length);
            if (begin != null && !begin.plus(given).isAfter(now)) {
                throw new SettingsException("this silence would be over already");
            }
            return new Span(begin, null, given);
        }
        if (!length.isEmpty()) {
            throw new SettingsException("give how long or until when, not both");
        }
        Instant start = begin == null ? now : begin;
        if (!end.isAfter(start)) {
            throw new SettingsException("a silence ends after it begins");
        } else if (!end.isAfter(now)) {
            throw new SettingsException("this silence would be over already");
        } else if (Duration.between(start, end).compareTo(LONGEST) > 0) {
            throw new SettingsException("a silence lasts a year at most");
        }
        return new Span(begin, end, null);
    }

    private static Duration length(String text) {
        if (text.matches("([0-9]{1,9}(s|m|h|d))+")) {
            try {
                Duration length = TimeUtils.toDuration(text);
                if (!length.isZero() && length.compareTo(LONGEST) <= 0) {
                    return length;
                }
            } catch (IllegalArgumentException | ArithmeticException e) {
                // reported below
            }
        }
        throw new SettingsException("give how long as 30m, 12h or 7d, a year at most, or until when");
    }

    /**
     * @return null where it is empty
     * @param name of the parameter
     * @param zone of a time without an offset
     * @throws SettingsException where it is no time of the years 0 to 9999: PostgreSQL does not know all others
     */
    public static Instant time(String name, String text, ZoneId zone) {
        if (text.isEmpty()) {
            return null;
        }
        String written = text.length() == "2026-11-23".length() ? text + "T00:00" : text.replace(' ', 'T');
        try {
            if (written.matches("\\d{4}-.*")) {
                return written.matches(".*(Z|[+-]\\d\\d:\\d\\d)")
                        ? OffsetDateTime.parse(written).toInstant()
                        : LocalDateTime.parse(written).atZone(zone).toInstant();
            }
        } catch (DateTimeException e) {
            // reported below
        }
        throw new SettingsException(name + ": give times as 2026-11-23, 2026-11-23T08:00 or 2026-11-23T08:00:00Z");
    }
}
