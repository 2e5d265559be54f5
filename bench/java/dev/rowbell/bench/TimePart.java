package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/** What rules over time cost the writer, and how soon Rowbell fires what is due. */
final class TimePart {

    private static final int ROWS = 200_000;
    private static final int BATCH = 1000;
    /** Statements of a turn that arms or disarms. */
    private static final int STATEMENTS = Rounds.SHORT ? 5 : 20;

    private static final int ARMED = Rounds.SHORT ? 50_000 : 1_000_000;
    private static final int DUE = Rounds.SHORT ? 1_000 : 20_000;
    /** The goals: all that is due is routed within two seconds, and no writer waits for longer than 50 ms. */
    private static final double ROUTED_SECONDS = 2;

    private static final double WAIT_MILLIS = 50;

    private static final int ORDERS = Rounds.SHORT ? 20 : 200;
    private static final Duration WAITING = Duration.ofSeconds(2);
    private static final double LATE_MILLIS = 250;

    private static final String QUIET_SQL = """
            insert into %s (id, c1, c2) select ? + g, g, g from generate_series(1, 1000) g
            on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2
            """;

    /** From the start of a process, while Java compiles the most. */
    private static final Duration WARM_UP = Duration.ofSeconds(Rounds.SHORT ? 5 : 30);

    private static final Duration IDLE = Duration.ofSeconds(Rounds.SHORT ? 5 : 60);

    private interface Measure {
        void run() throws Exception;
    }

    private final Server server;
    private final Db db;
    private final Report report;

    TimePart(Server server, Report report) throws SQLException {
        this.server = server;
        db = server.database();
        this.report = report;
    }

    /** All measures, or those of {@code -Dbench.time}, separated by commas. */
    void run() throws Exception {
        Map<String, Measure> measures = new LinkedHashMap<>();
        measures.put("quiet", this::quiet);
        measures.put("absent", this::absent);
        measures.put("arming", this::arming);
        measures.put("hot", this::hot);
        measures.put("punctual", this::punctual);
        measures.put("due", this::due);
        List<String> chosen = List.of(System.getProperty("bench.time", String.join(",", measures.keySet()))
                .split(","));
        if (!measures.keySet().containsAll(chosen)) {
            throw new IllegalArgumentException("-Dbench.time knows " + measures.keySet());
        }
        for (String name : chosen) {
            measures.get(name).run();
        }
    }

    private void feed(String table) throws SQLException {
        db.execute(
                "create table " + table + Db.COLUMNS,
                "insert into " + table + " (id, c1, c2) select i, 1, 1 from generate_series(0, " + ROWS + ") i",
                "vacuum analyze " + table);
    }

    private void quiet() throws Exception {
        feed("quiet_0");
        feed("quiet_10");
        String rule =
                "insert into rowbell.rule (name, feed, condition%s) select format('quiet %%s', i), 'public.quiet_10',"
                        + " format('NEW.c%%s > %%s', 2 + (i - 1) %% 10, 999990 + i)%s from generate_series(%d, %d) i";
        db.execute(
                rule.formatted("", "", 1, 5),
                rule.formatted(", \"for\"", ", '1 hour'", 6, 8),
                rule.formatted(", count, within, by", ", 100, '5 minutes', '{NEW.c1}'", 9, 10));
        try (Writers one = new Writers(db, 1)) {
            Rounds rounds = new Rounds().ofWriters().throwAway(2);
            for (String table : List.of("quiet_0", "quiet_10")) {
                rounds.add(
                        table,
                        () -> BATCH
                                * one.rate(
                                        QUIET_SQL.formatted(table),
                                        (statement, random) -> statement.setInt(1, random.nextInt(ROWS - BATCH))));
            }
            Map<String, Series> series = rounds.run();
            report.atLeast(
                    "time",
                    "upserts of 1000 rows, 10 rules, 5 over time",
                    series.get("quiet_10"),
                    "rows/s",
                    "no trigger",
                    series.get("quiet_0"),
                    0.82);
        }
    }

