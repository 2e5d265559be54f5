package dev.rowbell.health;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;

/**
 * What Rowbell counts and measures, in the MeterRegistry of its CamelContext; nowhere, where there is none. docs/metrics.md has a line on each.
 * Safe for many threads.
 */
public final class Figures {

    /** From a rule's hit to its mail: what is quick and what is a retry. */
    private static final Duration[] BOUNDS = {
        Duration.ofMillis(1),
        Duration.ofMillis(2),
        Duration.ofMillis(5),
        Duration.ofMillis(10),
        Duration.ofMillis(25),
        Duration.ofMillis(50),
        Duration.ofMillis(100),
        Duration.ofMillis(250),
        Duration.ofMillis(500),
        Duration.ofSeconds(1),
        Duration.ofSeconds(2),
        Duration.ofSeconds(5),
        Duration.ofSeconds(15),
        Duration.ofMinutes(1),
        Duration.ofMinutes(5),
        Duration.ofMinutes(15),
        Duration.ofHours(1)
    };
    /** An alert from elsewhere may name any rule; each name is a series that Prometheus keeps. */
    private static final int RULES = 1000;

    private static final String OTHER_RULE = "other";

    private final CamelContext context;
    private final Clock clock;
    private final Set<String> rules = ConcurrentHashMap.newKeySet();
    private final AtomicReference<Lookout.Sight> sight = new AtomicReference<>();
    private volatile MeterRegistry registry;
    private MultiGauge rows;
    private MultiGauge oldest;
    private MultiGauge circuits;
    private MultiGauge listening;

    public Figures(CamelContext context, Clock clock) {
        this.context = context;
        this.clock = clock;
    }

    private record Kind(String rule, String status) {}

    /** @param path {@code durable} or {@code notify} */
    public void routed(String path, Collection<Map<String, Object>> alerts) {
        MeterRegistry meters = meters();
        Timer timer =
                timer(meters, "rowbell.routing", "From the hit to the commit that files its deliveries", "path", path);
        Instant now = clock.instant();
        alerts.forEach(alert -> record(timer, alert.get("time"), now));
        alerts.stream()
                .collect(Collectors.groupingBy(this::kind, Collectors.counting()))
                .forEach((kind, count) -> meters.counter(
                                "rowbell.alerts", "rule", kind.rule(), "status", kind.status(), "path", path)
                        .increment(count));
    }

    /** Alerts that a silence kept from being delivered. */
    public void silenced(Collection<Map<String, Object>> alerts) {
        alerts.stream()
                .collect(Collectors.groupingBy(alert -> rule(alert.get("rule")), Collectors.counting()))
                .forEach((rule, count) ->
                        meters().counter("rowbell.silenced", "rule", rule).increment(count));
    }

    /** @param times the {@code time} of each alert */
    public void delivered(String sink, Collection<?> times) {
        Timer timer = timer(meters(), "rowbell.delivery", "From the hit to the end of the sink's route", "sink", sink);
        Instant now = clock.instant();
        times.forEach(time -> record(timer, time, now));
        outcome(sink, "delivered", times.size());
    }

    /** Deliveries of which a try failed; they are tried again unless they are dead. */
    public void failed(String sink, boolean dead, int deliveries) {
        outcome(sink, dead ? "dead" : "failed", deliveries);
    }

    private void outcome(String sink, String outcome, int deliveries) {
        meters().counter("rowbell.deliveries", "sink", sink, "outcome", outcome).increment(deliveries);
    }

    /** Nobody listened for so long. */
    public void gap(Duration length) {
        meters().counter("rowbell.listener.gaps").increment();
        meters().counter("rowbell.listener.gap.seconds").increment(length.toMillis() / 1000.0);
    }

