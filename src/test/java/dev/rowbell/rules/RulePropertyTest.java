package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.io.StringReader;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * Random tables, rules and histories: the alerts must be those of a naive evaluation of the same rules, row by row, over what a plain row
 * trigger saw. {@code -Drowbell.cases} says how many histories, {@code -Drowbell.seed} repeats them.
 */
@Tag("scaled")
class RulePropertyTest {

    private static final int CASES = Integer.getInteger("rowbell.cases", 120);
    private static final long SEED = Long.getLong("rowbell.seed", System.nanoTime());

    private final TestDatabase database = TestDatabase.createWithSchema();
    private int judgedRules;
    private int alerts;
    private int failures;

    @Test
    void alertsAreWhatANaiveEvaluationOfEachRowSays() throws Exception {
        System.out.printf("property test of rules: %d histories, -Drowbell.seed=%d%n", CASES, SEED);
        database.execute(
                "create table recorded (seq bigint generated always as identity, stmt int, op text, place text, old json, new json)",
                """
                create function record() returns trigger language plpgsql as $fn$
                begin
                  insert into public.recorded (stmt, op, place, old, new)
                  values (current_setting('test.stmt')::int, tg_op, tg_table_schema || '.' || tg_table_name,
                    case when tg_op <> 'INSERT' then row_to_json(old) end, case when tg_op <> 'DELETE' then row_to_json(new) end);
                  return null;
                end
                $fn$
                """,
                """
                create function naive(expression text, of_table text, new json, old json) returns text language plpgsql as $fn$
                declare
                  answer text;
                begin
                  execute format('select (%s)::text from json_populate_record(null::%s, $1) as new, json_populate_record(null::%2$s, $2) as old',
                    expression, of_table) into answer using new, old;
                  return coalesce(answer, 'null');
                exception when others then
                  return 'error';
                end
                $fn$
                """,
                "create table limits (most int)",
                "insert into limits values (3), (7)");
        for (int n = 0; n < CASES; ) {
            // a session keeps the plans of tables that are gone and goes through all of them whenever a table is made
            try (Connection connection = database.connect();
                    Statement statement = connection.createStatement()) {
                statement.execute("set synchronous_commit = off");
                statement.execute("listen property");
                for (int end = Math.min(CASES, n + 20); n < end; n++) {
                    new History(connection, statement, n).run();
                }
            }
        }
        System.out.printf(
                "%d rules over %d histories, %d alerts, %d rules that failed on some row%n",
                judgedRules, CASES, alerts, failures);
        assertTrue(alerts > CASES && failures > CASES / 20, "the histories had too little in them to show anything");
    }

    private record Column(String name, String type) {

        String quoted() {
            return "\"" + name.replace("\"", "\"\"") + "\"";
        }

        boolean comparedAsText() {
            return type.equals("json") || type.endsWith("[]");
        }
    }

    private record Rule(
            String name,
            String condition,
            boolean compares,
            String fires,
            List<Column> columns,
            boolean resolved,
            List<String> operations,
            boolean notifies) {}

    /** One table with its rules and what happens to it. */
    private final class History {

        private final Random random;
        private final Connection connection;
        private final Statement statement;
        private final List<String> log = new ArrayList<>();
        private final List<Column> columns = new ArrayList<>();
        private final String table;
        private final int kind;
        private final List<String> places = new ArrayList<>();
        private final List<Rule> rules = new ArrayList<>();
        /** Which rules there were at which statement. */
        private final List<List<Rule>> active = new ArrayList<>();

        private int rows;
        private int names;

        History(Connection connection, Statement statement, int number) {
            this.connection = connection;
            this.statement = statement;
            random = new Random(SEED * 31 + number);
            table = random.nextInt(4) == 0 ? "public.\"T 'é😀 %s" + number + "\"" : "public.t" + number;
            kind = random.nextInt(6);
        }

        void run() throws Exception {
            try {
                makeTable();
                for (int i = 1 + random.nextInt(4); i > 0; i--) {
                    addRule();
                }
                for (int i = 4 + random.nextInt(6); i > 0; i--) {
                    transaction();
                    if (random.nextInt(4) == 0) {
                        changeRule();
                    }
                    if (random.nextInt(8) == 0) {
                        changeTriggers();
                    }
                }
                compare();
            } catch (SQLException | RuntimeException e) {
                throw new AssertionError("seed %d%n%s".formatted(SEED, String.join(";\n", log)), e);
            } finally {
                connection.setAutoCommit(true);
                statement.execute("delete from rowbell.rule");
                statement.execute("drop table if exists " + table + " cascade");
                statement.execute("truncate recorded, rowbell.feedback");
                statement.execute("delete from rowbell.feed");
            }
        }

