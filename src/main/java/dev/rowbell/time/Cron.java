package dev.rowbell.time;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * When something runs: minute, hour, day of the month, month and day of the week of crontab(5), in a time zone. Where clocks are put forward, a time
 * that is skipped comes when they are: 02:30 at 03:00. Where they are put back, a time that comes twice counts once, the first time, unless it comes
 * every hour.
 */
public final class Cron {

    /** The longest time between two days of one date and weekday, around a year that is no leap year. */
    private static final int LONGEST_IN_DAYS = 41 * 366;

    private static final List<String> MONTHS =
            List.of("-", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC");
    private static final List<String> DAYS = List.of("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT");
    private static final Pattern PART = Pattern.compile("(\\*|(\\w+)(?:-(\\w+))?)(?:/(\\d{1,3}))?");

    private final BitSet minutes;
    private final BitSet hours;
    private final BitSet daysOfMonth;
    private final BitSet months;
    /** Sunday is 0. */
    private final BitSet daysOfWeek;
    /** Whether either of the two days will do. */
    private final boolean eitherDay;

    private final ZoneId zone;

    /**
     * @param zone as Europe/Berlin; null for UTC
     * @throws IllegalArgumentException where one of them cannot be read; its message is for a user
     */
    public Cron(String fields, String zone) {
        String[] given = fields.trim().split("\\s+");
        if (given.length != 5) {
            throw new IllegalArgumentException(
                    "give five fields: minute, hour, day of the month, month, day of the week");
        }
        minutes = values("minute", given[0], 0, 59, List.of());
        hours = values("hour", given[1], 0, 23, List.of());
        daysOfMonth = values("day of the month", given[2], 1, 31, List.of());
        months = values("month", given[3], 1, 12, MONTHS);
        daysOfWeek = values("day of the week", given[4], 0, 7, DAYS);
        if (daysOfWeek.get(7)) {
            daysOfWeek.set(0);
        }
        eitherDay = !given[2].startsWith("*") && !given[4].startsWith("*");
        try {
            this.zone = zone == null ? ZoneOffset.UTC : ZoneId.of(zone);
        } catch (DateTimeException e) {
            throw new IllegalArgumentException("there is no time zone " + zone, e);
        }
        if (next(Instant.EPOCH).isEmpty()) {
            throw new IllegalArgumentException("no day is on that date");
        }
    }

    private static BitSet values(String field, String text, int least, int most, List<String> names) {
        BitSet values = new BitSet();
        for (String part : text.split(",", -1)) {
            Matcher read = PART.matcher(part);
            if (!read.matches()) {
                throw new IllegalArgumentException("%s: cannot read %s".formatted(field, text));
            }
            int step = read.group(4) == null ? 1 : Integer.parseInt(read.group(4));
            boolean all = read.group(2) == null;
            int first = all ? least : value(read.group(2), names);
            int last = all || read.group(3) == null && read.group(4) != null
                    ? most
                    : read.group(3) == null ? first : value(read.group(3), names);
            if (most == 7
                    && last == 0
                    && first > 0
                    && names.contains(read.group(3).toUpperCase(Locale.ROOT))) {
                // FRI-SUN
                last = 7;
            }
            if (first < 0 || last < 0) {
                throw new IllegalArgumentException("%s: cannot read %s".formatted(field, part));
            }
            if (first < least || last > most || first > last || step < 1) {
                throw new IllegalArgumentException("%s: %s is not within %d-%d".formatted(field, part, least, most));
            }
            for (int value = first; value <= last; value += step) {
                values.set(value);
            }
        }
        return values;
    }

    /** -1 for what is none. */
    private static int value(String text, List<String> names) {
        return text.matches("\\d{1,4}") ? Integer.parseInt(text) : names.indexOf(text.toUpperCase(Locale.ROOT));
    }

    /** The first time after this one; empty where none comes, as the 30th of February. */
    Optional<Instant> next(Instant after) {
        LocalDateTime local = LocalDateTime.ofInstant(after, zone).truncatedTo(ChronoUnit.MINUTES);
        Instant next = null;
        // a day before: where the clock is put back, what is earlier by the clock may come later
        for (LocalDate day = local.toLocalDate().minusDays(1), end = day.plusDays(LONGEST_IN_DAYS);
                day.isBefore(end);
                day = day.plusDays(1)) {
            if (!isOn(day)) {
                continue;
            }
            for (int hour = hours.nextSetBit(0); hour >= 0; hour = hours.nextSetBit(hour + 1)) {
                for (int minute = minutes.nextSetBit(0); minute >= 0; minute = minutes.nextSetBit(minute + 1)) {
                    LocalDateTime time = LocalDateTime.of(day, LocalTime.of(hour, minute));
                    List<ZoneOffset> offsets = zone.getRules().getValidOffsets(time);
                    Instant first = offsets.isEmpty()
                            ? zone.getRules().getTransition(time).getInstant()
                            : time.toInstant(offsets.get(0));
                    if (next != null && !first.isBefore(next)) {
                        return Optional.of(next);
                    }
                    if (first.isAfter(after)) {
                        next = first;
                    } else if (offsets.size() == 2 && hours.cardinality() == 24) {
                        Instant second = time.toInstant(offsets.get(1));
                        next = second.isAfter(after) && (next == null || second.isBefore(next)) ? second : next;
                    }
                }
            }
        }
        return Optional.ofNullable(next);
    }

    private boolean isOn(LocalDate day) {
        boolean ofMonth = daysOfMonth.get(day.getDayOfMonth());
        boolean ofWeek = daysOfWeek.get(day.getDayOfWeek().getValue() % 7);
        return months.get(day.getMonthValue()) && (eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek);
    }
}
