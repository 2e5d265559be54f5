package dev.rowbell.rules;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.database.StorableText;
import dev.rowbell.database.Transactions;
import dev.rowbell.settings.SettingsException;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * {@code rowbell.rule}, its state, and the functions that maintain both. The methods throw a {@link DataAccessException} if the database
 * fails. Safe for many threads.
 */
public final class RuleRepository {

    private static final String UNTRANSLATABLE = "22P05";
    /** Of errors that a person can mend, whose message says how. */
    private static final String REFUSED = "RB001";

    /** Rows of a feed that are in memory at a time. */
    private static final int FETCH_SIZE = 1000;

    private final JdbcClient jdbc;
    private final TransactionTemplate limited;
    private final TransactionTemplate readOnly;
    private final StorableText storable;

    public RuleRepository(DataSource dataSource) {
        JdbcTemplate template = new JdbcTemplate(dataSource);
        template.setFetchSize(FETCH_SIZE);
        jdbc = JdbcClient.create(template);
        storable = new StorableText(dataSource);
        limited = new TransactionTemplate(new Transactions(dataSource));
        readOnly = new TransactionTemplate(new Transactions(dataSource));
        readOnly.setReadOnly(true);
    }

    /**
     * Replaces the rules of this origin and feed by those of a readable file. A rule that the file names and that cannot be read stays as it was;
     * so do all rules of the origin if the name cannot be read.
     *
     * @param feed as a rule of the file names it, or one of {@link #feedsToEmpty}; empty for the rules without a feed
     * @param limit for the database, which throws SQLSTATE 57014 after it
     * @return the problems that the database found
     */
    List<Problem> apply(String origin, RulesFile file, String feed, Duration limit) {
        return within(
                limit,
                () -> problems(
                        file,
                        jdbc.sql("""
                                select rule, field, problem, hint
                                from rowbell.apply_rules(:origin, :rules::json, :keep::text[] || case
                                  when :nameless then array(select name from rowbell.rule where origin = :origin)
                                  else '{}'
                                end, :feed)
                                """)
                                .param("origin", origin)
                                .param("rules", json(file.rulesOf(feed)))
                                .param("keep", file.names().toArray(String[]::new))
                                .param("nameless", file.nameless())
                                .param("feed", feed)));
    }

    /** The feeds of which this origin has rules that the file does not name. */
    List<String> feedsToEmpty(String origin, RulesFile file) {
        return jdbc.sql("""
                        select distinct coalesce(feed, '') as feed from rowbell.rule
                        where origin = :origin and name <> all (:names::text[]) and not :nameless
                        order by feed
                        """)
                .param("origin", origin)
                .param("names", file.names().toArray(String[]::new))
                .param("nameless", file.nameless())
                .query(String.class)
                .list();
    }

    /** In a transaction whose statements the server ends after the limit. */
    private <T> T within(Duration limit, Supplier<T> work) {
        return limited.execute(transaction -> {
            jdbc.sql("select set_config('statement_timeout', ?, true)")
                    .param(String.valueOf(limit.toMillis()))
                    .query(String.class)
                    .single();
            return work.get();
        });
    }

    /**
     * The problems that {@link #apply} would find, and those of the parts of a faulty rule that can be read. Changes nothing.
     *
     * @param origin empty: rules of other origins with the same name are no problem
     */
    List<Problem> check(String origin, RulesFile file) {
        return limited.execute(transaction -> {
            // what the check grants to the role that checks is undone
            transaction.setRollbackOnly();
            return Stream.concat(file.rules().stream(), file.faulty().stream())
                    .flatMap(rule -> check(origin, file, rule))
                    .toList();
        });
    }

    private Stream<Problem> check(String origin, RulesFile file, FileRule rule) {
        return jdbc
                .sql("""
                        select c.field, c.problem, c.hint
                        from rowbell.check_rule(:rule::json) c
                        union all
                        select 'name', 'there is a rule of this name ' || coalesce('from ' || r.origin, 'that was made by SQL'), 'give this one another name'
                        from rowbell.rule r
                        where r.name = :name and :origin <> '' and r.origin is distinct from :origin
                        """)
                .param("rule", AlertJson.write(rule.values()))
                .param("name", rule.name())
                .param("origin", origin)
                .query((row, number) -> file.problem(rule, row.getString(1), row.getString(2), row.getString(3)))
                .list()
                .stream()
                // a value that is missing or cannot be read has its problem, and others may only follow from that
                .filter(problem -> file.rules().contains(rule)
                        || rule.values().containsKey(problem.field())
                                && rule.unreadable()
                                        .noneMatch(key -> Arrays.asList(
                                                        problem.text().split("\\W+"))
                                                .contains(key)));
    }

