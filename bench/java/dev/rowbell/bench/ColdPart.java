package dev.rowbell.bench;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Alerts that waited when a process started: to a sink that looks into each of them, and to the file. From the first one at the sink to the last one
 * acknowledged, against the delete-returning loop in a process that is as cold.
 */
final class ColdPart {

    private static final int ALERTS = Rounds.SHORT ? 20_000 : 200_000;
    /** Alerts a second. */
    private static final double REACH = 55_000;

    private static final double REACH_FILE = 60_000;
    private static final double CPU_SECONDS = 6;

    private static final String READS = """
            - route:
                id: reads
                errorHandler:
                  noErrorHandler: {}
                from:
                  uri: outbox:reads
                  parameters:
                    batch: 500
                  steps:
                    - bean:
                        beanType: dev.rowbell.bench.Reads
                        method: read
            """;

    private final Db db;
    private final Report report;
    private final List<Double> rates = new ArrayList<>();
    private final List<Double> cpu = new ArrayList<>();
    private final List<Double> fileRates = new ArrayList<>();
    private final List<Double> plainRates = new ArrayList<>();
    private final List<Double> plainCpu = new ArrayList<>();

    ColdPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    /** The routes with this sink in the place of the file. */
    static Map<String, String> routes() throws Exception {
        return Map.of("alerts", RowbellProcess.alertsTo("reads"), "reads", READS);
    }

    void run() throws Exception {
        db.feed();
        for (int round = 0; round < Rounds.COUNT; round++) {
            plain();
            reads();
            file();
        }
        Series plain = new Series(plainRates);
        String floor = "delete-returning as cold";
        report.atLeast("cold", ALERTS + " alerts, a sink that reads each", new Series(rates), "/s", floor, plain, 0);
        report.atLeast("cold", "the same", new Series(rates), "/s", "to be reached", Series.of(REACH), 1);
        report.atLeast("cold", ALERTS + " alerts to the file sink", new Series(fileRates), "/s", floor, plain, 0);
        report.atLeast("cold", "the same", new Series(fileRates), "/s", "to be reached", Series.of(REACH_FILE), 1);
        report.atMost("cold", "CPU, a sink that reads each", new Series(cpu), "s", floor, new Series(plainCpu), 0);
        report.atMost("cold", "the same", new Series(cpu), "s", "to be reached", Series.of(CPU_SECONDS), 1);
    }

    /** Alerts with an old row and a new one, which become visible all at once. */
    private void raise() throws SQLException {
        db.execute(
                "truncate feed",
                "insert into feed (id, c1, c2) select i, 1, 1 from generate_series(1, " + ALERTS + ") i",
                "update feed set c2 = 10000 + id % 100");
    }

    private void plain() throws Exception {
        raise();
        db.execute(
                "create table if not exists plain (like rowbell.feedback including all)",
                "truncate plain",
                "insert into plain select * from rowbell.feedback",
                "delete from rowbell.feedback");
        try (RowbellProcess drain = RowbellProcess.plain(db, "drain")) {
            Reads.Seen seen = drain.awaitReads(ALERTS);
            plainCpu.add(drain.cpuSeconds() - seen.cpuBefore());
            plainRates.add(ALERTS / ((seen.last() - seen.first()) / 1e9));
        }
    }

    private void reads() throws Exception {
        raise();
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of(), routes())) {
            Reads.Seen seen = rowbell.awaitReads(ALERTS);
            rates.add(ALERTS / ((acknowledged() - seen.first()) / 1e9));
            cpu.add(rowbell.cpuSeconds() - seen.cpuBefore());
        }
    }

    private void file() throws Exception {
        raise();
        try (RowbellProcess rowbell = RowbellProcess.launch(db, Map.of(), Map.of(), RowbellProcess.MAIN)) {
            long first = rowbell.awaitLines(1);
            fileRates.add(ALERTS / ((rowbell.awaitAlerts(ALERTS) - first) / 1e9));
        }
    }

    /** When the last delivery is gone, by System.nanoTime. */
    private long acknowledged() throws Exception {
        while (db.number("select count(*) from rowbell.delivery") > 0) {
            TimeUnit.MILLISECONDS.sleep(5);
        }
        return System.nanoTime();
    }
}
