package dev.rowbell.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The same measurement, once a round. */
record Series(List<Double> values) {

    static Series of(double value) {
        return new Series(List.of(value));
    }

    double median() {
        List<Double> sorted = values.stream().sorted().toList();
        int middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    }

    /** How many times the floor this is: the median of the rounds, each against the floor's own, where there are as many. */
    double over(Series floor) {
        if (values.size() != floor.values.size()) {
            return median() / floor.median();
        }
        List<Double> ratios = new ArrayList<>();
        for (int i = 0; i < values.size(); i++) {
            ratios.add(values.get(i) / floor.values.get(i));
        }
        return new Series(ratios).median();
    }

    /** Half the distance between the smallest and the largest, in percent of the median. */
    double spread() {
        List<Double> sorted = new ArrayList<>(values.stream().sorted().toList());
        return (sorted.get(sorted.size() - 1) - sorted.get(0)) / 2 / median() * 100;
    }

    String shown() {
        String median = median() >= 100
                ? String.format(Locale.ROOT, "%,.0f", median())
                : String.format(Locale.ROOT, "%.2f", median());
        return values.size() > 1 ? String.format(Locale.ROOT, "%s ±%.0f%%", median, spread()) : median;
    }
}
