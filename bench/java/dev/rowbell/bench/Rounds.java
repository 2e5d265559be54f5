package dev.rowbell.bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

/**
 * Measures what is compared in turns, A B A B, so that what else the machine does falls on all of them. The first turns are thrown away: one, or as
 * many as it takes until the JVM has compiled what is measured.
 */
final class Rounds {

    static final boolean SHORT = Boolean.getBoolean("bench.short");
    static final int COUNT = Integer.getInteger("bench.rounds", SHORT ? 1 : 3);
    static final double SECONDS = Double.parseDouble(System.getProperty("bench.seconds", SHORT ? "0.5" : "2"));

    private final Map<String, Callable<Double>> measures = new LinkedHashMap<>();
    private final Map<String, Double> first = new HashMap<>();
    private int thrownAway = 1;

    Rounds throwAway(int turns) {
        thrownAway = SHORT ? 1 : turns;
        return this;
    }

    Rounds add(String name, Callable<Double> measure) {
        measures.put(name, measure);
        return this;
    }

    /** What the very first turn measured, in a JVM that was just started. */
    Series cold(String name) {
        return Series.of(first.get(name));
    }

    Map<String, Series> run() throws Exception {
        Map<String, List<Double>> values = new LinkedHashMap<>();
        for (int round = 1 - thrownAway; round <= COUNT; round++) {
            for (Map.Entry<String, Callable<Double>> measure : measures.entrySet()) {
                double value = measure.getValue().call();
                first.putIfAbsent(measure.getKey(), value);
                if (round > 0) {
                    values.computeIfAbsent(measure.getKey(), name -> new ArrayList<>()).add(value);
                }
            }
        }
        Map<String, Series> series = new LinkedHashMap<>();
        values.forEach((name, list) -> series.put(name, new Series(list)));
        return series;
    }
}
