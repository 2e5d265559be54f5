package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** Whatever a row holds, no rule fails the statement that writes it. */
class WriterTest {

    /** A type, and two of its values: the strange ones. */
    private static final List<String[]> VALUES = values(
            "json | '{\"a\":\"\\u0000\"}' | '{\"a\":\"\\ud800\"}'",
            "json | '[1e1000000, -1e-1000000]' | '{\"a\":1,\"a\":2,\"old\":3}'",
            "json | (repeat('[', 3000) || repeat(']', 3000))::json | E'{\"a\":\\n 1}'",
            "jsonb | '{\"a\":[1,{\"b\":null}]}' | 'null'",
            "json[] | array['{\"a\":\"\\u0000\"}'::json, null] | '{}'",
            "text | repeat('é\"\\', 3000) | E'\\x01\\x1f\\x7f\\u2028'",
            "text[] | array['a', '\"', null, E'\\x01', '\\u0000'] | '{}'",
            "int[] | '{{1,2},{3,4}}' | '[5:6]={1,2}'",
            "int4range | '[1,2)' | 'empty'",
            "tstzrange | '[-infinity,infinity]' | '(,)'",
            "xml | '<a>x</a>' | '<?xml version=\"1.0\"?><b/>'",
            "bytea | '\\x00ff00' | ''",
            "bit(5) | B'10101' | B'00000'",
            "varbit | B'1' | B''",
            "money | '12.5' | '-1000000'",
            "interval | '1 year -2 days 3 h' | '-1 mon'",
            "timestamp | '4713-01-01 BC' | 'infinity'",
            "timestamptz | '4713-01-01 BC' | '-infinity'",
            "timestamptz | '294276-12-31' | 'infinity'",
            "date | '4713-01-01 BC' | 'infinity'",
            "time | '24:00' | '00:00'",
            "timetz | '24:00+15:59' | '00:00-15:59'",
            "float8 | 'NaN' | '-Infinity'",
            "float4 | 'NaN' | '3.4e38'",
            "numeric | 'NaN' | -1.0",
            "numeric | repeat('9', 100000)::numeric | 10::numeric ^ -10000",
            "public.pair | row(1, '{\"a\":\"\\u0000\"}', null)::public.pair | null",
            "public.pair[] | array[row(1, '{}', array['x'])::public.pair, null] | '{}'",
            "public.mood | 'a' | 'b \"q\" \\u0000'",
            "public.short | 'x' | null",
            "tsvector | to_tsvector('simple', 'the \" brown') | ''",
            "tsquery | 'a & b' | '!c'",
            "point | '(NaN,inf)' | '(0,0)'",
            "polygon | '((0,0),(1,1))' | '((0,0))'",
            "circle | '<(0,0),1>' | '<(0,0),0>'",
            "line | '{1,2,3}' | '{1,0,0}'",
            "box | '(0,0),(1,1)' | '(0,0),(0,0)'",
            "path | '[(0,0)]' | '((0,0))'",
            "inet | '::1/64' | '10.0.0.1'",
            "cidr | '10/8' | '::/0'",
            "macaddr8 | '08:00:2b:01:02:03:04:05' | '08:00:2b:01:02:03'",
            "uuid | gen_random_uuid() | gen_random_uuid()",
            "name | 'a' | ''",
            "\"char\" | '\\200'::\"char\" | ''",
            "regclass | 'pg_class' | 99999999",
            "pg_lsn | '0/1' | 'FFFFFFFF/FFFFFFFF'",
            "xid | '1' | '2'",
            "tid | '(0,1)' | '(1,1)'",
            "jsonpath | '$.a' | '$'",
            "aclitem | '=r/pg_monitor' | null");

    private final TestDatabase database = TestDatabase.createWithSchema();

    private static List<String[]> values(String... lines) {
        return List.of(lines).stream().map(line -> line.split(" \\| ")).toList();
    }

    private String each(String part) {
        return VALUES.stream().map(value -> part).collect(Collectors.joining());
    }