        private void execute(String sql) throws SQLException {
            log.add(sql);
            statement.execute(sql);
        }

        private String one(String... of) {
            return of[random.nextInt(of.length)];
        }

        private void makeTable() throws SQLException {
            List<String> types = List.of(
                    "int",
                    "bigint",
                    "numeric",
                    "text",
                    "boolean",
                    "jsonb",
                    "json",
                    "int[]",
                    "float8",
                    "timestamptz",
                    "uuid");
            for (int i = 0; i < 2 + random.nextInt(4); i++) {
                // among them what the compiled triggers call their rows and variables; no name comes twice
                String name = random.nextInt(5) == 0
                        ? List.of(
                                        one("new", "_new"),
                                        one("old", "_old", "_row"),
                                        one("_n", "_o", "_a", "_b", "r"),
                                        one("at", "rn", "place", "_hit", "_judge"),
                                        "q\"uote",
                                        "Up Er é😀")
                                .get(i)
                        : "c" + i;
                columns.add(
                        new Column(name, i == 0 ? "int" : i == 1 ? "text" : types.get(random.nextInt(types.size()))));
            }
            String definition = "(rid int not null, k int not null, "
                    + columns.stream().map(c -> c.quoted() + " " + c.type()).collect(Collectors.joining(", "));
            String base = table.substring(0, table.length() - (table.endsWith("\"") ? 1 : 0));
            String end = table.endsWith("\"") ? "\"" : "";
            places.add(table);
            switch (kind) {
                case 0 -> execute("create table " + table + " " + definition + ")");
                case 1, 2 -> execute("create table " + table + " " + definition + ", primary key (k))");
                case 3 -> {
                    execute("create table " + table + " " + definition + ", primary key (k)) partition by range (k)");
                    execute("create table " + base + "_a" + end + " partition of " + table
                            + " for values from (minvalue) to (500)");
                    execute("create table " + base + "_b" + end + " partition of " + table
                            + " for values from (500) to (maxvalue) partition by hash (k)");
                    execute("create table " + base + "_b0" + end + " partition of " + base + "_b" + end
                            + " for values with (modulus 2, remainder 0)");
                    execute("create table " + base + "_b1" + end + " partition of " + base + "_b" + end
                            + " for values with (modulus 2, remainder 1)");
                    places.add(base + "_b" + end);
                }
                case 4 -> {
                    execute("create table " + table + " " + definition + ") partition by list (k)");
                    execute("create table " + base + "_a" + end + " partition of " + table
                            + " for values in (1, 2, 3, 4, 5, 6)");
                    // columns in another order, and one that was dropped
                    execute("create table " + base + "_b" + end + " ("
                            + columns.get(0).quoted() + " int, gone text, k int not null, rid int not null, "
                            + columns.stream()
                                    .skip(1)
                                    .map(c -> c.quoted() + " " + c.type())
                                    .collect(Collectors.joining(", "))
                            + ")");
                    execute("alter table " + base + "_b" + end + " drop column gone");
                    execute("alter table " + table + " attach partition " + base + "_b" + end + " default");
                }
                default -> {
                    execute("create table " + table + " " + definition + ", primary key (k))");
                    execute("create table " + base + "_c" + end + " (extra int, primary key (k)) inherits (" + table
                            + ")");
                    places.add(base + "_c" + end);
                    execute("create trigger record after insert or update or delete on " + base + "_c" + end
                            + " for each row execute function record()");
                }
            }
            execute("create trigger record after insert or update or delete on " + table
                    + " for each row execute function record()");
            changeTriggers();
        }

        /** A partitioned table has statement triggers always. */
        private void changeTriggers() throws SQLException {
            if (kind != 3 && kind != 4) {
                execute("select rowbell.for_each('" + table.replace("'", "''") + "', '" + one("statement", "row")
                        + "')");
            }
        }

        // --- rules ---

