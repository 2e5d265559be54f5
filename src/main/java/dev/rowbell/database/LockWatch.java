package dev.rowbell.database;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTimeoutException;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says for which lock of which session the migration waits, as soon as it has waited for a second: until then it opens no connection. A thread of its
 * own, until it is closed.
 */
final class LockWatch implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(LockWatch.class);

    /** Flyway asks for its lock again and again, so that it does not count as waiting. The key is the one that Flyway makes of its table. */
    private static final long FLYWAY = 77431708279161L + "\"rowbell\".\"flyway_schema_history\"".hashCode();

    private static final Duration AGAIN = Duration.ofMillis(500);

    private static final String HOLDERS = """
            with waits (what, pid) as (
              select coalesce('a lock on ' || l.relation::regclass, 'a lock of type ' || l.locktype), unnest(pg_blocking_pids(l.pid))
              from pg_stat_activity a
              join pg_locks l on l.pid = a.pid and not l.granted
              where a.application_name = ?
              union
              select 'the lock of Flyway', l.pid
              from pg_locks l
              join pg_database d on d.oid = l.database and d.datname = current_database()
              where l.locktype = 'advisory' and l.objsubid = 1 and l.classid::bigint << 32 | l.objid::bigint = ? and l.granted)
            select string_agg(distinct format('%s, which pid %s has (user %s, application %s)', w.what, w.pid, a.usename, a.application_name), '; ')
            from waits w
            left join pg_stat_activity a on a.pid = w.pid
            where a.application_name is distinct from ?
            """;

    private final DataSource dataSource;
    private final String application;
    private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread daemon = new Thread(task, "rowbell lock watch");
        daemon.setDaemon(true);
        return daemon;
    });
    private volatile String holder;

    /** @param application the application_name of the sessions that may wait; those of the data source may have it too */
    LockWatch(DataSource dataSource, String application) {
        this.dataSource = dataSource;
        this.application = application;
        thread.scheduleWithFixedDelay(this::look, 1, 1, TimeUnit.SECONDS);
    }

    /** @throws SQLTimeoutException where another session has the lock of Flyway for all this time */
    void awaitFlyway(Duration patience) throws SQLException {
        long deadline = System.nanoTime() + patience.toNanos();
        for (look(); holder != null; look()) {
            if (System.nanoTime() - deadline > 0) {
                throw new SQLTimeoutException("Flyway's lock is not free");
            }
            LockSupport.parkNanos(AGAIN.toNanos());
        }
    }

    private synchronized void look() {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement(HOLDERS)) {
            statement.setString(1, application);
            statement.setLong(2, FLYWAY);
            statement.setString(3, application);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                String now = row.getString(1);
                if (now != null && !now.equals(holder)) {
                    LOG.warn(
                            "the start waits for {}, and gives up after rowbell.jdbc.wait: end that session to go on",
                            now);
                }
                holder = now;
            }
        } catch (SQLException e) {
            LOG.debug("the locks cannot be read", e);
        }
    }

    /** What the migration waited for a second ago; null where it did not wait. */
    String holder() {
        return holder;
    }

    @Override
    public void close() {
        thread.shutdownNow();
    }
}
