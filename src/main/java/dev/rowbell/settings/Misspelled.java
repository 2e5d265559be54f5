package dev.rowbell.settings;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** An unknown word. */
public record Misspelled(String word) {

    /** The known word that is most similar; empty if none is similar. */
    public Optional<String> nearest(Collection<String> known) {
        return nearest(known, Math.max(1, word.length() / 3));
    }

    /** @param most how many characters may differ */
    public Optional<String> nearest(Collection<String> known, int most) {
        return known.stream().filter(other -> distance(other) <= most).min(Comparator.comparingInt(this::distance));
    }

    /** The characters to insert, remove or replace, with no regard to case. */
    private int distance(String other) {
        String from = word.toLowerCase(Locale.ROOT);
        String to = other.toLowerCase(Locale.ROOT);
        int[] above = new int[to.length() + 1];
        for (int column = 0; column <= to.length(); column++) {
            above[column] = column;
        }
        for (int row = 1; row <= from.length(); row++) {
            int[] here = new int[to.length() + 1];
            here[0] = row;
            for (int column = 1; column <= to.length(); column++) {
                int replaced = above[column - 1] + (from.charAt(row - 1) == to.charAt(column - 1) ? 0 : 1);
                here[column] = Math.min(replaced, 1 + Math.min(above[column], here[column - 1]));
            }
            above = here;
        }
        return above[to.length()];
    }
}
