package dev.rowbell.rules;

import java.util.List;

/**
 * Why a rule fires, or does not, or what became of an alert.
 *
 * @param summary the cause, in a sentence
 * @param details all that was found
 */
public record Explanation(String summary, List<Detail> details) {

    /** Of an alert that is not known. */
    public static final Explanation NOWHERE = new Explanation(
            "No alert with this id waits, and the history has none: it is older than that, its transaction is still open, or there never was one",
            List.of());

    private static final String SUMMARY = "summary";

    /**
     * @param level {@code ok}, {@code note} or {@code wrong}
     * @param about {@code rule}, {@code feed}, {@code silence}, {@code sink}, {@code dead letter}, {@code alert}, or {@code row} where an operator may
     *     look at it; null for none of these
     * @param name of that, or its number, id or key
     */
    public record Detail(String level, String sentence, String about, String name) {

        private boolean isSummary() {
            return level.equals(SUMMARY);
        }
    }

    /** @param found as the functions of the database return it, the summary first */
    static Explanation of(List<Detail> found) {
        return new Explanation(
                found.stream()
                        .filter(Detail::isSummary)
                        .map(Detail::sentence)
                        .findFirst()
                        .orElse(""),
                found.stream().filter(detail -> !detail.isSummary()).toList());
    }

    /** Whether nothing is known. */
    public boolean isEmpty() {
        return summary.isEmpty() && details.isEmpty();
    }
}
