package dev.rowbell.housekeeping;

import dev.rowbell.error.Errors;
import dev.rowbell.health.Watchdog;
import java.util.HashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Logs a failure once, however often the task is tried again, and however many tasks fail because the database is away. For one thread at a time.
 */
final class FailureLog {

    private static final Logger LOG = LoggerFactory.getLogger(FailureLog.class);
    private static final String AWAY = "the database is away";

    private final Watchdog watchdog;
    private volatile boolean quiet;
    /** By task, why it failed last; without those that succeeded. */
    private final Map<String, String> failing = new HashMap<>();

    FailureLog(Watchdog watchdog) {
        this.watchdog = watchdog;
    }

    /** The stop interrupts what runs, and nothing is tried again. */
    void stopping() {
        quiet = true;
    }

    /**
     * Runs the task and logs its failure. Throws nothing: an Error must not end the thread of the other tasks.
     *
     * @param name as a verb, for the log
     */
    void run(String name, Task task) {
        try {
            task.run();
            if (AWAY.equals(failing.remove(name)) && !failing.containsValue(AWAY)) {
                LOG.info("the database is back, housekeeping goes on");
            }
        } catch (Throwable e) {
            watchdog.caught(e);
            String why = Errors.isDatabaseAway(e) ? AWAY : Errors.inWords(e);
            boolean known = failing.containsValue(why);
            failing.put(name, why);
            if (!known && !quiet) {
                LOG.warn("housekeeping could not {}, trying again: {}", name, Errors.inWords(e));
            }
            LOG.debug("could not {}", name, e);
        }
    }

    /** Whether the task failed when it ran last. */
    boolean isFailing(String name) {
        return failing.containsKey(name);
    }
}
