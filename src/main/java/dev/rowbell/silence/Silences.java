package dev.rowbell.silence;

import dev.rowbell.error.Errors;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import javax.sql.DataSource;
import org.apache.camel.Body;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.UncategorizedSQLException;

/**
 * Which alerts are kept quiet, by a silence or by the cooldown of their rule. Counted when the transaction that routes them has committed. Safe
 * for many threads.
 */
public final class Silences {

    /** The exchange property that has what {@link #silenceOf} says. */
    public static final String PROPERTY = "rowbell.silence";
    /** No silence has this id. */
    public static final long COOLDOWN = 0;

    private static final Logger LOG = LoggerFactory.getLogger(Silences.class);

    /** A silence takes effect after this. */
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** Read again so soon where no alert waits for it. */
    private static final Duration AT_LEISURE = Duration.ofMillis(500);

    private static final int EXPIRED_AT_ONCE = 1000;

    private SilenceTable table;
    private SilenceTable.Quiet quiet = SilenceTable.Quiet.NOTHING;
    private long readAt;
    private volatile boolean failed;
    private Map<Long, Long> counts = new HashMap<>();

    /** To be said before anything is asked. */
    public synchronized void start(DataSource dataSource) {
        table = new SilenceTable(dataSource);
        readAt = System.nanoTime() - FRESH.toNanos();
    }

    /**
     * What keeps the alert quiet: the id of a silence, {@link #COOLDOWN}, or null where it is to be delivered.
     *
     * @throws UncategorizedSQLException where the database cannot be asked for its row; it is to be asked again
     */
    public Long silenceOf(@Body Map<String, Object> alert) {
        SilenceTable.Quiet now = quiet(FRESH);
        for (Silence silence : now.silences()) {
            if (silence.covers(alert)) {
                return silence.id();
            }
        }
        Cooldown cooldown =
                alert.get("rule") instanceof String rule ? now.cooldowns().get(rule) : null;
        return cooldown == null || rings(alert, cooldown) ? null : Long.valueOf(COOLDOWN);
    }

    private boolean rings(Map<String, Object> alert, Cooldown cooldown) {
        try {
            return table.rings(
                    (String) alert.get("rule"),
                    String.valueOf(alert.get("status")),
                    cooldown.keyOf(alert),
                    time(alert.get("time")),
                    cooldown.time());
        } catch (SQLException e) {
            throw new UncategorizedSQLException("asking for a cooldown", null, e);
        }
    }

    /** Null where the alert says no time that can be read. */
    private static String time(Object time) {
        try {
            return time instanceof String text ? Instant.parse(text).toString() : null;
        } catch (DateTimeParseException e) {
            return null;
        }
    }

    /** To be called when there is nothing to do: then no alert has to wait until it is known what is quiet. */
    public synchronized void readAtLeisure() {
        quiet(AT_LEISURE);
    }

    /** What cannot be read keeps nobody quiet. */
    private synchronized SilenceTable.Quiet quiet(Duration fresh) {
        if (System.nanoTime() - readAt >= fresh.toNanos()) {
            try {
                quiet = table.read();
                failed = false;
            } catch (SQLException e) {
                if (!failed) {
                    LOG.warn("silences and cooldowns cannot be read, those known before stay: {}", Errors.inWords(e));
                }
                failed = true;
            }
            readAt = System.nanoTime();
        }
        return quiet;
    }

    /** @param silences what {@link #silenceOf} said and was not null */
    public synchronized void count(Collection<Long> silences) {
        silences.stream().filter(id -> id != COOLDOWN).forEach(id -> counts.merge(id, 1L, Long::sum));
    }

    /** Tells the database what was counted since, and removes a little of what is old. To be called now and then. */
    public void tidy() throws SQLException {
        Map<Long, Long> taken;
        synchronized (this) {
            if (table == null) {
                return;
            }
            taken = counts;
            counts = new HashMap<>();
        }
        try {
            if (!taken.isEmpty()) {
                table.count(taken);
                taken = Map.of();
            }
        } finally {
            count(taken);
        }
        table.expire(EXPIRED_AT_ONCE);
    }

    /** Tells the database of the last ones, where it could be asked before. */
    public void stop() {
        try {
            if (!failed) {
                tidy();
            }
        } catch (SQLException e) {
            LOG.warn("the last alerts that were kept quiet could not be counted: {}", Errors.inWords(e));
        }
    }

    private synchronized void count(Map<Long, Long> again) {
        again.forEach((id, count) -> counts.merge(id, count, Long::sum));
    }
}
