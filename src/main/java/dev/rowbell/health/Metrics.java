package dev.rowbell.health;

import dev.rowbell.alert.AlertId;
import dev.rowbell.alert.AlertTime;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;

/** Rowbell's metrics, in the MeterRegistry of its CamelContext where it has one. docs/metrics.md lists them. Safe for many threads. */
public final class Metrics {

    /** From the writer's statement to the end of a mail's last retry. */
    private static final Duration[] BUCKETS = Stream.of(
                    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 5_000, 15_000, 60_000, 300_000, 900_000,
                    3_600_000)
            .map(Duration::ofMillis)
            .toArray(Duration[]::new);
    /** What took longer counts as much: a sum of some thousand years would overflow, and that of a backlog is soon that. */
    private static final Duration LONGEST = BUCKETS[BUCKETS.length - 1];
    /** A foreign alert may name any rule, and Prometheus keeps a series for each name; it refuses two that look alike in UTF-8. */
    private static final int RULES_AT_MOST = 1000;

    private static final String OTHER_RULE = "other";

    private final CamelContext context;
    private final Clock clock;
    private final Set<String> rules = ConcurrentHashMap.newKeySet();
    private volatile MeterRegistry registry;
    private volatile Snapshot last;
    private MultiGauge rows;
    private MultiGauge oldest;
    private MultiGauge circuits;
    private MultiGauge paused;
    private MultiGauge listening;

    public Metrics(CamelContext context, Clock clock) {
        this.context = context;
        this.clock = clock;
    }

    private record Kind(String rule, String status) {}

    /** @param path {@code durable} or {@code notify} */
    public void routed(String path, Collection<Map<String, Object>> alerts) {
        Timer timer = timer(
                meters(),
                "rowbell.routing",
                "From the alert's time to the commit that files its deliveries",
                "path",
                path);
        Instant now = clock.instant();
        alerts.forEach(alert -> record(timer, alert.get("time"), now));
        alerts.stream()
                .collect(Collectors.groupingBy(this::kind, Collectors.counting()))
                .forEach((kind, count) -> add(
                        count,
                        "rowbell.alerts",
                        "Alerts routed, also those that were dropped then",
                        Tags.of("rule", kind.rule(), "status", kind.status(), "path", path)));
    }

    /** Alerts that a silence or a cooldown dropped. */
    public void silenced(Collection<Map<String, Object>> alerts) {
        alerts.stream()
                .collect(Collectors.groupingBy(alert -> rule(alert.get("rule")), Collectors.counting()))
                .forEach((rule, count) -> add(
                        count,
                        "rowbell.silenced",
                        "Alerts that a silence or a cooldown dropped",
                        Tags.of("rule", rule)));
    }

    /** @param times the {@code time} of each alert */
    public void delivered(String sink, Collection<?> times) {
        Timer timer = timer(
                meters(), "rowbell.delivery", "From the alert's time to the end of the sink's route", "sink", sink);
        Instant now = clock.instant();
        times.forEach(time -> record(timer, time, now));
        outcome(sink, "delivered", times.size());
    }

    /** Alerts whose delivery failed. They are tried again unless they are dead. */
    public void failed(String sink, boolean dead, int alerts) {
        outcome(sink, dead ? "dead" : "failed", alerts);
    }

    private void outcome(String sink, String outcome, int alerts) {
        add(
                alerts,
                "rowbell.deliveries",
                "Alerts that were tried to be delivered",
                Tags.of("sink", sink, "outcome", outcome));
    }

    private void add(double amount, String name, String description, Tags tags) {
        Counter.builder(name)
                .description(description)
                .tags(tags)
                .register(meters())
                .increment(amount);
    }

    /** A listener was without a connection for so long. */
    public void gap(Duration length) {
        add(1, "rowbell.listener.gaps", "Times without a listener", Tags.empty());
        add(length.toMillis() / 1000.0, "rowbell.listener.gap.seconds", "How long they lasted in all", Tags.empty());
    }

