package dev.rowbell.housekeeping;

import dev.rowbell.database.Sessions.ImpatientThread;
import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import dev.rowbell.health.Watchdog;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the tasks of all packages, each at its interval, and few at a time: one that waits for a stranger's function or lock holds up no other. A task
 * that fails is tried again at its next turn. Four threads, daemons, from {@link #start} to {@link #stop}; safe for many threads.
 */
public final class Housekeeping {

    private static final Logger LOG = LoggerFactory.getLogger(Housekeeping.class);

    /** How long a stop waits for the task that runs. */
    private static final Duration STOP = Duration.ofSeconds(2);

    /** Three tasks may take long: to apply the rules, to compare them with their feeds, and to fire their timers. */
    private static final int THREADS = 4;

    private final Watchdog watchdog;
    private final List<Registered> tasks = new ArrayList<>();
    /** The names of those that failed when they ran last. */
    private final Set<String> failing = ConcurrentHashMap.newKeySet();
    /** Null while the database is closed. */
    private ScheduledExecutorService threads;

    private record Registered(String name, Duration interval, boolean atStop, Task task) {}

    public Housekeeping(Watchdog watchdog) {
        this.watchdog = watchdog;
    }

    /**
     * Runs the task at once and then at its interval, until the stop.
     *
     * @param name as a verb, for the log: "remove old dead letters"
     * @param interval from the end of one run to the next
     */
    public void register(String name, Duration interval, Task task) {
        register(new Registered(name, interval, false, task));
    }

    /** The same for a task that writes what this process counted: it runs once more at the stop, unless it failed before. */
    public void registerAlsoAtStop(String name, Duration interval, Task task) {
        register(new Registered(name, interval, true, task));
    }

    private synchronized void register(Registered registered) {
        tasks.add(registered);
        if (threads != null) {
            schedule(registered);
        }
    }

    /** The database is open. */
    public synchronized void start() {
        failing.clear();
        threads = Executors.newScheduledThreadPool(THREADS, task -> {
            Thread daemon = new ImpatientThread(task, "rowbell housekeeping");
            daemon.setDaemon(true);
            return daemon;
        });
        tasks.forEach(this::schedule);
    }

    private void schedule(Registered registered) {
        watchdog.watch(
                "housekeeping: " + registered.name(),
                threads,
                threads.scheduleWithFixedDelay(
                        () -> run(registered), 0, registered.interval().toMillis(), TimeUnit.MILLISECONDS));
    }

    /** Throws nothing: an Error must not end the threads of the other tasks. */
    private void run(Registered registered) {
        String what = "housekeeping cannot " + registered.name();
        FailureLog failures = watchdog.failures();
        try {
            registered.task().run();
            failing.remove(registered.name());
            failures.succeeded(what)
                    .ifPresent(after -> LOG.info("housekeeping can {} again {}", registered.name(), after));
        } catch (Throwable e) {
            watchdog.caught(e);
            failing.add(registered.name());
            if (!failures.isDatabaseAway(e)) {
                failures.failed(what)
                        .ifPresent(since -> LOG.warn("{} {}, trying again: {}", what, since, Errors.inWords(e)));
            }
            LOG.debug(what, e);
        }
    }

    /**
     * Ends the threads and forgets the tasks. The database is still open.
     *
     * @param connected false: no task runs once more, since it would wait for a connection
     */
    public void stop(boolean connected) {
        ScheduledExecutorService ending;
        List<Registered> last;
        synchronized (this) {
            ending = threads;
            threads = null;
            last = tasks.stream().filter(task -> task.atStop() && connected).toList();
            tasks.clear();
        }
        if (ending == null) {
            return;
        }
        // beside one that does not end
        last.stream()
                .filter(registered -> !failing.contains(registered.name()))
                .forEach(registered -> ending.execute(() -> run(registered)));
        // without the lock, for which a task may wait
        ending.shutdown();
        try {
            if (!ending.awaitTermination(STOP.toMillis(), TimeUnit.MILLISECONDS)) {
                watchdog.failures().setQuiet(true);
                ending.shutdownNow();
                ending.awaitTermination(STOP.toMillis(), TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
