package dev.rowbell.time;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A cron means what crontab(5) says, and its days of a clock change are known. */
class CronTest {

    /** The next times after this one, as the clock of the zone shows them. */
    private static String next(String fields, String zone, String after, int count) {
        Cron cron = new Cron(fields, zone);
        List<String> times = new ArrayList<>();
        Instant time = OffsetDateTime.parse(after).toInstant();
        for (int i = 0; i < count; i++) {
            time = cron.next(time).orElseThrow();
            times.add(time.atZone(ZoneId.of(zone)).toOffsetDateTime().toString().substring(5));
        }
        return String.join(" ", times);
    }

    @ParameterizedTest
    @CsvSource({
        "0 8 * * MON-FRI,2026-11-27T09:00Z,11-30T08:00Z 12-01T08:00Z",
        "0 8 13 * 5,2026-12-05T00:00Z,12-11T08:00Z 12-13T08:00Z",
        "15 */6 1 1 *,2026-12-05T00:00Z,01-01T00:15Z 01-01T06:15Z",
        "'0,30 0 * * 7',2026-12-05T00:00Z,12-06T00:00Z 12-06T00:30Z",
        "0 0 29 2 *,2026-12-05T00:00Z,02-29T00:00Z 02-29T00:00Z",
    })
    void theFieldsMeanWhatCrontabSays(String fields, String after, String times) {
        assertEquals(times, next(fields, "UTC", after, 2));
    }

    @Test
    void aTimeThatTheClockSkipsComesWhenItIsPutForward() {
        assertEquals(
                "03-29T03:00+02:00 03-30T02:30+02:00",
                next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", 2));
        // at midnight, and once for all the times that are skipped
        assertEquals(
                "08-12T01:00-03:00 08-13T00:00-03:00",
                next("0 0 * * *", "America/Santiago", "2018-08-11T12:00-04:00", 2));
        assertEquals(
                "03-29T01:40+01:00 03-29T03:00+02:00 03-29T03:20+02:00",
                next("*/20 * * * *", "Europe/Berlin", "2026-03-29T01:20+01:00", 3));
        assertEquals(
                "03-29T03:00+02:00 03-30T02:00+02:00",
                next("*/20 2 * * *", "Europe/Berlin", "2026-03-28T02:40+01:00", 2));
        assertEquals("03-29T03:00+02:00", next("30 2 29 3 *", "Europe/Berlin", "2025-03-31T12:00+02:00", 1));
    }

    @Test
    void aTimeThatComesTwiceCountsOnceUnlessItComesEveryHour() {
        assertEquals(
                "10-25T02:30+02:00 10-26T02:30+01:00",
                next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", 2));
        assertEquals(
                "10-25T02:00+02:00 10-25T02:30+02:00 10-25T02:00+01:00 10-25T02:30+01:00 10-25T03:00+01:00",
                next("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:30+02:00", 5));
    }

    @Test
    void aDayThatNeverComesHasNoNextTime() {
        assertEquals(Optional.empty(), new Cron("0 0 30 2 *", "Europe/Berlin").next(Instant.EPOCH));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "x",
                "* * * *",
                "0 8 * * * *",
                "60 * * * *",
                "30-10 * * * *",
                "@daily",
                "*/0 * * * *",
                "0 0 L * *"
            })
    void whatIsNoCronIsRefused(String fields) {
        assertThrows(IllegalArgumentException.class, () -> new Cron(fields, null));
    }

    @Test
    void anUnknownTimeZoneIsRefused() {
        assertEquals(
                "there is no time zone Mars/Base",
                assertThrows(IllegalArgumentException.class, () -> new Cron("0 8 * * *", "Mars/Base"))
                        .getMessage());
    }
}
