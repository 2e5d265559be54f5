package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A rule that somebody disabled stays so until somebody enables it. What the file says meanwhile is in RulesYamlTest. */
class RuleOverrideTest {

    private static final String FILE =
            "select problem from rowbell.apply_rules('rules.yaml', '[{\"name\":\"high\",\"feed\":\"public.orders\",\"condition\":\"NEW.v > %d\"}]')";

    private final TestDatabase database = TestDatabase.createWithSchema();

    @BeforeEach
    void aRuleOfAFile() {
        database.execute("create table public.orders (id int primary key, v int)");
        apply(5);
    }

    private List<String> apply(int more) {
        return database.query(FILE.formatted(more));
    }

    private List<String> enabled() {
        return database.query("select name from rowbell.rule where enabled order by 1");
    }

    @Test
    void itFiresNothingAndWhatItFiredForEnds() {
        database.execute(
                "insert into orders values (1, 9)",
                """
                insert into rowbell.firing_state (fingerprint, rule, severity, times, since, last, silenced, alert_id)
                values ('f', 'high', 'warning', 1, now(), now(), 0, 'x')""",
                "select rowbell.disable('high')",
                "insert into orders values (2, 9)",
                "select rowbell.end_firing_of_gone_rules()");
        assertEquals(1, database.count("rowbell.feedback"));
        assertEquals(0, database.count("rowbell.firing"));
        database.execute("select rowbell.enable('high')", "insert into orders values (3, 9)");
        assertEquals(2, database.count("rowbell.feedback"));
    }

    /** Both wait for a lock on the rule, and each sees what the other did. */
    @Test
    void aFileThatIsAppliedMeanwhileEnablesNothing() throws Exception {
        try (Connection connection = database.connect();
                Statement disabling = connection.createStatement()) {
            connection.setAutoCommit(false);
            disabling.execute("select rowbell.disable('high')");
            CompletableFuture<List<String>> applied = CompletableFuture.supplyAsync(() -> apply(6));
            await().until(() -> applied.isDone()
                    || database.count(
                                    "pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                            > 0);
            connection.commit();
            applied.join();
        }
        assertEquals(List.of(), apply(6));
        assertEquals(List.of(), enabled());
        assertEquals(List.of("NEW.v > 6"), database.query("select condition from rowbell.rule"));
        assertEquals(1, database.count("rowbell.rule_override where enabled"));
    }

    @Test
    void theOverrideFollowsTheRuleAndEndsWithIt() {
        database.execute("select rowbell.disable('high', '', '')", "update rowbell.rule set name = 'higher'");
        assertEquals(
                List.of("higher true"),
                database
                        .query("select concat_ws(' ', rule, who = session_user, note) from rowbell.rule_override")
                        .stream()
                        .map(line -> line.replace(" t", " true"))
                        .toList());
        database.execute("update rowbell.rule set enabled = true");
        assertEquals(0, database.count("rowbell.rule_override"), "it was enabled by SQL");
        database.execute("select rowbell.disable('higher')", "delete from rowbell.rule");
        assertEquals(0, database.count("rowbell.rule_override"));
    }

    @Test
    void whoMayWriteRulesMayDisableThem() throws SQLException {
        String role = "disabler_of_" + database.name();
        database.execute(
                "create role " + role + " login password 'pw'",
                "grant rowbell_consumer to " + role,
                "insert into rowbell.rule (name, feed, condition, enabled) values ('off', 'public.orders', 'NEW.v > 1', false)");
        try {
            try (Connection connection = database.connectAs(role, "pw");
                    Statement statement = connection.createStatement()) {
                for (String call : List.of("disable('high')", "enable('off')")) {
                    SQLException refused =
                            assertThrows(SQLException.class, () -> statement.execute("select rowbell." + call));
                    assertTrue(refused.getMessage().contains("permission denied for function"), refused.getMessage());
                }
                database.execute("grant rowbell_admin to " + role);
                statement.execute("select rowbell.disable('high'), rowbell.enable('off')");
            }
            assertEquals(List.of("off"), enabled());
            assertEquals(
                    List.of(role, role),
                    database.query(
                            "select who from rowbell.rule_override union all select who from rowbell.rule_history('off') where change like 'enabled%'"));
        } finally {
            database.execute("drop owned by " + role, "drop role " + role);
        }
    }
}
