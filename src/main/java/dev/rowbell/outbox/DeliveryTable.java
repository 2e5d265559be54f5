package dev.rowbell.outbox;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;

import javax.sql.DataSource;

import dev.rowbell.Errors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.datasource.DataSourceUtils;

/**
 * {@code rowbell.delivery} and {@code rowbell.dead_letter}. Time is the database's, so that processes whose clocks differ agree on what is
 * due. Safe for many threads.
 */
final class DeliveryTable {

    /** What a process said of its sinks this long ago is no more: it was killed. */
    private static final Duration FORGOTTEN = Duration.ofMinutes(1);

    private static final Logger LOG = LoggerFactory.getLogger(DeliveryTable.class);

    /** Classes of SQLSTATE that blame the data: data exception, integrity constraint, program limit (appendix A of PostgreSQL's manual). */
    private static final List<String> REFUSED = List.of("22", "23", "54");

    private final DataSource dataSource;

    DeliveryTable(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /**
     * Files all of them by at most two statements, in the transaction of this thread if it has one. Where PostgreSQL refuses the data of
     * one, that one becomes a dead letter and the others are filed.
     *
     * @param takers by sink, who has taken what is filed for it; a sink that is not among them has to look for it
     * @return the ids of what can be delivered, in its order; none where some of it was refused, and then nothing is taken
     */
    List<Long> file(List<Filed> filed, Map<String, Taker> takers) throws SQLException {
        // takes part in Spring's transaction, unlike dataSource.getConnection()
        Connection connection = DataSourceUtils.doGetConnection(dataSource);
        try {
            List<Long> ids = new ArrayList<>();
            if (fits(connection, filed, c -> insert(c, filed, takers, ids))) {
                return ids;
            }
            for (Filed one : filed) {
                if (!fits(connection, List.of(one), c -> insert(c, List.of(one), Map.of(), ids))) {
                    insert(connection, List.of(one.refused()), Map.of(), ids);
                }
            }
            return List.of();
        } finally {
            DataSourceUtils.doReleaseConnection(connection, dataSource);
        }
    }

    /** Who has taken deliveries, and for how long. */
    record Taker(UUID id, Duration lease) {
    }

    private interface Insert {
        void into(Connection connection) throws SQLException;
    }

    /** False where PostgreSQL refuses the data; the transaction is then as it was before. */
    private static boolean fits(Connection connection, List<Filed> filed, Insert insert) throws SQLException {
        Savepoint before = connection.getAutoCommit() ? null : connection.setSavepoint();
        try {
            insert.into(connection);
            if (before != null) {
                connection.releaseSavepoint(before);
            }
            return true;
        } catch (SQLException e) {
            if (e.getSQLState() == null || REFUSED.stream().noneMatch(e.getSQLState()::startsWith)) {
                throw e;
            }
            LOG.error("PostgreSQL refuses to file {}: {}", filed.size() == 1 ? "alert " + filed.get(0).alertId() : filed.size() + " alerts together",
                    Errors.inWords(e));
            if (before != null) {
                connection.rollback(before);
            }
            return false;
        }
    }

    /** @param ids to which those of the living are added */
    private static void insert(Connection connection, List<Filed> filed, Map<String, Taker> takers, List<Long> ids)
            throws SQLException {
        List<Filed> alive = filed.stream().filter(f -> f.error() == null).toList();
        List<Filed> dead = filed.stream().filter(f -> f.error() != null).toList();
        if (!alive.isEmpty()) {
            try (PreparedStatement statement = connection.prepareStatement("""
                    insert into rowbell.delivery (sink, alert_id, alert, taken_by, taken_until)
                    select sink, alert_id, alert::json, taken_by, coalesce(clock_timestamp() + lease * interval '1 ms', '-infinity')
                    from unnest(?::text[], ?::text[], ?::text[], ?::uuid[], ?::bigint[]) with ordinality
                      as filed (sink, alert_id, alert, taken_by, lease, place)
                    order by place
                    returning id, sink, alert_id
                    """)) {
                statement.setArray(1, array(connection, "text", alive, Filed::sink));
                statement.setArray(2, array(connection, "text", alive, Filed::alertId));
                statement.setArray(3, array(connection, "text", alive, Filed::alert));
                statement.setArray(4, array(connection, "uuid", alive, f -> takers.containsKey(f.sink()) ? takers.get(f.sink()).id() : null));
                statement.setArray(5, array(connection, "bigint", alive, f -> takers.containsKey(f.sink()) ? takers.get(f.sink()).lease().toMillis() : null));
                try (ResultSet rows = statement.executeQuery()) {
                    for (Filed one : alive) {
                        // PostgreSQL returns them in the order of the insert and does not promise to: a delivery must not go under another's id
                        if (!rows.next() || !rows.getString(2).equals(one.sink()) || !rows.getString(3).equals(one.alertId())) {
                            throw new SQLException("deliveries did not come back in the order in which they were filed");
                        }
                        ids.add(rows.getLong(1));
                    }
                }
            }
        }
        if (!dead.isEmpty()) {
            update(connection, """
                    insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                    select sink, alert_id, alert::json, 0, clock_timestamp(), last_error
                    from unnest(?::text[], ?::text[], ?::text[], ?::text[]) as filed (sink, alert_id, alert, last_error)
                    """, texts(dead, Filed::sink), texts(dead, Filed::alertId), texts(dead, Filed::alert), texts(dead, Filed::error));
        }
    }

    /**
     * Takes up to {@code most} due deliveries of a sink, the longest due first. They are nobody else's until the lease ends; a process that
     * dies with them leaves them to be taken again.
     *
     * @param taker by which the later calls know what is still this one's: another may have taken it after the lease
     */
    List<Delivery> take(String sink, int most, Duration lease, UUID taker) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        update rowbell.delivery
                        set taken_until = clock_timestamp() + ? * interval '1 ms',
                            taken_by = ?
                        where ctid = any(array(
                          select ctid
                          from rowbell.delivery
                          where sink = ?
                            and due <= clock_timestamp()
                            and (taken_until <= clock_timestamp() or taken_until > clock_timestamp() + ? * interval '2 ms')
                          order by due, id
                          limit ?
                          for update skip locked))
                        returning id, alert_id, alert, attempts
                        """)) {
            statement.setLong(1, lease.toMillis());
            statement.setObject(2, taker);
            statement.setString(3, sink);
            // of nobody's lease: the clock was set back
            statement.setLong(4, lease.toMillis());
            statement.setInt(5, most);
            List<Delivery> taken = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    taken.add(new Delivery(rows.getLong(1), rows.getString(2), rows.getString(3), rows.getInt(4)));
                }
            }
            taken.sort(Comparator.comparingLong(Delivery::id));
            return taken;
        }
    }

    /** Keeps what was taken for another lease from now, and returns the ids of what is still this one's. */
    Set<Long> keep(List<Delivery> deliveries, Duration lease, UUID taker) throws SQLException {
        return until(deliveries, lease.toMillis() + " ms", taker);
    }

    /** Gives back what was taken and not tried: it is due at once, and no attempt was made. */
    void release(List<Delivery> deliveries, UUID taker) throws SQLException {
        until(deliveries, "-1 day", taker);
    }

    private Set<Long> until(List<Delivery> deliveries, String fromNow, UUID taker) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        update rowbell.delivery
                        set taken_until = clock_timestamp() + ?::interval
                        where id = any(?::bigint[])
                          and taken_by = ?
                        returning id
                        """)) {
            statement.setString(1, fromNow);
            statement.setArray(2, connection.createArrayOf("bigint", ids(deliveries).toArray()));
            statement.setObject(3, taker);
            Set<Long> kept = new HashSet<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    kept.add(rows.getLong(1));
                }
            }
            return kept;
        }
    }

    /**
     * Deletes what was delivered, sets back what failed, moves to the dead letters what was given up; all of it or nothing. What another
     * has taken meanwhile is the other's to set back or give up.
     */
    void settle(List<Outcome> outcomes, UUID taker) throws SQLException {
        List<Outcome> delivered = outcomes.stream().filter(Outcome::isDelivered).toList();
        List<Outcome> dead = outcomes.stream().filter(Outcome::isDead).toList();
        List<Outcome> failed = outcomes.stream().filter(o -> !o.isDelivered() && !o.isDead()).toList();
        // one statement commits by itself: where the network is cut now, no session stays behind that holds the rows
        try (Connection connection = dataSource.getConnection()) {
            if (failed.isEmpty() && dead.isEmpty()) {
                update(connection, "delete from rowbell.delivery where id = any(?::bigint[])", ids(deliveries(delivered)));
                return;
            }
            update(connection, """
                    with delivered as (
                      delete from rowbell.delivery where id = any(?::bigint[])),
                    failed as (
                      update rowbell.delivery d
                      set attempts = d.attempts + 1,
                          due = clock_timestamp() + f.wait * interval '1 ms',
                          taken_until = '-infinity',
                          last_error = f.last_error
                      from unnest(?::bigint[], ?::bigint[], ?::text[]) as f (id, wait, last_error)
                      where d.id = f.id
                        and d.taken_by = ?),
                    dead as (
                      delete from rowbell.delivery d
                      using unnest(?::bigint[], ?::text[]) as f (id, last_error)
                      where d.id = f.id
                        and d.taken_by = ?
                      returning d.*, f.last_error as final_error)
                    insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                    select sink, alert_id, alert, attempts + 1, filed, final_error
                    from dead
                    """, ids(deliveries(delivered)), ids(deliveries(failed)), numbers(failed, o -> o.retryIn().toMillis()), texts(failed, Outcome::error), taker,
                    ids(deliveries(dead)), texts(dead, Outcome::error), taker);
        }
    }

    /**
     * Makes due what is due later than any retry would be, because the clock was set back.
     *
     * @return how many
     */
    int makeDue(String sink, Duration longestWait) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        update rowbell.delivery
                        set due = clock_timestamp()
                        where sink = ?
                          and due > clock_timestamp() + ? * interval '2 ms'
                        """)) {
            statement.setString(1, sink);
            statement.setLong(2, longestWait.toMillis());
            return statement.executeUpdate();
        }
    }

    /** Says that this process delivers for these sinks and no others, and forgets those of processes that have said nothing for long. */
    void announce(UUID process, Collection<String> sinks) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        with said as (
                          insert into rowbell.sink (process, name, seen)
                          select ?, name, clock_timestamp()
                          from unnest(?::text[]) as name
                          on conflict (process, name) do update set seen = excluded.seen)
                        delete from rowbell.sink
                        where process = ? and name <> all (?::text[])
                          or process <> ? and seen < clock_timestamp() - ?::interval
                        """)) {
            Array names = connection.createArrayOf("text", sinks.toArray());
            statement.setObject(1, process);
            statement.setArray(2, names);
            statement.setObject(3, process);
            statement.setArray(4, names);
            statement.setObject(5, process);
            statement.setString(6, FORGOTTEN.toSeconds() + " s");
            statement.executeUpdate();
        }
    }

    /** Whether another process delivers for the sink. */
    boolean isElsewhere(UUID process, String sink) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        select exists (
                          select from rowbell.sink
                          where name = ?
                            and process <> ?
                            and seen > clock_timestamp() - ?::interval)
                        """)) {
            statement.setString(1, sink);
            statement.setObject(2, process);
            statement.setString(3, FORGOTTEN.toSeconds() + " s");
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return row.getBoolean(1);
            }
        }
    }

    /** @param parameters a list becomes an array */
    private static void update(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            int place = 1;
            for (Object parameter : parameters) {
                if (parameter instanceof List<?> list) {
                    statement.setArray(place++, connection.createArrayOf(!list.isEmpty() && list.get(0) instanceof Long ? "bigint" : "text", list.toArray()));
                } else {
                    statement.setObject(place++, parameter);
                }
            }
            statement.executeUpdate();
        }
    }

    private static <T> Array array(Connection connection, String type, List<T> items, Function<T, Object> element) throws SQLException {
        return connection.createArrayOf(type, items.stream().map(element).toArray());
    }

    private static List<Delivery> deliveries(List<Outcome> outcomes) {
        return outcomes.stream().map(Outcome::delivery).toList();
    }

    private static List<Long> ids(List<Delivery> deliveries) {
        return numbers(deliveries, Delivery::id);
    }

    private static <T> List<Long> numbers(List<T> items, Function<T, Long> number) {
        return items.stream().map(number).toList();
    }

    private static <T> List<String> texts(List<T> items, Function<T, String> text) {
        return items.stream().map(text).toList();
    }
}