    /** The rule waits for each of these rows, in ten groups. */
    private void absent() throws Exception {
        feed("absent_0");
        feed("absent_1");
        db.execute("insert into rowbell.rule (name, feed, condition, absent, by) values"
                + " ('absent', 'public.absent_1', 'NEW.c1 > 0', '1 hour', '{NEW.c3}')");
        String sql = """
                insert into %s (id, c1, c3) select ? + g, g, g %% 10 from generate_series(1, 1000) g
                on conflict (id) do update set c1 = excluded.c1, c3 = excluded.c3
                """;
        try (Writers one = new Writers(db, 1)) {
            Rounds rounds = new Rounds().ofWriters().throwAway(2);
            for (String table : List.of("absent_0", "absent_1")) {
                rounds.add(table, () -> {
                    db.execute("truncate rowbell.window_event");
                    return BATCH
                            * one.rate(
                                    sql.formatted(table),
                                    (statement, random) -> statement.setInt(1, random.nextInt(ROWS - BATCH)));
                });
            }
            Map<String, Series> series = rounds.run();
            report.atLeast(
                    "time",
                    "upserts of 1000 rows that a rule with absent waits for",
                    series.get("absent_1"),
                    "rows/s",
                    "no trigger",
                    series.get("absent_0"),
                    0);
        }
    }

