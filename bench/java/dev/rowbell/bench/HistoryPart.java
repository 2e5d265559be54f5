package dev.rowbell.bench;

import java.util.Map;
import java.util.concurrent.TimeUnit;

/** What the history of alerts costs: the drain with it against the drain without, each with a process and a database of its own. */
final class HistoryPart {

    private static final int ALERTS = Rounds.SHORT ? 20_000 : 200_000;

    private final Db with;
    private final Db without;
    private final Report report;

    HistoryPart(Server server, Report report) throws Exception {
        with = server.database();
        without = server.database();
        this.report = report;
    }

    void run() throws Exception {
        with.feed();
        without.feed();
        try (RowbellProcess one = RowbellProcess.start(with, Map.of("rowbell.history.keep", "7d"));
                RowbellProcess other = RowbellProcess.start(without, Map.of("rowbell.history.keep", "0"))) {
            Map<String, Series> series = new Rounds()
                    .throwAway(6)
                    .add("with", () -> drain(with, one, ALERTS))
                    .add("without", () -> drain(without, other, ALERTS))
                    .run();
            report.atLeast(
                    "history",
                    ALERTS + " alerts to the file sink, with the history",
                    series.get("with"),
                    "/s",
                    "the same without",
                    series.get("without"),
                    0.75);
        }
        if (without.number("select count(*) from rowbell.history") > 0) {
            throw new WrongCount("there is a history where there should be none");
        }
    }

    /** From the commit that makes them visible all at once to the last synced line. */
    static double drain(Db db, RowbellProcess rowbell, int alerts) throws Exception {
        rowbell.clear();
        db.raise(alerts);
        long start = System.nanoTime();
        double seconds = (rowbell.awaitAlerts(alerts) - start) / 1e9;
        // what is moved into the history afterwards must not slow down the other
        while (db.number(
                        "select (select count(*) from rowbell.history_routed) + (select count(*) from rowbell.history_tried)")
                > 0) {
            TimeUnit.MILLISECONDS.sleep(50);
        }
        return alerts / seconds;
    }
}
