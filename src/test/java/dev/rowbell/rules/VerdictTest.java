package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The same row and the same rule have the same verdict and the same alert, however the row is written. */
class VerdictTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    // --- settings of the session ---

    @Tag("long")
    @Test
    void noSettingOfTheSessionChangesAVerdictOrADocument() {
        List<String> conditions = List.of(
                "NEW.code ~ '^\\d+$'",
                "NEW.bytes::text = '\\x01ff'",
                "NEW.nothing = null",
                "'{NULL}'::text[] is distinct from NEW.list",
                "NEW.at::text = '2020-02-01 00:00:00+00' and NEW.at::date::text = '2020-02-01'",
                "NEW.pause::text = '-1 days +02:03:00'",
                "NEW.ratio::text = '0.1'",
                "NEW.price::text like '%1.50'",
                "'2020-01-01 03:00 EST'::timestamptz = '2020-01-01 08:00+00'::timestamptz",
                "'01.02.2020'::date <= '2020-01-02'::date",
                "to_tsvector(NEW.text) @@ to_tsquery('running')",
                "public.asserts(NEW.code)",
                "exists (select from public.seen s where s.code = NEW.code)",
                "NEW.text operator(public.%) 'he is runing'",
                "public.alike(NEW.text, 'he is runing')",
                "NEW.doc::text = '<a>1</a>' and NEW.place::text = 'public.seen'");
        database.execute(
                "create extension pg_trgm schema public",
                "create view seen as select '123'::text as code",
                "create function asserts(text) returns boolean language plpgsql as 'begin assert $1 is null; return true; end'",
                "create function alike(text, text) returns boolean language sql as 'select $1 operator(public.%>) $2'");
        String columns =
                "code text, bytes bytea, nothing text, list text[], at timestamptz, pause interval, ratio float8, price money,"
                        + " text text, doc xml, place regclass";
        database.execute(
                "create table s (" + columns + ")",
                "create table plain (code text, bytes bytea, at timestamptz, pause interval, ratio float8, list text[])",
                "create table parts (code text, at date, bytes bytea) partition by list (code)",
                "create table parts_c partition of parts for values in ('1\\2', '123') partition by range (at)",
                "create table parts_d partition of parts_c for values from ('2020-02-01') to ('2020-02-03')",
                under(
                        "datestyle",
                        "SQL, DMY",
                        "create table parts_e partition of parts_c for values from ('10/02/2020') to ('03/03/2020')"));
        for (int i = 0; i < conditions.size(); i++) {
            rule("name, feed, condition, fires", "'%02d', 'public.s', $$%s$$, 'every'".formatted(i, conditions.get(i)));
        }
        rule("name, feed, condition", "'plain', 'public.plain', 'NEW.ratio > 0'");
        // compiled in a session with odd settings
        database.execute(
                under(
                        "datestyle",
                        "SQL, DMY",
                        "set local standard_conforming_strings = off; set local transform_null_equals = on; set local quote_all_identifiers = on;"
                                + " insert into rowbell.rule (name, feed, condition) values ('parts', 'public.parts', 'NEW.code is not null')"));
        String row =
                "'123', decode('01ff', 'hex'), null, array[null, 'null', 'a'], timestamptz '2020-02-01 00:00+00', interval '-1 days +02:03:00', 0.1, 1.5::numeric::money,"
                        + " 'he is running', '<a>1</a>', 'public.seen'";
        String write = "insert into public.s values (" + row + ");"
                + " insert into public.plain select code, bytes, at, pause, ratio, list from public.s;"
                + " insert into public.parts values (E'1\\\\2', date '2020-02-01', decode('01ff', 'hex')), ('123', date '2020-02-20', null);"
                + " delete from public.s";
        List<String> settings = new ArrayList<>(database.query("select s.name || '=' || v from pg_settings s"
                + " cross join unnest(case s.vartype when 'bool' then '{on,off}' else s.enumvals end) v"
                + " where s.context = 'user' and s.vartype in ('bool', 'enum') and v <> s.setting"
                + " and s.name !~ '^(transaction_|default_transaction_|exit_on_error|client_encoding)'"));
        settings.addAll(List.of(
                "datestyle=German",
                "datestyle=SQL, DMY",
                "timezone=Asia/Tokyo",
                "timezone_abbreviations=Australia",
                "extra_float_digits=-15",
                "extra_float_digits=3",
                "default_text_search_config=simple",
                "search_path=",
                "pg_trgm.similarity_threshold=1",
                "pg_trgm.word_similarity_threshold=1",
                "plpgsql.extra_errors=all",
                "plpgsql.check_asserts=off",
                "plpgsql.variable_conflict=error",
                "restrict_nonsystem_relation_kind=view, foreign-table"));
        String alert = "(alert::jsonb - 'id' - 'time')::text";
        database.execute(under("application_name", "x", write));
        List<String> expected = takeAlerts(alert, "1");
        assertEquals(
                List.of(
                        "00",
                        "01",
                        "03",
                        "04",
                        "05",
                        "06",
                        "07",
                        "08",
                        "09",
                        "10",
                        "12",
                        "13",
                        "14",
                        "15",
                        "parts parts_d",
                        "parts parts_e",
                        "plain"),
                expected.stream()
                        .map(a -> a.replaceAll(".*\"rule\": \"(\\w+)\".*", "$1")
                                + (a.contains("parts_") ? a.replaceAll(".*(parts_.).*", " $1") : ""))
                        .map(a -> a.replace("parts  ", "parts "))
                        .sorted()
                        .toList());
        List<String> failures = failures();
        assertEquals(List.of("11: assertion failed"), failures);
        for (String setting : settings) {
            database.execute(under(setting.split("=")[0], setting.replaceFirst("[^=]*=", ""), write));
            assertEquals(expected, takeAlerts(alert, "1"), setting);
            assertEquals(failures, failures(), setting);
        }
    }

    // --- whole rows ---

    @Test
    void aConditionStaysAsItIsWrittenWhateverItHoldsBesideTheRow() {
        database.execute(
                "create table w (id int, v int, t text) partition by list (id)",
                "create table w1 (v int, id int, t text)",
                "alter table w attach partition w1 for values in (1)",
                "create table n (id int, new text)",
                "create table lim (new text, id int)",
                "create function big(w) returns boolean language sql as 'select $1.v > 5'",
                "create function big(n) returns boolean language sql as 'select $1.id > 5'",
                "create function named(new int) returns boolean language sql as 'select $1 > 5'",
                "insert into lim values (null, 1)");
        List<String> ofW = List.of(
                "NEW.t = $q$ new $q$",
                "public.big(\"new\"::public.w)",
                "/* /* */ ' */ public.big(NEW::public.w) /* ' */",
                "$a$ ' $a$ <> '' and public.big(NEW::public.w) and $a$ $$ $a$ <> ''",
                "row(NEW.*, 1) = row(1, 8, ' new '::text, 1)",
                "exists (select from (select NEW.*) s where s.v > 5)",
                "exists (select from (values (1)) new (v) where new.v = 1)",
                "(select true from (select 1 as old) \"S\" where \"S\".old = 1)");
        List<String> ofN = List.of(
                "exists (select 1 from public.lim where new is null)",
                "exists (select 1 from public.lim \"L\" where \"L\".new is null)",
                "public.named(new => NEW.id)",
                "$q$ NEW::public.n $q$ <> '' and public.big(NEW :: public.n) and public.big(cast(NEW as public.n)) and NEW.new = 'NEW::x'");
        for (int i = 0; i < ofW.size(); i++) {
            rule("name, feed, condition", "'w%d', 'public.w', $c$%s$c$".formatted(i, ofW.get(i)));
        }
        for (int i = 0; i < ofN.size(); i++) {
            rule("name, feed, condition", "'n%d', 'public.n', $c$%s$c$".formatted(i, ofN.get(i)));
        }
        String each = "string_agg(alert->>'rule', ' ' order by alert->>'rule')";
        database.execute("insert into w1 (id, v, t) values (1, 8, ' new ')");
        assertEquals(List.of("w0 w1 w2 w3 w4 w5 w6 w7"), takeAlerts(each, "1"));
        database.execute("insert into w (id, v, t) values (1, 8, ' new ')");
        assertEquals(List.of("w0 w1 w2 w3 w4 w5 w6 w7"), takeAlerts(each, "1"));
        database.execute("insert into n values (9, 'NEW::x')");
        assertEquals(List.of("n0 n1 n2 n3"), takeAlerts(each, "1"));
        assertEquals(List.of(), failures());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "public.big(NEW::public.w)",
                "public.big(cast(NEW as public.w))",
                "public.big((NEW.*)::public.w)",
                "public.big(row(NEW.*)::public.w)",
                "(to_jsonb(NEW) ->> 'v')::int > 5 and NEW is distinct from OLD"
            })
    void aWholeRowHasItsColumnsByNameWhereAPartitionHasThemInAnotherOrder(String condition) {
        database.execute(
                "create table w (id int, v int, note text) partition by list (id)",
                "create table w1 (note text, gone int, v int, id int)",
                "alter table w1 drop column gone",
                "alter table w attach partition w1 for values in (1)",
                "create table w2 partition of w for values in (2)",
                "create function big(w) returns boolean language sql as 'select $1.v > 5'",
                "create table i (id int, v int)",
                "create table i1 (more text) inherits (i)",
                "create function big(i) returns boolean language sql as 'select $1.v > 5'");
        rule("name, feed, condition", "'w', 'public.w', $$" + condition + " /* not NEW */$$");
        rule("name, feed, condition", "'i', 'public.i', $$" + condition.replace("public.w", "public.i") + "$$");
        database.execute(
                "insert into w1 (id, v) values (1, 8)",
                "insert into w (id, v) values (1, 9), (2, 10)",
                "update w1 set v = 3 where v = 9",
                "update w1 set v = 11 where v = 3",
                "insert into i1 values (1, 12, 'x'), (9, 1, 'x')");
        assertEquals(
                List.of("w 8", "w 9", "w 10", "w 11", "i 12"),
                takeAlerts("concat(alert->>'rule', ' ', alert->'new'->>'v')"));
        assertEquals(List.of(), failures());
    }

    @ParameterizedTest
    @ValueSource(strings = {"row", "statement"})
    void aWholeRowMayHaveAColumnNamedNewOrOld(String each) {
        database.execute(
                "create table n (id int primary key, new text, old int)",
                "create function f(n) returns boolean language sql as 'select $1.id > 5'",
                "select rowbell.for_each('public.n', '" + each + "')");
        rule("name, feed, condition", "'f', 'public.n', 'public.f(NEW::public.n)'");
        rule("name, feed, condition", "'c', 'public.n', 'NEW.new = ''new'' and public.f(NEW::public.n)'");
        rule(
                "name, feed, condition, fires",
                "'b', 'public.n', 'public.f(NEW::public.n) > public.f(OLD::public.n)', 'every'");
        database.execute("insert into n values (6, 'new', 1), (1, 'new', 2)", "update n set id = 7 where id = 1");
        assertEquals(
                List.of("c 6", "f 6", "b 7", "c 7", "f 7"),
                takeAlerts("concat(alert->>'rule', ' ', alert->'new'->>'id')", "alert->'new'->>'id', alert->>'rule'"));
        assertEquals(
                List.of("{\"id\":6,\"new\":\"new\",\"old\":1}", "{\"id\":7,\"new\":\"new\",\"old\":2}"),
                database.query("select rowbell.test_rule('f', 5)::text order by 1"));
    }

    // --- NULL ---

    @ParameterizedTest
    @ValueSource(strings = {"null", "'f'", "null::boolean", "(null)"})
    void aConditionThatIsAConstantIsNeverMetAndFailsNothing(String condition) {
        database.execute("create table u (id int primary key, a int)");
        rule(
                "name, feed, condition, resolved, operations",
                "'constant', 'public.u', $$" + condition + "$$, true, '{insert,update,delete}'");
        rule("name, feed, condition", "'beside', 'public.u', 'NEW.a > OLD.a'");
        database.execute("insert into u values (1, 1), (2, 1)", "update u set a = 2", "delete from u");
        assertEquals(List.of("beside", "beside"), takeAlerts("alert->>'rule'"));
        assertEquals(List.of(), failures());
    }

    @Test
    void anInsertChangesACompositeThatIsPartlyOrWhollyOfNulls() {
        database.execute(
                "create type pair as (a int, b int)",
                "create domain some_pair as pair",
                "create table c (id int primary key, p pair, d some_pair, ps pair[])");
        for (String column : List.of("p", "d", "ps")) {
            rule(
                    "name, feed, condition, fires, columns, operations",
                    "'%1$s', 'public.c', 'NEW.id > 0 or OLD.id > 0', 'changed', '{%1$s}', '{insert,update,delete}'"
                            .formatted(column));
        }
        database.execute(
                "insert into c values (1, row(null, 5), null, null), (2, row(null, null), null, null), (3, null, row(1, null), null), (4, null, null, '{}'), (5, null, null, null)",
                "update c set p = p",
                "delete from c");
        assertEquals(
                List.of(
                        "INSERT p 1",
                        "INSERT p 2",
                        "INSERT d 3",
                        "INSERT ps 4",
                        "DELETE p 1",
                        "DELETE p 2",
                        "DELETE d 3",
                        "DELETE ps 4"),
                takeAlerts(
                        "concat_ws(' ', alert->>'operation', alert->>'rule', coalesce(alert->'new', alert->'old')->>'id')"));
    }

    @Test
    void onAnInsertOldIsARowOfNullsAndOnADeleteNewIs() {
        database.execute("create domain positive int not null check (value > 0)");
        for (String each : List.of("statement", "row")) {
            for (String failing : List.of("8", "9")) {
                String table = "o" + each.charAt(0) + failing;
                database.execute("create table %s (id int, v positive, t text)".formatted(table));
                String columns = "name, feed, fires, operations, condition";
                String values = "'%1$s %2$s', 'public.%1$s', 'every', '{insert,update,delete}', ";
                rule(columns, values.formatted(table, "rows") + "$$to_jsonb(NEW) - 't' <> to_jsonb(OLD) - 't'$$");
                rule(
                        columns,
                        values.formatted(table, "null")
                                + "'OLD is not distinct from null or NEW is not distinct from null'");
                // by the failing one each row is judged again, in another way
                rule(
                        columns,
                        values.formatted(table, "fails")
                                + "'1 / (coalesce(NEW.v, OLD.v) - %s) > 1'".formatted(failing));
                database.execute(
                        "select rowbell.for_each('%s', '%s')".formatted(table, each),
                        "insert into %s values (1, 9, 'a')".formatted(table),
                        "update %s set v = 9, id = 2".formatted(table),
                        "delete from %s".formatted(table));
                assertEquals(
                        List.of("DELETE " + table + " rows", "INSERT " + table + " rows", "UPDATE " + table + " rows"),
                        takeAlerts("concat(alert ->> 'operation', ' ', alert ->> 'rule')").stream()
                                .filter(alert -> !alert.contains("rowbell-rule-failed"))
                                .sorted()
                                .toList(),
                        each + " triggers, failing at " + failing);
            }
        }
    }

    // --- partitions ---

    @Test
    void aGeneratedColumnHasItsValueWhereAPartitionDiffersByADroppedColumn() {
        // before 16 a partition generates its columns as the table does
        boolean own = database.major() >= 16;
        int factor = own ? 3 : 2;
        String suffix = own ? "i" : "h";
        database.execute(
                "create table g (id int, d int, a int, g int generated always as (a * 2) stored, h text generated always as (a || 'h') stored)"
                        + " partition by list (id)",
                "alter table g drop column d",
                "create table g1 partition of g for values in (1) partition by list (a)",
                "create table g1a partition of g1 default",
                "create table g2 (id int, a int, g int generated always as (a * %d) stored, h text generated always as (a || '%s') stored)"
                        .formatted(factor, suffix),
                "alter table g attach partition g2 for values in (2)");
        rule("name, feed, condition", "'generated', 'public.g', 'NEW.g > 11'");
        rule("name, feed, condition, fires", "'fails', 'public.g', '10 / (NEW.a - 9) < 0 or NEW.h = ''8h''', 'every'");
        database.execute("insert into g values (1, 6), (1, 5), (2, 4), (2, 6), (1, 9), (1, 8)");
        // one that came after the rule, and is not refreshed
        database.execute("create table g3 partition of g for values in (3)", "insert into g values (3, 7)");
        assertEquals(
                Stream.of(
                                "fails 5 10 5h",
                                "fails 6 12 6h",
                                "fails 8 16 8h",
                                "generated 6 12 6h",
                                "generated 7 14 7h",
                                "generated 8 16 8h",
                                "generated 9 18 9h",
                                "fails 4 %d 4%s".formatted(4 * factor, suffix),
                                "fails 6 %d 6%s".formatted(6 * factor, suffix),
                                "generated 6 %d 6%s".formatted(6 * factor, suffix),
                                own ? "generated 4 12 4i" : "",
                                "fails 7 14 7h")
                        .filter(alert -> !alert.isEmpty())
                        .sorted()
                        .toList(),
                takeAlerts(
                        "concat_ws(' ', alert->>'rule', alert->'new'->>'a', alert->'new'->>'g', alert->'new'->>'h')",
                        "1"));
        assertEquals(List.of("fails: division by zero"), failures());
    }

    @ParameterizedTest
    @ValueSource(strings = {"hash", "merge", "nested"})
    void anUpdateWithinMergeHasItsOwnRowForNew(String join) {
        Assumptions.assumeTrue(database.major() >= 15, "MERGE is from PostgreSQL 15");
        database.execute(
                "create table t (kk int, pc int, a int) partition by range (pc)",
                "create table t1 partition of t for values from (2) to (5)",
                "create table td partition of t default",
                "insert into t values (1, 1, 3), (4, 4, 6)");
        rule("name, feed, condition, fires", "'pairs', 'public.t', 'NEW.a > OLD.a', 'every'");
        rule("name, feed, condition", "'met', 'public.t', 'NEW.a > 6'");
        database.execute("set enable_hashjoin = %s; set enable_mergejoin = %s; set enable_nestloop = %s;"
                        .formatted(join.equals("hash"), join.equals("merge"), join.equals("nested"))
                + " merge into t x using (values (2, 0, 7), (4, 4, 8), (1, 1, 9)) v (kk, pc, a) on x.kk = v.kk"
                + " when matched then update set a = v.a when not matched then insert values (v.kk, v.pc, v.a)");
        assertEquals(
                List.of("met - 7", "met 3 9", "met 6 8", "pairs 3 9", "pairs 6 8"),
                takeAlerts(
                        "concat(alert->>'rule', ' ', coalesce(alert->'old'->>'a', '-'), ' ', alert->'new'->>'a')",
                        "1"));
    }

    @Test
    void aPartitionedTableMayHaveNoPartitionsOrADefaultOneAlone() {
        database.execute(
                "create table d0 (id int, k int) partition by list (k)",
                "create table d1 (id int, k int) partition by list (k)",
                "create table d1d partition of d1 default");
        rule("name, feed, condition", "'d0', 'public.d0', 'NEW.id > 5'");
        rule("name, feed, condition", "'d1', 'public.d1', 'NEW.id > OLD.id'");
        database.execute(
                "create table d0a partition of d0 for values in (1)",
                "insert into d0 values (6, 1)",
                "insert into d1 values (6, 1)",
                "update d1 set id = 7");
        assertEquals(List.of("d0 6", "d1 7"), takeAlerts("concat(alert->>'rule', ' ', alert->'new'->>'id')"));
    }

    @Test
    void aPartitionMayBeOfATypeThatTheRoleOfTheFeedHasNoRightOn() {
        database.execute(
                "create schema h2",
                "create type h2.col as enum ('red', 'blue')",
                "create table e (id int, c h2.col, v int) partition by list (c)",
                "create table e1 partition of e for values in ('red')");
        rule("name, feed, condition", "'e', 'public.e', 'NEW.v > 5'");
        database.execute("insert into e values (1, 'red', 9)");
        assertEquals(List.of("public.e1"), takeAlerts("alert->>'partition'"));
        assertEquals(List.of(), failures());
    }

    @Test
    void aPartitionInAnotherSchemaThatCameAfterTheRuleIsJudgedWhereAnotherRuleFails() {
        database.execute("create table late (id int, k int) partition by list (k)");
        rule("name, feed, condition", "'late', 'public.late', 'NEW.id > 5'");
        rule("name, feed, condition", "'fails', 'public.late', '1 / (NEW.id - 6) > 0'");
        database.execute(
                "create schema \"Late\"",
                "create table \"Late\".late1 partition of late for values in (1)",
                "select from rowbell.refresh()",
                "insert into \"Late\".late1 values (6, 1)");
        assertTrue(takeAlerts("alert->>'rule'").contains("late"));
        assertEquals(List.of("fails: division by zero"), failures());
    }

    @Test
    void noRowIsJudgedByAnOldThatIsNotItsOwnWhereAMoveIsRefused() {
        database.execute(
                "create table mv (id int, k int, v int, primary key (id, k)) partition by list (k)",
                "create table mv1 partition of mv for values in (1)",
                "create table mv2 partition of mv for values in (2)",
                "create function refuse() returns trigger language plpgsql as"
                        + " 'begin if new.v = 13 then return null; end if; return new; end'",
                "create trigger refuse before insert on mv2 for each row execute function refuse()",
                "insert into mv values (1, 1, 9), (2, 1, 13), (3, 2, 7)");
        rule("name, feed, condition", "'once', 'public.mv', 'NEW.v > 5'");
        rule("name, feed, condition, fires", "'no-old', 'public.mv', 'OLD.v is null and NEW.v > 0', 'every'");
        rule("name, feed, condition", "'more', 'public.mv', 'NEW.v > OLD.v'");
        // one moves, one is refused, one stays and is found by its key
        database.execute("update mv set k = 2, v = case id when 3 then 8 else v end");
        assertEquals(
                List.of("more 3"),
                takeAlerts("concat(alert ->> 'rule', ' ', alert -> 'new' ->> 'id')").stream()
                        .filter(alert -> !alert.contains("rowbell-rule-failed"))
                        .toList());
        assertEquals(
                List.of("more", "no-old", "once"),
                failures().stream()
                        .map(failure -> failure.replaceFirst(": OLD is not known, since .*", ""))
                        .toList());
    }

    // --- children ---

    @ParameterizedTest
    @ValueSource(strings = {"row", "statement"})
    void aWriteIntoAChildThatHasChildrenNamesTheChild(String each) {
        database.execute(
                "create table p (id int, v int)",
                "create table c () inherits (p)",
                "create table g () inherits (c)",
                "select rowbell.for_each('public.p', '" + each + "')");
        rule("name, feed, condition", "'v', 'public.p', 'NEW.v > 5'");
        database.execute("insert into p values (1, 9)", "insert into c values (2, 9)", "insert into g values (3, 9)");
        database.execute("delete from rowbell.feedback where alert->'new'->>'id' = '1'");
        assertEquals(List.of("public.c", "public.g"), takeAlerts("alert->>'partition'"));
        database.execute(
                "alter table p add primary key (id)", "alter table c add primary key (id)", "select rowbell.refresh()");
        database.execute(
                "insert into p values (11, 9)",
                "insert into c values (12, 9), (11, 9)",
                "insert into g values (11, 9)");
        assertEquals(
                List.of("11 -", "12 public.c", "11 public.c", "11 public.g"),
                takeAlerts("concat(alert->'new'->>'id', ' ', coalesce(alert->>'partition', '-'))"));
    }

    /** SQL that runs with a setting. pgjdbc ends a connection that keeps some of them. */
    private static String under(String setting, String value, String sql) {
        return "do $do$ begin begin perform set_config('%s', '%s', true); exception when undefined_object then null; end; %s; end $do$"
                .formatted(setting, value, sql);
    }

    private void rule(String columns, String values) {
        database.execute("insert into rowbell.rule (" + columns + ") values (" + values + ")");
    }

    private List<String> failures() {
        return database.query("select rule || ': ' || failure from rowbell.rule_failure order by 1");
    }

    private List<String> takeAlerts(String expression) {
        return takeAlerts(expression, "crt_time, alert->>'id'");
    }

    private List<String> takeAlerts(String expression, String order) {
        return database.query(
                "with taken as (delete from rowbell.feedback returning *) select %s from taken order by %s"
                        .formatted(expression, order));
    }
}
