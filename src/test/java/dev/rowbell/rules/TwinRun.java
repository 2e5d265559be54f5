package dev.rowbell.rules;

import dev.rowbell.rules.RandomCase.Column;
import dev.rowbell.rules.RandomCase.Feature;
import dev.rowbell.rules.RandomCase.ForEach;
import dev.rowbell.rules.RandomCase.Put;
import dev.rowbell.rules.RandomCase.Remove;
import dev.rowbell.rules.RandomCase.Rule;
import dev.rowbell.rules.RandomCase.Session;
import dev.rowbell.rules.RandomCase.Step;
import dev.rowbell.rules.RandomCase.Write;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.TransactionState;

/**
 * Runs a random case on a watched table in the schema public and on a twin in the schema twin, which no rule watches.
 * A row trigger on the twin records each change as values of the type of the table, and each rule is evaluated on
 * these, one by one, in a session with the settings of the server.
 */
final class TwinRun implements AutoCloseable {

    private static final String TYPES = """
            create schema types;
            create schema evil;
            create type types.pair as (a int, b text, t timestamptz);
            create type types.mood as enum ('a', 'b', 'c');
            create function types.mood_json(types.mood) returns json language sql immutable as $$ select json_build_object('mood', $1::text) $$;
            create cast (types.mood as json) with function types.mood_json(types.mood);
            create domain types.small as int check (value >= 0);
            create function types.is_number(text) returns boolean language sql immutable as $$ select $1 ~ '^-?[0-9]+$' $$;
            create type types.label;
            create function types.label_in(cstring) returns types.label language internal immutable strict as 'textin';
            create function types.label_out(types.label) returns cstring language internal immutable strict as 'textout';
            create type types.label (input = types.label_in, output = types.label_out, like = pg_catalog.text);
            create function types.label_eq(types.label, types.label) returns boolean language internal immutable strict as 'texteq';
            create operator types.= (leftarg = types.label, rightarg = types.label, function = types.label_eq);
            create type types.bag;
            create function types.bag_in(cstring) returns types.bag language internal immutable strict as 'textin';
            create function types.bag_out(types.bag) returns cstring language internal immutable strict as 'textout';
            create type types.bag (input = types.bag_in, output = types.bag_out, like = pg_catalog.text);
            create function types.bag_json(types.bag) returns json language sql immutable as $$ select json_build_array($1::text::json) $$;
            create cast (types.bag as json) with function types.bag_json(types.bag);
            create function evil.no(int, int) returns boolean language sql as 'select false';
            create function evil.yes(text, text) returns boolean language sql as 'select true';
            create function evil.abs(int) returns int language sql as 'select 0';
            create function evil.upper(int4range) returns int language sql as 'select 0';
            create function evil.length(bytea) returns int language sql as 'select 0';
            create operator evil.> (leftarg = int, rightarg = int, function = evil.no);
            create operator evil.< (leftarg = int, rightarg = int, function = evil.no);
            create operator evil.>= (leftarg = int, rightarg = int, function = evil.no);
            create operator evil.<> (leftarg = int, rightarg = int, function = evil.no);
            create operator evil.> (leftarg = text, rightarg = text, function = evil.yes);
            create operator evil.~~ (leftarg = text, rightarg = text, function = evil.yes);
            create operator evil.~ (leftarg = text, rightarg = text, function = evil.yes);
            create table public.limits (most int);
            insert into public.limits values (3), (7);
            do $$ begin create role writer_of_a_property; exception when duplicate_object then null; end $$;
            grant usage on schema public, types, evil to public;
            -- of a stranger to the feeds: these are judged behind the fence
            alter type types.mood owner to writer_of_a_property;
            alter type types.pair owner to writer_of_a_property;
            alter function types.is_number(text) owner to writer_of_a_property;
            """;

    /**
     * The members of an alert in the order of their names, and those of its rows too; without id and time where these
     * are right.
     */
    private static final String CANONICAL = """
            create function types.canonical(alert json, since timestamptz) returns text language sql
            set search_path = pg_catalog, pg_temp
            as $fn$
              select string_agg(format('%s %s', m.key, case
                when m.key = 'id' and (m.value #>> '{}') ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' then ''
                when m.key = 'time' and (m.value #>> '{}') ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{6}Z$'
                  and (m.value #>> '{}')::timestamptz between since and clock_timestamp() then ''
                when m.key in ('old', 'new') then (
                  select string_agg(format('%s %s', r.key, r.value), ', ' order by r.key collate "C")
                  from json_each(m.value) r
                  -- of a child: a column that its feed does not have
                  where not (r.key = 'extra' and r.value::text = ((m.value ->> 'rid')::int * 10)::text))
                else m.value::text end), E'\\n' order by m.key collate "C")
              from json_each(alert) m
              where m.key <> 'partition'
            $fn$""";

