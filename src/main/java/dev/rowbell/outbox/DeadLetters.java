package dev.rowbell.outbox;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.sql.DataSource;

/** {@code rowbell.dead_letter}, as operators see it. Safe for many threads. */
public final class DeadLetters {

    private final DataSource dataSource;

    public DeadLetters(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /**
     * Which of them.
     *
     * @param sink null for any
     * @param rule null for any
     * @param olderThan since they died; null for any
     */
    public record Filter(String sink, String rule, Duration olderThan) {}

    /**
     * One of them.
     *
     * @param sink null where the alert could not be routed
     * @param died in the time zone of this machine, as {@code 2026-11-23 08:00:00}
     * @param alert the document, as JSON
     */
    public record Letter(
            long id,
            String sink,
            String rule,
            String alertId,
            int attempts,
            String died,
            String lastError,
            String alert) {}

    /** Oldest first. */
    public List<Letter> list(Filter filter, int most) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement =
                        connection.prepareStatement(letters("rowbell.dead_letters(?, ?, ?::interval)") + " limit ?")) {
            bind(statement, filter);
            statement.setInt(4, most);
            return read(statement);
        }
    }

    /** Empty where there is none of this number. */
    public Optional<Letter> find(long id) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement =
                        connection.prepareStatement(letters("rowbell.dead_letter") + " where id = ?")) {
            statement.setLong(1, id);
            return read(statement).stream().findFirst();
        }
    }

    /** Sends them again, and returns how many. */
    public long retry(Filter filter) throws SQLException {
        return number("select rowbell.retry(?, ?, ?::interval)", filter);
    }

    /** Throws them away, and returns how many. */
    public long discard(Filter filter) throws SQLException {
        return number("select rowbell.discard(?, ?, ?::interval)", filter);
    }

    /** @return false where there is none of this number */
    public boolean retry(long id) throws SQLException {
        return one("select rowbell.replay(?)", id);
    }

    /** @return false where there is none of this number */
    public boolean discard(long id) throws SQLException {
        return one(
                "with gone as (delete from rowbell.dead_letter where id = ? returning 1) select exists (select from gone)",
                id);
    }

    /**
     * Removes some of those that died longer ago.
     *
     * @param most few enough that the statement is short
     * @return how many
     */
    public int expire(Duration age, int most) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        delete from rowbell.dead_letter
                        where id = any(array(
                          select id
                          from rowbell.dead_letter
                          where died < clock_timestamp() - ?::interval
                          order by died
                          limit ?
                          for update skip locked))
                        """)) {
            statement.setString(1, interval(age));
            statement.setInt(2, most);
            return statement.executeUpdate();
        }
    }

    private static String letters(String source) {
        return """
                select id, sink, alert ->> 'rule', alert_id, attempts, to_char(died, 'YYYY-MM-DD HH24:MI:SS'), last_error, alert
                from\s""" + source;
    }

    private static List<Letter> read(PreparedStatement statement) throws SQLException {
        List<Letter> letters = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) {
                letters.add(new Letter(
                        rows.getLong(1),
                        rows.getString(2),
                        rows.getString(3),
                        rows.getString(4),
                        rows.getInt(5),
                        rows.getString(6),
                        rows.getString(7),
                        rows.getString(8)));
            }
        }
        return letters;
    }

    private long number(String sql, Filter filter) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement(sql)) {
            bind(statement, filter);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return row.getLong(1);
            }
        }
    }

    private boolean one(String sql, long id) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, id);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return row.getBoolean(1);
            }
        }
    }

    private static void bind(PreparedStatement statement, Filter filter) throws SQLException {
        statement.setString(1, filter.sink());
        statement.setString(2, filter.rule());
        statement.setString(3, filter.olderThan() == null ? null : interval(filter.olderThan()));
    }

    private static String interval(Duration duration) {
        return duration.toMillis() + " ms";
    }
}
