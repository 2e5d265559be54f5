package dev.rowbell.time;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.health.Watchdog;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** A rule with a query fires for each key that comes into its result, once, whatever happens between two runs. */
class QueryRuleTest {

    private static final Duration TIMEOUT = Duration.ofSeconds(10);
    private static final String QUERY =
            "select account, sum(amount) as balance from public.movement group by account having sum(amount) < 0";

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final List<QueryLoop> loops = new ArrayList<>();

    @BeforeEach
    void movements() {
        database.execute("create table movement (account int, amount numeric)");
    }

    @AfterEach
    void stop() {
        loops.forEach(QueryLoop::stop);
    }

    private DataSource sessions() {
        return new DriverManagerDataSource(
                database.url(),
                database.settings().get("rowbell.jdbc.user"),
                database.settings().get("rowbell.jdbc.password"));
    }

    /** What one process does. */
    private QueryLoop process() {
        return process(new QueryRunner(sessions(), TIMEOUT, null));
    }

    private QueryLoop process(QueryRunner runner) {
        QueryLoop loop = new QueryLoop(
                new QueryRepository(sessions(), sessions()), runner, new Watchdog(), Duration.ofMillis(20));
        loops.add(loop);
        loop.look();
        return loop;
    }

    private void rule(String name, String query, String more) {
        database.execute(
                "insert into rowbell.rule (name, query, key, every%s) values ('%s', '%s', '{account}', '1 h'%s)"
                        .formatted(
                                more.replaceAll("=.*?(,|$)", "$1"),
                                name,
                                query.replace("'", "''"),
                                more.replaceAll("(\\w+)=", "")));
    }

    /** Each alert as {@code firing 1}, of the account. */
    private List<String> alerts() {
        return database.query(
                "select concat_ws(' ', alert ->> 'status', alert -> 'new' ->> 'account') from rowbell.feedback order by crt_time");
    }

    /** Runs the query of each rule now, and returns when it ran. */
    private void run() {
        database.execute("update rowbell.query_run set due = '-infinity'");
        awaitRuns();
    }

    private void awaitRuns() {
        await().until(() -> database.count("rowbell.query_rules() r where r.due <= clock_timestamp()") == 0);
    }

    private List<String> failures() {
        return database.query("select failure from rowbell.rule_failure order by failed");
    }

    @Test
    void aKeyFiresOnceWhileItIsInTheResultAndResolvesWhenItIsGone() {
        database.execute("insert into movement values (1, 5), (2, -1.50), (2, -1), (3, -7)");
        rule("ledger-off", QUERY, ", resolved=true");
        process();
        awaitRuns();
        assertEquals(List.of("firing 2", "firing 3"), sorted());
        database.execute("insert into movement values (1, -9), (2, -0.50)");
        run();
        run();
        assertEquals(List.of("firing 1", "firing 2", "firing 3"), sorted());
        database.execute("insert into movement values (2, 100)", "delete from movement where account = 3");
        run();
        assertEquals(
                List.of("{\"account\":2,\"balance\":-3.00}", "{\"account\":3,\"balance\":-7}"),
                database.query(
                        "select alert ->> 'new' from rowbell.feedback where alert ->> 'status' = 'resolved' order by 1"));
        assertEquals(List.of("1"), database.query("select subject ->> 'account' from rowbell.query_key"));
        database.execute("insert into movement values (2, -1000)");
        run();
        assertEquals("firing 2", alerts().get(5));
    }

    private List<String> sorted() {
        return alerts().stream().sorted().toList();
    }

    @Test
    void theDocumentHasTheRowOfTheResultAsPostgresqlWritesItAndNoTable() {
        rule(
                "odd",
                "select 7 as account, 60000.00 as n, 'a\"b' as t, timestamptz '2026-11-23 08:00+01' as at, '{1,NULL}'::int[] as a, 1e2::float8 as f;",
                ", severity='critical'");
        process();
        awaitRuns();
        assertEquals(
                "{\"account\":7,\"n\":60000.00,\"t\":\"a\\\"b\",\"at\":\"2026-11-23T07:00:00+00:00\",\"a\":[1,null],\"f\":100}",
                database.query("select alert ->> 'new' from rowbell.feedback").get(0));
        assertEquals(
                "odd odd critical firing TIMER channel_1 [\"account\"] no-table no-old",
                database.query("""
                        select concat_ws(' ', alert ->> 'rule', alert ->> 'reason', alert ->> 'severity', alert ->> 'status', alert ->> 'operation',
                          alert ->> 'channel', alert ->> 'key', coalesce(alert ->> 'table', 'no-table'), coalesce(alert ->> 'old', 'no-old'))
                        from rowbell.feedback
                        """).get(0));
    }