    /** One rule on one recorded change. as_old: the row before, as if it were new. */
    private static final String NAIVE = """
            create function types.naive(expression text, change bigint, as_old boolean) returns text language plpgsql
            set search_path = pg_catalog, pg_temp
            as $fn$
            declare
              answer text;
            begin
              execute 'select (' || expression || E'\\n)::text from ('
                'select case when $2 then null else r.old end as old, case when $2 then r.old else r.new end as new from twin.recorded r where r.seq = $1 offset 0) as _recorded'
                ' cross join lateral (select (_recorded.old).*) as old cross join lateral (select (_recorded.new).*) as new'
              into answer using change, as_old;
              return coalesce(answer, 'null');
            exception when others then
              return 'error ' || sqlstate || ' ' || sqlerrm;
            end
            $fn$""";

    /** How much there was. */
    record Totals(Map<String, Integer> counts) {

        void add(String name, int more) {
            counts.merge(name, more, Integer::sum);
        }

        int get(String name) {
            return counts.getOrDefault(name, 0);
        }
    }

    private record Document(String text, String partition, boolean mayOmitPartition) {}

    private final List<Connection> writers = new ArrayList<>();
    private final Connection judge;
    private final Statement judging;

    TwinRun(TestDatabase database) throws SQLException {
        for (int i = 0; i < 2; i++) {
            writers.add(database.connect());
        }
        judge = database.connect();
        judging = judge.createStatement();
        judging.execute("set synchronous_commit = off");
        judging.execute("set timezone = 'UTC'");
        judging.execute("set search_path = pg_catalog, pg_temp");
        judging.execute("set lock_timeout = '20s'");
        judging.execute("listen property");
    }

    static void prepare(TestDatabase database) {
        database.execute(TYPES, CANONICAL, NAIVE);
    }

    /** What cases may hold on this server. */
    static Set<Feature> features(TestDatabase database) {
        Set<Feature> features = EnumSet.allOf(Feature.class);
        if (database.major() < 15) {
            features.remove(Feature.MERGE);
        }
        if (database.major() < 14) {
            // it reports each setting at once, and pgjdbc closes a connection with another style
            features.remove(Feature.DATE_STYLES);
        }
        // an alert of a delete through a child names that child, also where the row was in a child of it
        features.remove(Feature.WRITES_THROUGH_A_CHILD_WITH_CHILDREN);
        return features;
    }

    @Override
    public void close() throws SQLException {
        for (Connection writer : writers) {
            writer.close();
        }
        judge.close();
    }

    /** What is wrong with the alerts or the table after these steps; null if nothing is. */
    String failureOf(RandomCase history, List<Step> steps, Totals totals) throws SQLException, IOException {
        try {
            return new Attempt(history, totals).run(steps);
        } catch (SQLException e) {
            return "could not be run: " + e;
        } finally {
            for (Connection writer : writers) {
                execute(writer, "rollback");
                execute(writer, "reset role");
                execute(writer, "reset all");
            }
            judging.execute("delete from rowbell.rule");
            judging.execute("drop schema if exists twin cascade");
            for (String name : List.of(history.root, history.table)) {
                judging.execute("drop table if exists " + live(name) + " cascade");
            }
            judging.execute("drop function if exists public.user_trigger()");
            judging.execute("truncate rowbell.feedback, rowbell.rule_failure");
            // drops the functions and the role of the feed
            judging.execute("select rowbell.refresh()");
            judging.execute("delete from rowbell.feed");
            judging.execute("truncate rowbell.feedback");
            judge.unwrap(PGConnection.class).getNotifications();
        }
    }

    /** The steps as SQL, to be read. */
    String sqlOf(RandomCase history, List<Step> steps) throws SQLException {
        List<String> sql = new ArrayList<>();
        history.tables.forEach(table -> sql.add(live(table)));
        for (Step step : steps) {
            if (step instanceof Write write) {
                sql.add("/* session " + write.session() + " */ " + live(write.sql()));
            } else if (step instanceof Session session) {
                sql.add("/* session " + session.session() + " */ " + session.sql());
            } else if (step instanceof Put put) {
                try (PreparedStatement statement = put(history, put.rule())) {
                    sql.add(statement.toString());
                }
            } else {
                sql.add(step.toString());
            }
        }
        return String.join(";\n", sql) + ";";
    }

