package dev.rowbell.health;

import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/**
 * Notices when a loop has ended that should run: a loop catches all that it can, and an Error may leave it all the same. Reads the results that the
 * threads keep, so that nothing has to be done where the memory is exhausted. Notices too when one runs on and fails each time. Safe for many threads.
 */
public final class Watchdog {

    /** The poll, as a loop that fails. */
    public static final String POLL = "the poll of the feedback table";

    /** A loop that fails for less than this may be through with it at the next try. */
    private static final Duration STUCK = Duration.ofSeconds(10);

    private record Loop(String name, ExecutorService thread) {}

    private record Failing(Instant since, String reason) {}

    private final Map<Future<?>, Loop> loops = new ConcurrentHashMap<>();
    private final Map<String, Failing> failing = new ConcurrentHashMap<>();
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

    /** A loop has failed, goes on, and may fail each time. Not for a database that is away: another check says that. */
    public void failing(String loop, Throwable failure) {
        failing.compute(
                loop,
                (name, known) -> new Failing(known == null ? Instant.now() : known.since(), Errors.inWords(failure)));
    }

    /** It has succeeded. */
    public void working(String loop) {
        if (!failing.isEmpty()) {
            failing.remove(loop);
        }
    }

    /** The loops that have failed for some time, each time, for a person. */
    public List<String> stuck() {
        Instant now = Instant.now();
        return failing.entrySet().stream()
                .filter(loop -> Duration.between(loop.getValue().since(), now).compareTo(STUCK) >= 0)
                .map(loop -> "%s fails since %s: %s"
                        .formatted(
                                loop.getKey(),
                                FailureLog.shown(loop.getValue().since(), ZoneId.systemDefault()),
                                loop.getValue().reason()))
                .sorted()
                .toList();
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
