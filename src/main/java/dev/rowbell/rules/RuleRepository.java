package dev.rowbell.rules;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.database.StorableText;
import dev.rowbell.database.Transactions;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * {@code rowbell.rule}, its state, and the functions that maintain both. The methods throw a {@link DataAccessException} if the database
 * fails. Safe for many threads.
 */
public final class RuleRepository {

    /** Rows of a feed that are in memory at a time. */
    private static final int FETCH_SIZE = 1000;

    private final JdbcClient jdbc;
    private final TransactionTemplate readOnly;
    private final StorableText storable;

    public RuleRepository(DataSource dataSource) {
        JdbcTemplate template = new JdbcTemplate(dataSource);
        template.setFetchSize(FETCH_SIZE);
        jdbc = JdbcClient.create(template);
        storable = new StorableText(dataSource);
        readOnly = new TransactionTemplate(new Transactions(dataSource));
        readOnly.setReadOnly(true);
    }

    /**
     * Replaces the rules of this origin by those of a readable file. A rule that the file names and that cannot be read stays as it was;
     * so do all rules of the origin if the name cannot be read.
     *
     * @return the problems that the database found
     */
    List<Problem> apply(String origin, RulesFile file) {
        return problems(
                file,
                jdbc.sql("""
                        select rule, field, problem, hint
                        from rowbell.apply_rules(:origin, :rules::json, :unread::text[] || case
                          when :nameless then array(select name from rowbell.rule where origin = :origin)
                          else '{}'
                        end)
                        """)
                        .param("origin", origin)
                        .param("rules", json(file))
                        .param("unread", file.unread().toArray(String[]::new))
                        .param("nameless", file.nameless()));
    }

    /**
     * The problems that {@link #apply} would find. Changes nothing.
     *
     * @param origin empty: rules of other origins with the same name are no problem
     */
    List<Problem> check(String origin, RulesFile file) {
        return readOnly.execute(transaction ->
                problems(file, jdbc.sql("""
                        select given ->> 'name', found.field, found.problem, found.hint
                        from json_array_elements(:rules::json) with ordinality as rules (given, place)
                        cross join lateral (
                          select c.field, c.problem, c.hint
                          from rowbell.check_rule(given) c
                          union all
                          select 'name', 'there is a rule of this name ' || coalesce('from ' || r.origin, 'that was made by SQL'), 'give this one another name'
                          from rowbell.rule r
                          where r.name = given ->> 'name' and :origin <> '' and r.origin is distinct from :origin) found
                        order by place
                        """).param("rules", json(file)).param("origin", origin)));
    }

    private static String json(RulesFile file) {
        return AlertJson.write(file.rules().stream().map(FileRule::values).toList());
    }

    private static List<Problem> problems(RulesFile file, JdbcClient.StatementSpec statement) {
        return statement
                .query((row, number) ->
                        file.problem(row.getString(1), row.getString(2), row.getString(3), row.getString(4)))
                .list();
    }

    /** How many enabled rules there are of one origin, and of all others. */
    record Enabled(long ofOrigin, long others) {}

    Enabled enabled(String origin) {
        return jdbc.sql("""
                        select count(*) filter (where origin = :origin) as of_origin,
                          count(*) filter (where origin is distinct from :origin) as others
                        from rowbell.rule
                        where enabled
                        """).param("origin", origin).query(Enabled.class).single();
    }

    /** The enabled rules that are left out of their triggers, each with the reason. */
    Map<String, String> broken() {
        Map<String, String> broken = new TreeMap<>();
        jdbc.sql("""
                        select r.name, rowbell.readable(s.broken)
                        from rowbell.rule r
                        join rowbell.rule_state s on s.rule = r.name
                        where r.enabled and s.broken is not null
                        """).query(row -> {
            broken.put(row.getString(1), row.getString(2));
        });
        return broken;
    }

    /** All rules, ordered by name. */
    public List<RuleState> list() {
        return jdbc.sql("""
                        select r.name, r.feed, r.severity, r.fires, r.delivery, r.enabled, rowbell.readable(s.broken) as broken, coalesce(s.hits, 0) as hits,
                          to_char(s.last_hit, 'YYYY-MM-DD HH24:MI:SS') as last_hit,
                          to_char(s.failed, 'YYYY-MM-DD HH24:MI:SS') as failed,
                          rowbell.readable(s.failure) as failure
                        from rowbell.rule r
                        left join rowbell.rule_state s on s.rule = r.name
                        order by r.name
                        """).query(RuleState.class).list();
    }

    /**
     * Hands over each row of the feed that meets the rule now, as JSON on one line, in a transaction that can change nothing.
     *
     * @param limit the most rows
     * @return the number of rows
     */
    public int test(String rule, int limit, Consumer<String> consumer) {
        return readOnly.execute(transaction -> {
            try (Stream<String> rows = jdbc
                    .sql("select t::text from rowbell.test_rule(?, ?) t")
                    .params(rule, limit)
                    .query(String.class)
                    .stream()) {
                int count = 0;
                for (String row : (Iterable<String>) rows::iterator) {
                    // a column of type json may have line ends between its values; within a value JSON escapes them
                    consumer.accept(row.replaceAll("[\\r\\n]+", " "));
                    count++;
                }
                return count;
            }
        });
    }

    /** Compares the triggers with the feeds as they are now, and returns the events for the operator. */
    List<String> refresh() {
        return jdbc.sql("select feed, event from rowbell.refresh()")
                .query((row, number) -> "feed %s %s".formatted(row.getString(1), row.getString(2)))
                .list();
    }

    /** Triggers of feeds that do not fire, for the operator. */
    List<String> silentTriggers() {
        return jdbc.sql("select feed, problem from rowbell.silent_triggers() order by feed, problem")
                .query((row, number) -> "feed %s: %s".formatted(row.getString(1), row.getString(2)))
                .list();
    }

    /** The superusers by which Rowbell runs, or which its schema belongs to. */
    List<String> superusers() {
        return jdbc.sql("""
                        select r.rolname
                        from pg_roles r
                        where r.rolsuper and (r.rolname = session_user or r.oid = (select n.nspowner from pg_namespace n where n.nspname = 'rowbell'))
                        order by r.rolname
                        """).query(String.class).list();
    }

    /** Reports the failures that writers noted: in the state of the rule, and at most once a minute by an alert. */
    void reportFailures() {
        jdbc.sql("select from rowbell.report_failures()").query(row -> {});
    }

    /**
     * Adds hits to the rules that exist. Skips a rule that another transaction has locked, so that no deadlock is possible.
     *
     * @return the skipped rules
     */
    Set<String> addHits(Map<String, Long> hits) {
        List<String> rules = List.copyOf(hits.keySet());
        Long[] counts = rules.stream().map(hits::get).toArray(Long[]::new);
        return jdbc.sql("""
                        with given as (
                          select rule, hits from unnest(:rules::text[], :hits::bigint[]) as given (rule, hits)),
                        free as (
                          select s.rule
                          from rowbell.rule_state s
                          where s.rule in (select rule from given)
                          order by s.rule
                          for no key update skip locked),
                        added as (
                          update rowbell.rule_state s
                          set hits = s.hits + given.hits,
                              last_hit = clock_timestamp()
                          from given
                          join free on free.rule = given.rule
                          where s.rule = given.rule
                          returning s.rule)
                        select s.rule
                        from rowbell.rule_state s
                        where s.rule in (select rule from given) and s.rule not in (select rule from added)
                        """)
                .param("rules", rules.stream().map(storable::of).toArray(String[]::new))
                .param("hits", counts)
                .query(String.class)
                .set();
    }
}
