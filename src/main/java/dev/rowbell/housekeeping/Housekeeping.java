package dev.rowbell.housekeeping;

import dev.rowbell.health.Watchdog;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Runs the tasks of all packages, one at a time, each at its interval. A task that fails is tried again at its next turn. One thread, a daemon,
 * from {@link #start} to {@link #stop}; safe for many threads.
 */
public final class Housekeeping {

    /** How long a stop waits for the task that runs. */
    private static final Duration STOP = Duration.ofSeconds(2);

    private final Watchdog watchdog;
    private final List<Registered> tasks = new ArrayList<>();
    private FailureLog failures;
    /** Null while the database is closed. */
    private ScheduledExecutorService thread;

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
        if (thread != null) {
            schedule(registered);
        }
    }

    /** The database is open. */
    public synchronized void start() {
        failures = new FailureLog(watchdog);
        thread = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread daemon = new Thread(task, "rowbell housekeeping");
            daemon.setDaemon(true);
            return daemon;
        });
        tasks.forEach(this::schedule);
    }

    private void schedule(Registered registered) {
        FailureLog log = failures;
        watchdog.watch(
                "housekeeping: " + registered.name(),
                thread,
                thread.scheduleWithFixedDelay(
                        () -> log.run(registered.name(), registered.task()),
                        0,
                        registered.interval().toMillis(),
                        TimeUnit.MILLISECONDS));
    }

    /**
     * Ends the thread and forgets the tasks. The database is still open.
     *
     * @param connected false: no task runs once more, since it would wait for a connection
     */
    public void stop(boolean connected) {
        ScheduledExecutorService ending;
        List<Registered> last;
        synchronized (this) {
            ending = thread;
            thread = null;
            last = tasks.stream().filter(task -> task.atStop() && connected).toList();
            tasks.clear();
        }
        if (ending == null) {
            return;
        }
        // without the lock, for which a task may wait
        ending.shutdown();
        try {
            if (ending.awaitTermination(STOP.toMillis(), TimeUnit.MILLISECONDS)) {
                last.stream()
                        .filter(registered -> !failures.isFailing(registered.name()))
                        .forEach(registered -> failures.run(registered.name(), registered.task()));
            } else {
                failures.stopping();
                ending.shutdownNow();
                ending.awaitTermination(STOP.toMillis(), TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
