package dev.rowbell.time;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.temporal.ChronoUnit;
import java.time.zone.ZoneOffsetTransition;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
        "0 8 * * sun-thu,2026-12-03T09:00Z,12-06T08:00Z 12-07T08:00Z",
        "0 8 * * FRI-SUN,2026-12-05T09:00Z,12-06T08:00Z 12-11T08:00Z",
        "'5-20/10 8 * jan,DEC 0-7',2026-12-05T00:00Z,12-05T08:05Z 12-05T08:15Z",
        // a field with * does not say which days: both have to be met
        "0 0 */2 * 1,2026-12-05T00:00Z,12-07T00:00Z 12-21T00:00Z",
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
    void severalTimesOfAnHourThatComesTwiceCountOnce() {
        assertEquals(
                "10-25T02:00+02:00 10-25T02:30+02:00 10-26T02:00+01:00",
                next("0,30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", 3));
        // where it is midnight twice
        assertEquals(
                "11-01T00:05-04:00 11-01T06:05-05:00",
                next("5 */6 * * *", "America/Havana", "2026-10-31T23:00-04:00", 2));
        assertEquals(
                "11-01T00:05-04:00 11-01T00:05-05:00 11-01T01:05-05:00",
                next("5 * * * *", "America/Havana", "2026-10-31T23:30-04:00", 3));
    }

    /** A time of each day, looked for minute by minute. */
    private static boolean isTime(Instant instant, ZoneId zone, Set<Integer> minutes, Set<Integer> hours) {
        Predicate<LocalDateTime> matches = time -> minutes.contains(time.getMinute()) && hours.contains(time.getHour());
        ZoneOffsetTransition change = zone.getRules().previousTransition(instant.plusNanos(1));
        LocalDateTime time = LocalDateTime.ofInstant(instant, zone);
        if (change != null && change.isGap() && change.getInstant().equals(instant)) {
            return Stream.iterate(change.getDateTimeBefore(), skipped -> skipped.plusMinutes(1))
                    .limit(change.getDuration().toMinutes() + 1)
                    .anyMatch(matches);
        }
        boolean isSecond = change != null && change.isOverlap() && time.isBefore(change.getDateTimeBefore());
        return matches.test(time) && (!isSecond || hours.size() == 24);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "UTC",
                "Europe/Berlin",
                "America/New_York",
                "America/Havana",
                "America/Santiago",
                "Africa/Casablanca",
                "Asia/Beirut",
                "Australia/Lord_Howe"
            })
    void aroundAChangeOfClocksTimesAreThoseThatALookAtEachMinuteFinds(String name) {
        Random random = new Random(name.hashCode());
        ZoneId zone = ZoneId.of(name);
        Instant begin = Instant.parse("2026-01-01T00:00:00Z");
        for (int i = 0; i < 60; i++) {
            ZoneOffsetTransition change = zone.getRules().nextTransition(begin);
            Instant after = change == null ? begin : change.getInstant().minusSeconds(random.nextInt(4 * 3600));
            begin = change == null || i % 4 > 0 ? begin : change.getInstant();
            Set<Integer> minutes = some(random, 60);
            Set<Integer> hours = random.nextInt(4) == 0 ? some(random, 24, 24) : some(random, 24);
            List<Instant> expected = Stream.iterate(
                            after.truncatedTo(ChronoUnit.MINUTES), time -> time.plus(1, ChronoUnit.MINUTES))
                    .limit(8 * 60)
                    .filter(time -> time.isAfter(after) && isTime(time, zone, minutes, hours))
                    .toList();
            String fields = listed(minutes) + " " + listed(hours) + " * * *";
            Cron cron = new Cron(fields, name);
            Instant time = after;
            for (Instant next : expected) {
                assertEquals(next, cron.next(time).orElseThrow(), fields + " after " + time);
                time = next;
            }
        }
    }

    private static Set<Integer> some(Random random, int below) {
        return some(random, below, 1 + random.nextInt(6));
    }

    private static Set<Integer> some(Random random, int below, int count) {
        Set<Integer> some = new TreeSet<>();
        while (some.size() < count) {
            some.add(random.nextInt(below));
        }
        return some;
    }

    private static String listed(Set<Integer> values) {
        return values.stream().map(String::valueOf).collect(Collectors.joining(","));
    }

    @Test
    void aDayThatNeverComesIsRefused() {
        assertEquals(
                "no day is on that date",
                assertThrows(IllegalArgumentException.class, () -> new Cron("0 0 30 2 *", "Europe/Berlin"))
                        .getMessage());
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
                "0 0 L * *",
                "1,,2 * * * *",
                "0 24 * * *",
                "0 0 * * 8",
                "0 0 * * SAT-MON",
                "0 0 * * MONDAY"
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
