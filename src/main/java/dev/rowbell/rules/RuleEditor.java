package dev.rowbell.rules;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.settings.SettingsException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;

/**
 * Checks, tests and writes rules that people give in a form, field by field as in {@code rules.yaml}. A rule may call functions of strangers: it is checked
 * and tested in a session of its own, which ends afterwards, by a role without rights. Safe for many threads.
 */
public final class RuleEditor {

    /** The fields of a form. */
    public static final List<String> FIELDS = Key.EDITED.stream().map(Key::text).toList();

    private static final Duration LIMIT = Duration.ofSeconds(5);

    private static final int SHOWN = 20;
    private static final int COUNTED = 10_000;
    /** Of a row. */
    private static final int LENGTH = 2000;

    private final Rules rules;
    private final RuleRepository repository;
    private final OwnSession session;

    /**
     * @param pool for what is written
     * @param sessions each call of getConnection opens a connection
     */
    public RuleEditor(Rules rules, DataSource pool, DataSource sessions) {
        this.rules = rules;
        session = new OwnSession(sessions, LIMIT);
        repository = new RuleRepository(pool);
    }

    /** The fields of a new rule. */
    public static Map<String, String> blank() {
        Map<String, String> fields = new LinkedHashMap<>();
        FIELDS.forEach(field -> fields.put(field, ""));
        fields.put("severity", "warning");
        fields.put("fires", "once");
        fields.put("resolved", "false");
        fields.put("operations", "insert\nupdate");
        fields.put("delivery", "durable");
        fields.put("existing", "true");
        return fields;
    }

    /**
     * All that is wrong with a rule, as {@code rules check} finds it.
     *
     * @param fields by key; an empty one is left out
     * @param began null for a new rule
     */
    public List<String> check(Map<String, String> fields, String began) {
        RulesFile file = repository.storable(rules.read(fields));
        return session.run(own -> problems(file, own, began));
    }

    private static List<String> problems(RulesFile file, RuleRepository own, String began) {
        List<Problem> problems = new ArrayList<>(file.problemsWith(own.check("", file)));
        for (FileRule rule : file.rules()) {
            if (began == null && own.editable(rule.name()).isPresent()) {
                problems.add(file.problem(rule, "name", "there is a rule of this name", "give this one another name"));
            }
        }
        return problems.stream().map(RuleEditor::inWords).toList();
    }

    private static String inWords(Problem problem) {
        return new Problem("rule", 0, null, problem.field(), problem.text(), problem.hint())
                .toString()
                .substring("rule: ".length());
    }

    /**
     * Writes a rule, in the transaction of the thread if it has one.
     *
     * @param began what {@link RuleRepository.Editable} had as version; null for a new rule
     * @throws SettingsException where the rule is wrong, or its version is no longer {@code began}
     */
    public void write(Map<String, String> fields, String began) {
        repository.write(valuesOf(rules.read(fields)), began);
    }

    private static Map<String, Object> valuesOf(RulesFile file) {
        return file.rules().stream()
                .findFirst()
                .orElseThrow(() -> new SettingsException(inWords(file.problems().get(0))))
                .values();
    }

    /**
     * The rows that meet a rule now.
     *
     * @param problems all that is wrong with it; then nothing was tried
     * @param rows how many meet it, counted up to a bound
     * @param more whether there are more than that
     * @param shown some of them, as JSON that may be cut
     */
    public record Tried(List<String> problems, long rows, boolean more, List<String> shown) {}

    /**
     * Tries a rule that need not be written.
     *
     * @throws SettingsException where there is no role without rights that could evaluate it
     * @throws DataAccessException where it fails, or takes too long
     */
    public Tried test(Map<String, String> fields, String began) {
        RulesFile file = repository.storable(rules.read(fields));
        return session.run(own -> {
            List<String> problems = problems(file, own, began);
            if (!problems.isEmpty()) {
                return new Tried(problems, 0, false, List.of());
            }
            String query = own.trialOf(valuesOf(file));
            own.readOnlyFromNowOn();
            List<String> shown = own.trialRows(query, SHOWN, LENGTH);
            if (shown.size() < SHOWN) {
                return new Tried(List.of(), shown.size(), false, shown);
            }
            String count =
                    "select count(*) as n from (select from (%s\n) as _q limit %d) as _c".formatted(query, COUNTED + 1);
            long rows = ((Number)
                            AlertJson.parse(own.trialRows(count, 1, LENGTH).get(0))
                                    .get("n"))
                    .longValue();
            return new Tried(List.of(), Math.min(rows, COUNTED), rows > COUNTED, shown);
        });
    }

    /**
     * A row that was looked at.
     *
     * @param verdict whether it meets the rule now, in a sentence
     * @param row its JSON, cut where it is long; empty where there is none
     */
    public record Looked(String verdict, String row) {

        /** With the row. */
        public String sentence() {
            return row.isEmpty() ? verdict : verdict + ": " + row;
        }
    }

    /**
     * Whether a row meets a rule now.
     *
     * @param key as people write it
     * @throws SettingsException where there is no such rule, or no role without rights that could evaluate it
     * @throws DataAccessException where that fails, or takes too long
     */
    public Looked look(String rule, String key) {
        return session.run(own -> {
            String query = own.lookOf(rule, key);
            own.readOnlyFromNowOn();
            return own.trialRows(query, 1, LENGTH * 10).stream()
                    .map(AlertJson::parse)
                    .map(found -> new Looked(
                            found.get("verdict").toString(), found.get("row").toString()))
                    .findFirst()
                    .orElse(new Looked("there is no such row now, or the role of queries may not read it", ""));
        });
    }
}