    @Test
    void aRestartFiresNothingTwiceAndLosesNothing() {
        database.execute("insert into movement values (1, -1), (2, -2)");
        rule("ledger-off", QUERY, ", resolved=true");
        QueryLoop first = process();
        awaitRuns();
        first.stop();
        database.execute("delete from movement where account = 1", "insert into movement values (3, -3)");
        process();
        run();
        assertEquals(List.of("firing 1", "firing 2", "firing 3", "resolved 1"), sorted());
    }

    @Test
    @Tag("long")
    void ofTwoProcessesOneRunsAQueryAtATime() {
        rule("often", "select 1 as account, pg_sleep(0.3)", ", fires='every'");
        database.execute("update rowbell.rule set every = '1 s'");
        process();
        process();
        await().until(() -> alerts().size() >= 4);
        List<Instant> times = database
                .query(
                        "select to_char(crt_time at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from rowbell.feedback")
                .stream()
                .map(Instant::parse)
                .sorted()
                .toList();
        for (int i = 1; i < times.size(); i++) {
            assertTrue(
                    Duration.between(times.get(i - 1), times.get(i)).toMillis() >= 600, "two runs at a time: " + times);
        }
    }

    @Test
    @Tag("long")
    void runsThatWereMissedAreNotMadeUp() {
        rule("every-minute", "select 1 as account", ", fires='every'");
        rule("at-eight", "select 2 as account", ", fires='every'");
        database.execute(
                "update rowbell.rule set every = null, cron = '0 8 * * *', zone = 'Europe/Berlin' where name = 'at-eight'");
        QueryLoop first = process();
        awaitRuns();
        assertEquals(List.of("firing 1"), alerts());
        assertEquals(
                List.of("08:00:00"),
                database.query(
                        "select (due at time zone 'Europe/Berlin')::time from rowbell.query_run where rule = 'at-eight'"));
        first.stop();
        database.execute("update rowbell.query_run set due = clock_timestamp() - interval '3 h 20 min'");
        process();
        awaitRuns();
        assertEquals(List.of("firing 1", "firing 1"), alerts());
        database.execute("update rowbell.query_run set due = clock_timestamp() - interval '2 min'");
        awaitRuns();
        assertEquals(List.of("firing 1", "firing 1", "firing 1", "firing 2"), sorted());
    }

    @Test
    void anErrorIsAFailureOfTheRuleAndKeepsTheStateAsItWas() {
        database.execute("insert into movement values (1, -1), (2, -2)");
        rule("ledger-off", QUERY + " and 1 / (select count(*) from public.movement) >= 0", ", resolved=true");
        process();
        awaitRuns();
        database.execute("create table gone as select * from movement", "delete from movement");
        run();
        assertEquals(List.of("division by zero"), failures());
        database.execute("insert into movement select * from gone where account = 2");
        run();
        assertEquals(List.of("firing 1", "firing 2", "resolved 1"), sorted());
        database.execute("select rowbell.report_failures()");
        assertEquals(
                List.of("rowbell-rule-failed rule=ledger-off"),
                database.query("select concat_ws(' ', alert ->> 'rule', alert ->> 'key') from rowbell.feedback"
                        + " where alert ->> 'severity' = 'critical'"));
    }

    @Test
    @Tag("long")
    void aRowWithoutAKeyAndTwoWithTheSameAreFailures() {
        rule("null", "select null::int as account", "");
        rule("twice", "select 1 as account from generate_series(1, 2)", "");
        process();
        awaitRuns();
        assertEquals(
                List.of(
                        "a row of the result has no account",
                        "two rows of the result have the key { \"account\" : \"1\" }"),
                failures().stream().sorted().toList());
        assertEquals(List.of(), alerts());
    }

