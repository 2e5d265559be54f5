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

/** Random histories of rows, with jumps of the clock and crashes, against a naive evaluation of a rule with {@code for}. */
@Tag("scaled")
class TimerPropertyTest {

    private static final int HOLDS = 30;

    private final TestDatabase database = TestDatabase.createWithSchema();

    /** A row, and since when it has met the condition, in minutes; null if it does not. */
    private record Row(Integer since, boolean fired) {

        static final Row UNMET = new Row(null, false);
    }

    /** The naive evaluation. */
    private static final class Model {

        final Map<Integer, Row> rows = new TreeMap<>();
        /** Rows that met the condition when this transaction deleted them, and of which nothing was written since. */
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
            Row again = before == null ? deleted.remove(id) : null;
            if (before == null && again != null && !met) {
                // nothing is armed by this insert: what follows is no insert
                end(id, again);
                rows.put(id, Row.UNMET);
            } else if (met) {
                Row held = before != null && before.since() != null ? before : again;
                rows.put(id, held == null ? new Row(now, false) : held);
            } else {
                end(id, before);
                rows.put(id, Row.UNMET);
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
                "create table public.orders (id int primary key, state text)",
                "select rowbell.for_each('public.orders', '" + each + "')",
                "insert into rowbell.rule (name, feed, condition, \"for\", resolved) values ('held', 'public.orders', 'NEW.state = ''placed''', '"
                        + HOLDS + " min', true)");
        long seed = Long.getLong("rowbell.seed", System.nanoTime());
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            for (int i = 0; i < Integer.getInteger("rowbell.cases", 50); i++) {
                history(statement, seed + i);
            }
        }
    }

    private static void history(Statement sql, long seed) throws SQLException {
        Random random = new Random(seed);
        List<String> steps = new ArrayList<>();
        Model model = new Model();
        int now = 0;
        sql.execute("delete from public.orders");
        work(sql);
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
                        run(sql, steps, "begin; select rowbell.run_timers(1); rollback");
                    }
                    steps.add("fire");
                    work(sql);
                    assertEquals(
                            model.work(now),
                            raised(sql),
                            () -> "-Drowbell.seed=" + seed + "\n" + String.join(";\n", steps));
                }
                default -> model = transaction(sql, steps, random, model, now);
            }
        }
        work(sql);
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
            switch (random.nextInt(5)) {
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
                            "insert into public.orders values (%d, '%s') on conflict (id) do update set state = excluded.state"
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

    private static void work(Statement sql) throws SQLException {
        sql.execute("do $$ begin while rowbell.run_timers(1) loop null; end loop; end $$");
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
