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
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random histories of writes, with jumps of the clock, late commits and crashes, against a naive evaluation of rules that count, and of one that waits
 * for writes.
 */
@Tag("scaled")
class WindowPropertyTest {

    /** In seconds. So long that it does not matter how long a history takes on a busy machine. */
    private static final int WITHIN = 1_800_000;
    /** As long. No change is ever so long ago. */
    private static final int ABSENT = 2_500_000;
    /** After each look: a window that ended in the same thousandth of the time as a resolved alert may be told from it or not. */
    private static final int AFTER_LOOK = 13_000;

    private final TestDatabase database = TestDatabase.createWithSchema();

    /** One change that counts: when, in which group, how much. */
    private record Change(int at, String shop, int amount) {}

    /** Rows of the feed: whether they meet the condition, and their group. */
    private record Row(boolean met, String shop) {}

    /** The naive evaluation of one rule: all changes are kept, and each window is added up anew. */
    private static final class Counter {

        private final String rule;
        private final ToIntFunction<Change> weight;
        private final int line;
        private final List<Change> changes = new ArrayList<>();
        private final Map<String, Integer> firing = new TreeMap<>();
        private final Map<String, Integer> until = new TreeMap<>();

        Counter(String rule, ToIntFunction<Change> weight, int line) {
            this.rule = rule;
            this.weight = weight;
            this.line = line;
        }

        private int total(String shop, int end) {
            return changes.stream()
                    .filter(c -> c.shop().equals(shop) && c.at() <= end && c.at() > end - WITHIN)
                    .mapToInt(weight)
                    .sum();
        }

        private int at(String shop, int at) {
            return changes.stream()
                    .filter(c -> c.shop().equals(shop) && c.at() == at)
                    .mapToInt(weight)
                    .sum();
        }

        /** @param judged when it was done last */
        List<String> work(int now, int judged) {
            List<String> raised = new ArrayList<>();
            for (String shop : changes.stream().map(Change::shop).distinct().toList()) {
                int before = Math.max(judged - WITHIN, until.getOrDefault(shop, Integer.MIN_VALUE));
                boolean crossed = total(shop, now) >= line
                        || changes.stream()
                                .filter(c -> c.shop().equals(shop))
                                .map(Change::at)
                                // the total grows when what took away from it leaves the window
                                .flatMap(at -> at(shop, at) < 0 ? Stream.of(at, at + WITHIN) : Stream.of(at))
                                .anyMatch(at -> at > before && at <= now && total(shop, at) >= line);
                if (!firing.containsKey(shop) && crossed) {
                    firing.put(shop, now);
                    raised.add(rule + " firing " + shop);
                }
                if (firing.containsKey(shop) && total(shop, now) < line) {
                    firing.remove(shop);
                    until.put(shop, now);
                    raised.add(rule + " resolved " + shop);
                }
            }
            return raised;
        }
    }

    /** Of a rule that waits for writes. */
    private static final class Silence {

        private final List<Change> writes;
        private final Set<String> firing = new TreeSet<>();

        Silence(List<Change> writes) {
            this.writes = writes;
        }