    @Test
    @Tag("long")
    void aQueryThatTakesTooLongIsAFailureAndDelaysNoOther() {
        rule("slow", "select 1 as account, pg_sleep(600)", "");
        rule("quick", "select 2 as account", "");
        process(new QueryRunner(sessions(), Duration.ofMillis(1500), null));
        awaitRuns();
        assertEquals(List.of("firing 2"), alerts());
        assertEquals(List.of("canceling statement due to statement timeout (rowbell.query.timeout)"), failures());
    }

    @Test
    void aQueryCanChangeNothing() {
        database.execute(
                "create function public.writes() returns int language sql volatile as 'insert into public.movement values (1, 1) returning 1'",
                "grant insert on movement to public");
        rule("writes", "select public.writes() as account", "");
        rule(
                "escapes",
                "select 1 as account, set_config(''transaction_read_only'', ''off'', true), public.writes()"
                        .replace("''", "'"),
                "");
        rule("role", "select 1 as account, set_config('role', 'none', true)", "");
        process();
        awaitRuns();
        assertEquals(3, failures().size(), () -> failures().toString());
        assertTrue(
                failures().contains("cannot execute INSERT in a read-only transaction"),
                () -> failures().toString());
        assertEquals(0, database.count("movement"));
        assertEquals(List.of(), alerts());
    }

    @Test
    void moreRowsThanMaxRowsFireAsOneAlertThatSaysSo() {
        rule("flood", "select account from public.movement", ", resolved=true, max_rows=10, reason='off'");
        database.execute("insert into movement select n, 0 from generate_series(1, 10) n");
        process();
        awaitRuns();
        assertEquals(10, alerts().size());
        database.execute("insert into movement select n, 0 from generate_series(11, 2000) n");
        run();
        run();
        assertEquals(List.of("firing off: more than 10 rows {} []"), database.query("""
                        select concat_ws(' ', alert ->> 'status', alert ->> 'reason', alert ->> 'new', alert ->> 'key')
                        from rowbell.feedback where alert ->> 'reason' <> 'off'
                        """));
        database.execute("delete from movement where account > 5");
        run();
        assertEquals(
                List.of(
                        "resolved off 10",
                        "resolved off 6",
                        "resolved off 7",
                        "resolved off 8",
                        "resolved off 9",
                        "resolved off: more than 10 rows"),
                database.query("""
                        select concat_ws(' ', alert ->> 'status', alert ->> 'reason', alert -> 'new' ->> 'account')
                        from rowbell.feedback where alert ->> 'status' = 'resolved' order by 1
                        """));
    }

    /** A function reads what the text of the query does not name. */
    @Test
    void aMissingRightIsOneFailureThatNamesTheGrant() {
        database.execute(
                "create table secret (id int)",
                "create function public.peek() returns bigint language sql stable as 'select count(*) from public.secret'");
        rule("peeks", "select public.peek() as account", "");
        process();
        awaitRuns();
        run();
        String role = database.query("select rowbell.role_of(0)").get(0);
        assertEquals(
                List.of("permission denied for table secret (grant select on public.secret to %s)".formatted(role)),
                failures());
        database.execute("grant select on public.secret to " + role);
        run();
        assertEquals(List.of("firing 0"), alerts());
    }

    /** Also one with operators that JDBC takes for parameters. */
    @Test
    @Tag("long")
    void aLoginOfItsOwnRunsTheQueryWithItsRights() {
        String role = "query_" + database.name();
        database.execute(
                "create role %s login password 'secret'".formatted(role),
                "revoke all on movement from public",
                "insert into movement values (1, -1)");
        rule("ledger-off", QUERY + " and '{\"a\": 1}'::jsonb ? 'a'", "");
        process(new QueryRunner(new DriverManagerDataSource(database.url(), role, "secret"), TIMEOUT, role));
        awaitRuns();
        assertEquals(
                List.of("permission denied for table movement (grant select on public.movement to %s)".formatted(role)),
                failures());
        database.execute("grant select on movement to " + role);
        run();
        assertEquals(List.of("firing 1"), alerts());
        database.execute("drop owned by " + role, "drop role " + role);
    }