        private String condition(int depth, boolean mayCompare) {
            if (depth > 0 && random.nextInt(2) == 0) {
                return "(%s) %s (%s)"
                        .formatted(
                                condition(depth - 1, mayCompare),
                                one("and", "or", "and not"),
                                condition(depth - 1, mayCompare));
            }
            Column column = columns.get(random.nextInt(columns.size()));
            String value = one("NEW.", "NEW.", "new.", mayCompare ? "OLD." : "NEW.") + column.quoted();
            if (random.nextInt(6) == 0) {
                return value + " is " + one("", "not ") + "null";
            }
            String number = String.valueOf(random.nextInt(10));
            return switch (column.type()) {
                case "int", "bigint", "numeric", "float8" ->
                    switch (random.nextInt(mayCompare ? 6 : 5)) {
                        case 0, 1 -> value + one(" > ", " < ", " >= ", " <= ", " = ") + number;
                        case 2 -> "12 / " + value + " > " + number;
                        case 3 -> value + " > (select max(most) from public.limits where most < " + number + ")";
                        case 4 -> "coalesce(" + value + ", 5) between 2 and " + number + " -- so many %s $1 'quoted\n";
                        default -> "NEW." + column.quoted() + " > OLD." + column.quoted();
                    };
                case "text" ->
                    random.nextInt(3) == 0
                            ? value + "::int > " + number
                            : value + one(" like '%1%'", " > '4'", " = '7'");
                case "boolean" -> value;
                case "jsonb" -> value + "->>'a' > '4'";
                case "json" -> "(" + value + "->>'a')::int > " + number;
                case "int[]" -> number + " = any(" + value + ")";
                case "timestamptz" -> value + " > '2026-06-01 00:00+00'";
                default -> value + "::text > '8'";
            };
        }

        private Rule newRule(String name) {
            boolean mayCompare = random.nextInt(3) == 0;
            String condition = condition(2, mayCompare);
            boolean compares = condition.contains("OLD.");
            List<String> operations = new ArrayList<>(List.of("insert", "update", "delete"));
            while (operations.size() > 1 && random.nextInt(2) == 0) {
                operations.remove(random.nextInt(operations.size()));
            }
            boolean onlyDelete = operations.equals(List.of("delete"))
                    && condition.toUpperCase().contains("NEW.");
            if (onlyDelete) {
                operations.add("update");
            }
            List<Column> watched = new ArrayList<>(columns);
            while (watched.size() > 1 && random.nextBoolean()) {
                watched.remove(random.nextInt(watched.size()));
            }
            return new Rule(
                    name,
                    condition,
                    compares,
                    one("once", "once", "every", "changed"),
                    watched,
                    !compares && random.nextInt(3) == 0,
                    operations,
                    random.nextInt(3) == 0);
        }

        private void addRule() throws SQLException {
            Rule rule = newRule("rule '\" %s {é😀} " + names++);
            store(
                    rule,
                    "insert into rowbell.rule (condition, fires, columns, resolved, operations, delivery, name, feed, channel) values (?, ?, ?, ?, ?, ?, ?, '"
                            + table.replace("'", "''") + "', 'property')");
            rules.add(rule);
        }

        private void changeRule() throws SQLException {
            if (rules.isEmpty() || random.nextInt(3) == 0) {
                addRule();
                return;
            }
            Rule old = rules.remove(random.nextInt(rules.size()));
            if (random.nextBoolean()) {
                Rule rule = newRule(old.name());
                store(
                        rule,
                        "update rowbell.rule set condition = ?, fires = ?, columns = ?, resolved = ?, operations = ?, delivery = ? where name = ?");
                rules.add(rule);
            } else {
                execute(one("delete from rowbell.rule", "update rowbell.rule set enabled = false") + " where name = '"
                        + old.name().replace("'", "''") + "'");
            }
        }

        private void store(Rule rule, String sql) throws SQLException {
            judgedRules++;
            try (PreparedStatement store = connection.prepareStatement(sql)) {
                store.setString(1, rule.condition());
                store.setString(2, rule.fires());
                store.setArray(
                        3,
                        connection.createArrayOf(
                                "text",
                                rule.columns().stream().map(Column::name).toArray()));
                store.setBoolean(4, rule.resolved());
                store.setArray(
                        5, connection.createArrayOf("text", rule.operations().toArray()));
                store.setString(6, rule.notifies() ? "notify" : "durable");
                store.setString(7, rule.name());
                log.add(store.toString());
                store.execute();
            }
        }