        List<String> work(int now) {
            List<String> raised = new ArrayList<>();
            for (String shop : writes.stream().map(Change::shop).distinct().toList()) {
                boolean silent = writes.stream().noneMatch(w -> w.shop().equals(shop) && w.at() > now - ABSENT);
                if (silent ? firing.add(shop) : firing.remove(shop)) {
                    raised.add("silent " + (silent ? "firing " : "resolved ") + shop);
                }
            }
            return raised;
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"statement", "row"})
    void alertsAreThoseOfANaiveEvaluation(String each) throws SQLException {
        database.execute(
                "create table public.payment (id int primary key, state text, shop text, amount int)",
                "select rowbell.for_each('public.payment', '" + each + "')",
                """
                insert into rowbell.rule (name, feed, condition, count, sum, over, within, by, fires, resolved) values
                  ('counted', 'public.payment', 'NEW.state = ''failed''', 4, null, null, '%1$d s', '{NEW.shop}', 'once', true),
                  ('every', 'public.payment', 'NEW.state = ''failed''', 5, null, null, '%1$d s', '{NEW.shop}', 'every', true),
                  ('summed', 'public.payment', 'NEW.state = ''failed''', null, 'NEW.amount', 9, '%1$d s', '{NEW.shop}', 'every', true)
                """.formatted(WITHIN),
                "insert into rowbell.rule (name, feed, condition, absent, by, resolved, forget) values ('silent', 'public.payment', 'NEW.state = ''failed''', '%d s', '{NEW.shop}', true, '9000 days')"
                        .formatted(ABSENT));
        long seed = Long.getLong("rowbell.seed", System.nanoTime());
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            int cases = Integer.getInteger("rowbell.cases", 50);
            // a history has three rules and takes a tenth of a second
            for (int i = 0; i < (cases > 1000 ? cases / 5 : cases); i++) {
                history(statement, seed + i);
            }
        }
    }

    private static void history(Statement sql, long seed) throws SQLException {
        Random random = new Random(seed);
        List<String> steps = new ArrayList<>();
        Counter counted = new Counter("counted", change -> 1, 4);
        Counter every = new Counter("every", change -> 1, 5);
        Counter summed = new Counter("summed", Change::amount, 10);
        Silence silence = new Silence(every.changes);
        Map<Integer, Row> rows = new TreeMap<>();
        int now = 0;
        int judged = 0;
        sql.execute("delete from public.payment; delete from rowbell.window_event; delete from rowbell.window_group;"
                + " update rowbell.window_feed set judged = clock_timestamp(); delete from rowbell.feedback");
        for (int step = 0; step < 25; step++) {
            switch (random.nextInt(5)) {
                case 0, 1 -> {
                    // never so that a window ends where a change is
                    int seconds = 420_000 * (1 + random.nextInt(4));
                    now += seconds;
                    run(sql, steps, pass(seconds));
                    if (random.nextBoolean()) {
                        // a process is there, and the changes that it has not seen are of late commits
                        judged = now;
                        run(sql, steps, "update rowbell.window_feed set judged = clock_timestamp()");
                    }
                }
                case 2 -> {
                    if (random.nextBoolean()) {
                        // a process that dies
                        run(sql, steps, "begin; select rowbell.run_windows(1, 1); rollback");
                    }
                    steps.add("work");
                    List<String> expected = new ArrayList<>();
                    for (Counter counter : List.of(counted, every, summed)) {
                        expected.addAll(counter.work(now, judged));
                    }
                    expected.addAll(silence.work(now));
                    judged = now;
                    sql.execute("do $$ begin while rowbell.run_windows(1, %d) loop null; end loop; end $$"
                            .formatted(random.nextInt(4) > 0 ? 50_000 : 2 + random.nextInt(6)));
                    assertEquals(
                            expected.stream().sorted().toList(),
                            raised(sql),
                            () -> "-Drowbell.seed=" + seed + "\n" + String.join(";\n", steps));
                    now += AFTER_LOOK;
                    run(sql, steps, pass(AFTER_LOOK));
                }
                default -> {
                    boolean rollback = random.nextInt(4) == 0;
                    Map<Integer, Row> written = new TreeMap<>(rows);
                    run(sql, steps, "begin");
                    for (int n = random.nextInt(3); n >= 0; n--) {
                        write(sql, steps, random, written, now, rollback ? List.of() : List.of(counted, every, summed));
                    }
                    run(sql, steps, rollback ? "rollback" : "commit");
                    rows = rollback ? rows : written;
                }
            }
        }
    }

    private static void write(
            Statement sql, List<String> steps, Random random, Map<Integer, Row> rows, int now, List<Counter> counters)
            throws SQLException {
        boolean met = random.nextInt(4) > 0;
        String shop = List.of("a", "b").get(random.nextInt(2));
        int amount = random.nextInt(9) - 3;
        int first = random.nextInt(4);
        int last = first + random.nextInt(4);
        run(
                sql,
                steps,
                "insert into public.payment select n, '%s', '%s', %d from generate_series(%d, %d) n on conflict (id) do update set state = excluded.state, shop = excluded.shop, amount = excluded.amount"
                        .formatted(met ? "failed" : "paid", shop, amount, first, last));
        for (int id = first; id <= last; id++) {
            Row before = rows.put(id, new Row(met, shop));
            for (Counter counter : counters) {
                if (met && (!counter.rule.equals("counted") || before == null || !before.met())) {
                    counter.changes.add(new Change(now, shop, amount));
                }
            }
        }
    }

    private static String pass(int seconds) {
        return """
                update rowbell.window_event set at = at - interval '%1$d s';
                update rowbell.window_count set at = at + interval '9000 days';
                update rowbell.window_count set at = at - interval '9000 days' - interval '%1$d s';
                update rowbell.window_group set since = since - interval '%1$d s', until = until - interval '%1$d s', due = due - interval '%1$d s', last = last - interval '%1$d s';
                update rowbell.window_feed set judged = judged - interval '%1$d s';
                update rowbell.rule_state set counts_since = counts_since - interval '%1$d s'
                """.formatted(seconds).strip();
    }

    private static void run(Statement sql, List<String> steps, String statement) throws SQLException {
        steps.add(statement);
        sql.execute(statement);
    }

    /** And takes them away. */
    private static List<String> raised(Statement sql) throws SQLException {
        List<String> raised = new ArrayList<>();
        try (ResultSet rows = sql.executeQuery(
                "with gone as (delete from rowbell.feedback returning alert) select concat_ws(' ', alert ->> 'rule', alert ->> 'status', alert -> 'new' ->> 'shop') from gone order by 1")) {
            while (rows.next()) {
                raised.add(rows.getString(1));
            }
        }
        return raised;
    }
}
