package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Whether a long queue, a long life or a session that forgot its transaction slows the drain down, and how much memory a long queue takes. One
 * process and one database for all of it, as in production: the alerts of one measure count for the next.
 */
final class BacklogPart {

    private static final int LARGE = Rounds.SHORT ? 50_000 : 5_000_000;
    private static final int THROUGH = Rounds.SHORT ? 100_000 : 10_000_000;
    private static final int HELD = Rounds.SHORT ? 20_000 : 1_000_000;
    private static final int SMALL = Rounds.SHORT ? 5_000 : 50_000;
    /** Of a long queue, so many are timed. */
    private static final int TIMED = SMALL * 4;

    private static final int TIMES = 3;
    /** Autovacuum looks once a minute (autovacuum_naptime), and is given two looks. */
    private static final int VACUUM_SECONDS = Rounds.SHORT ? 1 : 130;

    private static final double MEGABYTES = 64;

    private final Db db;
    private final Report report;
    private int through;

    BacklogPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of())) {
            small(rowbell);
            Series start = small(rowbell);
            large(rowbell, start);
            held(rowbell);
            if (through < THROUGH) {
                int rest = THROUGH - through;
                fill(rowbell, rest);
                rowbell.awaitAlerts(rest);
            }
            report.atLeast(
                    "backlog",
                    "after %,d went through".formatted(through),
                    small(rowbell),
                    "/s",
                    "at the start",
                    start,
                    0.90);
            report.atMost(
                    "backlog",
                    "queue tables then",
                    Series.of(queueMegabytes()),
                    "MB",
                    "to be reached",
                    Series.of(MEGABYTES),
                    1);
        }
    }

    private Series small(RowbellProcess rowbell) throws Exception {
        Double[] rates = new Double[TIMES];
        for (int i = 0; i < TIMES; i++) {
            long start = fill(rowbell, SMALL);
            rates[i] = SMALL / ((rowbell.awaitAlerts(SMALL) - start) / 1e9);
        }
        return new Series(List.of(rates));
    }

    private void large(RowbellProcess rowbell, Series small) throws Exception {
        long start = fill(rowbell, LARGE);
        double rate = TIMED / ((rowbell.awaitLines(TIMED) - start) / 1e9);
        rowbell.awaitLines(LARGE / 5);
        double early = rowbell.megabytes();
        rowbell.awaitLines(LARGE * 9L / 10);
        double late = rowbell.megabytes();
        rowbell.awaitAlerts(LARGE);
        report.atLeast(
                "backlog",
                "with %,d waiting".formatted(LARGE),
                Series.of(rate),
                "/s",
                "with %,d waiting".formatted(SMALL),
                small,
                0.85);
        report.atMost(
                "memory",
                "peak RSS, %,d drained".formatted(LARGE),
                Series.of(rowbell.peakMegabytes()),
                "MB",
                "to be reached",
                Series.of(300),
                1);
        report.atMost("memory", "RSS near the end", Series.of(late), "MB", "after a fifth", Series.of(early), 1.1);
    }

    private void held(RowbellProcess rowbell) throws Exception {
        double without = lastOf(rowbell);
        double with;
        try (Connection idle = db.connect();
                Statement statement = idle.createStatement()) {
            idle.setAutoCommit(false);
            idle.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            statement.executeQuery("select from pg_class limit 1").close();
            with = lastOf(rowbell);
        }
        report.atLeast(
                "backlog",
                "a session idle in transaction, %,d".formatted(HELD),
                Series.of(with),
                "/s",
                "without it",
                Series.of(without),
                0.50);
    }

    private double lastOf(RowbellProcess rowbell) throws Exception {
        fill(rowbell, HELD);
        long start = rowbell.awaitLines(HELD - TIMED / 2);
        return TIMED / 2 / ((rowbell.awaitAlerts(HELD) - start) / 1e9);
    }

    /** Returns when they became visible, all at once. */
    private long fill(RowbellProcess rowbell, int alerts) throws Exception {
        rowbell.clear();
        // as the compiled triggers write it
        db.execute(
                "insert into rowbell.feedback (alert) select ('{\"id\":\"' || rowbell.new_id() || '\",\"rule\":\"c2-overflow\",\"reason\":\"c2-overflow\",\"severity\":\"warning\","
                        + "\"status\":\"firing\",\"table\":\"public.feed\",\"operation\":\"INSERT\",\"time\":\"'"
                        + " || to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || '\",\"new\":'"
                        + " || row_to_json(f) || ',\"channel\":\"channel_1\"}')::json from (select i as id, 1 as c1, 10000 + i % 100 as c2 from generate_series(1, "
                        + alerts + ") i) f");
        through += alerts;
        return System.nanoTime();
    }

    private double queueMegabytes() throws Exception {
        double megabytes = size();
        for (int i = 0; i < VACUUM_SECONDS && megabytes > MEGABYTES; i++) {
            TimeUnit.SECONDS.sleep(1);
            megabytes = size();
        }
        return megabytes;
    }

    private double size() throws SQLException {
        try (Connection connection = db.connect();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(
                        "select (pg_total_relation_size('rowbell.feedback') + pg_total_relation_size('rowbell.delivery')) / 1048576.0")) {
            row.next();
            return row.getDouble(1);
        }
    }
}
