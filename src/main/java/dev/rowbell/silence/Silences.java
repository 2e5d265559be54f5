package dev.rowbell.silence;

import dev.rowbell.alert.AlertTime;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * Which alerts are not delivered, because of a silence or of the cooldown of their rule. They are counted in the transaction that routes them: the
 * count is their only trace. Safe for many threads.
 */
public final class Silences {

    /** The exchange property that holds what {@link #silenceOf} returned. */
    public static final String PROPERTY = "rowbell.silence";
    /** No silence has this id. */
    public static final long COOLDOWN = 0;
    /** Nor this: of an alert about what was acknowledged. */
    public static final long ACKNOWLEDGED = -1;

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
    /** Counts by silence, that a transaction could not write: an administrator had the silence locked. */
    private Map<Long, Long> leftOver = new HashMap<>();

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
                count(silence.id());
                return silence.id();
            }
        }
        Duration cooldown =
                alert.get("rule") instanceof String rule ? now.cooldowns().get(rule) : null;
        return cooldown == null || passes(alert, path, cooldown) ? null : Long.valueOf(COOLDOWN);
    }

    private boolean passes(Map<String, Object> alert, String path, Duration cooldown) {
        return repository.passesCooldown(
                (String) alert.get("rule"),
                path,
                String.valueOf(alert.get("status")),
                Objects.toString(alert.get("key"), ""),
                AlertTime.parse(alert.get("time")),
                cooldown);
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
                if (!failed && !Errors.isDatabaseAway(e)) {
                    LOG.warn(
                            "silences and cooldowns cannot be read, trying again; those known before stay in force: {}",
                            Errors.inWords(e));
                }
                failed = true;
            }
            readAt = System.nanoTime();
        }
        return inForce;
    }

    private void count(long silence) {
        if (TransactionSynchronizationManager.isSynchronizationActive()) {
            Counts.current(this).add(silence);
        } else {
            keep(Map.of(silence, 1L));
        }
    }

    /** What one transaction silences, written just before its commit. For one thread. */
    private static final class Counts implements TransactionSynchronization {

        private final Silences silences;
        private Map<Long, Long> counts = new HashMap<>();

        private Counts(Silences silences) {
            this.silences = silences;
        }

        /** The one of the thread's transaction. */
        static Counts current(Silences silences) {
            if (TransactionSynchronizationManager.getResource(silences) instanceof Counts current) {
                return current;
            }
            Counts started = new Counts(silences);
            TransactionSynchronizationManager.bindResource(silences, started);
            TransactionSynchronizationManager.registerSynchronization(started);
            return started;
        }

        void add(long silence) {
            counts.merge(silence, 1L, Long::sum);
        }

        @Override
        public void beforeCommit(boolean readOnly) {
            counts = silences.write(counts);
        }

        @Override
        public void suspend() {
            TransactionSynchronizationManager.unbindResourceIfPossible(silences);
        }

        @Override
        public void resume() {
            TransactionSynchronizationManager.bindResource(silences, this);
        }

        @Override
        public void afterCompletion(int status) {
            TransactionSynchronizationManager.unbindResourceIfPossible(silences);
            if (status == STATUS_COMMITTED) {
                silences.keep(counts);
            }
        }
    }

    /** Returns the counts that could not be written. A failure must not fail the transaction of the alerts. */
    private Map<Long, Long> write(Map<Long, Long> counts) {
        Map<Long, Long> later = new HashMap<>(counts);
        try {
            later.keySet().retainAll(repository.count(counts));
        } catch (DataAccessException e) {
            LOG.debug("silenced alerts are counted later", e);
        }
        return later;
    }

    /** Stores counts that were left over, and deletes some cooldowns that are over. */
    private void tidy() {
        Map<Long, Long> taken;
        synchronized (this) {
            taken = leftOver;
            leftOver = new HashMap<>();
        }
        if (!taken.isEmpty()) {
            keep(write(taken));
        }
        repository.deleteExpired(DELETED_AT_ONCE);
    }

    private synchronized void keep(Map<Long, Long> counts) {
        counts.forEach((id, count) -> leftOver.merge(id, count, Long::sum));
    }
}
