package dev.rowbell;

import dev.rowbell.health.QueueMonitor;
import dev.rowbell.health.ReadyCheck;
import dev.rowbell.health.Watchdog;
import dev.rowbell.listen.Listeners;
import dev.rowbell.outbox.SinkRepository.Pause;
import dev.rowbell.rules.Problem;
import dev.rowbell.rules.Rules;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.camel.health.HealthCheckRegistry;

/**
 * Camel's readiness checks of Rowbell. A check is down if an operator has to act, and gives the reasons.
 *
 * @param monitor gives null while the database is closed
 * @param circuits the sinks of this process, each with the error that keeps its circuit open
 * @param pauses by sink, those that are paused: their alerts wait since a person wants it
 */
record HealthChecks(
        Watchdog watchdog,
        Rules rules,
        Listeners listeners,
        Supplier<QueueMonitor> monitor,
        Supplier<Map<String, Optional<String>>> circuits,
        Supplier<Map<String, Pause>> pauses) {

    /** A listener that is gone for less than this is connecting again. */
    private static final Duration GONE = Duration.ofSeconds(30);

    void register(HealthCheckRegistry checks) {
        checks.register(new ReadyCheck("rowbell-loops", watchdog::ended, true));
        checks.register(new ReadyCheck(
                "rowbell-database",
                () -> whileOpen(open -> Stream.of(open.snapshot().away())
                        .filter(reason -> !reason.isEmpty())
                        .toList())));
        checks.register(new ReadyCheck(
                "rowbell-rules",
                () -> Stream.of(
                                rules.problems().stream().map(Problem::toString),
                                whileOpen(open -> open.snapshot().brokenRules()).stream(),
                                rules.silentTriggers().stream())
                        .flatMap(reasons -> reasons)
                        .toList(),
                rules::dangers));
        checks.register(new ReadyCheck(
                "rowbell-queues",
                () -> Stream.concat(
                                watchdog.stuck().stream(),
                                whileOpen(open -> open.late(pauses.get().keySet())).stream())
                        .toList()));
        checks.register(new ReadyCheck("rowbell-listener", () -> listeners.goneLongerThan(GONE)));
        checks.register(new ReadyCheck(
                "rowbell-sinks",
                this::openCircuits,
                () -> pauses.get().values().stream().map(Pause::inWords).toList()));
    }

    private List<String> whileOpen(Function<QueueMonitor, List<String>> reasons) {
        QueueMonitor open = monitor.get();
        return open == null ? List.of() : reasons.apply(open);
    }

    private List<String> openCircuits() {
        return circuits.get().entrySet().stream()
                .filter(sink -> sink.getValue().isPresent() && !pauses.get().containsKey(sink.getKey()))
                .map(sink -> "sink %s fails, and its queue waits: %s"
                        .formatted(sink.getKey(), sink.getValue().get()))
                .toList();
    }
}
