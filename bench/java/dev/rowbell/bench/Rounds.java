package dev.rowbell.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

/**
 * Runs the compared measures in turns, A B B A, so that other work of the machine and slow effects fall on all of them. The first turns are
 * thrown away: one, or as many as the JVM needs to compile the measured code.
 */
final class Rounds {

    static final boolean SHORT = Boolean.getBoolean("bench.short");
    static final int COUNT = Integer.getInteger("bench.rounds", SHORT ? 1 : 3);
    static final double SECONDS = Double.parseDouble(System.getProperty("bench.seconds", SHORT ? "0.5" : "0.7"));

    private final Map<String, Callable<Double>> measures = new LinkedHashMap<>();
    private final Map<String, Double> first = new HashMap<>();
    private int thrownAway = SHORT ? 0 : 1;
    private int turns = COUNT;

    Rounds throwAway(int turns) {
        thrownAway = SHORT ? 0 : turns;
        return this;
    }

    /** Many short turns of {@link #SECONDS}, because the rate of writers that wait for the disk changes from second to second. */
    Rounds ofWriters() {
        turns = SHORT ? COUNT : 3 * COUNT;
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
        for (int round = 1 - thrownAway; round <= turns; round++) {
            List<Map.Entry<String, Callable<Double>>> order = new ArrayList<>(measures.entrySet());
            if (Math.floorMod(round, 2) == 0) {
                Collections.reverse(order);
            }
            for (Map.Entry<String, Callable<Double>> measure : order) {
                double value = measure.getValue().call();
                first.putIfAbsent(measure.getKey(), value);
                if (round > 0) {
                    values.computeIfAbsent(measure.getKey(), name -> new ArrayList<>())
                            .add(value);
                }
            }
        }
        Map<String, Series> series = new LinkedHashMap<>();
        values.forEach((name, list) -> series.put(name, new Series(list)));
        return series;
    }
}