        // --- what happens ---

        private void transaction() throws Exception {
            if (random.nextInt(3) > 0) {
                write();
                return;
            }
            connection.setAutoCommit(false);
            write();
            if (random.nextBoolean()) {
                execute("savepoint s");
                write();
                execute(one("rollback to s", "release s"));
                write();
            }
            if (random.nextInt(4) == 0) {
                log.add("rollback");
                connection.rollback();
            } else {
                log.add("commit");
                connection.commit();
            }
            connection.setAutoCommit(true);
        }

        private void write() throws Exception {
            statement.execute("set test.stmt = " + active.size());
            active.add(List.copyOf(rules));
            boolean inTransaction = !connection.getAutoCommit();
            if (inTransaction) {
                statement.execute("savepoint w");
            }
            try {
                change();
            } catch (SQLException e) {
                // a key that is there already is the history's own fault, and no rule's
                if (!"23505".equals(e.getSQLState()) && !"23514".equals(e.getSQLState())) {
                    throw e;
                }
                if (inTransaction) {
                    statement.execute("rollback to w");
                }
            }
        }

        private void change() throws Exception {
            String place = places.get(random.nextInt(places.size()));
            String some = " where rid % " + (1 + random.nextInt(4)) + " = " + random.nextInt(2);
            String names = columns.stream().map(Column::quoted).collect(Collectors.joining(", "));
            switch (random.nextInt(8)) {
                case 0, 1 ->
                    execute("insert into %s (rid, k, %s) values %s"
                            .formatted(place, names, values(1 + random.nextInt(8), place)));
                case 2 -> execute("update " + place + " set " + assignments() + some);
                case 3 -> execute("update " + place + " set k = 999 - k, " + assignments() + some);
                case 4 -> {
                    if (kind == 0 || kind == 4) {
                        execute("update " + place + " set " + assignments());
                    } else {
                        execute(
                                "insert into %s (rid, k, %s) select * from (values %s) v on conflict (k) do update set %s"
                                        .formatted(
                                                place,
                                                names,
                                                values(1 + random.nextInt(8), place),
                                                columns.stream()
                                                        .filter(c -> random.nextBoolean() || c == columns.get(0))
                                                        .map(c -> c.quoted() + " = excluded." + c.quoted())
                                                        .collect(Collectors.joining(", "))));
                    }
                }
                case 5 -> execute("delete from " + place + some);
                case 6 -> {
                    StringBuilder lines = new StringBuilder();
                    for (int i = random.nextInt(5); i >= 0; i--) {
                        lines.append(rows++)
                                .append('\t')
                                .append(key(place))
                                .append('\t')
                                .append(random.nextInt(10))
                                .append('\n');
                    }
                    String copy = "copy %s (rid, k, %s) from stdin"
                            .formatted(place, columns.get(0).quoted());
                    log.add(copy + ";\n" + lines + "\\.");
                    connection.unwrap(PGConnection.class).getCopyAPI().copyIn(copy, new StringReader(lines.toString()));
                }
                default -> {
                    if (random.nextInt(6) == 0) {
                        int many = 400;
                        execute(
                                "insert into %s (rid, k, %s, %s) select %d + i, %d + i, i %% 10, (i %% 12)::text from generate_series(1, %d) i"
                                        .formatted(
                                                kind == 4 ? table : place,
                                                columns.get(0).quoted(),
                                                columns.get(1).quoted(),
                                                rows,
                                                100_000 + rows,
                                                many));
                        rows += many + 1;
                        execute("update " + table + " set " + assignments());
                    } else {
                        execute("update " + table + " set " + assignments() + " where false");
                    }
                }
            }
        }

        private int key(String place) {
            return kind == 4
                    ? 1 + random.nextInt(9)
                    : place.contains("_b") ? 500 + random.nextInt(500) : random.nextInt(999);
        }

        private String values(int count, String place) {
            List<Integer> keys = random.ints(0, 1 << 20)
                    .map(i -> key(place))
                    .distinct()
                    .limit(kind == 4 ? Math.min(count, 9) : count)
                    .boxed()
                    .toList();
            return keys.stream()
                    .map(k -> "(" + rows++ + ", " + k + ", "
                            + columns.stream().map(this::value).collect(Collectors.joining(", ")) + ")")
                    .collect(Collectors.joining(", "));
        }