    /** Five rules on the feed, one for each way that an alert takes, and one that fails. */
    private void rules(String feed, String columns) {
        for (String rule : List.of(
                "'durable', '%s', 'NEW.n > 0', 'once', 'durable', true, '{}', '0'",
                "'changed', '%s', 'NEW.n >= 0', 'changed', 'durable', false, '%s', '1 h'",
                "'notify', '%s', 'NEW.n > 0', 'every', 'notify', true, '{}', '0'",
                "'notify changed', '%s', 'pg_catalog.abs(NEW.n) > 0', 'changed', 'notify', false, '%s', '0'",
                "'fails', '%s', '1 / NEW.n > 5', 'every', 'durable', false, '{}', '0'")) {
            database.execute(
                    ("insert into rowbell.rule (name, feed, condition, fires, delivery, resolved, columns, cooldown, operations)"
                                    + " values (" + rule + ", '{insert,update,delete}')")
                            .formatted(feed, columns));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    @Tag("long")
    void aValueOfAnyTypeFailsNoWriter(String each) {
        database.execute(
                "create type public.pair as (a int, j json, t text[])",
                "create type public.mood as enum ('a', 'b \"q\" \\u0000')",
                "create domain public.short as text check (value <> 'long')");
        List<String> columns =
                IntStream.range(0, VALUES.size()).mapToObj(i -> "v" + i).toList();
        database.execute(
                "create table feed (id int primary key, n int, pad text, %s)"
                        .formatted(IntStream.range(0, VALUES.size())
                                .mapToObj(i -> "v" + i + " " + VALUES.get(i)[0])
                                .collect(Collectors.joining(", "))),
                "select rowbell.for_each('public.feed', '" + each + "')");
        rules("public.feed", "{pad," + String.join(",", columns) + "}");
        // the first round has alerts that are cut down for a notification
        List<String> statements = new ArrayList<>();
        for (int v = 1; v <= 2; v++) {
            for (int i = 0; i < VALUES.size(); i++) {
                String column = "v" + i;
                String[] value = VALUES.get(i);
                statements.addAll(List.of(
                        "truncate feed",
                        "insert into feed (id, n, pad, %s) values (1, 1, repeat('x', %d), %s), (2, 0, null, %s)"
                                .formatted(column, 9000 * (2 - v), value[v], value[3 - v]),
                        "update feed set n = 1 - n, %s = %s".formatted(column, value[3 - v]),
                        "insert into feed (id, n, %1$s) values (1, 1, %2$s) on conflict (id) do update set n = 5, %1$s = excluded.%1$s"
                                .formatted(column, value[v]),
                        "delete from feed"));
            }
        }
        database.execute(statements.toArray(String[]::new));
        int rounds = 2 * VALUES.size();
        assertEquals(
                List.of(
                        "DELETE resolved " + 2 * rounds,
                        "INSERT firing " + rounds,
                        "UPDATE firing " + 2 * rounds,
                        "UPDATE resolved " + rounds),
                database.query("select concat_ws(' ', substring(alert::text, '\"operation\":\"(\\w+)'),"
                        + " substring(alert::text, '\"status\":\"(\\w+)'), count(*)) from rowbell.feedback"
                        + " where alert::text like '%\"rule\":\"durable\"%' group by substring(alert::text, '\"operation\":\"(\\w+)'),"
                        + " substring(alert::text, '\"status\":\"(\\w+)') order by 1"));
        database.execute("select rowbell.report_failures()");
        assertEquals(List.of("fails"), database.query("select rule from rowbell.rule_state where failure is not null"));
    }

    @Test
    void anAlertThatIsCutDownKeepsItsKeyAndWhatFits() {
        database.execute("create table documents (a json, id int primary key, b json, note text)");
        rule("'wide', 'public.documents', 'NEW.id > 0', 'notify', 'every'");
        List<Map<String, Object>> alerts = notified(
                "insert into documents values ('{\"id\":7,\"a\":\"\\u0000\\\\u0041\"}', 1, '[1e1000000]', repeat('x', 9000))",
                "update documents set note = repeat('y', 9000)",
                "update documents set a = null, note = null");
        assertEquals(
                "{\"id\":7,\"a\":\"?\\\\u0041\"}",
                AlertJson.write(((Map<?, ?>) alerts.get(0).get("new")).get("a")));
        assertEquals(Set.of("a", "id", "b"), ((Map<?, ?>) alerts.get(0).get("new")).keySet());
        assertEquals(List.of("note"), alerts.get(1).get("changed"));
        assertEquals(true, alerts.get(1).get("truncated"));
        assertEquals(List.of("a", "note"), alerts.get(2).get("changed"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aDurableAlertThatIsTooLongIsCutDown(String each) {
        database.execute(
                "insert into rowbell.setting values ('alert.max-size', '20000')",
                "create table feed (id int primary key, n int, note text)",
                "select rowbell.for_each('public.feed', '" + each + "')");
        rule("'wide', 'public.feed', 'NEW.n > 0', 'durable', 'once'");
        database.execute(
                "insert into feed values (1, 1, repeat('x', 19000))",
                "insert into feed values (2, 1, repeat('x', 21000)), (3, 1, 'y')",
                "update feed set n = 0",
                "update feed set n = n + 1");
        assertEquals(
                List.of(
                        "INSERT 1 19000",
                        "INSERT 2 0 true [\"id\",\"n\",\"note\"]",
                        "INSERT 3 1",
                        "UPDATE 1 19000 true [\"n\"]",
                        "UPDATE 2 0 true [\"n\"]",
                        "UPDATE 3 1"),
                database.query("select concat_ws(' ', alert->>'operation', alert->'new'->>'id',"
                        + " coalesce(length(alert->'new'->>'note'), 0), alert->>'truncated', alert->>'changed')"
                        + " from rowbell.feedback order by alert->>'operation', alert->'new'->>'id'"));
        assertEquals(0, database.count("rowbell.feedback where octet_length(alert::text) > 20000"));
    }

    /** The value is nested so deep that it just fits the stack of its writer, and no more the stack of a trigger. */
    @Test
    void aValueThatIsNestedTooDeepForATriggerFailsNoWriter() {
        database.execute("create table feed (id int primary key, doc json)");
        String insert = "insert into feed values (%1$d, (repeat('[', %1$d) || repeat(']', %1$d))::json)";
        int fits = 100;
        int tooDeep = 1_000_000;
        while (tooDeep - fits > 1) {
            int depth = (fits + tooDeep) / 2;
            try {
                database.execute(insert.formatted(depth));
                fits = depth;
            } catch (IllegalStateException e) {
                tooDeep = depth;
            }
        }
        database.execute("truncate feed");
        rule("'deep', 'public.feed', 'NEW.id > 0', 'durable', 'every'");
        for (int less = 1; less < 200; less += 10) {
            database.execute(insert.formatted(fits - less));
        }
        assertEquals(20, database.count("feed"));
        assertEquals(20, database.count("rowbell.feedback where alert::text like '%\"rule\":\"deep\"%'"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aWarningThatTheWritersEncodingLacksFailsNoWriter(String each) {
        database.execute(
                "create table \"\u0416\" (t text)",
                "select rowbell.for_each('public.\u0416', '" + each + "')",
                "insert into rowbell.rule (name, feed, condition) values ('\u0416', 'public.\u0416', 'NEW.t::int > 0')",
                // the driver insists on its encoding, so that it is another one within a statement only
                """
                do $do$
                begin
                  alter function rowbell_alert.again_1 rename to gone;
                  perform set_config('client_encoding', 'latin1', true);
                  insert into "\u0416" values (chr(1046));
                  alter function rowbell_alert.gone rename to again_1;
                  alter function rowbell.rule_failed rename to gone;
                  insert into "\u0416" values (chr(1046));
                  perform set_config('client_encoding', 'utf8', true);
                end $do$
                """);
        assertEquals(2, database.count("\"\u0416\""));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aStatementThatCannotBeJudgedAtAllIsAFailureOfEachRule(String each) {
        database.execute("create table feed (n int)", "select rowbell.for_each('public.feed', '" + each + "')");
        rule("'a', 'public.feed', '1 / NEW.n > 0', 'durable', 'every'");
        rule("'b', 'public.feed', 'NEW.n > 5', 'notify', 'every'");
        database.execute(
                "alter function rowbell_alert.again_1 rename to gone",
                "insert into feed values (0)",
                "select rowbell.report_failures()");
        assertEquals(
                List.of("a", "b"), database.query("select alert->'payload'->>'rule' from rowbell.feedback order by 1"));
    }

    @Test
    void aChannelThatTheServerRefusesFailsNoWriter() {
        database.execute("create table feed (id int primary key, n int)");
        rule("'n', 'public.feed', 'NEW.id > 0', 'notify', 'every'");
        rule("'d', 'public.feed', 'NEW.id > 0', 'durable', 'every'");
        // as a dump of a database with another encoding leaves it
        database.execute(
                "alter table rowbell.rule disable trigger checked",
                "update rowbell.rule set channel = repeat('x', 64) where name = 'n'",
                "insert into feed values (1, 1)");
        assertEquals(1, database.count("rowbell.feedback"));
    }

    /** No handler of plpgsql for all errors catches query_canceled, which a function may raise, or another server may send. */
    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aConditionThatRaisesACancelFailsNoWriterButARealOneEndsIt(String each) {
        database.execute(
                "create table feed (id int primary key, n int)",
                "select rowbell.for_each('public.feed', '" + each + "')",
                "create function canceled(n int) returns boolean language plpgsql as $$begin"
                        + " if n = 1 then raise exception 'no' using errcode = '57014'; end if;"
                        + " perform pg_sleep(n); return true; end$$");
        rule("'cancels', 'public.feed', 'public.canceled(NEW.n)', 'durable', 'every'");
        rule("'other', 'public.feed', 'NEW.id > 0', 'durable', 'every'");
        database.execute("insert into feed values (1, 1), (2, 0)", "select rowbell.report_failures()");
        assertEquals(
                List.of("cancels 2", "other 1", "other 2"),
                database.query("select concat(alert->>'rule', ' ', alert->'new'->>'id') from rowbell.feedback"
                        + " where alert->'new' is not null order by 1"));
        assertEquals(
                "no",
                database.query("select min(alert->'payload'->>'error') from rowbell.feedback")
                        .get(0));
        assertThrows(
                IllegalStateException.class,
                () -> database.execute("set statement_timeout = '200ms'", "insert into feed values (3, 600)"));
        // one that comes while rules are looked at is an error of its rule alone
        database.execute(
                "create or replace function canceled(n int) returns boolean immutable language plpgsql as"
                        + " $$begin raise exception 'no' using errcode = '57014'; end$$",
                "update rowbell.rule set condition = 'public.canceled(0)', enabled = false where name = 'cancels'");
        assertThrows(
                IllegalStateException.class,
                () -> rule("'third', 'public.feed', 'public.canceled(0)', 'durable', 'every'"));
        assertEquals(List.of(), database.query("select event from rowbell.refresh()"));
        assertEquals(0, database.count("feed where id = 3"));
    }

    @Test
    @Tag("long")
    void aTableOfAnyShapeIsWritten() {
        String columns =
                IntStream.range(0, 1590).mapToObj(i -> "c" + i + " int").collect(Collectors.joining(", "));
        String strange = "a \"\"b\"\" %s {{name}} \\ '";
        database.execute(
                "create table nothing ()",
                "create table wide (id int, n int, " + columns + ")",
                "create table \"" + strange + "\" (\"new\" int, \"old\" int, \"%n\" int, \"{{if}}\" int)");
        rule("'all', 'public.nothing', 'true', 'durable', 'every'");
        rule("'wide', 'public.wide', 'NEW.n > 0', 'durable', 'once'");
        rule("'wide notify', 'public.wide', 'NEW.n > 0', 'notify', 'every'");
        rule("'fails', 'public.wide', '1 / NEW.n > 5', 'durable', 'every'");
        rule("'strange', 'public.\"" + strange.replace("'", "''")
                + "\"', 'NEW.\"%n\" > 0 and NEW.\"new\" > 0', 'durable', 'every'");
        database.execute(
                "insert into nothing default values",
                "insert into wide values (1, 1), (2, 0)",
                "update wide set n = n + 1, c0 = 1, c1589 = 1",
                "delete from wide",
                "insert into \"" + strange + "\" values (1, 2, 3, 4)",
                "select rowbell.report_failures()");
        assertEquals(
                List.of("all 1", "rowbell-rule-failed 1", "strange 1", "wide 2"),
                database.query("select concat(alert->>'rule', ' ', count(*)) from rowbell.feedback"
                        + " group by alert->>'rule' order by 1"));
    }

    /** Settings that any writer may change for itself. */
    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void noSettingOfAWriterLosesADurableAlert(String each) {
        database.execute("create table feed (id int, a int)", "select rowbell.for_each('public.feed', '" + each + "')");
        rule("'durable', 'public.feed', 'NEW.a > 10', 'durable', 'every'");
        rule("'notify', 'public.feed', 'NEW.a > 100', 'notify', 'every'");
        database.execute(
                "set array_nulls = off; set standard_conforming_strings = off; set quote_all_identifiers = on",
                "insert into feed values (1, 20)");
        assertEquals(1, database.count("rowbell.feedback where alert->>'rule' = 'durable'"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aConditionThatReadsATableWithPoliciesIsJudgedWhateverTheWritersSettings(String each) {
        database.execute(
                "create table feed (id int, a int)",
                "select rowbell.for_each('public.feed', '" + each + "')",
                "create table limits (a int)",
                "insert into limits values (10)",
                "alter table limits enable row level security",
                "create policy all_rows on limits using (true)");
        rule("'limit', 'public.feed', 'NEW.a > (select max(l.a) from public.limits l)', 'durable', 'every'");
        database.execute("set row_security = off", "insert into feed values (1, 20)");
        assertEquals(List.of("limit"), database.query("select alert->>'rule' from rowbell.feedback"));
        assertEquals(0, database.count("rowbell.rule_failure"));
    }

    /** IST is the time of Israel, or that of India. */
    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aNameOfATimeZoneMeansTheSameForEachWriter(String each) {
        database.execute(
                "create table feed (id int, t text)", "select rowbell.for_each('public.feed', '" + each + "')");
        rule("'read', 'public.feed', 'NEW.t::timestamptz = ''2020-01-01 00:00+02''', 'durable', 'every'");
        rule("'written', 'public.feed', 'NEW.t::timestamptz = ''2020-01-01 00:00 IST''', 'durable', 'every'");
        database.execute(
                "set timezone_abbreviations = 'India'",
                "insert into feed values (1, '2020-01-01 00:00 IST'), (2, '2020-01-01 00:00+05:30')",
                "set timezone_abbreviations = 'Default'",
                "insert into feed values (3, '2020-01-01 00:00 IST'), (4, '2020-01-01 00:00+05:30')");
        assertEquals(
                List.of("read 1", "read 3", "written 1", "written 3"),
                database.query(
                        "select concat(alert->>'rule', ' ', alert->'new'->>'id') from rowbell.feedback order by 1"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void aBackslashInANameFailsNoWriter(String each) {
        for (String name : List.of("dom\\user", "it\\'s")) {
            String quoted = name.replace("'", "''");
            database.execute(
                    "create table \"" + name + "\" (id int primary key, \"c\\\" int)",
                    "select rowbell.for_each('public.\"" + quoted + "\"', '" + each + "')");
            rule("'" + quoted + "', 'public.\"" + quoted + "\"', 'NEW.\"c\\\" > 0', 'durable', 'every'");
            database.execute(
                    "set standard_conforming_strings = off; set backslash_quote = off",
                    "insert into \"" + name + "\" values (1, 1)");
        }
        assertEquals(
                List.of("dom\\user public.dom\\user", "it\\'s public.it\\'s"),
                database.query("select concat(alert->>'rule', ' ', alert->>'table') from rowbell.feedback order by 1"));
    }

    @Test
    void aCancelRaisedByAFunctionOfAnyNameFailsNoWriter() {
        database.execute("create table feed (id int)");
        for (String name : List.of("x\ny", "a \"\" b\n", " at RAISE")) {
            String function = "public.\"" + name + "\"";
            database.execute(
                    "create function " + function + "(int) returns boolean language plpgsql as"
                            + " $$begin if $1 = 1 then raise exception 'no' using errcode = '57014'; end if; return true; end$$",
                    "delete from rowbell.rule");
            rule("'cancels', 'public.feed', '" + function + "(NEW.id)', 'durable', 'every'");
            database.execute("insert into feed values (1)");
        }
        assertEquals(3, database.count("feed"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"abc", "-5", "0", "99999999999"})
    void aSizeThatIsNoneIsRefusedAndFailsNoWriter(String size) {
        String setting = "insert into rowbell.setting values ('alert.max-size', '" + size + "')";
        assertThrows(IllegalStateException.class, () -> database.execute(setting));
        // as a schema of an earlier build lets it in
        database.execute(
                "alter table rowbell.setting drop constraint setting_max_size",
                setting,
                "create table feed (id int primary key, note text)");
        rule("'wide', 'public.feed', 'NEW.id > 0', 'durable', 'every'");
        database.execute("insert into feed values (1, repeat('x', 6000)), (2, 'y')");
        assertEquals(
                List.of("1 6000", "2 1"),
                database.query("select concat(alert->'new'->>'id', ' ', length(alert->'new'->>'note'))"
                        + " from rowbell.feedback order by 1"));
    }

    private void rule(String values) {
        database.execute("insert into rowbell.rule (name, feed, condition, delivery, fires) values (" + values + ")");
    }

    private List<Map<String, Object>> notified(String... statements) {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("listen channel_1");
            for (String sql : statements) {
                statement.execute(sql);
            }
            statement.execute("select");
            List<Map<String, Object>> alerts = new ArrayList<>();
            for (PGNotification notification :
                    connection.unwrap(PGConnection.class).getNotifications()) {
                alerts.add(AlertJson.parse(notification.getParameter()));
            }
            return alerts;
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
