package dev.rowbell.time;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** Random histories of rows, with jumps of the clock and crashes, against a naive evaluation of a rule with {@code for}. */
@Tag("scaled")
class TimerPropertyTest {

    private static final int HOLDS = 30;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private Timers timers;

    /** A row, and since when it has met the condition, in minutes; null if it does not. */
    private record Row(Integer since, boolean fired) {

        static final Row UNMET = new Row(null, false);
    }

    /** The naive evaluation. */
    private static final class Model {

        final Map<Integer, Row> rows = new TreeMap<>();
        /** Rows that met the condition when this transaction deleted them, and of which no trigger for timers told since. */
        final Map<Integer, Row> deleted = new TreeMap<>();

        final List<String> due = new ArrayList<>();

        Model() {}

        Model(Model other) {
            rows.putAll(other.rows);
            deleted.putAll(other.deleted);
            due.addAll(other.due);
        }

        void write(int id, boolean met, int now) {
            Row before = rows.get(id);
            if (!met) {
                end(id, before);
                rows.put(id, Row.UNMET);
                return;
            }
            Row again = deleted.remove(id);
            if (before == null) {
                rows.put(id, again == null ? new Row(now, false) : again);
            } else {
                // what follows the delete is no insert
                end(id, again);
                rows.put(id, before.since() == null ? new Row(now, false) : before);
            }
        }

        void delete(int id) {
            Row gone = rows.remove(id);
            if (gone.since() != null) {
                deleted.put(id, gone);
            }
        }

        void move(int id, int to) {
            rows.put(to, rows.remove(id));
        }

        /** Of one statement: the rows that have these keys exchange them, and those that have the other state afterwards meet the condition or not. */
        void exchange(int one, int other, boolean oneMet, boolean otherMet, int now) {
            Row first = rows.remove(one);
            Row second = rows.remove(other);
            if (first != null) {
                put(one, other, first, oneMet, now);
            }
            if (second != null) {
                put(other, one, second, otherMet, now);
            }
        }

        private void put(int from, int to, Row row, boolean met, int now) {
            if (!met) {
                end(from, row);
                rows.put(to, Row.UNMET);
            } else {
                rows.put(to, row.since() == null ? new Row(now, false) : row);
            }
        }

        void commit() {
            deleted.forEach(this::end);
            deleted.clear();
        }

        private void end(int id, Row row) {
            if (row != null && row.fired()) {
                due.add("resolved " + id);
            }
        }

        List<String> work(int now) {
            rows.replaceAll((id, row) -> {
                if (row.since() == null || row.fired() || row.since() + HOLDS > now) {
                    return row;
                }
                due.add("firing " + id);
                return new Row(row.since(), true);
            });
            List<String> raised = due.stream().sorted().toList();
            due.clear();
            return raised;
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void alertsAreThoseOfANaiveEvaluation(String each) throws SQLException {
        database.execute(
                "create table public.orders (id int primary key deferrable, state text)",
                "select rowbell.for_each('public.orders', '" + each + "')",
                "insert into rowbell.rule (name, feed, condition, \"for\", resolved) values ('held', 'public.orders', 'NEW.state = ''placed''', '"
                        + HOLDS + " min', true)");
        long seed = Long.getLong("rowbell.seed", System.nanoTime());
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            for (int i = 0; i < Integer.getInteger("rowbell.cases", 50); i++) {
                // few at a time, so that a transaction and a statement have more
                timers = new Timers(new SingleConnectionDataSource(connection, true), 1 + i % 5);
                history(statement, seed + i);
            }
        }
    }

