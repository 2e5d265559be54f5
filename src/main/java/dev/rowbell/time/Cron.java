package dev.rowbell.time;

import com.cronutils.model.CronType;
import com.cronutils.model.definition.CronDefinitionBuilder;
import com.cronutils.model.time.ExecutionTime;
import com.cronutils.parser.CronParser;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.zone.ZoneOffsetTransition;
import java.util.Optional;

/**
 * When something runs: minute, hour, day of the month, month and day of the week of crontab(5), in a time zone. Where clocks are put forward, a time
 * that is skipped comes when they are: 02:30 at 03:00. Where they are put back, a time that comes twice counts once, the first time, unless it comes
 * every hour.
 */
public final class Cron {

    /** The longest time between two days of one date and weekday, around a year that is no leap year. */
    private static final Duration LONGEST = Duration.ofDays(41 * 366);

    private final ExecutionTime times;
    private final ZoneId zone;

    /**
     * @param zone as Europe/Berlin; null for UTC
     * @throws IllegalArgumentException where one of them cannot be read; its message is for a user
     */
    public Cron(String fields, String zone) {
        times = ExecutionTime.forCron(
                new CronParser(CronDefinitionBuilder.instanceDefinitionFor(CronType.UNIX)).parse(fields));
        try {
            this.zone = zone == null ? ZoneOffset.UTC : ZoneId.of(zone);
        } catch (DateTimeException e) {
            throw new IllegalArgumentException("there is no time zone " + zone, e);
        }
    }

    /** The first time after this one; empty where none comes, as the 30th of February. */
    Optional<Instant> next(Instant after) {
        Optional<Instant> next = times.nextExecution(after.atZone(zone)).map(ZonedDateTime::toInstant);
        Instant end = next.orElse(after.plus(LONGEST));
        for (ZoneOffsetTransition change = zone.getRules().nextTransition(after);
                change != null && change.getInstant().isBefore(end);
                change = zone.getRules().nextTransition(change.getInstant())) {
            if (change.isGap() && isSkippedBy(change)) {
                return Optional.of(change.getInstant());
            }
        }
        return next;
    }

    /** Looks at the clock as if it were not put forward. */
    private boolean isSkippedBy(ZoneOffsetTransition gap) {
        return times.nextExecution(gap.getDateTimeBefore().minusSeconds(1).atZone(ZoneOffset.UTC))
                .filter(time -> time.toLocalDateTime().isBefore(gap.getDateTimeAfter()))
                .isPresent();
    }
}
