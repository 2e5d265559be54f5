package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The functions by which the web console writes and tests a rule. */
class RuleWriteTest {

    private static final String RULE = "{\"name\":\"high\",\"feed\":\"public.orders\",\"condition\":\"NEW.v > %d\"}";

    private final TestDatabase database = TestDatabase.createWithSchema();

    @BeforeEach
    void aFeed() {
        database.execute("create table public.orders (id int primary key, v int)", "insert into orders values (1, 9)");
    }

    private static String write(int more, String began) {
        return "select rowbell.write_rule('%s', %s)".formatted(RULE.formatted(more), began);
    }

    private String refusal(String sql) throws SQLException {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            return assertThrows(SQLException.class, () -> statement.execute(sql))
                    .getMessage()
                    .lines()
                    .findFirst()
                    .orElse("");
        }
    }

    @Test
    void aRuleIsWrittenOverTheVersionThatTheChangeBeganWith() throws SQLException {
        String version = "(select rowbell.rule_version(r) from rowbell.rule r)";
        database.execute(write(5, "null"), write(6, version));
        assertEquals("ERROR: rule \"high\": name: there is a rule of this name", refusal(write(7, "null")));
        assertEquals("ERROR: rule \"high\": somebody else has changed it meanwhile", refusal(write(7, "'x'")));
        assertEquals(
                "ERROR: rule \"high\": severity: 'dire' is none of info, warning, critical",
                refusal("select rowbell.write_rule('%s', %s)"
                        .formatted(RULE.formatted(7).replace("}", ",\"severity\":\"dire\"}"), version)));
        database.execute("select rowbell.disable('high')", write(8, version));
        assertEquals(
                List.of("NEW.v > 8 false"),
                database.query("select concat_ws(' ', condition, enabled::text) from rowbell.rule"));
        database.execute("select rowbell.enable('high')");
        assertEquals(1, database.count("rowbell.rule where enabled"));
        database.execute("update rowbell.rule set origin = 'rules.yaml'");
        assertEquals("ERROR: rule \"high\": name: it comes from rules.yaml", refusal(write(9, version)));
    }

    @Test
    void theRoleOfQueriesReadsWhatATestNamesUntilTheTestEnds() throws SQLException {
        String role = "tester_of_" + database.name();
        database.execute("create role " + role + " login password 'pw'", "grant rowbell_admin to " + role);
        try (Connection connection = database.connectAs(role, "pw");
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            try (ResultSet rows = statement.executeQuery(
                    "select rowbell.query_rows(rowbell.trial_of('%s'), 10)".formatted(RULE.formatted(5)))) {
                rows.next();
                assertEquals("{\"id\":1,\"v\":9}", rows.getString(1));
            }
            connection.rollback();
            String refused = assertThrows(
                            SQLException.class,
                            () -> statement.execute("select rowbell.query_rows('select * from public.orders', 10)"))
                    .getMessage();
            assertTrue(refused.contains("permission denied for table orders"), refused);
        } finally {
            database.execute("drop owned by " + role, "drop role " + role);
        }
    }

    @Test
    void theConditionOfARuleIsMeasuredOnRowsOneByOne() {
        database.execute(
                "insert into public.orders select i, i from generate_series(2, 9) i",
                "create function public.is_high(o public.orders) returns boolean language sql as 'select o.v > 5'",
                "insert into rowbell.rule (name, feed, condition) values ('whole', 'public.orders', 'public.is_high(new) and old.id is null')");
        for (int rows : List.of(1, 4)) {
            assertEquals(List.of(rows + (rows == 1 ? " null" : " number")), database.query("""
                            select concat_ws(' ', t ->> 'rows', json_typeof(t -> 'micros'))
                            from rowbell.query_rows(rowbell.measure_of('whole', %d), 1) t""".formatted(rows)));
        }
    }
}