    /**
     * The file without the rules that have a character that the encoding of the database lacks. Asks the database for characters that are not
     * ASCII, where its encoding is not UTF8.
     */
    RulesFile storable(RulesFile file) {
        List<FileRule> storable = new ArrayList<>();
        List<FileRule> faulty = new ArrayList<>();
        List<String> unread = new ArrayList<>();
        List<Problem> problems = new ArrayList<>(file.problems());
        for (FileRule rule :
                Stream.concat(file.rules().stream(), file.faulty().stream()).toList()) {
            boolean readable = file.rules().contains(rule);
            Map<String, Object> values = new LinkedHashMap<>(rule.values());
            rule.values()
                    .forEach((key, value) -> unstorable(value).ifPresent(character -> {
                        values.remove(key);
                        problems.add(file.problem(
                                rule,
                                key,
                                "the encoding of the database has no character %s".formatted(character),
                                "leave it out, or use a database with the encoding UTF8"));
                    }));
            if (values.size() == rule.values().size()) {
                (readable ? storable : faulty).add(rule);
            } else if (values.containsKey("name")) {
                // else it is no rule of the database
                faulty.add(new FileRule(rule.name(), values, rule.line(), rule.lines()));
                unread.add(rule.name());
            }
        }
        file.unread().stream().filter(name -> unstorable(name).isEmpty()).forEach(unread::add);
        return new RulesFile(file.file(), file.readable(), storable, faulty, unread, file.nameless(), problems);
    }

    private Optional<String> unstorable(Object value) {
        String text = value.toString();
        return storable.of(text).equals(text)
                ? Optional.empty()
                : text.codePoints()
                        .filter(c -> c >= 0x80)
                        .distinct()
                        .mapToObj(Character::toString)
                        .filter(c -> !isStorable(c))
                        .findFirst();
    }

    private boolean isStorable(String character) {
        try {
            jdbc.sql("select ?").param(character).query(String.class).single();
            return true;
        } catch (DataAccessException e) {
            if (e.getRootCause() instanceof SQLException cause && UNTRANSLATABLE.equals(cause.getSQLState())) {
                return false;
            }
            throw e;
        }
    }

    private static String json(List<FileRule> rules) {
        return AlertJson.write(rules.stream().map(FileRule::values).toList());
    }

    private static List<Problem> problems(RulesFile file, JdbcClient.StatementSpec statement) {
        return statement
                .query((row, number) ->
                        file.problem(row.getString(1), row.getString(2), row.getString(3), row.getString(4)))
                .list();
    }

    /** The numbers of enabled rules of one origin, of enabled rules of all other origins, and of rules that {@code disable} has disabled. */
    record Enabled(long ofOrigin, long others, long disabled) {}

