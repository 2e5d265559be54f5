package dev.rowbell.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Rowbell;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** PostgreSQL runs a stranger's immutable function while it plans a condition. However long that takes, it holds up its own feed alone. */
@Tag("long")
class SlowFeedTest {

    /** Less than the function sleeps, and more than a busy machine takes. */
    private static final String PATIENCE = "set statement_timeout = '30s'";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void feeds() {
        settings.put("rowbell.file.dir", "");
        settings.put("rowbell.console", "OFF");
        database.execute(
                "create schema shop",
                "create table switched_on ()",
                "grant select on switched_on to public",
                """
                create function slow() returns int immutable language plpgsql as $f$
                begin
                  if exists (select from public.switched_on) then
                    perform pg_sleep(60);
                  end if;
                  return 1;
                end $f$
                """,
                "create table shop.a (id int, n int) partition by list (id)",
                "create table shop.a1 partition of shop.a for values in (1)",
                "create table shop.b (id int, n int)");
    }

    @Test
    void aSlowFeedHoldsUpNeitherRulesNorWritersOfAnother() throws SQLException {
        database.execute(rule("fast", "shop.a", "NEW.n > 5"), rule("slow", "shop.b", "NEW.n > public.slow()"));
        try (LogLines log = new LogLines("dev.rowbell.rules");
                RunningRowbell rowbell = RunningRowbell.start(settings);
                Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            database.execute("create table shop.a2 partition of shop.a for values in (2)");
            switchOn();
            await().until(() -> database.count("pg_trigger where tgrelid = 'shop.a2'::regclass") > 1);
            awaitSleeper();
            statement.execute(PATIENCE);
            statement.execute("insert into shop.a values (1, 6), (2, 6)");
            statement.execute("update rowbell.rule set condition = 'NEW.n > 6' where name = 'fast'");
            statement.execute(rule("new", "shop.a", "NEW.n > 7"));
            statement.execute("create table shop.c (id int, n int)");
            statement.execute(rule("newer", "shop.c", "NEW.n > 5"));
            statement.execute("insert into shop.a values (1, 9), (2, 9)");
            assertEquals(1, sleepers());
            await().until(() -> log.lines().stream()
                    .anyMatch(line -> line.startsWith("WARN feed shop.b could not be compared with its rules")));
        }
    }

    @Test
    void rulesOfAFileAreAppliedBesideASlowFeed() throws IOException {
        Path file = dir.resolve("rules.yaml");
        write(file, 5);
        settings.put("rowbell.rules.file", file.toString());
        settings.put("rowbell.rules.reload", "true");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            assertEquals(List.of("NEW.n > 5", "NEW.n > public.slow()"), conditions());
            switchOn();
            write(file, 6);
            await().until(() -> conditions().equals(List.of("NEW.n > 6", "NEW.n > public.slow()")));
            await().until(() -> Rowbell.of(rowbell.context()).rules().problems().size() == 1);
            String problem =
                    Rowbell.of(rowbell.context()).rules().problems().get(0).toString();
            assertTrue(problem.startsWith(file + ":3: the rules of shop.b could not be applied, because"), problem);
            database.execute("truncate switched_on");
        }
    }

    /** A rule that is new takes no lock that others wait for while its functions run. */
    @Test
    void anAdministratorWhoMakesASlowRuleKeepsNoOtherFromMakingOne() throws Exception {
        switchOn();
        try (Connection slow = database.connect();
                Statement making = slow.createStatement();
                Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            Thread administrator = new Thread(() -> {
                try {
                    making.execute(rule("slow", "shop.b", "NEW.n > public.slow()"));
                } catch (SQLException e) {
                    // cancelled below
                }
            });
            administrator.start();
            awaitSleeper();
            statement.execute(PATIENCE);
            statement.execute(rule("fast", "shop.a", "NEW.n > 5"));
            statement.execute("insert into shop.a values (1, 9)");
            assertEquals(1, sleepers());
            assertEquals(1, database.count("rowbell.feedback"));
            making.cancel();
            administrator.join();
        }
    }

    private void switchOn() {
        database.execute("alter table switched_on add one int", "insert into switched_on values (1)");
    }

    private void awaitSleeper() {
        await().until(() -> sleepers() == 1);
    }

    private long sleepers() {
        return database.count("pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'");
    }

    private List<String> conditions() {
        return database.query("select condition from rowbell.rule order by 1");
    }

    private static void write(Path file, int limit) throws IOException {
        Files.writeString(file, """
                rules:
                  - name: slow
                    feed: shop.b
                    condition: NEW.n > public.slow()
                  - name: fast
                    feed: shop.a
                    condition: NEW.n > %d
                """.formatted(limit));
    }

    private static String rule(String name, String feed, String condition) {
        return "insert into rowbell.rule (name, feed, condition, fires) values ('%s', '%s', '%s', 'every')"
                .formatted(name, feed, condition);
    }
}