        private String assignments() {
            List<Column> some =
                    columns.stream().filter(c -> random.nextInt(3) > 0).toList();
            return (some.isEmpty() ? columns : some)
                    .stream().map(c -> c.quoted() + " = " + value(c)).collect(Collectors.joining(", "));
        }

        private String value(Column column) {
            int n = random.nextInt(11) - 1;
            String value = random.nextInt(6) == 0
                    ? "null"
                    : switch (column.type()) {
                        case "int", "bigint" -> String.valueOf(n);
                        case "numeric" -> n + one("", ".0", ".50", ".123456789012345678901234567890");
                        case "float8" -> one(n + ".1", "'NaN'", "'Infinity'", "1e-300");
                        case "text" -> "'" + n + one("", "", "x", "'' \\ \"é😀") + "'";
                        case "boolean" -> one("true", "false");
                        case "jsonb", "json" ->
                            "'{\"a\": " + one(n + "", "\"x\"", "1.50", "null") + ", \"b\": [1,  2]}'";
                        case "int[]" -> "array[" + n + ", 5, null]";
                        case "timestamptz" ->
                            one("'2026-01-01 12:00:00.123456+00'", "'2026-11-24 08:00+02'", "'infinity'");
                        default -> "md5('" + n + "')";
                    };
            return "(" + value + ")::" + column.type();
        }

        // --- what is expected ---

        private void compare() throws SQLException {
            joinMovedRows();
            List<String> expected = new ArrayList<>();
            List<String> mustFail = new ArrayList<>();
            List<String> mayFail = new ArrayList<>();
            for (Rule rule : active.stream().flatMap(List::stream).distinct().toList()) {
                judge(rule, expected, mustFail, mayFail);
            }
            List<String> payloads = new ArrayList<>();
            statement.execute("select");
            PGNotification[] notifications =
                    connection.unwrap(PGConnection.class).getNotifications();
            for (PGNotification notification : notifications == null ? new PGNotification[0] : notifications) {
                payloads.add(notification.getParameter());
            }
            statement.execute("select rowbell.report_failures()");
            List<String> actual = new ArrayList<>();
            List<String> failed = new ArrayList<>();
            List<String> ids = new ArrayList<>();
            try (PreparedStatement read = connection.prepareStatement("""
                    select alert->>'id', alert->>'rule', alert->'payload'->>'rule', concat_ws(' | ', alert->>'rule', alert->>'status', alert->>'table',
                      case when ? and alert->>'operation' <> 'INSERT' then null else alert->>'partition' end, alert->>'operation', way, ((alert->'old')::jsonb - 'extra')::text, '→', ((alert->'new')::jsonb - 'extra')::text)
                    from (select alert, 'durable' as way from rowbell.feedback union all select a::json, 'notify' from unnest(?::text[]) a) raised
                    """)) {
                Array array = connection.createArrayOf("text", payloads.toArray());
                read.setBoolean(1, keysRepeat());
                read.setArray(2, array);
                try (ResultSet rows = read.executeQuery()) {
                    while (rows.next()) {
                        ids.add(rows.getString(1));
                        if (rows.getString(2).equals("rowbell-rule-failed")) {
                            failed.add(rows.getString(3));
                        } else {
                            actual.add(rows.getString(4));
                        }
                    }
                }
            }
            alerts += actual.size();
            failures += failed.size();
            String what = "seed %d%n%s%n".formatted(SEED, String.join(";\n", log));
            assertEquals(
                    "missing: %s%nnot expected: %s".formatted(List.of(), List.of()),
                    "missing: %s%nnot expected: %s".formatted(without(expected, actual), without(actual, expected)),
                    () -> what);
            assertEquals(ids.size(), ids.stream().distinct().count(), () -> "ids repeat, " + what);
            assertTrue(
                    failed.containsAll(mustFail),
                    () -> "of " + mustFail + " only " + failed + " was said to have failed, " + what);
            assertTrue(mayFail.containsAll(failed), () -> failed + " was said to have failed, " + what);
        }

        /** Of children the same key may be in several, and then nobody can say where a row was that was written through the feed. */
        private boolean keysRepeat() {
            return kind == 5;
        }

