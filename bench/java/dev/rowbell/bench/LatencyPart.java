package dev.rowbell.bench;

import java.sql.SQLException;

/** From the writer's commit to the sink. */
final class LatencyPart {

    private final Db db;
    private final Report report;

    LatencyPart(Server server, Report report) throws SQLException {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
    }
}
