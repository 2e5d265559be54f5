package dev.rowbell.health;

import dev.rowbell.error.Errors;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/**
 * Looks at what waits in the database, for the health checks and the figures. Who asks while somebody has just looked is told what was seen
 * then. Safe for many threads.
 */
public final class Lookout {

    private static final Logger LOG = LoggerFactory.getLogger(Lookout.class);

    /** So that several checks of one call ask the database once. */
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** PostgreSQL itself warns at one half, and fails whoever notifies when it is full. */
    private static final double FULL = 0.1;

    private final QueueTables tables;
    private final BrokenRules brokenRules;
    private final Supplier<Duration> limit;
    private Sight last;
    private long lastAt;
    private boolean warned;

    /** Rules that are left out, and why. */
    @FunctionalInterface
    public interface BrokenRules {
        Map<String, String> get() throws SQLException;
    }

    /**
     * @param feedback the feedback table, as SQL names it
     * @param limit asked at each look: how long a row may wait
     */
    public Lookout(DataSource dataSource, String feedback, BrokenRules brokenRules, Supplier<Duration> limit) {
        tables = new QueueTables(dataSource, feedback);
        this.brokenRules = brokenRules;
        this.limit = limit;
    }

    /**
     * What was seen.
     *
     * @param away why the database cannot be reached, in words; empty where it can, and only then the others are known
     * @param brokenRules in words
     * @param notificationQueue how full the server's queue of notifications is, from 0 to 1
     */
    public record Sight(String away, List<Queue> queues, List<String> brokenRules, double notificationQueue) {}

    public synchronized Sight look() {
        if (last == null || System.nanoTime() - lastAt > FRESH.toNanos()) {
            last = now();
            lastAt = System.nanoTime();
        }
        return last;
    }

    private Sight now() {
        try {
            QueueTables.Seen seen = tables.look();
            warn(seen.notificationQueue());
            List<String> broken = brokenRules.get().entrySet().stream()
                    .map(rule -> "rule \"%s\" is broken and is left out: %s".formatted(rule.getKey(), rule.getValue()))
                    .toList();
            return new Sight("", seen.queues(), broken, seen.notificationQueue());
        } catch (SQLException | DataAccessException e) {
            return new Sight("the database cannot be asked: " + Errors.inWords(e), List.of(), List.of(), 0);
        }
    }

    private void warn(double usage) {
        if (usage > FULL && !warned) {
            LOG.warn(
                    "the queue of notifications is {} % full: some session of this server listens and stays in a transaction;"
                            + " when it is full, no transaction that notifies can commit",
                    Math.round(usage * 100));
        }
        warned = usage > FULL;
    }

    /** The queues in which something has waited for longer than it may, in words. */
    public List<String> late() {
        Duration most = limit.get();
        List<String> words = new ArrayList<>();
        for (Queue queue : look().queues()) {
            // a dead letter waits for a person
            if (!queue.name().equals("dead_letter") && queue.oldest().compareTo(most) > 0) {
                words.add("%s: the oldest of %d has been waiting for %d s"
                        .formatted(queue.name(), queue.rows(), queue.oldest().toSeconds()));
            }
        }
        return words;
    }
}