        private static List<String> without(List<String> some, List<String> others) {
            List<String> rest = new ArrayList<>(some);
            others.forEach(rest::remove);
            return rest;
        }

        /** An update that moves a row to another partition is a delete and an insert to a row trigger. */
        private void joinMovedRows() throws SQLException {
            statement.execute("""
                    with moved as (
                      delete from recorded d using recorded i
                      where d.op = 'DELETE' and i.op = 'INSERT' and d.stmt = i.stmt and d.old->>'rid' = i.new->>'rid'
                      returning i.seq, d.old)
                    update recorded r set op = 'UPDATE', old = moved.old from moved where r.seq = moved.seq
                    """);
        }

        private void judge(Rule rule, List<String> expected, List<String> mustFail, List<String> mayFail)
                throws SQLException {
            List<Integer> statements = new ArrayList<>();
            for (int i = 0; i < active.size(); i++) {
                if (active.get(i).contains(rule)) {
                    statements.add(i);
                }
            }
            String changed = rule.columns().stream()
                    .map(c -> "NEW.%1$s%2$s is distinct from OLD.%1$s%2$s"
                            .formatted(c.quoted(), c.comparedAsText() ? "::text" : ""))
                    .collect(Collectors.joining(" or "));
            try (PreparedStatement judge = connection.prepareStatement("""
                    select op, naive(c, t, new, old), naive(c, t, old, null), naive(?, t, new, old),
                      concat_ws(' | ', ?::text, '%s', shown, case when ? and op <> 'INSERT' then null else nullif(place, shown) end, op, ?::text, (old::jsonb - 'extra')::text, '→', (new::jsonb - 'extra')::text)
                    from recorded cross join (
                      values (?::text, ?::text, (select n.nspname || '.' || relname from pg_class k join pg_namespace n on n.oid = k.relnamespace where k.oid = to_regclass(?))))
                      v (c, t, shown)
                    where stmt = any(?) and lower(op) = any(?)
                    """)) {
                judge.setString(1, changed);
                judge.setString(2, rule.name());
                judge.setBoolean(3, keysRepeat());
                judge.setString(4, rule.notifies() ? "notify" : "durable");
                judge.setString(5, rule.condition() + "\n");
                judge.setString(6, table);
                judge.setString(7, table);
                judge.setArray(8, connection.createArrayOf("int", statements.toArray()));
                judge.setArray(
                        9, connection.createArrayOf("text", rule.operations().toArray()));
                try (ResultSet rows = judge.executeQuery()) {
                    while (rows.next()) {
                        judge(
                                rule,
                                rows.getString(1),
                                rows.getString(2),
                                rows.getString(3),
                                rows.getString(4),
                                rows.getString(5),
                                expected,
                                mustFail,
                                mayFail);
                    }
                }
            }
        }

        private void judge(
                Rule rule,
                String operation,
                String met,
                String metBefore,
                String changed,
                String alert,
                List<String> expected,
                List<String> mustFail,
                List<String> mayFail) {
            boolean delete = operation.equals("DELETE");
            boolean update = operation.equals("UPDATE");
            boolean asksNow = !delete || rule.compares();
            boolean asksBefore = !rule.compares()
                    && (update && (rule.fires().equals("once") || rule.resolved()) || delete && rule.resolved());
            if (asksNow && met.equals("error") || asksBefore && metBefore.equals("error")) {
                mayFail.add(rule.name());
            }
            boolean isMet = asksNow && met.equals("true");
            boolean before = asksBefore && metBefore.equals("true");
            boolean fires = isMet
                    && switch (rule.fires()) {
                        case "every" -> true;
                        case "changed" -> changed.equals("true");
                        default -> !before && !(asksBefore && metBefore.equals("error"));
                    };
            // of what fires nobody needs to know whether it has ended
            if (asksNow && met.equals("error")
                    || asksBefore && rule.resolved() && metBefore.equals("error") && !fires) {
                mustFail.add(rule.name());
            }
            boolean resolves = rule.resolved() && before && (delete || !isMet && !met.equals("error"));
            if (fires) {
                expected.add(alert.replaceFirst("%s(?= \\| public)", "firing"));
            }
            if (resolves) {
                expected.add(alert.replaceFirst("%s(?= \\| public)", "resolved"));
            }
        }
    }
}
