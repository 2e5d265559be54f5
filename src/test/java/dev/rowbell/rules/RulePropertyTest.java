package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.rowbell.rules.RandomCase.Feature;
import dev.rowbell.rules.RandomCase.Step;
import dev.rowbell.testing.TestDatabase;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Random tables, rules and histories: the alert documents must be those of a naive evaluation of the same rules, row
 * by row, over the rows that a plain row trigger saw on a twin of the table, and the table must end like its twin.
 * {@code -Drowbell.test.rules} says how many rules to try, {@code -Drowbell.seed} repeats a run, and {@code
 * -Drowbell.history} one history of it. A history that fails is printed as SQL, without the steps that it fails
 * without.
 */
@Tag("scaled")
class RulePropertyTest {

    private static final int CASES = Integer.getInteger("rowbell.test.rules", 100);
    private static final long SEED = Long.getLong("rowbell.seed", System.nanoTime());
    private static final int ONLY = Integer.getInteger("rowbell.history", -1);
    /** How many histories share connections: a session keeps the plans of tables that are gone. */
    private static final int SHARING = 20;

    private final TestDatabase database = TestDatabase.createWithSchema();

    @Test
    void alertsAreWhatANaiveEvaluationOfEachRowSays() throws Exception {
        System.out.printf("property test of rules: %d rules, -Drowbell.seed=%d%n", CASES, SEED);
        TwinRun.prepare(database);
        Set<Feature> features = TwinRun.features(database);
        TwinRun.Totals totals = new TwinRun.Totals(new TreeMap<>());
        int n = Math.max(ONLY, 0);
        while (ONLY < 0 ? totals.get("rules") < CASES : n == ONLY) {
            try (TwinRun run = new TwinRun(database)) {
                for (int end = n + SHARING; n < end && (ONLY < 0 || n == ONLY); n++) {
                    RandomCase history = new RandomCase(SEED * 31 + n, features);
                    String wrong = run.failureOf(history, history.steps, totals);
                    if (wrong != null) {
                        fail(report(run, history, wrong, n));
                    }
                }
            }
        }
        System.out.println(totals);
        assertTrue(
                // few histories may have no rule that fails
                ONLY >= 0
                        || totals.get("alerts") > CASES / 3
                                && totals.get("rules that failed") >= CASES / 300
                                && totals.get("feeds behind the fence") >= CASES / 50,
                () -> "the histories had too little in them to show anything: " + totals);
    }

    /** Leaves out each step without which the history still fails. */
    private static String report(TwinRun run, RandomCase history, String wrong, int number) throws Exception {
        List<Step> steps = new ArrayList<>(history.steps);
        String last = wrong;
        for (int i = steps.size() - 1; i >= 0; i--) {
            List<Step> fewer = new ArrayList<>(steps);
            fewer.remove(i);
            String still = run.failureOf(history, fewer, new TwinRun.Totals(new TreeMap<>()));
            if (still != null) {
                steps = fewer;
                last = still;
            }
        }
        return "-Drowbell.seed=%d -Drowbell.history=%d%n%s%n%n%s"
                .formatted(SEED, number, last, run.sqlOf(history, steps));
    }
}