    private void history(Statement sql, long seed) throws SQLException {
        Random random = new Random(seed);
        List<String> steps = new ArrayList<>();
        Model model = new Model();
        int now = 0;
        sql.execute("delete from public.orders");
        timers.work();
        sql.execute("delete from rowbell.feedback");
        for (int step = 0; step < 15; step++) {
            switch (random.nextInt(4)) {
                case 0 -> {
                    int minutes = 7 * (1 + random.nextInt(5));
                    now += minutes;
                    run(sql, steps, """
                            update rowbell.timer set since = since - interval '%1$d min', began = began - interval '%1$d min', fired = fired - interval '%1$d min'
                            """.formatted(minutes));
                    run(sql, steps, "update rowbell.timer_event set at = at - interval '%d min'".formatted(minutes));
                }
                case 1 -> {
                    if (random.nextBoolean()) {
                        // a process that dies
                        run(
                                sql,
                                steps,
                                "begin isolation level repeatable read; select rowbell.begin_fold(1); select rowbell.fold_timers(1, 2);"
                                        + " select rowbell.run_timers(id) from rowbell.rule_state; rollback");
                    }
                    steps.add("fire");
                    timers.work();
                    assertEquals(
                            model.work(now),
                            raised(sql),
                            () -> "-Drowbell.seed=" + seed + "\n" + String.join(";\n", steps));
                }
                default -> model = transaction(sql, steps, random, model, now);
            }
        }
        timers.work();
        assertEquals(model.work(now), raised(sql), () -> "-Drowbell.seed=" + seed + "\n" + String.join(";\n", steps));
    }

    private static Model transaction(Statement sql, List<String> steps, Random random, Model before, int now)
            throws SQLException {
        Model model = new Model(before);
        run(sql, steps, "begin");
        for (int n = random.nextInt(4); n >= 0; n--) {
            int id = random.nextInt(4);
            boolean met = random.nextBoolean();
            String state = met ? "placed" : "paid";
            switch (random.nextInt(7)) {
                case 5 -> {
                    if (model.rows.containsKey(id)) {
                        run(
                                sql,
                                steps,
                                "delete from public.orders where id = %1$d; insert into public.orders values (%1$d, '%2$s')"
                                        .formatted(id, state));
                        model.delete(id);
                        model.write(id, met, now);
                    }
                }
                case 6 -> {
                    int other = (id + 1 + random.nextInt(3)) % 4;
                    boolean otherMet = random.nextBoolean();
                    if (!model.deleted.containsKey(id) && !model.deleted.containsKey(other)) {
                        run(
                                sql,
                                steps,
                                "update public.orders set id = %2$d + %1$d - id, state = case id when %1$d then '%3$s' else '%4$s' end where id in (%1$d, %2$d)"
                                        .formatted(id, other, state, otherMet ? "placed" : "paid"));
                        model.exchange(id, other, met, otherMet, now);
                    }
                }
                case 0 -> {
                    if (model.rows.containsKey(id)) {
                        run(sql, steps, "delete from public.orders where id = " + id);
                        model.delete(id);
                    }
                }
                case 1 -> {
                    int to = 4 + random.nextInt(4);
                    if (model.rows.containsKey(id) && !model.rows.containsKey(to) && !model.deleted.containsKey(to)) {
                        run(sql, steps, "update public.orders set id = %d where id = %d".formatted(to, id));
                        model.move(id, to);
                    }
                }
                case 2 -> {
                    run(sql, steps, "update public.orders set state = '%s' where id >= %d".formatted(state, id));
                    for (int other : List.copyOf(model.rows.keySet())) {
                        if (other >= id) {
                            model.write(other, met, now);
                        }
                    }
                }
                default -> {
                    run(
                            sql,
                            steps,
                            (model.rows.containsKey(id)
                                            ? "update public.orders set state = '%2$s' where id = %1$d"
                                            : "insert into public.orders values (%d, '%s')")
                                    .formatted(id, state));
                    model.write(id, met, now);
                }
            }
        }
        if (random.nextInt(4) == 0) {
            run(sql, steps, "rollback");
            return before;
        }
        run(sql, steps, "commit");
        model.commit();
        return model;
    }

    private static void run(Statement sql, List<String> steps, String statement) throws SQLException {
        steps.add(statement.strip());
        sql.execute(statement);
    }

    /** And takes them away. */
    private static List<String> raised(Statement sql) throws SQLException {
        List<String> raised = new ArrayList<>();
        try (ResultSet rows = sql.executeQuery(
                "with gone as (delete from rowbell.feedback returning alert) select concat(alert ->> 'status', ' ', alert -> 'new' ->> 'id') from gone order by 1")) {
            while (rows.next()) {
                raised.add(rows.getString(1));
            }
        }
        return raised;
    }
}