    /**
     * @param open by sink, why its circuit is open, where it is
     * @param heard by channels, whether somebody in this process listens to them or stands by
     */
    public synchronized void seen(Lookout.Sight seen, Map<String, Optional<String>> open, Map<String, Boolean> heard) {
        MeterRegistry meters = meters();
        if (registry == null) {
            // too early to know where to
            return;
        }
        sight.set(seen);
        if (rows == null) {
            rows = MultiGauge.builder("rowbell.queue.rows")
                    .description("What waits; counted up to " + QueueTables.COUNTED)
                    .register(meters);
            oldest = MultiGauge.builder("rowbell.queue.oldest")
                    .description("How long the oldest has been waiting")
                    .baseUnit("seconds")
                    .register(meters);
            circuits = MultiGauge.builder("rowbell.circuit.open")
                    .description("1 while a sink fails so often that its queue waits")
                    .register(meters);
            listening = MultiGauge.builder("rowbell.listening")
                    .description("1 while somebody listens or stands by")
                    .register(meters);
            Gauge.builder("rowbell.database.up", sight, s -> s.get().away().isEmpty() ? 1 : 0)
                    .register(meters);
            Gauge.builder(
                            "rowbell.notification.queue.usage",
                            sight,
                            s -> s.get().notificationQueue())
                    .description("How full the server's queue of notifications is, from 0 to 1")
                    .register(meters);
        }
        if (seen.away().isEmpty()) {
            rows.register(gauges(seen.queues(), Queue::name, Queue::rows, "queue"), true);
            oldest.register(
                    gauges(seen.queues(), Queue::name, queue -> queue.oldest().toMillis() / 1000.0, "queue"), true);
        }
        circuits.register(
                gauges(
                        open.entrySet(),
                        Map.Entry::getKey,
                        sink -> sink.getValue().isPresent() ? 1 : 0,
                        "sink"),
                true);
        listening.register(
                gauges(heard.entrySet(), Map.Entry::getKey, channels -> channels.getValue() ? 1 : 0, "channels"), true);
    }

    private static <T> List<MultiGauge.Row<?>> gauges(
            Collection<T> items, Function<T, String> name, Function<T, Number> value, String tag) {
        List<MultiGauge.Row<?>> gauges = new ArrayList<>();
        items.forEach(item -> gauges.add(MultiGauge.Row.of(Tags.of(tag, name.apply(item)), value.apply(item))));
        return gauges;
    }

    private Kind kind(Map<String, Object> alert) {
        return new Kind(rule(alert.get("rule")), "resolved".equals(alert.get("status")) ? "resolved" : "firing");
    }

    private String rule(Object rule) {
        String name = rule instanceof String text && !text.isEmpty() ? text : OTHER_RULE;
        if (rules.contains(name) || rules.size() < RULES && rules.add(name)) {
            return name;
        }
        return OTHER_RULE;
    }

    private static Timer timer(MeterRegistry meters, String name, String description, String tag, String value) {
        return Timer.builder(name)
                .description(description)
                .serviceLevelObjectives(BOUNDS)
                .tag(tag, value)
                .register(meters);
    }

    /** An alert from elsewhere may say no time, or none that can be read. */
    private static void record(Timer timer, Object time, Instant now) {
        if (time instanceof String text) {
            try {
                Duration since = Duration.between(instant(text), now);
                // the clocks of two machines differ
                timer.record(since.isNegative() ? Duration.ZERO : since);
            } catch (DateTimeException e) {
                // not measured
            }
        }
    }

    /** Of the form that the compiled triggers write, 2026-11-23T08:00:00.123456Z, a tenth of what it takes for any other; twice for each alert. */
    private static Instant instant(String time) {
        if (time.length() != 27 || time.charAt(26) != 'Z' || time.charAt(19) != '.') {
            return Instant.parse(time);
        }
        try {
            return LocalDateTime.of(
                            number(time, 0, 4),
                            number(time, 5, 7),
                            number(time, 8, 10),
                            number(time, 11, 13),
                            number(time, 14, 16),
                            number(time, 17, 19),
                            number(time, 20, 26) * 1000)
                    .toInstant(ZoneOffset.UTC);
        } catch (NumberFormatException e) {
            return Instant.parse(time);
        }
    }

    private static int number(String text, int from, int to) {
        return Integer.parseInt(text, from, to, 10);
    }

    private MeterRegistry meters() {
        MeterRegistry known = registry;
        if (known == null) {
            MeterRegistry found = context.getRegistry().findByType(MeterRegistry.class).stream()
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
