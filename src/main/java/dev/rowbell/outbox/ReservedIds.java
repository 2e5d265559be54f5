package dev.rowbell.outbox;

import dev.rowbell.error.Errors;
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

    private static final String NOT_ALLOWED = "42501";

    private final DataSource dataSource;
    private final Deque<Long> reserved = new ArrayDeque<>();
    private long notBefore = System.nanoTime();
    private boolean allowed = true;

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

    /** Has none any more. */
    synchronized void forget() {
        reserved.clear();
    }

    /** Has some in stock again. Where the database does not give them, filing goes without, a little slower. */
    void reserve() {
        if (!isLow()) {
            return;
        }
        try {
            List<Long> ids = ids();
            synchronized (this) {
                reserved.addAll(ids);
            }
        } catch (SQLException e) {
            LOG.debug("ids of deliveries are not taken ahead: {}", Errors.inWords(e));
            synchronized (this) {
                notBefore = System.nanoTime() + RETRY.toNanos();
                allowed = !NOT_ALLOWED.equals(e.getSQLState());
            }
        }
    }

    private synchronized boolean isLow() {
        return allowed && reserved.size() <= LOW && System.nanoTime() - notBefore >= 0;
    }

    private List<Long> ids() throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select nextval(pg_get_serial_sequence('rowbell.delivery', 'id')), set_config('synchronous_commit', 'on', true)
                        from generate_series(1, ?)
                        """)) {
            statement.setInt(1, AT_ONCE);
            List<Long> ids = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    ids.add(rows.getLong(1));
                }
            }
            return ids;
        }
    }
}