    private static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static String live(String sql) {
        return sql.replace("@S", "public");
    }

    private static String twin(String sql) {
        return sql.replace("@S", "twin");
    }

    private PreparedStatement put(RandomCase history, Rule rule) throws SQLException {
        PreparedStatement statement = judge.prepareStatement("""
                insert into rowbell.rule (name, feed, condition, fires, columns, resolved, operations, delivery, channel, severity, reason)
                values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                on conflict (name) do update set condition = excluded.condition, fires = excluded.fires, columns = excluded.columns,
                  resolved = excluded.resolved, operations = excluded.operations, delivery = excluded.delivery, channel = excluded.channel,
                  severity = excluded.severity, reason = excluded.reason, enabled = true""");
        statement.setString(1, rule.name());
        statement.setString(2, live(history.table));
        statement.setString(3, live(rule.condition().replace("@NEW", "NEW::" + history.table)));
        statement.setString(4, rule.fires());
        statement.setArray(
                5,
                judge.createArrayOf(
                        "text", rule.columns().stream().map(Column::name).toArray()));
        statement.setBoolean(6, rule.resolved());
        statement.setArray(7, judge.createArrayOf("text", rule.operations().toArray()));
        statement.setString(8, rule.notifies() ? "notify" : "durable");
        statement.setString(9, rule.channel());
        statement.setString(10, rule.severity());
        statement.setString(11, rule.reason());
        return statement;
    }

    private final class Attempt {

        private final RandomCase history;
        private final Totals totals;
        private final Map<String, Rule> rules = new LinkedHashMap<>();
        /** Which rules there were at which statement. */
        private final List<List<Rule>> active = new ArrayList<>();

        private final List<Document> expected = new ArrayList<>();
        /** Rules that must fail on some row. */
        private final Set<String> mustFail = new HashSet<>();
        /** Each failure that a row gives. */
        private final Set<String> mayFail = new HashSet<>();

        Attempt(RandomCase history, Totals totals) {
            this.history = history;
            this.totals = totals;
        }

        String run(List<Step> steps) throws SQLException, IOException {
            String since = first("select clock_timestamp()::text");
            makeTables();
            for (Step step : steps) {
                String wrong = run(step);
                if (wrong != null) {
                    return wrong + "\nat " + step;
                }
            }
            for (Connection writer : writers) {
                execute(writer, "rollback");
            }
            totals.add(
                    "feeds behind the fence",
                    Integer.parseInt(first(
                            "select count(*) from pg_proc where proname ~ '^on_' and prosrc like '%exit fence%'")));
            if (history.movesAreUpdates()) {
                joinMovedRows();
            }
            for (Rule rule : active.stream().flatMap(List::stream).distinct().toList()) {
                expect(rule);
            }
            String differing = differingRows();
            return differing != null ? differing : compareAlerts(since);
        }

        private String first(String sql) throws SQLException {
            try (ResultSet rows = judging.executeQuery(sql)) {
                rows.next();
                return rows.getString(1);
            }
        }

        private void makeTables() throws SQLException {
            judging.execute("create schema twin");
            for (String table : history.tables) {
                judging.execute(live(table));
                judging.execute(twin(table));
            }
            judging.execute("grant usage on schema twin to public");
            judging.execute("grant all on all tables in schema public, twin to writer_of_a_property");
            judging.execute(twin(
                    "create table @S.recorded (seq bigint generated always as identity, stmt int, op text, place text, old %1$s, new %1$s)"
                            .formatted(history.table)));
            String names = history.columns.stream().map(Column::quoted).collect(Collectors.joining(", ROW."));
            String row = "row(ROW.rid, ROW.k, ROW." + names + ")::" + history.table;
            judging.execute(twin("""
                    create function @S.record() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $fn$
                    begin
                      if tg_op = 'INSERT' then
                        insert into twin.recorded (stmt, op, place, new) values (current_setting('test.stmt')::int, tg_op, tg_table_name, %2$s);
                      elsif tg_op = 'DELETE' then
                        insert into twin.recorded (stmt, op, place, old) values (current_setting('test.stmt')::int, tg_op, tg_table_name, %1$s);
                      else
                        insert into twin.recorded (stmt, op, place, old, new) values (current_setting('test.stmt')::int, tg_op, tg_table_name, %1$s, %2$s);
                      end if;
                      return null;
                    end
                    $fn$""")
                    .formatted(row.replace("ROW.", "old."), row.replace("ROW.", "new."))
                    .replace("@S", "twin"));
            for (String table : history.recorded) {
                judging.execute(twin(
                        "create trigger m_record after insert or update or delete on %s for each row execute function @S.record()"
                                .formatted(table)));
            }
        }

