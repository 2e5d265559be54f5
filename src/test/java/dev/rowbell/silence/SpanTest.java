package dev.rowbell.silence;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.settings.SettingsException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** When a silence begins and ends, as people write it. */
class SpanTest {

    private static final Clock CLOCK = Clock.fixed(Instant.parse("2026-11-23T08:00:00Z"), ZoneId.of("Europe/Berlin"));

    @Test
    void aTimeWithoutAnOffsetIsInTheTimeZoneOfTheMachine() {
        assertEquals(
                new Span(Instant.parse("2026-11-24T07:30:00Z"), Instant.parse("2026-11-24T09:00:00Z"), null),
                Span.of("2026-11-24T08:30", "2026-11-24T09:00:00Z", "", CLOCK));
    }

    @Test
    void withoutABeginItBeginsNow() {
        assertEquals(new Span(null, null, Duration.ofHours(2)), Span.of("", "", "2h", CLOCK));
        assertEquals(
                new Span(null, Instant.parse("2026-11-23T08:01:00Z"), null),
                Span.of("", "2026-11-23T09:01", "", CLOCK));
    }

    @Test
    void oneThatHasBegunMayStillEnd() {
        assertEquals(
                new Span(Instant.parse("2026-11-23T07:00:00Z"), null, Duration.ofMinutes(61)),
                Span.of("2026-11-23T08:00", "", "61m", CLOCK));
    }

    @Test
    void itMayLastAYear() {
        assertEquals(
                Duration.ofDays(366), Span.of("2026-12-01", "", "366d", CLOCK).length());
        assertEquals(
                Instant.parse("2027-11-24T08:00:00Z"),
                Span.of("", "2027-11-24T08:00:00Z", "", CLOCK).until());
    }

    @ParameterizedTest
    @CsvSource({
        "'', '', '', give how long",
        "'', '', 1s1d, give how long",
        "'', '', 0s, give how long",
        "'', '', 367d, a year at most",
        "'', 2026-11-24, 1h, not both",
        "tomorrow, '', 1h, from: give times as",
        "'', 2026-13-01, '', until: give times as",
        "2026-11-24, 2026-11-24, '', ends after it begins",
        "2026-11-25, 2026-11-24, '', ends after it begins",
        "'', 2026-11-22, '', ends after it begins",
        "2026-11-20, 2026-11-22, '', over already",
        "2026-11-20, '', 1d, over already",
        "'', 2027-11-24T08:00:01Z, '', a year at most",
        "2026-12-01, 2027-12-03, '', a year at most",
        "2027-11-25, '', 1h, begins within a year",
        "'', +1000000-01-01T00:00, '', until: give times as",
        "-999999999-01-01T00:00, '', 1h, from: give times as",
    })
    void whatCannotBeIsRefused(String from, String until, String length, String words) {
        String refused = assertThrows(SettingsException.class, () -> Span.of(from, until, length, CLOCK))
                .getMessage();
        assertTrue(refused.contains(words), refused);
    }
}
