package dev.rowbell.rules;

import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks after what is in the database while Rowbell runs, with one thread: tells it of hits, has it look at its feeds, sees that the file of rules
 * changed, and does what else is to be done now and then.
 */
final class Upkeep {

    private static final Logger LOG = LoggerFactory.getLogger(Upkeep.class);

    private static final Duration TICK = Duration.ofSeconds(1);
    private static final Duration REFRESH = Duration.ofSeconds(10);
    /** What a stop waits for the work in hand. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    private final RuleTable table;
    private final Hits hits;
    private final Troubles.Step reload;
    private final Map<String, Troubles.Step> chores;
    private final Troubles troubles = new Troubles();
    private final ScheduledExecutorService thread;
    private List<String> events = List.of();
    private long refreshedAt = System.nanoTime() - REFRESH.toNanos();
    private boolean hitsWereAdded = true;

    /**
     * @param reload looks whether the file changed, and applies it where it did
     * @param chores done every 10 seconds, by what to say where one fails
     */
    Upkeep(RuleTable table, Hits hits, Troubles.Step reload, Map<String, Troubles.Step> chores) {
        this.table = table;
        this.hits = hits;
        this.reload = reload;
        this.chores = chores;
        thread = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread daemon = new Thread(task, "rowbell rules");
            daemon.setDaemon(true);
            return daemon;
        });
        thread.scheduleWithFixedDelay(this::tick, 0, TICK.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void tick() {
        if (System.nanoTime() - refreshedAt >= REFRESH.toNanos()) {
            refreshedAt = System.nanoTime();
            troubles.run("the feeds could not be looked at", this::refresh);
            chores.forEach(troubles::run);
        }
        troubles.run("hits could not be counted", this::addHits);
        troubles.run("the rules could not be applied", reload);
    }

    private void refresh() throws SQLException {
        List<String> now = table.refresh();
        // what stays wrong is said once
        now.stream().filter(event -> !events.contains(event)).forEach(event -> LOG.warn("{}", event));
        events = now;
    }

    private void addHits() throws SQLException {
        Map<String, Long> taken = hits.take();
        if (taken.isEmpty()) {
            return;
        }
        hitsWereAdded = false;
        try {
            taken.keySet().retainAll(table.addHits(taken));
            hitsWereAdded = true;
        } finally {
            hits.add(taken);
        }
    }

    /** Ends the thread, and tells the database of the last hits where it took those before. */
    void stop() {
        thread.shutdown();
        try {
            if (!thread.awaitTermination(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                thread.shutdownNow();
                thread.awaitTermination(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            } else if (hitsWereAdded) {
                troubles.run("the last hits could not be counted", this::addHits);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
