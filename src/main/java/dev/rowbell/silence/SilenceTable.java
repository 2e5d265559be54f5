package dev.rowbell.silence;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.springframework.jdbc.datasource.DataSourceUtils;

/** {@code rowbell.silence}, {@code rowbell.cooldown} and what they need of the rules. Safe for many threads. */
final class SilenceTable {

    private final DataSource dataSource;

    SilenceTable(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** What keeps alerts quiet now. */
    record Quiet(List<Silence> silences, Map<String, Cooldown> cooldowns) {

        static final Quiet NOTHING = new Quiet(List.of(), Map.of());
    }

    /** By a connection of its own, so that where it fails the caller's transaction goes on. */
    Quiet read() throws SQLException {
        try (Connection connection = dataSource.getConnection();
                Statement statement = connection.createStatement()) {
            List<Silence> silences = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery("""
                    select id, rule, feed, key
                    from rowbell.silence
                    where until > clock_timestamp()
                    order by id
                    """)) {
                while (rows.next()) {
                    silences.add(Silence.of(rows.getLong(1), rows.getString(2), rows.getString(3), rows.getString(4)));
                }
            }
            Map<String, Cooldown> cooldowns = new HashMap<>();
            try (ResultSet rows = statement.executeQuery("""
                    select r.name, (extract(epoch from r.cooldown) * 1000)::bigint, array(
                      select a.attname::text
                      from pg_index i
                      cross join unnest(i.indkey) with ordinality as k (number, place)
                      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
                      where i.indrelid = f.relation and i.indisprimary
                      order by k.place)
                    from rowbell.rule r
                    join rowbell.feed f on f.name = r.feed
                    where r.cooldown > interval '0'
                    """)) {
                while (rows.next()) {
                    cooldowns.put(rows.getString(1), new Cooldown(Duration.ofMillis(rows.getLong(2)), List.of((String[])
                            rows.getArray(3).getArray())));
                }
            }
            return new Quiet(silences, cooldowns);
        }
    }

    /**
     * Whether a rule may ring for a row, which is remembered then, in the thread's transaction.
     *
     * @param time the alert's, as the alert has it
     */
    boolean rings(String rule, String status, String key, String time, Duration cooldown) throws SQLException {
        Connection connection = DataSourceUtils.getConnection(dataSource);
        try (PreparedStatement statement = connection.prepareStatement(
                "select rowbell.rings(?, ?, ?, coalesce(?::timestamptz, clock_timestamp()), ?::interval)")) {
            statement.setString(1, rule);
            statement.setString(2, status);
            statement.setString(3, key);
            statement.setString(4, time);
            statement.setString(5, cooldown.toMillis() + " ms");
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return row.getBoolean(1);
            }
        } finally {
            DataSourceUtils.releaseConnection(connection, dataSource);
        }
    }

    /** @param silenced by the silence's id */
    void count(Map<Long, Long> silenced) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement(
                        "update rowbell.silence set silenced = silenced + ? where id = ?")) {
            for (Map.Entry<Long, Long> silence : silenced.entrySet()) {
                statement.setLong(1, silence.getValue());
                statement.setLong(2, silence.getKey());
                statement.addBatch();
            }
            statement.executeBatch();
        }
    }

    /** Forgets some of the rows whose cooldown is over. */
    void expire(int most) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        delete from rowbell.cooldown
                        where ctid = any(array(
                          select c.ctid
                          from rowbell.cooldown c
                          join rowbell.rule r on r.name = c.rule
                          where c.last < clock_timestamp() - r.cooldown
                          order by c.last
                          limit ?
                          for update of c skip locked))
                        """)) {
            statement.setInt(1, most);
            statement.executeUpdate();
        }
    }
}
