package dev.rowbell.web;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import org.apache.camel.CamelContext;

/** What this process counted and how long it took in each minute of the last hour, from its metrics. Safe for many threads. */
public final class Rates {

    /** How often {@link #sample} is to be called. */
    public static final Duration INTERVAL = Duration.ofMinutes(1);

    private static final int SAMPLES = 60;
    /** Of the chart, in its own units. */
    private static final int HEIGHT = 40;

    private static final double HALF = 0.5;
    private static final double NEARLY_ALL = 0.99;

    private final CamelContext context;
    private final List<Counted> samples = new ArrayList<>();

    public Rates(CamelContext context) {
        this.context = context;
    }

    /** Since the start of the process. */
    private record Counted(
            double routed, double silenced, double delivered, double failed, double dead, Latencies latencies) {}

    /**
     * The last hour, or the time since the start where that is shorter.
     *
     * @param bars of the alerts routed in each minute, the oldest first
     * @param most alerts of a minute, which is as high as the chart
     * @param latency null where nothing was delivered
     */
    public record Hour(
            long routed,
            long silenced,
            long delivered,
            long failed,
            long dead,
            long most,
            List<Bar> bars,
            Latency latency) {}

    /**
     * From the time of alerts to the end of the sink's route.
     *
     * @param half within which half of the alerts was delivered, in words
     * @param nearlyAll within which 99 % were
     * @param most the longest {@code nearlyAll} of a minute, which is as high as the chart
     * @param halves a bar for each minute in which alerts were delivered, the oldest first
     */
    public record Latency(String half, String nearlyAll, String most, List<Bar> halves, List<Bar> nearlyAlls) {}

    /** A bar of the chart; the numbers are as SVG has them. */
    public record Bar(String x, String y, String height) {}

    public synchronized void sample() {
        samples.add(count());
        if (samples.size() > SAMPLES) {
            samples.remove(0);
        }
    }

    synchronized Hour hour() {
        List<Counted> all = new ArrayList<>(samples);
        all.add(count());
        Counted first = all.get(0);
        Counted last = all.get(all.size() - 1);
        List<Double> minutes = new ArrayList<>();
        for (int i = 1; i < all.size(); i++) {
            minutes.add(all.get(i).routed() - all.get(i - 1).routed());
        }
        double most = minutes.stream().mapToDouble(minute -> minute).max().orElse(0);
        List<Bar> bars = new ArrayList<>();
        for (int i = 0; i < minutes.size(); i++) {
            bars.add(bar(SAMPLES - minutes.size() + i, most == 0 ? 0 : minutes.get(i) / most));
        }
        return new Hour(
                Math.round(last.routed() - first.routed()),
                Math.round(last.silenced() - first.silenced()),
                Math.round(last.delivered() - first.delivered()),
                Math.round(last.failed() - first.failed()),
                Math.round(last.dead() - first.dead()),
                Math.round(most),
                bars,
                latency(all));
    }

    private static Latency latency(List<Counted> all) {
        Latencies hour = all.get(all.size() - 1).latencies().since(all.get(0).latencies());
        if (hour.total() <= 0) {
            return null;
        }
        List<Latencies> minutes = new ArrayList<>();
        for (int i = 1; i < all.size(); i++) {
            minutes.add(all.get(i).latencies().since(all.get(i - 1).latencies()));
        }
        Duration most = minutes.stream()
                .flatMap(minute -> minute.within(NEARLY_ALL).stream())
                .max(Duration::compareTo)
                .orElseThrow();
        return new Latency(
                inWords(hour.within(HALF).orElseThrow()),
                inWords(hour.within(NEARLY_ALL).orElseThrow()),
                inWords(most),
                bars(minutes, HALF, most),
                bars(minutes, NEARLY_ALL, most));
    }

    /** On a logarithmic scale: from a millisecond to an hour. */
    private static List<Bar> bars(List<Latencies> minutes, double part, Duration most) {
        List<Bar> bars = new ArrayList<>();
        for (int i = 0; i < minutes.size(); i++) {
            int place = SAMPLES - minutes.size() + i;
            minutes.get(i).within(part).ifPresent(time -> bars.add(bar(place, logarithm(time) / logarithm(most))));
        }
        return bars;
    }

    private static double logarithm(Duration time) {
        return Math.log1p(time.toNanos() / 1e6);
    }

    private static String inWords(Duration time) {
        double seconds = time.toNanos() / 1e9;
        return seconds < 0.01
                ? String.format(Locale.ROOT, "%.1f ms", seconds * 1000)
                : seconds < 1
                        ? String.format(Locale.ROOT, "%.0f ms", seconds * 1000)
                        : seconds < 10
                                ? String.format(Locale.ROOT, "%.1f s", seconds)
                                : seconds < 120 ? time.toSeconds() + " s" : time.toMinutes() + " min";
    }

    /** @param height from 0 to 1 */
    private static Bar bar(int place, double height) {
        return new Bar(String.valueOf(place * 10), decimal(HEIGHT - HEIGHT * height), decimal(HEIGHT * height));
    }

    private static String decimal(double number) {
        return String.format(Locale.ROOT, "%.1f", number);
    }

    private Counted count() {
        return new Counted(
                sum("rowbell.alerts"),
                sum("rowbell.silenced"),
                sum("rowbell.deliveries", "outcome", "delivered"),
                sum("rowbell.deliveries", "outcome", "failed"),
                sum("rowbell.deliveries", "outcome", "dead"),
                context.getRegistry().findByType(MeterRegistry.class).stream()
                        .map(Latencies::of)
                        // of several, one holds all that was counted
                        .max(Comparator.comparingDouble(Latencies::total))
                        .orElse(new Latencies(new TreeMap<>())));
    }

    private double sum(String name, String... tags) {
        return context.getRegistry().findByType(MeterRegistry.class).stream()
                .mapToDouble(registry -> registry.find(name).tags(tags).counters().stream()
                        .mapToDouble(Counter::count)
                        .sum())
                // of several, one holds all that was counted
                .max()
                .orElse(0);
    }
}
