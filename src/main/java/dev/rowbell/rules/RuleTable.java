package dev.rowbell.rules;

import dev.rowbell.alert.AlertReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import javax.sql.DataSource;

/** {@code rowbell.rule}, its state, and the functions that keep it. Safe for many threads. */
public final class RuleTable {

    private final DataSource dataSource;

    public RuleTable(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** Makes the rules of this origin what a readable file says, and returns what the database has against them. */
    List<Problem> apply(String origin, RulesFile file) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select rule, field, problem, hint
                        from rowbell.apply_rules(?, ?::json, ?::text[] || case
                          when ? then array(select name from rowbell.rule where origin = ?)
                          else '{}'
                        end)
                        """)) {
            statement.setString(1, origin);
            statement.setString(2, json(file));
            statement.setArray(3, connection.createArrayOf("text", file.unread().toArray()));
            statement.setBoolean(4, file.nameless());
            statement.setString(5, origin);
            return problems(statement, file);
        }
    }

    /**
     * What {@link #apply} would say, and nothing is changed.
     *
     * @param origin empty: whose the rules would be is not looked at
     */
    List<Problem> check(String origin, RulesFile file) throws SQLException {
        try (Connection connection = dataSource.getConnection()) {
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            try (PreparedStatement statement = connection.prepareStatement("""
                    select given ->> 'name', found.field, found.problem, found.hint
                    from json_array_elements(?::json) with ordinality as rules (given, place)
                    cross join lateral (
                      select c.field, c.problem, c.hint
                      from rowbell.check_rule(given) c
                      union all
                      select 'name', 'there is a rule of this name ' || coalesce('from ' || r.origin, 'that was made by SQL'), 'give this one another name'
                      from rowbell.rule r
                      where r.name = given ->> 'name' and ? <> '' and r.origin is distinct from ?) found
                    order by place
                    """)) {
                statement.setString(1, json(file));
                statement.setString(2, origin);
                statement.setString(3, origin);
                return problems(statement, file);
            } finally {
                connection.rollback();
            }
        }
    }

    private static String json(RulesFile file) {
        return AlertReader.write(file.rules().stream().map(FileRule::values).toList());
    }

    private static List<Problem> problems(PreparedStatement statement, RulesFile file) throws SQLException {
        List<Problem> problems = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) {
                problems.add(file.problem(rows.getString(1), rows.getString(2), rows.getString(3), rows.getString(4)));
            }
        }
        return problems;
    }

    /** @param ofOrigin rules of the origin asked for that are enabled; others that are */
    record Enabled(long ofOrigin, long others) {}

    Enabled enabled(String origin) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select count(*) filter (where origin = ?), count(*) filter (where origin is distinct from ?)
                        from rowbell.rule
                        where enabled
                        """)) {
            statement.setString(1, origin);
            statement.setString(2, origin);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return new Enabled(row.getLong(1), row.getLong(2));
            }
        }
    }

    /** Why each enabled rule that is left out is left out. */
    Map<String, String> broken() throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select r.name, s.broken
                        from rowbell.rule r
                        join rowbell.rule_state s on s.rule = r.name
                        where r.enabled and s.broken is not null
                        """);
                ResultSet rows = statement.executeQuery()) {
            Map<String, String> broken = new TreeMap<>();
            while (rows.next()) {
                broken.put(rows.getString(1), rows.getString(2));
            }
            return broken;
        }
    }

    /** All rules, in the order of their names. */
    public List<RuleState> list() throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select r.name, r.feed, r.severity, r.fires, r.delivery, r.enabled, s.broken, coalesce(s.hits, 0),
                          to_char(s.last_hit, 'YYYY-MM-DD HH24:MI:SS'), to_char(s.failed, 'YYYY-MM-DD HH24:MI:SS'), s.failure
                        from rowbell.rule r
                        left join rowbell.rule_state s on s.rule = r.name
                        order by r.name
                        """);
                ResultSet rows = statement.executeQuery()) {
            List<RuleState> rules = new ArrayList<>();
            while (rows.next()) {
                rules.add(new RuleState(
                        rows.getString(1),
                        rows.getString(2),
                        rows.getString(3),
                        rows.getString(4),
                        rows.getString(5),
                        rows.getBoolean(6),
                        rows.getString(7),
                        rows.getLong(8),
                        rows.getString(9),
                        rows.getString(10),
                        rows.getString(11)));
            }
            return rules;
        }
    }

    /**
     * Hands over each row of the feed as it is now that meets the rule, as JSON on one line, in a transaction that can change nothing.
     *
     * @return how many there were
     */
    public int test(String rule, int most, Consumer<String> row) throws SQLException {
        try (Connection connection = dataSource.getConnection()) {
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            try (PreparedStatement statement = connection.prepareStatement("select t from rowbell.test_rule(?, ?) t")) {
                statement.setFetchSize(1000);
                statement.setString(1, rule);
                statement.setInt(2, most);
                int count = 0;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        // between the values there may be line ends, of a column of type json; within them JSON escapes
                        // them
                        row.accept(rows.getString(1).replaceAll("[\\r\\n]+", " "));
                        count++;
                    }
                }
                return count;
            } finally {
                connection.rollback();
            }
        }
    }

    /** Has the database look at what changed outside of the rules, and returns what an operator should read of it. */
    List<String> refresh() throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("select feed, event from rowbell.refresh()");
                ResultSet rows = statement.executeQuery()) {
            List<String> events = new ArrayList<>();
            while (rows.next()) {
                events.add("feed %s %s".formatted(rows.getString(1), rows.getString(2)));
            }
            return events;
        }
    }

    /**
     * Adds hits to the rules that there are. A rule that somebody is changing is not waited for, so that nobody can wait for each other.
     *
     * @return the rules to try again
     */
    Set<String> addHits(Map<String, Long> hits) throws SQLException {
        List<String> rules = List.copyOf(hits.keySet());
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        with given as (
                          select rule, hits from unnest(?::text[], ?::bigint[]) as given (rule, hits)),
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
                        """)) {
            statement.setArray(1, connection.createArrayOf("text", rules.toArray()));
            statement.setArray(
                    2,
                    connection.createArrayOf(
                            "bigint", rules.stream().map(hits::get).toArray()));
            Set<String> busy = new HashSet<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    busy.add(rows.getString(1));
                }
            }
            return busy;
        }
    }
}
