package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * More notifications than fit into the memory, as fast as one session sends them: to a sink that looks into each, and while that sink is down. None
 * may be lost. The floor is a listener on pgjdbc with as little memory.
 */
final class FloodPart {

    private static final int ALERTS = Rounds.SHORT ? 50_000 : 1_000_000;
    private static final int IN_ONE_TRANSACTION = 1000;
    /** Alerts a second. */
    private static final double REACH = 60_000;

    private static final double MEGABYTES = 300;
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** As a compiled trigger writes them, about 400 bytes. */
    private static final String SEND = """
            select pg_notify(?, format('{"id":"%s","rule":"c2-overflow","reason":"c2-overflow","severity":"warning","status":"firing",'
              '"table":"public.feed","operation":"INSERT","time":"2026-11-28T08:00:00.123456Z","new":{"id":%s,"c1":1,"c2":10001,'
              '"c3":null,"c4":null,"c5":null,"c6":null,"c7":null,"c8":null,"c9":null,"c10":null,"c11":null,"c12":null},"channel":"channel_1"}',
              gen_random_uuid(), i))
            from generate_series(?::int, ?::int) as i
            """;

    private final Db db;
    private final Report report;

    FloodPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        double plain;
        try (RowbellProcess listener = RowbellProcess.plain(db, "flood")) {
            long start = System.nanoTime();
            send("plain");
            plain = rate(start, listener.awaitReads(ALERTS).last());
        }
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of(), ColdPart.routes())) {
            long start = System.nanoTime();
            double sending = send("channel_1");
            report.say("  sent at %,.0f/s".formatted(sending));
            Series rate = Series.of(rate(start, rowbell.awaitReads(ALERTS).last()));
            report.atLeast(
                    "flood",
                    "%,d notifications".formatted(ALERTS),
                    rate,
                    "/s",
                    "getNotifications",
                    Series.of(plain),
                    0);
            report.atLeast("flood", "the same", rate, "/s", "to be reached", Series.of(REACH), 1);
            memory("flood", rowbell);
        }
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of(), ColdPart.routes())) {
            rowbell.down(true);
            long start = System.nanoTime();
            send("channel_1");
            report.atLeast(
                    "flood",
                    "while the sink is down, to the database",
                    Series.of(rate(start, awaitKept())),
                    "/s",
                    "getNotifications",
                    Series.of(plain),
                    0);
            memory("sink down", rowbell);
            rowbell.down(false);
            rowbell.awaitReads(ALERTS);
        }
    }

    private void memory(String when, RowbellProcess rowbell) throws Exception {
        report.atMost(
                "flood",
                "peak RSS, " + when,
                Series.of(rowbell.peakMegabytes()),
                "MB",
                "to be reached",
                Series.of(MEGABYTES),
                1);
    }

    /** Returns how many were sent in a second. */
    private double send(String channel) throws Exception {
        long start = System.nanoTime();
        try (Connection connection = db.connect();
                PreparedStatement statement = connection.prepareStatement(SEND)) {
            for (int id = 1; id <= ALERTS; id += IN_ONE_TRANSACTION) {
                statement.setString(1, channel);
                statement.setInt(2, id);
                statement.setInt(3, id + IN_ONE_TRANSACTION - 1);
                statement.executeQuery().close();
            }
        }
        return rate(start, System.nanoTime());
    }

    /** When all of them wait in the database, by System.nanoTime. */
    private long awaitKept() throws Exception {
        long since = System.nanoTime();
        long kept = 0;
        while (kept < ALERTS) {
            if (System.nanoTime() - since > PATIENCE.toNanos()) {
                throw new WrongCount("%d notifications were sent, %d wait in the database".formatted(ALERTS, kept));
            }
            TimeUnit.MILLISECONDS.sleep(100);
            kept = db.number("select (select coalesce(sum(alerts), 0) from rowbell.delivery)"
                    + " + (select count(*) from rowbell.notification)");
        }
        return System.nanoTime();
    }

    private static double rate(long start, long end) {
        return ALERTS / ((end - start) / 1e9);
    }
}
