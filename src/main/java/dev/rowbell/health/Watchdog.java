package dev.rowbell.health;

import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/**
 * Notices when a loop has ended that should run: a loop catches all that it can, and an Error may leave it all the same. Reads the results that the
 * threads keep, so that nothing has to be done where the memory is exhausted. Safe for many threads.
 */
public final class Watchdog {

    private record Loop(String name, ExecutorService thread) {}

    private final Map<Future<?>, Loop> loops = new ConcurrentHashMap<>();
    private final FailureLog failures = new FailureLog(Clock.systemDefaultZone());
    private volatile Runnable onOutOfMemory = () -> {};

    /** Called when a loop has caught an OutOfMemoryError. Without it the loops go on: the process belongs to an application. */
    public void onOutOfMemory(Runnable end) {
        onOutOfMemory = end;
    }

    /** Starts a loop that is to run until its executor is shut down. */
    public void start(String name, ExecutorService thread, Runnable loop) {
        watch(name, thread, thread.submit(loop));
    }

    /** The same for one that was started. */
    public void watch(String name, ExecutorService thread, Future<?> loop) {
        loops.values().removeIf(known -> known.thread().isShutdown());
        loops.put(loop, new Loop(name, thread));
    }

    /** A loop has caught this and would go on. To be called before it is logged, since a log line needs memory. */
    public void caught(Throwable failure) {
        if (Errors.isCausedBy(failure, OutOfMemoryError.class)) {
            onOutOfMemory.run();
        }
    }

    /** When to log what the loops catch. */
    public FailureLog failures() {
        return failures;
    }

    /** The loops that have ended, for a person. */
    public List<String> ended() {
        return loops.entrySet().stream()
                .filter(loop ->
                        loop.getKey().isDone() && !loop.getValue().thread().isShutdown())
                .map(loop -> "%s has ended%s: restart Rowbell"
                        .formatted(loop.getValue().name(), because(loop.getKey())))
                .sorted()
                .toList();
    }

    /** The class alone: an Error that ends a loop may have a message that cannot be made. */
    private static String because(Future<?> ended) {
        try {
            ended.get();
            return "";
        } catch (ExecutionException e) {
            return " by " + e.getCause().getClass().getName();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "";
        }
    }
}