    @Test
    @Tag("long")
    void aRuleThatIsChangedRunsAtOnceAndOneThatIsGoneIsForgotten() {
        rule("ledger-off", QUERY, ", resolved=true");
        QueryLoop loop = process();
        awaitRuns();
        database.execute("insert into movement values (4, -4)", "update rowbell.rule set every = '2 h'");
        awaitRuns();
        assertEquals(List.of("firing 4"), alerts());
        database.execute("update rowbell.rule set enabled = false", "update rowbell.query_run set due = '-infinity'");
        loop.look();
        assertEquals(1, database.count("rowbell.query_key"));
        database.execute("delete from rowbell.rule");
        loop.look();
        assertEquals(0, database.count("rowbell.query_key"));
        assertEquals(0, database.count("rowbell.query_run"));
    }

    @Test
    void aCronThatPostgresqlTakesAndNoOneCanReadLeavesTheRuleOut() {
        rule("off", "select 1 as account", "");
        database.execute("update rowbell.rule set every = null, cron = '0 8 32 * *'");
        process();
        await().until(() ->
                database.query("select broken from rowbell.rule_state").get(0) != null);
        assertTrue(
                database.query("select broken from rowbell.rule_state").get(0).startsWith("cron: "));
    }

    /** Each line has members of a rule that make it wrong, and how its problem begins. */
    @Test
    @Tag("long")
    void aWrongCombinationIsRefusedWithItsReason() {
        for (String line : """
                "query": "insert into public.movement values (1, 2) returning *" | query: only reads
                "query": "with w as (delete from public.movement returning *) select * from w" | query: only reads
                "query": "select 1 as account) as _r limit 0; drop table public.movement; select from (select 1 as b" | query: syntax error
                "query": "select 1 as account; drop table public.movement" | query: syntax error
                "query": "select * from movement" | query: relation "movement" does not exist
                "key": ["acount"] | key: the result has no column acount
                "key": null | key: has no key
                "every": null | every: has neither every nor cron
                "every": "100 ms" | every: give a duration of at least a second
                "cron": "0 8 * * *" | every: every and cron
                "every": null, "cron": "0 8 * * * *" | cron: give five fields
                "every": null, "cron": "0 8 * * *", "zone": "Mars/Base" | zone: there is no time zone
                "zone": "UTC" | zone: goes with cron
                "feed": "public.movement" | feed: feed and query
                "query": "select 1 as account /* all" | query: unterminated /* comment
                "key": ["account", "account"] | key: has a name twice
                "condition": "true" | condition: goes with a feed
                "operations": ["delete"] | operations: goes with a feed
                "delivery": "notify" | delivery: notify is for
                "fires": "every", "resolved": true | fires: every
                "max_rows": 0 | max_rows: give a number
                "query": null | every: goes with a query
                """.lines().toList()) {
            String[] parts = line.split(" [|] ");
            String rule =
                    "('{\"name\": \"r\", \"query\": \"select account from public.movement\", \"key\": [\"account\"], \"every\": \"1 m\"}'::jsonb || '{%s}')::json"
                            .formatted(parts[0]);
            List<String> problems =
                    database.query("select concat(field, ': ', problem) from rowbell.check_rule(%s)".formatted(rule));
            assertTrue(problems.stream().anyMatch(problem -> problem.startsWith(parts[1])), line + problems);
            assertThrows(
                    IllegalStateException.class,
                    () -> database.execute("insert into rowbell.rule select (rowbell.rule_of(%s)).*".formatted(rule)));
        }
        assertEquals(0, database.count("movement"));
    }

    @Test
    void aRuleThatIsRightHasNoProblem() {
        assertEquals(Collections.emptyList(), database.query("""
                        select problem from rowbell.check_rule('{"name": "r", "query": "-- all\\n(select account from public.movement);",
                          "key": ["account"], "cron": "0 8 * * MON-FRI", "zone": "Europe/Berlin"}')
                        """));
    }

