package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.Map;

/** Alerts that wait are drained, with all promises kept: against a loop of the delete-returning statement that drops the rows. */
final class DrainPart {

    private static final int ALERTS = Rounds.SHORT ? 20_000 : 200_000;
    /** Alerts a second. */
    private static final double REACH = 60_000;

    private final Db db;
    private final Report report;

    DrainPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        db.feed();
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of())) {
            Rounds rounds = new Rounds().throwAway(6).add("plain", this::plain).add("rowbell", () -> rowbell(rowbell));
            Map<String, Series> series = rounds.run();
            report.atLeast(
                    "drain",
                    ALERTS + " alerts to the file sink",
                    series.get("rowbell"),
                    "/s",
                    "delete-returning that drops them",
                    series.get("plain"),
                    0.40);
            report.atLeast(
                    "drain", "the same, warm", series.get("rowbell"), "/s", "to be reached", Series.of(REACH), 1);
            report.atLeast(
                    "drain",
                    "the first of them, cold JVM",
                    rounds.cold("rowbell"),
                    "/s",
                    "the same, warm",
                    series.get("rowbell"),
                    0);
        }
    }

    private double plain() throws Exception {
        // where Rowbell does not take them
        db.execute(
                "create table if not exists plain (like rowbell.feedback including all)",
                "truncate plain",
                "insert into plain (alert) select"
                        + " (select json_build_object('id', rowbell.new_id(), 'rule', 'c2-overflow', 'reason', 'c2-overflow', 'severity', 'warning', 'status', 'firing',"
                        + " 'table', 'public.feed', 'operation', 'INSERT', 'time', clock_timestamp(), 'new', row_to_json(f), 'channel', 'channel_1'))"
                        + " from (select i as id, 1 as c1, 10000 + i % 100 as c2, null::int as c3, null::int as c4, null::int as c5, null::int as c6, null::int as c7,"
                        + " null::int as c8, null::int as c9, null::int as c10, null::int as c11, null::int as c12 from generate_series(1, "
                        + ALERTS + ") i) f");
        long taken = 0;
        long start = System.nanoTime();
        try (Connection connection = db.connect();
                PreparedStatement statement = connection.prepareStatement("""
                delete from plain where ctid = any(array(select ctid from plain order by crt_time limit 1000 for update skip locked)) returning alert::text
                """)) {
            int batch;
            do {
                batch = 0;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        rows.getString(1);
                        batch++;
                    }
                }
                taken += batch;
            } while (batch > 0);
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        if (taken != ALERTS) {
            throw new WrongCount("%d alerts went in, the plain loop took %d".formatted(ALERTS, taken));
        }
        return taken / seconds;
    }

    /** From the commit that makes them visible all at once to the last synced line. */
    private double rowbell(RowbellProcess rowbell) throws Exception {
        rowbell.clear();
        db.raise(ALERTS);
        long start = System.nanoTime();
        return ALERTS / ((rowbell.awaitAlerts(ALERTS) - start) / 1e9);
    }
}
