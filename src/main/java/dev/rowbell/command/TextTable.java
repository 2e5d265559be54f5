package dev.rowbell.command;

import dev.rowbell.error.Printable;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Text in columns, each as wide as its widest cell. A cell is {@link Printable} and one line of at most 1,000 characters. */
record TextTable(List<String> heads, List<List<String>> rows) {

    /** One that is longer would make all lines of the column as long. */
    private static final int LONGEST = 1000;

    @Override
    public String toString() {
        List<List<String>> lines = new ArrayList<>();
        lines.add(heads);
        rows.forEach(row -> lines.add(
                row.stream().map(cell -> Printable.line(cell, LONGEST)).toList()));
        int[] widths = IntStream.range(0, heads.size())
                .map(column -> lines.stream()
                        .mapToInt(line -> width(line.get(column)))
                        .max()
                        .orElse(0))
                .toArray();
        return lines.stream()
                .map(line -> IntStream.range(0, widths.length)
                        .mapToObj(column -> line.get(column) + " ".repeat(widths[column] - width(line.get(column))))
                        .collect(Collectors.joining("  "))
                        .stripTrailing())
                .collect(Collectors.joining(System.lineSeparator()));
    }

    private static int width(String cell) {
        return cell.codePointCount(0, cell.length());
    }
}
