package dev.rowbell.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What was measured: a line for people as soon as it is known, a table at the end, and JSON lines in {@code target/bench.jsonl}. */
final class Report implements AutoCloseable {

    private static final Path FILE = Path.of("target", "bench.jsonl");

    private record Row(
            String part,
            String measure,
            Series value,
            String unit,
            Series floor,
            String floorName,
            double ratio,
            String reach,
            boolean reached) {}

    private final List<Row> rows = new ArrayList<>();

    void say(String line) {
        System.out.println(line);
    }

    /** @param least the goal of the ratio, which {@link Series#over} computes; 0 for none */
    void atLeast(String part, String measure, Series value, String unit, String floorName, Series floor, double least) {
        double ratio = value.over(floor);
        add(new Row(
                part,
                measure,
                value,
                unit,
                floor,
                floorName,
                ratio,
                least == 0 ? "" : String.format(Locale.ROOT, "≥ %.2f", least),
                ratio >= least));
    }

    /** @param most the ratio not to exceed; 0 for no goal */
    void atMost(String part, String measure, Series value, String unit, String floorName, Series floor, double most) {
        double ratio = value.over(floor);
        add(new Row(
                part,
                measure,
                value,
                unit,
                floor,
                floorName,
                ratio,
                most == 0 ? "" : String.format(Locale.ROOT, "≤ %.2f", most),
                most == 0 || ratio <= most));
    }

    private void add(Row row) {
        rows.add(row);
        say(line(row));
        try {
            Files.createDirectories(FILE.getParent());
            Files.writeString(
                    FILE,
                    String.format(
                            Locale.ROOT,
                            "{\"part\":\"%s\",\"measure\":\"%s\",\"unit\":\"%s\",\"median\":%s,\"rounds\":%s,\"floor\":\"%s\",\"floor_median\":%s,\"floor_rounds\":%s,\"ratio\":%.3f,\"reach\":\"%s\",\"reached\":%s}%n",
                            row.part,
                            row.measure,
                            row.unit,
                            row.value.median(),
                            row.value.values(),
                            row.floorName,
                            row.floor.median(),
                            row.floor.values(),
                            row.ratio,
                            row.reach,
                            row.reached),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String line(Row row) {
        return String.format(
                Locale.ROOT,
                "%-8s %-48s %12s %-6s  %-34s %12s   %6.2f  %-7s %s",
                row.part,
                row.measure,
                row.value.shown(),
                row.unit,
                row.floorName,
                row.floor.shown(),
                row.ratio,
                row.reach,
                row.reached ? "" : "not reached");
    }

    void table() {
        say("");
        say(String.format(
                "%-8s %-48s %12s %-6s  %-34s %12s   %6s  %s",
                "part", "measure", "median", "", "against", "median", "ratio", "reach"));
        rows.forEach(row -> say(line(row)));
    }

    @Override
    public void close() {
        System.out.flush();
    }
}
