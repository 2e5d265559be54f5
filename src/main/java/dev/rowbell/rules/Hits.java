package dev.rowbell.rules;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** How often each rule fired since the counts were last written to the database. A crash loses the counts of a second. Safe for many threads. */
public final class Hits {

    /** The possible names of rules. An alert from elsewhere may name anything. */
    private static final Pattern NAME = Pattern.compile("[^\\p{Cntrl}\\p{Cs}]{1,200}");

    /** Bounds the memory: alerts from elsewhere may have any number of names while the database is away. */
    private static final int MOST = 10_000;

    private Map<String, Long> counts = new HashMap<>();

    /** Called with the alerts of a transaction. */
    public void count(Collection<Map<String, Object>> alerts) {
        // that a condition ended is no hit
        add(alerts.stream()
                .filter(alert -> alert.get("rule") instanceof String && !"resolved".equals(alert.get("status")))
                .collect(Collectors.groupingBy(alert -> (String) alert.get("rule"), Collectors.counting())));
    }

    private synchronized void add(Map<String, Long> hits) {
        hits.forEach((rule, count) -> {
            if (NAME.matcher(rule).matches() && (counts.size() < MOST || counts.containsKey(rule))) {
                counts.merge(rule, count, Long::sum);
            }
        });
    }

    /**
     * Hands over the counts since the last call.
     *
     * @param writer returns the rules whose counts it did not write; they are handed over again
     */
    void write(Function<Map<String, Long>, Set<String>> writer) {
        Map<String, Long> taken = take();
        if (taken.isEmpty()) {
            return;
        }
        try {
            taken.keySet().retainAll(writer.apply(taken));
        } finally {
            add(taken);
        }
    }

    private synchronized Map<String, Long> take() {
        Map<String, Long> taken = counts;
        counts = new HashMap<>();
        return taken;
    }
}
