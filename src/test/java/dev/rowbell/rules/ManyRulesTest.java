package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** A feed may have a thousand rules: what Rowbell does with them grows as they do, and no faster. */
class ManyRulesTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    @Test
    void eachRuleOfAFeedIsLookedAtAFewTimesHoweverManyThereAre() throws SQLException {
        database.execute("create table public.feed (id int primary key, v int)");
        Map<String, Long> few = callsWith(10);
        Map<String, Long> many = callsWith(40);
        many.forEach((function, calls) -> assertTrue(
                calls <= 5 * few.getOrDefault(function, 0L) + 50,
                () -> "%s: %d calls with 40 rules, %s with 10".formatted(function, calls, few.get(function))));
    }

    /** How often each function of Rowbell is called when the rules are compared, and when a file is applied again. */
    private Map<String, Long> callsWith(int rules) throws SQLException {
        String apply =
                "select * from rowbell.apply_rules('rules.yaml', (select json_agg(json_build_object('name', 'r' || g, 'feed',"
                        + " 'public.feed', 'condition', 'NEW.v > ' || g)) from generate_series(1, %d) g))"
                                .formatted(rules);
        database.execute(apply);
        Map<String, Long> calls = new TreeMap<>();
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("set local track_functions = 'all'");
            statement.execute(apply);
            statement.execute("select rowbell.refresh()");
            try (ResultSet rows = statement.executeQuery("select funcname, calls from pg_stat_xact_user_functions")) {
                while (rows.next()) {
                    calls.put(rows.getString(1), rows.getLong(2));
                }
            }
            connection.rollback();
        }
        return calls;
    }
}