    /** Through the shipped routes, with its line where it is wrong. */
    @Test
    @Tag("long")
    void aRuleOfTheFileFiresAndIsSilencedAsAnyOther(@TempDir Path dir) throws IOException {
        Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: ledger-off
                    query: |
                      select account, sum(amount) as balance
                      from public.movement group by account having sum(amount) < 0;
                    key: account
                    every: 1s
                    max-rows: 50
                    resolved: true
                  - name: wrong
                    query: select account from public.movement
                    key: [account]
                    every: 1m
                    max-rows: 0
                  - name: never
                    query: select account from public.movement
                    key: [account]
                    cron: "0 8 32 * *"
                """);
        database.execute(
                "insert into movement values (7, -1.50), (8, -1)",
                "insert into rowbell.silence (rule, key, until, why) values ('ledger-*', 'account=8', 'infinity', 'known')");
        Map<String, String> settings = database.settings();
        settings.put("rowbell.rules.file", dir.resolve("rules.yaml").toString());
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.source", "shop");
        try (LogLines log = new LogLines("dev.rowbell.rules");
                RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> !AlertFiles.read(dir.resolve("alerts")).isEmpty());
            Map<String, Object> alert = AlertFiles.read(dir.resolve("alerts")).get(0);
            assertEquals("shop/ledger-off//account=7", alert.get("fingerprint"));
            assertEquals("TIMER", alert.get("operation"));
            assertEquals(Map.of(), alert.get("old"));
            assertEquals("{account=7, balance=-1.50}", alert.get("new").toString());
            List<String> problems = log.lines().stream()
                    .filter(line -> line.contains("rules.yaml"))
                    .map(line -> line.replaceFirst(".*rules.yaml", ""))
                    .toList();
            assertEquals(":14: rule \"wrong\": max-rows: give a number from 1 to 10000", problems.get(0));
            assertTrue(problems.get(1).startsWith(":18: rule \"never\": cron: "), problems::toString);
            database.execute("delete from movement");
            await().until(() ->
                    AlertFiles.values(dir.resolve("alerts"), "status").contains("resolved"));
            // of those that are silenced, both were counted
            await().until(() ->
                    database.query("select silenced from rowbell.silence").equals(List.of("2")));
            assertEquals(2, AlertFiles.read(dir.resolve("alerts")).size());
            assertTrue(rowbell.context().isStarted());
        }
        assertEquals(List.of("ledger-off"), database.query("select name from rowbell.rule"));
    }

    @Test
    @Tag("long")
    void theQueryRunsWhereAndAsWhomTheSettingsSay(@TempDir Path dir) {
        String role = "query_" + database.name();
        database.execute("create role %s login password ' a secret '".formatted(role));
        rule("who", "select 1 as account, session_user, current_setting('application_name') as application", "");
        Map<String, String> settings = database.settings();
        settings.put("rowbell.query.url", database.url() + "?user=nobody&ApplicationName=standby");
        settings.put("rowbell.query.user", role);
        settings.put("rowbell.query.password", " a secret ");
        settings.put("rowbell.query.timeout", "1m");
        settings.put("rowbell.file.dir", dir.toString());
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> !AlertFiles.read(dir).isEmpty());
            assertEquals(
                    "{account=1, session_user=%s, application=standby}".formatted(role),
                    AlertFiles.read(dir).get(0).get("new").toString());
            assertTrue(rowbell.context().isStarted());
        }
        database.execute("drop role " + role);
    }

    @Test
    void aProcessThatRunsAQueryKeepsOthersFromItUntilItsSessionEnds() throws SQLException {
        rule("r", "select 1 as account", "");
        assertEquals(List.of("0"), database.query("select rowbell.next_query()"));
        try (Connection process = database.connect();
                Statement statement = process.createStatement()) {
            process.setAutoCommit(false);
            statement.execute("select from rowbell.take_query()");
            assertEquals(0, database.count("rowbell.take_query()"));
        }
        await().until(() -> database.count("rowbell.take_query()") == 1);
        assertThrows(
                IllegalStateException.class,
                () -> database.query("select rowbell.query_rows('select set_config(''role'', ''none'', true)', 1)"));
    }
}