    Enabled enabled(String origin) {
        return jdbc.sql("""
                        select count(*) filter (where origin = :origin) as of_origin,
                          count(*) filter (where origin is distinct from :origin) as others,
                          (select count(*) from rowbell.rule_override) as disabled
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

    /** Of the rules that the database has, so many at most, in their order. */
    public Set<String> names(int most) {
        return new LinkedHashSet<>(jdbc.sql("select name from rowbell.rule order by name limit ?")
                .param(most)
                .query(String.class)
                .list());
    }

    /** All rules, ordered by name. */
    public List<RuleState> list() {
        return jdbc.sql("""
                        select r.name, coalesce(r.feed, 'query every ' || d.every, concat_ws(' ', 'query at', r.cron, r.zone)) as feed, r.severity,
                          case when r."for" is not null then 'for ' || d."for"
                            when r.absent is not null then 'absent ' || d.absent
                            when r.count is not null then format('count %%s within %%s', r.count, d.within)
                            when r.sum is not null then format('sum over %%s within %%s', r.over, d.within) else r.fires end as fires, r.delivery,
                          coalesce(r.origin, 'SQL') as origin, r.enabled,
                          v.who as disabled_by, to_char(v.since, 'YYYY-MM-DD HH24:MI:SS') as disabled_since, v.note as disabled_note,
                          rowbell.readable(s.broken) as broken, coalesce(s.hits, 0) as hits,
                          to_char(s.last_hit, 'YYYY-MM-DD HH24:MI:SS') as last_hit,
                          to_char(s.failed, 'YYYY-MM-DD HH24:MI:SS') as failed,
                          rowbell.readable(s.failure) as failure
                        from rowbell.rule r
                        left join rowbell.rule_state s on s.rule = r.name
                        left join rowbell.rule_override v on v.rule = r.name
                        cross join lateral (select %s as every, %s as "for", %s as absent, %s as within) d
                        order by r.name
                        """.formatted(
                                duration("r.every"), duration("r.\"for\""), duration("r.absent"), duration("r.within")))
                .query(RuleState.class)
                .list();
    }

    /** SQL of an interval in the largest unit that needs no fraction, as a rule has it: 20s, 90m, 7d. One with months is as PostgreSQL writes it. */
    private static String duration(String interval) {
        return """
                (select case when extract(year from %1$s) <> 0 or extract(month from %1$s) <> 0 then cast(%1$s as text)
                    when s %% 86400 = 0 then trim_scale(s / 86400) || 'd'
                    when s %% 3600 = 0 then trim_scale(s / 3600) || 'h'
                    when s %% 60 = 0 then trim_scale(s / 60) || 'm'
                    when s %% 1 = 0 then trim_scale(s) || 's'
                    else trim_scale(s * 1000) || 'ms' end
                  from (select cast(extract(epoch from %1$s) as numeric) as s) seconds)""".formatted(interval);
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

    /**
     * Why a rule fires, or does not.
     *
     * @param key of a row, as people write it; null: the rule alone
     * @throws SettingsException where there is no such rule, or the feed has no such key
     */
    public Explanation explain(String rule, String key) {
        return explain(rule, key, true);
    }

    private Explanation explain(String rule, String key, boolean look) {
        return orRefused(() -> readOnly.execute(
                transaction -> explanation(jdbc.sql("select level, finding, about, name from rowbell.explain(?, ?, ?)")
                        .param(rule)
                        .param(2, key, Types.VARCHAR)
                        .param(look))));
    }

    private static Explanation explanation(JdbcClient.StatementSpec found) {
        return Explanation.of(found.query((row, number) ->
                        new Explanation.Detail(row.getString(1), row.getString(2), row.getString(3), row.getString(4)))
                .list());
    }

    /** @throws SettingsException where the database refuses what a person can mend */
    private static <T> T orRefused(Supplier<T> work) {
        try {
            return work.get();
        } catch (DataAccessException e) {
            if (e.getMostSpecificCause() instanceof PSQLException refused && REFUSED.equals(refused.getSQLState())) {
                ServerErrorMessage message = refused.getServerErrorMessage();
                throw new SettingsException(
                        message.getHint() == null
                                ? message.getMessage()
                                : message.getMessage() + ". " + message.getHint(),
                        e);
            }
            throw e;
        }
    }

    /**
     * The same for an asker who is not known: no code of a stranger runs with Rowbell's rights. So the row itself is looked at only where neither the
     * condition nor a column of the feed can call any.
     */
    public Explanation explainToAnyone(String rule, String key) {
        return readOnly.execute(transaction -> explain(rule, key, key == null || isHarmless(rule)));
    }

    /** The query for a sentence about a row, for {@link #trialRows} in a transaction that is rolled back. */
    String lookOf(String rule, String key) {
        return orRefused(() -> jdbc.sql("select rowbell.look_of(?, ?)")
                .params(rule, key)
                .query(String.class)
                .single());
    }

    /** Whether no code of a stranger runs when the row is looked at in this transaction. */
    private boolean isHarmless(String rule) {
        // else the owner of the table could change a column after this check
        jdbc.sql("""
                        select format('lock table %s in access share mode', rowbell.sql_name(c.oid))
                        from rowbell.rule r
                        join pg_class c on c.oid = rowbell.find_feed(r.feed)
                        where r.name = ? and coalesce(r.within, r.absent) is null and has_table_privilege(c.oid, 'select')
                        """)
                .param(rule)
                .query(String.class)
                .optional()
                .ifPresent(lock -> jdbc.sql(lock).update());
        return jdbc.sql("""
                        select r.feed is null or coalesce(r.within, r.absent) is not null or coalesce(
                          rowbell.plain_condition(r.condition, c.oid) is not null and rowbell.document_settings(c.oid) is not null
                            and not c.relrowsecurity and has_table_privilege(c.oid, 'select'), false)
                        from rowbell.rule r
                        left join pg_class c on c.oid = rowbell.find_feed(r.feed)
                        where r.name = ?
                        """).param(rule).query(Boolean.class).optional().orElse(true);
    }

    /** The columns of {@code rowbell.rule} that have a value, in their order, as text. Empty where there is no such rule. */
    public Map<String, String> written(String rule) {
        Map<String, String> written = new LinkedHashMap<>();
        jdbc.sql("""
                        select w.key, w.value
                        from rowbell.rule r
                        cross join json_each_text(row_to_json(r)) w
                        where r.name = ? and w.value not in ('', '[]', '00:00:00')
                        """).param(rule).query(row -> {
            written.put(row.getString(1), row.getString(2));
        });
        return written;
    }

    /**
     * A rule that is to be changed.
     *
     * @param fields by key, as they would stand in a file; a list has an element a line
     * @param version changes with the rule
     * @param origin the file; null where it was made by SQL
     */
    public record Editable(Map<String, String> fields, String version, String origin) {}

    /** Empty where there is no such rule. */
    public Optional<Editable> editable(String rule) {
        String columns = Key.EDITED.stream()
                .map(key -> "%s as \"%s\""
                        .formatted(key.sql("r.\"" + key.column() + "\"", RuleRepository::duration), key.text()))
                .collect(Collectors.joining(", "));
        return jdbc.sql("select %s, rowbell.rule_version(r) as version, r.origin from rowbell.rule r where r.name = ?"
                        .formatted(columns))
                .param(rule)
                .query((row, number) -> {
                    Map<String, String> fields = new LinkedHashMap<>();
                    for (Key key : Key.EDITED) {
                        String value = Objects.toString(row.getString(key.text()), "");
                        fields.put(key.text(), value.equals(Key.DEFAULTS.get(key)) ? "" : value);
                    }
                    return new Editable(fields, row.getString("version"), row.getString("origin"));
                })
                .optional();
    }

    /**
     * Makes a rule, or changes one that was made by SQL.
     *
     * @param values as those of a {@link FileRule}
     * @param began the version that the change began with; null for a new rule
     * @throws SettingsException where the version of the rule is no longer {@code began}, or the rule is wrong
     */
    void write(Map<String, Object> values, String began) {
        orRefused(() -> jdbc.sql("select rowbell.write_rule(?::json, ?)")
                .param(AlertJson.write(values))
                .param(2, began, Types.VARCHAR)
                .query((row, number) -> true)
                .single());
    }

    /**
     * Returns the query for the rows that meet a rule, and grants the role of queries the right to read the tables in it. The caller rolls the
     * transaction back, which takes the grants away.
     *
     * @throws SettingsException where there is no such role
     */
    String trialOf(Map<String, Object> values) {
        return orRefused(() -> jdbc.sql("select rowbell.trial_of(?::json)")
                .param(AlertJson.write(values))
                .query(String.class)
                .single());
    }

    /**
     * A rule that is enabled.
     *
     * @param byQuery whether it has a query, and no feed
     */
    record Measurable(String name, boolean byQuery, int maxRows) {}

    List<Measurable> measurable() {
        return jdbc.sql(
                        "select r.name, r.query is not null as by_query, r.max_rows from rowbell.rule r where r.enabled order by r.name")
                .query(Measurable.class)
                .list();
    }

    /**
     * Like {@link #trialOf}, the query that measures a rule on so many rows; of a rule with a query, that.
     *
     * @throws SettingsException where there is no role of queries
     */
    String measureOf(String rule, int rows) {
        return orRefused(() -> jdbc.sql("select rowbell.measure_of(?, ?)")
                .params(rule, rows)
                .query(String.class)
                .single());
    }

    void readOnlyFromNowOn() {
        jdbc.sql("set transaction read only").update();
    }

    /** The first rows of the result of a query, as JSON of so many characters at most, by the role of queries. */
    List<String> trialRows(String query, int most, int length) {
        return jdbc.sql("select left(t::text, ?) from rowbell.query_rows(?, ?) t")
                .params(length, query, most)
                .query(String.class)
                .list();
    }

    /** How the user of the database gets the right to write rules; empty where it has the right. */
    public Optional<String> missingRight() {
        return jdbc.sql("""
                        select format('grant rowbell_admin to %I', current_user)
                        where not has_function_privilege('rowbell.write_rule(json, text)', 'execute')
                        """).query(String.class).optional();
    }

    /** The text of the trigger functions of the feed that this rule is about. */
    public List<String> functionsFor(String rule) {
        return jdbc.sql("""
                        select pg_get_functiondef(p.oid)
                        from rowbell.rule r
                        join rowbell.feed f on f.name = r.feed
                        join pg_proc p on p.pronamespace = 'rowbell'::regnamespace
                          and p.proname in ('on_statement_' || f.id, 'on_row_' || f.id)
                        where r.name = ? and exists (select from pg_trigger g where g.tgfoid = p.oid)
                        order by p.proname
                        """).param(rule).query(String.class).list();
    }

    /** The feeds, ordered by name, so many at most; of each so many timers are counted at most. */
    public List<FeedState> feedStates(int counted, int most) {
        return jdbc.sql("""
                        select f.name, t.triggers, t.off, coalesce(t.by_row, false) as by_row, c.calls, c.micros_per_call,
                          (select count(*) from rowbell.rule r where r.feed = f.name and r.enabled) as rules,
                          (select count(*) from (
                            select
                            from rowbell.rule r
                            join rowbell.rule_state s on s.rule = r.name
                            cross join lateral (
                              select from rowbell.timer t where t.rule = s.id and t.fired is null limit :counted) t
                            where r.feed = f.name and r."for" is not null
                            limit :counted) armed) as armed
                        from (select id, name from rowbell.feed order by name limit :most) f
                        cross join lateral (
                          select count(*) as triggers, count(*) filter (where g.tgenabled in ('D', 'R')) as off,
                            bool_or(p.proname = 'on_row_' || f.id) as by_row
                          from pg_proc p
                          join pg_trigger g on g.tgfoid = p.oid and g.tgparentid = 0
                          where p.pronamespace = 'rowbell'::regnamespace
                            and p.proname in ('on_statement_' || f.id, 'on_row_' || f.id)) t
                        cross join lateral (
                          select sum(u.calls)::bigint as calls, sum(u.total_time) * 1000 / nullif(sum(u.calls), 0) as micros_per_call
                          from pg_proc p
                          join pg_stat_user_functions u on u.funcid = p.oid
                          where p.pronamespace = 'rowbell'::regnamespace
                            and p.proname in ('on_statement_' || f.id, 'on_row_' || f.id)) c
                        order by f.name
                        """)
                .param("counted", counted)
                .param("most", most)
                .query(FeedState.class)
                .list();
    }

    /**
     * A watched table.
     *
     * @param triggers on the table and its partitions
     * @param off those that do not fire
     * @param byRow whether they judge each row, and not each statement
     * @param calls of the trigger functions; null where the server does not count them
     * @param microsPerCall that they take
     * @param rules that are enabled
     * @param armed rows that a rule with {@code for} waits for
     */
    public record FeedState(
            String name,
            int triggers,
            int off,
            boolean byRow,
            Long calls,
            Double microsPerCall,
            int rules,
            int armed) {}

    /**
     * The changes of rules, the last one first: when, by which role and application, of which rule, and what.
     *
     * @param rule null: of all
     */
    public List<List<String>> history(String rule, int limit) {
        return jdbc.sql("""
                        select to_char(at, 'YYYY-MM-DD HH24:MI:SS'), who, application, coalesce(rule_name, '(all)'), change
                        from rowbell.rule_history(?)
                        limit ?
                        """)
                .param(1, rule, Types.VARCHAR)
                .param(2, limit)
                .query((row, number) -> List.of(
                        row.getString(1), row.getString(2), row.getString(3), row.getString(4), row.getString(5)))
                .list();
    }

    /** What became of the alert with this id, and where it waits; empty where that is not known: {@link Explanation#NOWHERE}. */
    public Explanation explainAlert(String id) {
        return explanation(jdbc.sql("select level, finding, about, name from rowbell.explain_alert(?)")
                .param(id));
    }

    /** The same without where it waits, which takes the longer the more alerts wait, and so without a summary. */
    public Explanation alertTimeline(String id) {
        return explanation(jdbc.sql(
                        "select level, format('%s  %s', to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), finding), about, name from rowbell.alert_timeline(?)")
                .param(id));
    }

    /**
     * Stops the time of the rows that a rule waits for, or of its windows.
     *
     * @return false where it has none
     */
    public boolean pause(String rule) {
        return jdbc.sql("select rowbell.pause(?)")
                .param(rule)
                .query(Boolean.class)
                .single();
    }

    /**
     * Has it go on.
     *
     * @return false where the rule was not paused
     */
    public boolean resume(String rule) {
        return jdbc.sql("select rowbell.resume(?)")
                .param(rule)
                .query(Boolean.class)
                .single();
    }

    /**
     * Disables a rule. The rule stays disabled until {@link #enable}, also if its file has it enabled.
     *
     * @param note may be null
     * @param who the name that is shown; null: the user of the database
     * @return false where it is disabled already
     * @throws SettingsException where there is no such rule
     */
    public boolean disable(String rule, String note, String who) {
        return orRefused(() -> jdbc.sql("select rowbell.disable(?, ?, ?)")
                .params(rule, note, who)
                .query(Boolean.class)
                .single());
    }

    /**
     * Enables it again.
     *
     * @return false where it is enabled already
     * @throws SettingsException where it cannot be enabled
     */
    public boolean enable(String rule) {
        return orRefused(() -> jdbc.sql("select rowbell.enable(?)")
                .param(rule)
                .query(Boolean.class)
                .single());
    }

    public boolean isPaused(String rule) {
        return jdbc.sql("select exists (select from rowbell.rule_state s where s.rule = ? and s.paused is not null)")
                .param(rule)
                .query(Boolean.class)
                .single();
    }

    /** @param settings of the session that runs it, each as {@code TimeZone=UTC} */
    public record Query(String query, List<String> settings) {}

    /** Empty for a rule that has a feed. */
    public Optional<Query> queryOf(String rule) {
        return jdbc.sql("select query, rowbell.all_settings() from rowbell.rule where name = ? and query is not null")
                .param(rule)
                .query((row, number) -> new Query(
                        row.getString(1), List.of((String[]) row.getArray(2).getArray())))
                .optional();
    }

    /** The rules that send notifications on other channels than these, each with what to do. */
    List<String> notListenedTo(List<String> channels) {
        return jdbc.sql("""
                        select format('alerts of rule "%s" are lost, since Rowbell does not listen to %s: add it to rowbell.channels', name, channel)
                        from rowbell.rule
                        where enabled and delivery = 'notify' and channel <> all (?)
                        order by name
                        """)
                .param(channels.toArray(String[]::new))
                .query(String.class)
                .list();
    }

    /** Has feeds follow their tables, and returns the events for the operator. */
    List<String> followTables() {
        return compared(0).events();
    }

    /** Another number whenever something has changed that {@link #refresh} compares. */
    BigDecimal definitions() {
        return jdbc.sql("select rowbell.definitions()").query(BigDecimal.class).single();
    }

    /** The names of the feeds by their ids. */
    Map<Integer, String> feeds() {
        Map<Integer, String> feeds = new TreeMap<>();
        jdbc.sql("select id, name from rowbell.feed").query(row -> {
            feeds.put(row.getInt(1), row.getString(2));
        });
        return feeds;
    }

    /**
     * How a feed was compared.
     *
     * @param whole false where another transaction held a lock
     * @param events for the operator
     */
    record Compared(boolean whole, List<String> events) {

        boolean isAsItShouldBe() {
            return whole && events.isEmpty();
        }
    }

    /**
     * Compares the triggers of a feed with its rules and with the tables as they are now, and makes them as they should be.
     *
     * @param limit for the database, which throws SQLSTATE 57014 after it
     */
    Compared refresh(int feed, Duration limit) {
        return within(limit, () -> compared(feed));
    }

    private Compared compared(int feed) {
        List<String> events = new ArrayList<>();
        boolean whole = true;
        for (Map<String, Object> row : jdbc.sql("select feed, event from rowbell.refresh(?)")
                .param(feed)
                .query()
                .listOfRows()) {
            if (row.get("event") == null) {
                whole = false;
            } else {
                events.add("feed %s %s".formatted(row.get("feed"), row.get("event")));
            }
        }
        return new Compared(whole, events);
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

    /** Removes what triggers noted of rows that MERGE moved, of transactions that have ended. */
    void forgetMoves() {
        jdbc.sql("select from rowbell.forget_moves()").query(row -> {});
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
