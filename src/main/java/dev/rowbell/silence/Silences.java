package dev.rowbell.silence;

import dev.rowbell.alert.AlertTime;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/**
 * Which alerts are not delivered, because of a silence or of the cooldown of their rule. They are counted when the transaction that routes them
 * has committed. Safe for many threads.
 */
public final class Silences {

    /** The exchange property that holds what {@link #silenceOf} returned. */
    public static final String PROPERTY = "rowbell.silence";
    /** No silence has this id. */
    public static final long COOLDOWN = 0;

    private static final Logger LOG = LoggerFactory.getLogger(Silences.class);

    /** A silence takes effect within this time. */
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** The same, while no alert waits. */
    private static final Duration FRESH_WHEN_IDLE = Duration.ofMillis(500);

    private static final Duration TIDY = Duration.ofSeconds(10);
    private static final int DELETED_AT_ONCE = 1000;

    private SilenceRepository repository;
    private SilenceRepository.InForce inForce = SilenceRepository.InForce.NONE;
    private long readAt;
    private volatile boolean failed;
    private Map<Long, Long> counts = new HashMap<>();

    /** To be called before the other methods. */
    public synchronized void start(DataSource dataSource, Housekeeping housekeeping) {
        repository = new SilenceRepository(dataSource);
        readAt = System.nanoTime() - FRESH.toNanos();
        housekeeping.registerAlsoAtStop("count and expire silences and cooldowns", TIDY, this::tidy);
    }

    /**
     * Why the alert is not delivered: the id of a silence, or {@link #COOLDOWN}; null where it is to be delivered.
     *
     * @param path {@code durable} or {@code notify}: a notification, which anyone can send, keeps no durable alert quiet
     * @throws DataAccessException where the cooldown of its row cannot be read; ask again later
     */
    public Long silenceOf(Map<String, Object> alert, String path) {
        SilenceRepository.InForce now = inForce(FRESH);
        for (Silence silence : now.silences()) {
            if (silence.covers(alert)) {
                return silence.id();
            }
        }
        Cooldown cooldown =
                alert.get("rule") instanceof String rule ? now.cooldowns().get(rule) : null;
        return cooldown == null || passes(alert, path, cooldown) ? null : Long.valueOf(COOLDOWN);
    }

    private boolean passes(Map<String, Object> alert, String path, Cooldown cooldown) {
        return repository.passesCooldown(
                (String) alert.get("rule"),
                path,
                String.valueOf(alert.get("status")),
                cooldown.keyOf(alert),
                AlertTime.parse(alert.get("time")),
                cooldown.time());
    }

    /** To be called while no alert waits, so that alerts seldom have to wait until silences are read. */
    public synchronized void refreshWhenIdle() {
        inForce(FRESH_WHEN_IDLE);
    }

    private synchronized SilenceRepository.InForce inForce(Duration fresh) {
        if (System.nanoTime() - readAt >= fresh.toNanos()) {
            try {
                inForce = repository.read();
                failed = false;
            } catch (DataAccessException e) {
                if (!failed) {
                    LOG.warn("silences and cooldowns cannot be read, those known before stay: {}", Errors.inWords(e));
                }
                failed = true;
            }
            readAt = System.nanoTime();
        }
        return inForce;
    }

    /** @param silences what {@link #silenceOf} returned, without null */
    public synchronized void count(Collection<Long> silences) {
        silences.stream().filter(id -> id != COOLDOWN).forEach(id -> counts.merge(id, 1L, Long::sum));
    }

    /**
     * Stores the counts and deletes some cooldowns that are over.
     *
     * @throws DataAccessException where the database fails; the counts are kept for the next call
     */
    private void tidy() {
        Map<Long, Long> taken;
        synchronized (this) {
            taken = counts;
            counts = new HashMap<>();
        }
        try {
            if (!taken.isEmpty()) {
                Set<Long> locked = repository.count(taken);
                taken.keySet().retainAll(locked);
                restore(taken);
            }
        } catch (DataAccessException e) {
            restore(taken);
            throw e;
        }
        repository.deleteExpired(DELETED_AT_ONCE);
    }

    private synchronized void restore(Map<Long, Long> taken) {
        taken.forEach((id, count) -> counts.merge(id, count, Long::sum));
    }
}
