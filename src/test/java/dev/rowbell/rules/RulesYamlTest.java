package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Rowbell;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.Threads;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckRegistry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** rules.yaml owns the rules that it made, and a mistake in it loses none of them. */
class RulesYamlTest {

    private static final String RULE = """
              - name: %s
                feed: public.orders
                condition: %s
            """;

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final LogLines log = new LogLines("dev.rowbell.rules");

    @BeforeEach
    void ordersAndAFile() {
        database.execute("create table orders (id int primary key, amount int)");
        settings.put("rowbell.rules.file", file().toString());
        settings.put("rowbell.file.dir", "");
        settings.put("rowbell.console", "OFF");
    }

    @Test
    void timesAreListedAsARuleHasThemAndEachRuleWithItsOrigin() {
        write(
                RULE.formatted("held", "NEW.amount > 5\n    for: 20s"),
                RULE.formatted("late", "NEW.amount > 5\n    for: 90m"),
                RULE.formatted("many", "NEW.amount > 5\n    count: 5\n    within: 1500ms"));
        RunningRowbell.start(settings).close();
        database.execute(
                """
                insert into rowbell.rule (name, feed, condition, "for") values
                  ('days', 'public.orders', 'NEW.amount > 5', '7 days'),
                  ('month', 'public.orders', 'NEW.amount > 5', '1 month 2 days')
                """,
                "insert into rowbell.rule (name, query, every, key) values ('polled', 'select 1 as id', '5 s', '{id}')");
        assertEquals(
                List.of(
                        "days for 7d SQL",
                        "held for 20s " + file(),
                        "late for 90m " + file(),
                        "many count 5 within 1500ms " + file(),
                        "month for 32d SQL",
                        "polled once SQL"),
                states().stream()
                        .map(rule -> String.join(" ", rule.name(), rule.fires(), rule.origin()))
                        .toList());
        assertEquals("query every 5s", states().get(5).feed());
    }

    private RuleRepository repository() {
        return new RuleRepository(new DriverManagerDataSource(
                settings.get("rowbell.jdbc.url"),
                settings.get("rowbell.jdbc.user"),
                settings.get("rowbell.jdbc.password")));
    }

    private List<RuleState> states() {
        return repository().list();
    }

    @AfterEach
    void hearNoMore() {
        log.close();
    }

    private Path file() {
        return dir.resolve("rules.yaml");
    }

