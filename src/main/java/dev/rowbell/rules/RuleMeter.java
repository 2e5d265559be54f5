package dev.rowbell.rules;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.error.Errors;
import dev.rowbell.rules.RuleRepository.Measurable;
import dev.rowbell.settings.SettingsException;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import javax.sql.DataSource;
import org.postgresql.util.PSQLException;
import org.springframework.dao.DataAccessException;

/**
 * Measures what the conditions of rules cost, on rows of their feeds, when an operator asks for it: a trigger that measured itself would cost each writer.
 * The role of queries evaluates them. Safe for many threads.
 */
public final class RuleMeter {

    /** Of a statement. */
    private static final Duration LIMIT = Duration.ofSeconds(2);
    /** Of all, after which no rule is begun: other operators wait. */
    private static final Duration ALL = Duration.ofSeconds(10);
    /** Rows that are evaluated in turn, for as long as that is quick. Of the same rows the shortest time counts: the machine may be busy. */
    private static final List<Integer> SAMPLES = List.of(2, 50, 1000, 1000, 1000);
    /** What took longer than this is not measured on more rows. */
    private static final Duration QUICK = Duration.ofMillis(40);
    /** Of a row of a result. */
    private static final int LENGTH = 1000;
    /** To measure a row takes a part of that, more on a busy machine. */
    private static final int LEAST_MICROS = 5;

    private static final String CANCELED = "57014";
    private static final String ROW = "row";
    private static final String RUN = "run";
    private static final String TOO_LONG = "it takes longer than that";

    private final RuleRepository repository;
    private final OwnSession session;
    private final Map<String, Cost> costs = new ConcurrentHashMap<>();

    /**
     * @param pool for what is known of rules
     * @param sessions each call of getConnection opens a connection
     */
    public RuleMeter(DataSource pool, DataSource sessions) {
        repository = new RuleRepository(pool);
        session = new OwnSession(sessions, LIMIT);
    }

    /**
     * What a rule costs.
     *
     * @param micros microseconds; null where they are not known
     * @param per {@code row} that is written, or {@code run} of a query
     * @param problem why it could not be measured, or only that it takes longer than {@code micros}; null where it was
     */
    public record Cost(Double micros, String per, String problem) {

        public String inWords() {
            if (micros == null) {
                return problem;
            }
            String time = micros < LEAST_MICROS
                    ? "under %d µs".formatted(LEAST_MICROS)
                    : micros < 1000
                            ? "%.0f µs".formatted(micros)
                            : micros < 1_000_000
                                    ? String.format(Locale.ROOT, "%.1f ms", micros / 1000)
                                    : String.format(Locale.ROOT, "%.1f s", micros / 1_000_000);
            return "%s%s a %s".formatted(problem == null ? "" : "over ", time, per);
        }
    }

    /** By rule, those that this process has measured. */
    public Map<String, Cost> costs() {
        return Map.copyOf(costs);
    }

    /**
     * How far a measurement came.
     *
     * @param measured rules
     * @param left those for which there was no time
     */
    public record Measured(int measured, int left) {}

    /**
     * Measures the rules that are enabled; those first that were not measured before.
     *
     * @throws SettingsException where there is no role without rights that could evaluate them
     */
    public synchronized Measured measure() {
        repository.missingRight().ifPresent(grant -> {
            throw new SettingsException("the user of the database may not test rules: " + grant);
        });
        List<Measurable> rules = repository.measurable();
        costs.keySet().retainAll(rules.stream().map(Measurable::name).toList());
        List<Measurable> turn = rules.stream()
                .sorted(Comparator.comparing(rule -> costs.containsKey(rule.name())))
                .toList();
        long end = System.nanoTime() + ALL.toNanos();
        int measured = 0;
        for (Measurable rule : turn) {
            if (System.nanoTime() - end >= 0) {
                break;
            }
            costs.put(rule.name(), rule.byQuery() ? ofQuery(rule) : ofCondition(rule));
            measured++;
        }
        return new Measured(measured, turn.size() - measured);
    }

    private Cost ofQuery(Measurable rule) {
        try {
            return session.run(own -> {
                String query = own.measureOf(rule.name(), 0);
                own.readOnlyFromNowOn();
                long start = System.nanoTime();
                own.trialRows(query, rule.maxRows(), LENGTH);
                return new Cost((System.nanoTime() - start) / 1000.0, RUN, null);
            });
        } catch (DataAccessException | SettingsException e) {
            return failed(e, new Cost(LIMIT.toNanos() / 1000.0, RUN, TOO_LONG));
        }
    }

    private Cost ofCondition(Measurable rule) {
        AtomicReference<Cost> last = new AtomicReference<>(new Cost(null, ROW, "the table has less than two rows"));
        try {
            session.run(own -> {
                List<String> queries = SAMPLES.stream()
                        .map(rows -> own.measureOf(rule.name(), rows))
                        .toList();
                own.readOnlyFromNowOn();
                long before = 0;
                for (String query : queries) {
                    Map<String, Object> measured =
                            AlertJson.parse(own.trialRows(query, 1, LENGTH).get(0));
                    if (!(measured.get("micros") instanceof Number micros)) {
                        break;
                    }
                    long rows = ((Number) measured.get("rows")).longValue();
                    if (rows > before || micros.doubleValue() < last.get().micros()) {
                        last.set(new Cost(micros.doubleValue(), ROW, null));
                    }
                    before = rows;
                    if (micros.doubleValue() * rows * 1000 > QUICK.toNanos()) {
                        break;
                    }
                }
                return null;
            });
            return last.get();
        } catch (DataAccessException | SettingsException e) {
            return last.get().micros() != null
                    ? last.get()
                    : failed(e, new Cost(LIMIT.dividedBy(SAMPLES.get(0)).toNanos() / 1000.0, ROW, TOO_LONG));
        }
    }

    private static Cost failed(RuntimeException failure, Cost tooLong) {
        if (failure instanceof DataAccessException database
                && database.getRootCause() instanceof PSQLException cause
                && cause.getServerErrorMessage() != null) {
            return CANCELED.equals(cause.getSQLState())
                    ? tooLong
                    : new Cost(
                            null, tooLong.per(), cause.getServerErrorMessage().getMessage());
        }
        return new Cost(null, tooLong.per(), Errors.inWords(failure));
    }
}