    private void arming() throws Exception {
        feed("stores");
        feed("arms");
        db.execute(
                "insert into rowbell.rule (name, feed, condition) values ('stores', 'public.stores', 'NEW.c2 > 999')",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('arms', 'public.arms', 'NEW.c2 > 999', '1 hour')");
        try (Connection connection = db.connect()) {
            Map<String, Series> series = new Rounds()
                    .throwAway(2)
                    .add("stores", () -> turn(connection, "stores", true))
                    .add("arms", () -> turn(connection, "arms", true))
                    .add("disarms", () -> turn(connection, "arms", false))
                    .run();
            Series stores = series.get("stores");
            report.atLeast(
                    "time",
                    "1000 rows arm a rule with for",
                    series.get("arms"),
                    "rows/s",
                    "without for: 1000 alerts",
                    stores,
                    0.8);
            report.atLeast(
                    "time",
                    "1000 rows disarm it",
                    series.get("disarms"),
                    "rows/s",
                    "without for: 1000 alerts",
                    stores,
                    0.8);
        }
    }

    /** Has the rows meet the condition, and then no more. Rows a second of the one or the other. */
    private double turn(Connection connection, String table, boolean meets) throws SQLException {
        db.execute("truncate rowbell.feedback, rowbell.timer_event");
        double to = rate(connection, table, 1000);
        double from = rate(connection, table, 1);
        return meets ? to : from;
    }

    private static double rate(Connection connection, String table, int value) throws SQLException {
        try (PreparedStatement update =
                connection.prepareStatement("update " + table + " set c2 = ? where id between ? and ?")) {
            long start = System.nanoTime();
            for (int i = 0; i < STATEMENTS; i++) {
                update.setInt(1, value);
                update.setInt(2, i * BATCH);
                update.setInt(3, (i + 1) * BATCH - 1);
                update.executeUpdate();
            }
            return STATEMENTS * BATCH / ((System.nanoTime() - start) / 1e9);
        }
    }

    private void hot() throws Exception {
        for (String table : List.of("hot_0", "hot_1")) {
            db.execute("create table " + table + " (id bigint generated always as identity primary key, shop int)");
        }
        db.execute("insert into rowbell.rule (name, feed, condition, count, within, by) values"
                + " ('hot', 'public.hot_1', 'NEW.shop = 7', 1000000000, '5 minutes', '{NEW.shop}')");
        try (Writers writers = new Writers(db, 16)) {
            for (int rows : List.of(100, 1)) {
                Rounds rounds = new Rounds().ofWriters().throwAway(2);
                for (String table : List.of("hot_0", "hot_1")) {
                    String sql = "insert into %s (shop) select ? from generate_series(1, %d)".formatted(table, rows);
                    rounds.add(table, () -> {
                        db.execute("truncate hot_0, hot_1, rowbell.window_event");
                        return rows * writers.rate(sql, (statement, random) -> statement.setInt(1, 7));
                    });
                }
                Map<String, Series> series = rounds.run();
                report.atLeast(
                        "time",
                        "inserts of %d counted in one group, 16 writers".formatted(rows),
                        series.get("hot_1"),
                        "rows/s",
                        "no trigger",
                        series.get("hot_0"),
                        rows == 1 ? 0.60 : 0.75);
            }
        }
    }

    /** One row after the other becomes due, while nothing else happens. The time of a timer begins with the statement. */
    private void punctual() throws Exception {
        db.execute(
                "create table orders (id bigint primary key, state text)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('orders', 'public.orders', 'NEW.state = ''open''', '%d seconds')"
                        .formatted(WAITING.toSeconds()));
        Map<Long, Long> due = new TreeMap<>();
        try (RowbellProcess rowbell = RowbellProcess.start(
                        db, Map.of(), Map.of("alerts", RowbellProcess.alertsTo("stamp"), "stamp", Stamp.ROUTE));
                Connection connection = db.connect();
                PreparedStatement insert = connection.prepareStatement("insert into orders values (?, 'open')")) {
            for (long id = 1; id <= ORDERS; id++) {
                insert.setLong(1, id);
                due.put(id, System.nanoTime() + WAITING.toNanos());
                insert.executeUpdate();
                // not in step with the looks of Rowbell
                TimeUnit.MILLISECONDS.sleep(100 + 7 * id % 30);
            }
            double[] late = FirstPart.sorted(FirstPart.took(rowbell, due));
            report.atMost(
                    "time",
                    "due alert on an idle system, to the sink's route, p99",
                    Series.of(late[(int) Math.ceil(0.99 * ORDERS) - 1]),
                    "ms",
                    "to be reached",
                    Series.of(LATE_MILLIS),
                    1);
        }
    }

    /** Many rows wait, some of them for the same moment. A writer goes on writing. */
    private void due() throws Exception {
        Db empty = server.database();
        double without;
        try (RowbellProcess rowbell = RowbellProcess.start(empty, Map.of())) {
            TimeUnit.NANOSECONDS.sleep(WARM_UP.toNanos());
            without = idleCpu(empty, rowbell);
        }
        // with no other rules
        Db db = server.database();
        db.execute(
                "create table waits (id int primary key, state text, placed timestamptz)",
                "create table written (id bigint generated always as identity primary key, state text, placed timestamptz)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('writes', 'public.written', 'NEW.state = ''open''', '1 hour')");
        // from the time that most have been armed
        int later = Rounds.SHORT ? 30 : 130;
        db.execute(
                "insert into waits select i, 'open', now() + case when i <= %d then interval '%d s' - interval '1 hour' else interval '0' end from generate_series(1, %d) i"
                        .formatted(DUE, later, ARMED),
                "vacuum analyze waits",
                "insert into rowbell.rule (name, feed, condition, \"for\", since) values ('waits', 'public.waits', 'NEW.state = ''open''', '1 hour', 'NEW.placed')");
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of())) {
            long start = System.nanoTime();
            long warm = start + WARM_UP.toNanos();
            while (db.number("select count(*) from rowbell.timer") < ARMED) {
                TimeUnit.SECONDS.sleep(1);
            }
            report.say("time     %,d rows that were there are armed after %.1f s"
                    .formatted(ARMED, (System.nanoTime() - start) / 1e9));
            TimeUnit.NANOSECONDS.sleep(warm - System.nanoTime());
            double with = idleCpu(db, rowbell);
            long dueIn = db.number(
                    "select (extract(epoch from min(placed) + interval '1 hour' - clock_timestamp()) * 1000)::bigint from waits");
            long at = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(dueIn);
            if (dueIn < 0) {
                throw new WrongCount("the rows were armed after they were due: make it later");
            }
            AtomicBoolean ended = new AtomicBoolean();
            ExecutorService threads = Executors.newFixedThreadPool(2);
            TimeUnit.NANOSECONDS.sleep(at - System.nanoTime() - TimeUnit.SECONDS.toNanos(2));
            CompletableFuture<Double> longest = CompletableFuture.supplyAsync(() -> longestWrite(db, ended), threads);
            CompletableFuture<Long> routed = CompletableFuture.supplyAsync(() -> awaitRouted(db), threads);
            long last = rowbell.awaitAlerts(DUE);
            ended.set(true);
            threads.shutdown();
            report.atMost(
                    "time",
                    "%,d due of %,d armed, all routed".formatted(DUE, ARMED),
                    Series.of((routed.get() - at) / 1e9),
                    "s",
                    "to be reached",
                    Series.of(ROUTED_SECONDS),
                    1);
            report.say("time     all written by the sink after %.2f s".formatted((last - at) / 1e9));
            report.atMost(
                    "time",
                    "longest write meanwhile",
                    Series.of(longest.get()),
                    "ms",
                    "to be reached",
                    Series.of(WAIT_MILLIS),
                    1);
            report.say("time     idle, with its sessions in PostgreSQL: %.2f %% of a core; %.2f %% without rules"
                    .formatted(with, without));
            report.atMost(
                    "time",
                    "CPU for the armed while idle: what is above that without rules",
                    Series.of(with - without),
                    "% core",
                    "to be reached",
                    Series.of(1),
                    1);
        }
    }

    /** Of the process and of its sessions in PostgreSQL, which runs on this machine, in percent of a core. */
    private static double idleCpu(Db db, RowbellProcess rowbell) throws SQLException, InterruptedException {
        Map<Long, Duration> before = cpu(db, rowbell);
        long start = System.nanoTime();
        TimeUnit.NANOSECONDS.sleep(IDLE.toNanos());
        double seconds = (System.nanoTime() - start) / 1e9;
        Duration taken = Duration.ZERO;
        for (Map.Entry<Long, Duration> now : cpu(db, rowbell).entrySet()) {
            // a session that the pool has begun since has none before
            taken = taken.plus(now.getValue()).minus(before.getOrDefault(now.getKey(), Duration.ZERO));
        }
        return taken.toMillis() / 10.0 / seconds;
    }

    private static Map<Long, Duration> cpu(Db db, RowbellProcess rowbell) throws SQLException {
        Map<Long, Duration> cpu = new HashMap<>();
        try (Connection connection = db.connect();
                Statement statement = connection.createStatement();
                ResultSet row =
                        statement.executeQuery("select pid from pg_stat_activity where datname = current_database()"
                                + " and backend_type = 'client backend' and pid <> pg_backend_pid()")) {
            while (row.next()) {
                long pid = row.getLong(1);
                ProcessHandle.of(pid)
                        .flatMap(session -> session.info().totalCpuDuration())
                        .ifPresent(duration -> cpu.put(pid, duration));
            }
        }
        cpu.put(rowbell.pid(), Duration.ofMillis((long) (rowbell.cpuSeconds() * 1000)));
        return cpu;
    }

    /** Until all that is due has fired and been routed, as {@link System#nanoTime()}. */
    private static long awaitRouted(Db db) {
        try (Connection connection = db.connect();
                PreparedStatement query = connection.prepareStatement(
                        // the count takes a part of a core, so it is made only when no alert waits
                        "select case when exists (select from rowbell.feedback) then false else (select count(*) = "
                                + DUE + " from rowbell.timer where fired is not null) end")) {
            while (true) {
                try (ResultSet row = query.executeQuery()) {
                    row.next();
                    if (row.getBoolean(1)) {
                        return System.nanoTime();
                    }
                }
                TimeUnit.MILLISECONDS.sleep(50);
            }
        } catch (SQLException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static double longestWrite(Db db, AtomicBoolean ended) {
        double longest = 0;
        try (Connection connection = db.connect();
                PreparedStatement insert =
                        connection.prepareStatement("insert into written (state, placed) values ('open', now())")) {
            while (!ended.get()) {
                long start = System.nanoTime();
                insert.executeUpdate();
                longest = Math.max(longest, (System.nanoTime() - start) / 1e6);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
        return longest;
    }
}