    /**
     * @param open by sink of this process, the error that keeps its circuit open, where it is
     * @param pausedSinks of this process or not
     * @param heard by channels, whether this process listens to them or stands by
     */
    public synchronized void seen(
            Snapshot snapshot,
            Map<String, Optional<String>> open,
            Set<String> pausedSinks,
            Map<String, Boolean> heard) {
        MeterRegistry meters = meters();
        if (registry == null) {
            // Camel has not made it yet
            return;
        }
        last = snapshot;
        if (rows == null) {
            rows = gauge("rowbell.queue.rows", "Alerts that wait, counted up to " + QueueRepository.COUNTED, null);
            oldest = gauge("rowbell.queue.oldest", "How long the oldest of them has waited", "seconds");
            circuits = gauge("rowbell.circuit.open", "1 while the circuit of a sink is open", null);
            paused = gauge("rowbell.sink.paused", "1 while a sink is paused", null);
            listening = gauge("rowbell.listening", "1 while this process listens or stands by", null);
            Gauge.builder("rowbell.database.up", () -> last.isUp() ? 1 : 0)
                    .description("1 while the database answers")
                    .register(meters);
            Gauge.builder("rowbell.notification.queue.usage", () -> last.notificationQueue())
                    .description("How full the server's queue of notifications is, from 0 to 1")
                    .register(meters);
        }
        if (snapshot.isUp()) {
            set(rows, snapshot.queues(), "queue", Queue::name, Queue::rows);
            set(
                    oldest,
                    snapshot.queues(),
                    "queue",
                    Queue::name,
                    queue -> queue.oldest().toMillis() / 1000.0);
        }
        set(
                circuits,
                open.entrySet(),
                "sink",
                Map.Entry::getKey,
                sink -> sink.getValue().isPresent() ? 1 : 0);
        set(paused, open.keySet(), "sink", sink -> sink, sink -> pausedSinks.contains(sink) ? 1 : 0);
        set(listening, heard.entrySet(), "channels", Map.Entry::getKey, channels -> channels.getValue() ? 1 : 0);
    }

    private MultiGauge gauge(String name, String description, String unit) {
        return MultiGauge.builder(name).description(description).baseUnit(unit).register(registry);
    }

    private static <T> void set(
            MultiGauge gauge, Collection<T> items, String tag, Function<T, String> name, Function<T, Number> value) {
        gauge.register(
                items.stream()
                        .map(item -> MultiGauge.Row.of(Tags.of(tag, name.apply(item)), value.apply(item)))
                        .collect(Collectors.toList()),
                true);
    }

    private Kind kind(Map<String, Object> alert) {
        return new Kind(rule(alert.get("rule")), "resolved".equals(alert.get("status")) ? "resolved" : "firing");
    }

    private String rule(Object rule) {
        if (rule instanceof String name
                && (rules.contains(name) || rules.size() < RULES_AT_MOST && AlertId.isId(name) && rules.add(name))) {
            return name;
        }
        return OTHER_RULE;
    }

    private static Timer timer(MeterRegistry meters, String name, String description, String tag, String value) {
        return Timer.builder(name)
                .description(description)
                .serviceLevelObjectives(BUCKETS)
                .tag(tag, value)
                .register(meters);
    }

    /** Never throws, whatever time a stranger gave. An alert without a time that can be read is not measured. */
    private static void record(Timer timer, Object time, Instant now) {
        Instant since = AlertTime.parse(time);
        if (since != null) {
            if (since.isAfter(now)) {
                // the clocks of two machines differ
                timer.record(Duration.ZERO);
            } else {
                timer.record(since.isBefore(now.minus(LONGEST)) ? LONGEST : Duration.between(since, now));
            }
        }
    }

    private MeterRegistry meters() {
        MeterRegistry known = registry;
        if (known == null) {
            // of several in an application of Spring's, the primary one, which writes to all
            MeterRegistry single = context.getRegistry().findSingleByType(MeterRegistry.class);
            MeterRegistry found = single != null
                    ? single
                    : context.getRegistry().findByType(MeterRegistry.class).stream()
                            .findFirst()
                            .orElse(null);
            known = found == null ? new CompositeMeterRegistry() : found;
            if (found != null || context.isStarted()) {
                registry = known;
            }
        }
        return known;
    }
}