        // --- the history ---

        private String run(Step step) throws SQLException, IOException {
            if (step instanceof Write write) {
                return write(writers.get(write.session()), write.sql());
            } else if (step instanceof Session session) {
                try {
                    execute(writers.get(session.session()), session.sql());
                } catch (SQLException e) {
                    // a savepoint outside of a transaction, where a step was left out; a commit that conflicts
                    totals.add("error " + e.getSQLState(), 1);
                }
            } else if (step instanceof Put put) {
                totals.add("rules", 1);
                try (PreparedStatement statement = put(history, put.rule())) {
                    statement.execute();
                }
                rules.put(put.rule().name(), put.rule());
            } else if (step instanceof Remove remove) {
                try (PreparedStatement statement = judge.prepareStatement(
                        (remove.disabled() ? "update rowbell.rule set enabled = false" : "delete from rowbell.rule")
                                + " where name = ?")) {
                    statement.setString(1, remove.rule());
                    statement.execute();
                }
                rules.remove(remove.rule());
            } else if (step instanceof ForEach each) {
                judging.execute("select rowbell.for_each('%s', '%s')"
                        .formatted(live(history.table).replace("'", "''"), each.what()));
            }
            return null;
        }

        private String write(Connection writer, String sql) throws SQLException, IOException {
            execute(writer, "set test.stmt = " + active.size());
            active.add(List.copyOf(rules.values()));
            boolean inTransaction = writer.unwrap(BaseConnection.class).getTransactionState() == TransactionState.OPEN;
            if (inTransaction) {
                execute(writer, "savepoint w");
            }
            String outcome = outcome(writer, live(sql), inTransaction);
            String right = outcome(writer, twin(sql), inTransaction);
            if (outcome.startsWith("error")) {
                totals.add(outcome.substring(0, 11), 1);
            }
            // copy writes many rows at once, and one by one where the table has a trigger: of two errors it meets
            // another first
            String same = sql.startsWith("copy ") ? "(error) .*" : "(error .{5}).*";
            return outcome.replaceFirst(same, "$1").equals(right.replaceFirst(same, "$1"))
                    ? null
                    : "the statement ended with: %s%nwithout rules it ends with: %s".formatted(outcome, right);
        }

        private String outcome(Connection writer, String sql, boolean inTransaction) throws SQLException, IOException {
            try (Statement statement = writer.createStatement()) {
                if (sql.startsWith("copy")) {
                    int lines = sql.indexOf('\n');
                    return writer.unwrap(PGConnection.class)
                                    .getCopyAPI()
                                    .copyIn(sql.substring(0, lines), new StringReader(sql.substring(lines + 1)))
                            + " rows";
                }
                statement.execute(sql);
                return statement.getUpdateCount() + " rows";
            } catch (SQLException e) {
                if (inTransaction) {
                    execute(writer, "rollback to savepoint w");
                }
                return "error " + e.getSQLState() + " " + e.getMessage().replace('\n', ' ');
            }
        }

        // --- what is expected ---

        /** An update that moves a row to another partition is a delete and an insert to a row trigger. */
        private void joinMovedRows() throws SQLException {
            judging.execute("""
                    with moved as (
                      delete from twin.recorded d using twin.recorded i
                      where d.op = 'DELETE' and i.op = 'INSERT' and d.stmt = i.stmt and (d.old).rid = (i.new).rid
                      returning i.seq, d.old)
                    update twin.recorded r set op = 'UPDATE', old = moved.old from moved where r.seq = moved.seq""");
        }

        private String changedSql(List<Column> columns, String operation) {
            return columns.stream()
                    .map(c -> switch (operation) {
                        case "INSERT" -> "(NEW.%s)::text is not null".formatted(c.quoted());
                        case "DELETE" -> "(OLD.%s)::text is not null".formatted(c.quoted());
                        default ->
                            "NEW.%1$s%2$s is distinct from OLD.%1$s%2$s"
                                    .formatted(
                                            c.quoted(),
                                            c.type().equals("json")
                                                            || c.type().endsWith("[]")
                                                            || c.type().startsWith("types.")
                                                    ? "::text"
                                                    : "");
                    })
                    .collect(Collectors.joining(" or "));
        }

