package dev.rowbell.health;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;

/** Looks at the queues in the database, at a cost that does not grow with them. Safe for many threads. */
final class QueueTables {

    /** Rows are counted up to this number, of each queue; of a row of the outbox, its alerts. */
    static final int COUNTED = 100_000;

    /** For a table so bloated that even this takes long. */
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private final DataSource dataSource;
    private final String feedback;

    /** @param feedback the feedback table, as SQL names it */
    QueueTables(DataSource dataSource, String feedback) {
        this.dataSource = dataSource;
        this.feedback = feedback;
    }

    /** The queues, and how full the server's queue of notifications is: from 0 to 1. */
    record Seen(List<Queue> queues, double notificationQueue) {}

    Seen look() throws SQLException {
        try (Connection connection = dataSource.getConnection();
                Statement statement = connection.createStatement()) {
            statement.setQueryTimeout((int) PATIENCE.toSeconds());
            List<Queue> queues = new ArrayList<>();
            read(statement, """
                    select 'feedback', count(*), extract(epoch from clock_timestamp() - min(crt_time))
                    from (select crt_time from %s order by crt_time limit %d) waiting
                    """.formatted(feedback, COUNTED), queues);
            read(statement, """
                    with recursive sink as (
                      (select min(sink) as name from rowbell.delivery)
                      union all
                      select (select min(d.sink) from rowbell.delivery d where d.sink > sink.name) from sink where sink.name is not null)
                    select 'outbox:' || name, waiting.alerts, extract(epoch from clock_timestamp() - waiting.oldest)
                    from sink
                    cross join lateral (
                      select coalesce(sum(d.alerts), 0) as alerts, min(d.filed) as oldest
                      from (select d.alerts, d.filed from rowbell.delivery d where d.sink = name order by d.due limit %d) d) waiting
                    where name is not null
                    """.formatted(COUNTED), queues);
            read(statement, """
                    select 'dead_letter', count(*), extract(epoch from clock_timestamp() - min(died))
                    from (select died from rowbell.dead_letter order by died limit %d) waiting
                    """.formatted(COUNTED), queues);
            try (ResultSet row = statement.executeQuery("select pg_notification_queue_usage()")) {
                row.next();
                return new Seen(List.copyOf(queues), row.getDouble(1));
            }
        }
    }

    private static void read(Statement statement, String sql, List<Queue> queues) throws SQLException {
        try (ResultSet rows = statement.executeQuery(sql)) {
            while (rows.next()) {
                // a clock that was set back makes nobody wait less than not at all
                Duration oldest = Duration.ofMillis(Math.max(0, (long) (rows.getDouble(3) * 1000)));
                queues.add(new Queue(rows.getString(1), rows.getLong(2), oldest));
            }
        }
    }
}
