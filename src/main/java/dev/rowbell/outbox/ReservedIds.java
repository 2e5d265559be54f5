package dev.rowbell.outbox;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

import javax.sql.DataSource;

import dev.rowbell.Errors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ids of {@code rowbell.delivery} that PostgreSQL has given out and will never give out again, not after a crash either. A sequence promises that
 * of numbers alone whose transaction has reached the disk; where a delivery is under way whose transaction has not, and a crash undoes it, another
 * delivery under its number would be deleted when the first is settled. Safe for many threads.
 */
final class ReservedIds {

    private static final Logger LOG = LoggerFactory.getLogger(ReservedIds.class);

    /** More than the 32 that one record of the log covers (SEQ_LOG_VALS in PostgreSQL's sequence.c): so taking them writes one, and waits for it. */
    private static final int AT_ONCE = 200;
    private static final int LOW = 100;
    /** Between two tries where it failed. */
    private static final Duration RETRY = Duration.ofMinutes(1);

    private final DataSource dataSource;
    private final Deque<Long> reserved = new ArrayDeque<>();
    private boolean failed;
    private long failedAt;

    ReservedIds(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** So many; none where there are not so many. */
    synchronized List<Long> take(int number) {
        List<Long> taken = new ArrayList<>();
        while (reserved.size() + taken.size() >= number && taken.size() < number) {
            taken.add(reserved.poll());
        }
        return taken;
    }

    /** Has some in stock again. Where the database does not give them, filing goes without, a little slower. */
    synchronized void reserve() {
        if (reserved.size() > LOW || failed && System.nanoTime() - failedAt < RETRY.toNanos()) {
            return;
        }
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select nextval(pg_get_serial_sequence('rowbell.delivery', 'id'))
                        from generate_series(1, ?)
                        """)) {
            statement.setInt(1, AT_ONCE);
            List<Long> ids = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    ids.add(rows.getLong(1));
                }
            }
            reserved.addAll(ids);
            failed = false;
        } catch (SQLException e) {
            LOG.debug("ids of deliveries are not taken ahead: {}", Errors.inWords(e));
            failed = true;
            failedAt = System.nanoTime();
        }
    }
}
