package dev.rowbell.web;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.apache.camel.CamelContext;

/** What this process counted in each minute of the last hour, from its metrics. Safe for many threads. */
public final class Rates {

    /** How often {@link #sample} is to be called. */
    public static final Duration INTERVAL = Duration.ofMinutes(1);

    private static final int SAMPLES = 60;
    /** Of the chart, in its own units. */
    private static final int HEIGHT = 40;

    private final CamelContext context;
    private final List<Counted> samples = new ArrayList<>();

    public Rates(CamelContext context) {
        this.context = context;
    }

    /** Since the start of the process. */
    private record Counted(double routed, double silenced, double delivered, double failed, double dead) {}

    /**
     * The last hour, or the time since the start where that is shorter.
     *
     * @param bars of the alerts routed in each minute, the oldest first
     * @param most alerts of a minute, which is as high as the chart
     */
    public record Hour(long routed, long silenced, long delivered, long failed, long dead, long most, List<Bar> bars) {}

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
            double height = most == 0 ? 0 : HEIGHT * minutes.get(i) / most;
            int x = (SAMPLES - minutes.size() + i) * 10;
            bars.add(new Bar(String.valueOf(x), decimal(HEIGHT - height), decimal(height)));
        }
        return new Hour(
                Math.round(last.routed() - first.routed()),
                Math.round(last.silenced() - first.silenced()),
                Math.round(last.delivered() - first.delivered()),
                Math.round(last.failed() - first.failed()),
                Math.round(last.dead() - first.dead()),
                Math.round(most),
                bars);
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
                sum("rowbell.deliveries", "outcome", "dead"));
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