        private void expect(Rule rule) throws SQLException {
            List<Integer> statements = new ArrayList<>();
            for (int i = 0; i < active.size(); i++) {
                if (active.get(i).contains(rule)) {
                    statements.add(i);
                }
            }
            try (PreparedStatement judged = judge.prepareStatement("""
                    select r.op, types.naive(c.met, r.seq, false) as met, types.naive(c.met, r.seq, true) as before,
                      types.naive(case r.op when 'INSERT' then c.inserted when 'DELETE' then c.deleted else c.updated end, r.seq, false) as changed,
                      case when r.place <> split_part(c.feed, '.', 2) then 'public.' || r.place end as partition, coalesce(r.new, r.old) as row,
                      (coalesce(r.new, r.old)).k as key,
                      array(
                        select types.canonical(json_object_agg(m.name, m.value) filter (where m.value is not null), null)
                        from unnest('{firing,resolved}'::text[]) as status
                        cross join lateral (values ('rule', to_json(c.rule)), ('reason', to_json(c.reason)), ('severity', to_json(c.severity)),
                          ('status', to_json(status)), ('table', to_json(c.feed)), ('operation', to_json(r.op)), ('old', row_to_json(r.old)),
                          ('new', row_to_json(r.new)), ('channel', to_json(c.channel)), ('key', to_json(c.key))) as m (name, value)
                        group by status order by status) as documents
                    from twin.recorded r
                    cross join (values (?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text[]))
                      as c (met, inserted, updated, deleted, rule, reason, severity, channel, feed, key)
                    where r.stmt = any (?) and lower(r.op) = any (?)
                    order by r.seq""")) {
                judged.setString(1, twin(rule.condition().replace("@NEW", "(_recorded.new)")));
                judged.setString(2, changedSql(rule.columns(), "INSERT"));
                judged.setString(3, changedSql(rule.columns(), "UPDATE"));
                judged.setString(4, changedSql(rule.columns(), "DELETE"));
                judged.setString(5, rule.name());
                judged.setString(6, rule.reason() == null ? rule.name() : rule.reason());
                judged.setString(7, rule.severity());
                judged.setString(8, rule.channel());
                judged.setString(9, live(history.table).replace("\"", ""));
                judged.setArray(10, judge.createArrayOf("text", history.hasKey() ? new String[] {"k"} : new String[0]));
                judged.setArray(11, judge.createArrayOf("int", statements.toArray()));
                judged.setArray(
                        12, judge.createArrayOf("text", rule.operations().toArray()));
                try (ResultSet rows = judged.executeQuery()) {
                    while (rows.next()) {
                        expect(rule, rows);
                    }
                }
            }
        }

        private void expect(Rule rule, ResultSet row) throws SQLException {
            String operation = row.getString("op");
            String met = row.getString("met");
            String metBefore = row.getString("before");
            boolean delete = operation.equals("DELETE");
            boolean update = operation.equals("UPDATE");
            // a delete has no NEW
            boolean asksNow = !delete || rule.compares();
            boolean asksBefore = !rule.compares()
                    && (update && (rule.fires().equals("once") || rule.resolved()) || delete && rule.resolved());
            boolean cannotJudge = asksNow && met.startsWith("error");
            boolean cannotJudgeBefore = asksBefore && metBefore.startsWith("error");
            boolean isMet = asksNow && met.equals("true");
            boolean before = asksBefore && metBefore.equals("true");
            boolean fires = isMet
                    && switch (rule.fires()) {
                        case "every" -> true;
                        case "changed" -> row.getString("changed").equals("true");
                        default -> !before && !cannotJudgeBefore;
                    };
            for (String error : List.of(cannotJudge ? met : "", cannotJudgeBefore ? metBefore : "")) {
                if (!error.isEmpty()) {
                    mayFail.add(failure(rule, error, operation, row.getString("key")));
                }
            }
            // a rule that fires need not be asked whether it has ended
            if (cannotJudge || cannotJudgeBefore && rule.resolved() && !fires) {
                mustFail.add(rule.name());
            }
            String[] documents = (String[]) row.getArray("documents").getArray();
            String way = rule.notifies() ? "notify" : "durable";
            boolean mayOmit = history.mayOmitPartition() && !operation.equals("INSERT");
            if (fires) {
                expected.add(new Document(way + "\n" + documents[0], row.getString("partition"), mayOmit));
            }
            if (rule.resolved() && before && (delete || !isMet && !cannotJudge)) {
                expected.add(new Document(way + "\n" + documents[1], row.getString("partition"), mayOmit));
            }
        }

