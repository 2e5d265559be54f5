package dev.rowbell.bench;

import java.util.Map;

/** From the start of the JVM to the first alert in the file, given a database. */
final class StartPart {

    private static final double REACH = 3;

    private final Db db;
    private final Report report;

    StartPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        Series taken = new Rounds().add("start", () -> {
            db.execute("insert into rowbell.feedback (alert) values (json_build_object('id', gen_random_uuid(), 'rule', 'waits'))");
            long start = System.nanoTime();
            try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of())) {
                return (rowbell.awaitAlerts(1) - start) / 1e9;
            }
        }).run().get("start");
        report.atMost("start", "to the first alert routed", taken, "s", "to be reached", Series.of(REACH), 1);
    }
}
