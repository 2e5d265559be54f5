package dev.rowbell.web;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.distribution.CountAtBucket;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * How many alerts were delivered within which time, as a histogram has it.
 *
 * @param counts by a time in nanoseconds, the alerts that took no longer
 */
record Latencies(TreeMap<Double, Double> counts) {

    /** Of all sinks, since the start of the process. */
    static Latencies of(MeterRegistry registry) {
        TreeMap<Double, Double> counts = new TreeMap<>();
        for (Timer sink : registry.find("rowbell.delivery").timers()) {
            for (CountAtBucket bucket : sink.takeSnapshot().histogramCounts()) {
                counts.merge(bucket.bucket(), bucket.count(), Double::sum);
            }
        }
        return new Latencies(counts);
    }

    double total() {
        return counts.isEmpty() ? 0 : counts.lastEntry().getValue();
    }

    /** Those that were delivered since then. */
    Latencies since(Latencies before) {
        TreeMap<Double, Double> later = new TreeMap<>();
        counts.forEach(
                (bound, count) -> later.put(bound, count - before.counts().getOrDefault(bound, 0.0)));
        return new Latencies(later);
    }

    /**
     * Within which time this part of the alerts was delivered: exact to a bucket of the histogram, and evenly spread within it. Empty where there is no
     * alert.
     *
     * @param part from 0 to 1
     */
    Optional<Duration> within(double part) {
        double rank = part * total();
        if (rank <= 0) {
            return Optional.empty();
        }
        double bound = 0;
        double below = 0;
        for (Map.Entry<Double, Double> bucket : counts.entrySet()) {
            if (bucket.getValue() >= rank) {
                double share = (rank - below) / (bucket.getValue() - below);
                return Optional.of(Duration.ofNanos(Math.round(bound + share * (bucket.getKey() - bound))));
            }
            bound = bucket.getKey();
            below = bucket.getValue();
        }
        return Optional.empty();
    }
}