        private String failure(Rule rule, String error, String operation, String key) {
            return "%s | %s | %s | %s"
                    .formatted(rule.name(), error, operation, history.hasKey() ? "{\"k\":" + key + "}" : "{}");
        }

        // --- what came ---

        private String differingRows() throws SQLException {
            String all = "select c.relname as place, t::text as row from %s t join pg_class c on c.oid = t.tableoid"
                    .formatted(history.root);
            try (ResultSet rows = judging.executeQuery(
                    "select 'with rules', * from (%1$s except all %2$s) a union all select 'without', * from (%2$s except all %1$s) b"
                            .formatted(live(all), twin(all)))) {
                return rows.next()
                        ? "the tables differ, %s: %s %s"
                                .formatted(rows.getString(1), rows.getString(2), rows.getString(3))
                        : null;
            }
        }

        private String compareAlerts(String since) throws SQLException {
            judging.execute("select rowbell.report_failures()");
            List<String> payloads = new ArrayList<>();
            PGNotification[] notifications = judge.unwrap(PGConnection.class).getNotifications();
            for (PGNotification notification : notifications == null ? new PGNotification[0] : notifications) {
                payloads.add(notification.getParameter());
            }
            List<Document> actual = new ArrayList<>();
            Set<String> ids = new HashSet<>();
            Set<String> failed = new HashSet<>();
            StringBuilder wrong = new StringBuilder();
            try (PreparedStatement read = judge.prepareStatement("""
                    select alert ->> 'id', alert ->> 'rule' = 'rowbell-rule-failed' as failure, alert ->> 'partition', alert -> 'payload' ->> 'rule',
                      concat_ws(' | ', alert -> 'payload' ->> 'rule', 'error ' || (alert -> 'payload' ->> 'sqlstate') || ' ' || (alert -> 'payload' ->> 'error'),
                        alert -> 'payload' ->> 'operation', alert -> 'payload' ->> 'key'), way || E'\\n' || types.canonical(alert, ?::timestamptz)
                    from (select alert, 'durable' as way from rowbell.feedback union all select a::json, 'notify' from unnest(?::text[]) a) raised""")) {
                read.setString(1, since);
                read.setArray(2, judge.createArrayOf("text", payloads.toArray()));
                try (ResultSet rows = read.executeQuery()) {
                    while (rows.next()) {
                        if (!ids.add(rows.getString(1))) {
                            wrong.append("the id %s comes twice%n".formatted(rows.getString(1)));
                        }
                        if (rows.getBoolean(2)) {
                            failed.add(rows.getString(4));
                            if (!mayFail.contains(rows.getString(5))) {
                                wrong.append("said to have failed: %s%nof: %s%n".formatted(rows.getString(5), mayFail));
                            }
                        } else {
                            actual.add(new Document(
                                    rows.getString(6).replaceAll("\n(id|time) (?=\n|$)", ""),
                                    rows.getString(3),
                                    false));
                        }
                    }
                }
            }
            totals.add("alerts", actual.size());
            totals.add("rules that failed", failed.size());
            totals.add("histories", 1);
            mustFail.removeAll(failed);
            if (!mustFail.isEmpty()) {
                wrong.append("not said to have failed: ").append(mustFail).append('\n');
            }
            match(actual, false);
            match(actual, true);
            expected.forEach(
                    document -> wrong.append("missing: ").append(document).append('\n'));
            actual.forEach(
                    document -> wrong.append("not expected: ").append(document).append('\n'));
            return wrong.isEmpty() ? null : wrong.toString();
        }

        /** Takes away what is expected and came. */
        private void match(List<Document> actual, boolean withoutPartition) {
            actual.removeIf(document -> {
                for (Document right : expected) {
                    boolean samePlace = withoutPartition
                            ? right.mayOmitPartition() && document.partition() == null
                            : Objects.equals(right.partition(), document.partition());
                    if (samePlace && right.text().equals(document.text())) {
                        expected.remove(right);
                        return true;
                    }
                }
                return false;
            });
        }
    }
}