    private void write(String... rules) {
        try {
            Files.writeString(file(), "rules:\n" + String.join("", rules));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String rule(String name, String condition) {
        return RULE.formatted(name, condition);
    }

    private RunningRowbell start() {
        return RunningRowbell.start(settings);
    }

    /** A start that applies the file and ends. */
    private void apply() {
        start().close();
    }

    /** Without what is always said about the user of the tests. */
    private List<String> logged() {
        return log.lines().stream()
                .filter(line -> !line.contains(" is a superuser"))
                .toList();
    }

    private List<String> rules() {
        return database.query("select name || ': ' || condition from rowbell.rule order by name");
    }

    @Test
    void theFileAddsChangesAndRemovesItsRulesAndNoOthers() {
        write(rule("one", "NEW.amount > 1"), rule("two", "NEW.amount > 2"));
        apply();
        assertEquals(List.of("one: NEW.amount > 1", "two: NEW.amount > 2"), rules());
        database.execute(
                "insert into rowbell.rule (name, feed, condition) values ('by-sql', 'orders', 'NEW.amount > 0')");
        write(rule("one", "NEW.amount > 11"), rule("three", "NEW.amount > 3"));
        apply();
        assertEquals(List.of("by-sql: NEW.amount > 0", "one: NEW.amount > 11", "three: NEW.amount > 3"), rules());
        assertEquals(List.of(), logged());
        settings.put("rowbell.rules.file", "");
        apply();
        assertEquals(3, rules().size());
    }

    @Test
    @Tag("long")
    void aRuleThatWasDisabledStaysSoWhateverTheFileSays() {
        write(rule("one", "NEW.amount > 1"), rule("two", "NEW.amount > 2"));
        apply();
        database.execute("select rowbell.disable('one', 'import', 'ada')");
        write(rule("one", "NEW.amount > 11"), rule("two", "NEW.amount > 2"));
        try (RunningRowbell rowbell = start()) {
            assertEquals(
                    "1 from %s, 1 disabled: rules list says by whom".formatted(file()),
                    Rowbell.of(rowbell.context()).rules().summary());
        }
        assertEquals(List.of("one: NEW.amount > 11", "two: NEW.amount > 2"), rules());
        assertEquals(List.of("two"), database.query("select name from rowbell.rule where enabled"));
        assertTrue(states().get(0).disabled().matches("by ada since 20.*: import"), states().toString());
        write(rule("one", "NEW.amount > 11\n    enabled: false"), rule("two", "NEW.amount > 2"));
        apply();
        String refused = assertThrows(
                        SettingsException.class, () -> repository().enable("one"))
                .getMessage();
        assertEquals(
                "rule \"one\": enabled: it is disabled in %s, or since its table was dropped. Enable it in the file."
                        .formatted(file()),
                refused);
        write(rule("one", "NEW.amount > 11"), rule("two", "NEW.amount > 2"));
        apply();
        assertFalse(states().get(0).enabled(), "nobody has enabled it");
        assertTrue(repository().enable("one"));
        apply();
        assertTrue(states().get(0).enabled());
        database.execute("select rowbell.disable('one')");
        write(rule("two", "NEW.amount > 2"));
        apply();
        write(rule("one", "NEW.amount > 1"), rule("two", "NEW.amount > 2"));
        apply();
        assertTrue(states().get(0).enabled(), "it is another rule");
        assertEquals(List.of(), logged());
    }

    @Test
    void aWrongRuleIsLoggedWithItsLineAndStaysWhatItWas() {
        write(rule("one", "NEW.amount > 1"), rule("two", "NEW.amount > 2"), rule("three", "NEW.amount > 3"));
        apply();
        write(
                rule("one", "NEW.amont > 1"),
                rule("two", "NEW.amount > 22"),
                rule("three", "NEW.amount > 33") + "    severty: info\n");
        try (RunningRowbell rowbell = start()) {
            assertEquals(List.of("one: NEW.amount > 1", "three: NEW.amount > 3", "two: NEW.amount > 22"), rules());
            assertEquals(2, logged().size(), logged().toString());
            assertTrue(
                    logged().get(0)
                            .startsWith(
                                    "ERROR " + file() + ":4: rule \"one\": condition: column new.amont does not exist"),
                    logged().get(0));
            assertEquals(
                    "ERROR " + file() + ":11: rule \"three\": unknown key \"severty\" (did you mean severity?)",
                    logged().get(1));
            assertEquals(2, Rowbell.of(rowbell.context()).rules().problems().size());
            assertTrue(Rowbell.of(rowbell.context()).rules().summary().endsWith(", 2 wrong: see above"));
        }
    }

    /** LATIN1 has an \u00fc and no euro sign. */
    @Test
    void aRuleWithACharacterThatTheDatabaseLacksIsLostAlone() {
        TestDatabase latin = TestDatabase.createInEncoding("LATIN1");
        latin.execute("create table orders (id int primary key, amount int)");
        settings.put("rowbell.jdbc.url", latin.url());
        write(
                rule("one", "NEW.amount > 1") + "    reason: f\u00fcnf\n",
                rule("two", "NEW.amount > 2") + "    reason: 5 \u20ac\n    severity: loud\n",
                rule("\u20ac", "NEW.amount > 3"),
                rule("four", "NEW.amount > 4"));
        try (RunningRowbell rowbell = start()) {
            assertEquals(
                    List.of("four four", "one f\u00fcnf"),
                    latin.query("select concat(name, ' ', reason) from rowbell.rule order by name"));
            String advice =
                    ": the encoding of the database has no character \u20ac (leave it out, or use a database with the encoding UTF8)";
            assertEquals(
                    List.of(
                            file() + ":9: rule \"two\": reason" + advice,
                            file() + ":11: rule \"\u20ac\": name" + advice),
                    Rowbell.of(rowbell.context()).rules().problems().stream()
                            .map(Problem::toString)
                            .toList());
        }
    }

    @Test
    void aCheckFindsAllFaultsOfARule() throws IOException {
        database.execute("create schema shop", "create table shop.goods (id int)");
        Files.writeString(file(), """
                rules:
                  - name: a
                    feed: nowhere
                    condition: NEW.amount > 5
                    cooldown: soon
                    severity: loud
                    colour: red
                  - feed: nowhere
                    condition: NEW.amount > 5
                  - name: b
                    feed: shop.goods
                    condition: NEW.nothing > 5
                    cooldown: 999999999d
                  - name: b
                    feed: orders
                    condition: NEW.nothing > 5
                  - name: counts
                    feed: orders
                    condition: NEW.amount > 5
                    count: many
                    within: 5m
                """);
        RuleRepository rules = repository();
        RulesFile read = new RulesReader("f", List.of()).read(Files.readString(file()));
        assertEquals(
                List.of(
                        "3 feed",
                        "5 cooldown",
                        "6 severity",
                        "7 null",
                        "8 null",
                        "8 feed",
                        "12 condition",
                        "13 cooldown",
                        "14 name",
                        "16 condition",
                        // and not that within goes with count
                        "20 count"),
                read.problemsWith(rules.check("f", rules.storable(read))).stream()
                        .map(problem -> problem.line() + " " + problem.field())
                        .toList());
        assertEquals(0, database.count("rowbell.rule"));
    }

    /** It is tried again every 10 seconds. */
    @Test
    @Tag("long")
    void aTransactionThatChangesRulesIsNamedAndTheFileIsAppliedAfterIt() throws SQLException {
        write(rule("one", "NEW.amount > 1"));
        settings.put("rowbell.rules.reload", "true");
        try (Connection administrator = database.connect();
                Statement changing = administrator.createStatement()) {
            administrator.setAutoCommit(false);
            changing.execute(
                    "insert into rowbell.rule (name, feed, condition) values ('by-sql', 'orders', 'NEW.amount > 0')");
            try (RunningRowbell rowbell = start()) {
                String problem =
                        Rowbell.of(rowbell.context()).rules().problems().get(0).toString();
                assertTrue(problem.contains("while rules are being changed by pid "), problem);
                administrator.commit();
                await().until(() ->
                        Rowbell.of(rowbell.context()).rules().problems().isEmpty());
                assertEquals(List.of("by-sql: NEW.amount > 0", "one: NEW.amount > 1"), rules());
            }
        }
    }

    @Test
    @Tag("long")
    void aFileThatIsNotThereOrCannotBeReadRemovesNothing() throws IOException {
        write(rule("one", "NEW.amount > 1"), rule("two", "NEW.amount > 2"));
        apply();
        Files.writeString(file(), "rules:\n  - name: [one\n");
        apply();
        // whose name it is nobody knows
        write(rule("one", "NEW.amount > 1"), "  - feed: orders\n");
        apply();
        assertEquals(2, rules().size());
        log.clear();
        Files.delete(file());
        apply();
        assertEquals(2, rules().size());
        assertEquals(
                List.of("WARN rowbell.rules.file=" + file()
                        + ": there is no such file; the rules in the database stay as they are"),
                logged());
        Files.writeString(file(), "# none\n");
        apply();
        assertEquals(List.of(), rules());
    }

    @Test
    void whereRulesMayNotBeWrittenTheStartGoesOn() throws IOException {
        settings.put("rowbell.rules.file", "");
        apply();
        settings.put("rowbell.rules.file", file().toString());
        write(rule("one", "NEW.amount > 1"));
        String role = "reader_of_" + database.name();
        database.execute(
                "create role " + role + " login password 'pw'",
                "grant usage on schema rowbell to " + role,
                "grant select, insert, update, delete on rowbell.feedback, rowbell.delivery, rowbell.dead_letter to "
                        + role,
                "grant select on rowbell.flyway_schema_history to " + role);
        settings.putAll(Map.of("rowbell.migrate", "false", "rowbell.jdbc.user", role, "rowbell.jdbc.password", "pw"));
        try (RunningRowbell rowbell = start()) {
            assertEquals(1, Rowbell.of(rowbell.context()).rules().problems().size());
            List<String> errors =
                    logged().stream().filter(line -> line.startsWith("ERROR")).toList();
            assertEquals(1, errors.size(), errors.toString());
            assertTrue(
                    errors.get(0).contains("permission denied") && errors.get(0).contains("grant rowbell_admin"),
                    errors.get(0));
        }
        await().until(() -> Threads.named("rowbell housekeeping") == 0);
    }

    @Test
    @Tag("long")
    void aFileThatChangesIsAppliedAgain() throws IOException {
        settings.put("rowbell.rules.reload", "true");
        write(rule("one", "NEW.amount > 1"));
        try (RunningRowbell rowbell = start()) {
            Files.writeString(file(), "rules: nonsense\n");
            await().until(() ->
                    logged().stream().anyMatch(line -> line.startsWith("ERROR " + file() + ":1: rules: is no list")));
            assertEquals(List.of("one: NEW.amount > 1"), rules());
            write(rule("two", "NEW.amount > 2"));
            await().until(() -> rules().equals(List.of("two: NEW.amount > 2")));
            await().until(() -> Rowbell.of(rowbell.context()).rules().problems().isEmpty());
            database.execute("select rowbell.disable('two')");
            write(rule("two", "NEW.amount > 22"), rule("three", "NEW.amount > 3"));
            await().until(() -> rules().equals(List.of("three: NEW.amount > 3", "two: NEW.amount > 22")));
            assertEquals(List.of("three"), database.query("select name from rowbell.rule where enabled"));
        }
    }

    @Test
    @Tag("long")
    void whatTheDatabaseRefusedIsAppliedOnceItIsRight() {
        write(rule("one", "NEW.amount > 1"), rule("late", "NEW.amount > 2").replace("orders", "later"));
        try (RunningRowbell rowbell = start()) {
            assertEquals(List.of("one: NEW.amount > 1"), rules());
            database.execute("create table later (id int primary key, amount int)");
            await().until(() -> rules().equals(List.of("late: NEW.amount > 2", "one: NEW.amount > 1")));
            await().until(() -> Rowbell.of(rowbell.context()).rules().problems().isEmpty());
            assertEquals(1, logged().size(), logged().toString());
            database.execute(
                    "insert into rowbell.rule (name, feed, condition, delivery, channel) values ('far', 'later', 'NEW.amount > 0', 'notify', 'other')");
            await().until(
                            () -> logged().contains(
                                            "WARN alerts of rule \"far\" are lost, since Rowbell does not listen to other: add it to rowbell.channels"));
        }
    }

    @Test
    @Tag("long")
    void hitsOfBothWaysAreCountedAndWhatHappensToAFeedIsSaid() {
        write(
                rule("durable", "NEW.amount > 1"),
                rule("fast", "NEW.amount > 1") + "    delivery: notify\n",
                rule("never", "NEW.amount < 0"));
        try (RunningRowbell rowbell = start()) {
            database.awaitListener("channel_1");
            database.execute(
                    "insert into orders select i, 5 from generate_series(1, 1000) i",
                    "update orders set amount = 6 where id = 1",
                    "insert into rowbell.feedback (alert) values ('{\"rule\": \"of somebody else\"}'), ('{\"rule\": \"nul\\u0000\"}')");
            await().until(() -> database.query(
                            "select rule || hits || (last_hit is null) from rowbell.rule_state order by rule")
                    .equals(List.of("durable1000false", "fast1000false", "never0true")));
            database.execute("insert into orders select i, 5 from generate_series(1001, 1010) i");
            // also what the last second brought
            await().until(() -> database.count("rowbell.feedback") == 0);
        }
        assertEquals(List.of("1010"), database.query("select hits from rowbell.rule_state where rule = 'durable'"));
        database.execute("alter table orders rename to purchases");
        settings.put("rowbell.rules.file", "");
        // the start compares rules and feeds before the first task does
        try (LogLines atStart = new LogLines("dev.rowbell.database");
                RunningRowbell rowbell = start()) {
            await().until(() -> Stream.concat(atStart.lines().stream(), logged().stream())
                    .anyMatch(line -> line.matches("WARN feed public.orders .*public.purchases.*")));
        }
    }

    /** Empty where all is well. */
    private static String unwell(RunningRowbell rowbell) {
        HealthCheck.Result result = HealthCheckRegistry.get(rowbell.context())
                .getCheck("rowbell-rules")
                .orElseThrow()
                .callReadiness();
        return result.getState() == HealthCheck.State.UP
                ? ""
                : result.getMessage().orElse("down");
    }

    @Test
    @Tag("long")
    void healthSaysWhichRuleIsWrongAndWhy() {
        write(rule("large", "NEW.amount > 10"), rule("wrong", "NEW.amout > 10"));
        try (RunningRowbell rowbell = start()) {
            database.execute("insert into orders values (1, 1)");
            await().until(() -> database.count("rowbell.rule") == 1);
            assertTrue(
                    unwell(rowbell)
                            .startsWith(file() + ":7: rule \"wrong\": condition: column new.amout does not exist"),
                    unwell(rowbell));
        }
        write(rule("large", "NEW.amount > 10"));
        try (RunningRowbell rowbell = start()) {
            assertEquals("", unwell(rowbell));
            database.execute("alter table orders rename column amount to total", "select event from rowbell.refresh()");
            await().until(() -> unwell(rowbell)
                    .equals("rule \"large\" is broken and is left out: condition: column new.amount does not exist"));
        }
    }
}
