package dev.rowbell.outbox;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.database.LowWater;
import dev.rowbell.error.Errors;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Timestamp;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.UncategorizedSQLException;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.DataSourceUtils;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * {@code rowbell.delivery}, {@code rowbell.bundle} and {@code rowbell.dead_letter}. Time is the database's, so that processes whose clocks differ agree on what is
 * due. Safe for many threads.
 */
final class DeliveryTable {

    /** What a process said of its sinks this long ago is no more: it was killed. */
    private static final Duration FORGOTTEN = Duration.ofMinutes(1);

    /** Of so many deliveries a crash of PostgreSQL may repeat all. */
    private static final int FEW = 10;

    private static final Logger LOG = LoggerFactory.getLogger(DeliveryTable.class);

    /** Classes of SQLSTATE that blame the data: data exception, integrity constraint, program limit (appendix A of PostgreSQL's manual). */
    private static final List<String> REFUSED = List.of("22", "23", "54");

    private static final String UNIQUE_VIOLATION = "23505";

    private final DataSource dataSource;
    private final TransactionTemplate transaction;
    private final ReservedIds ids;
    private final Map<String, LowWater> lowWaters = new ConcurrentHashMap<>();
    /** PostgreSQL has refused the data of one of many: each is filed alone, the next time. */
    private volatile boolean carefully;

    DeliveryTable(DataSource dataSource) {
        this.dataSource = dataSource;
        ids = new ReservedIds(dataSource);
        transaction = new TransactionTemplate(new DataSourceTransactionManager(dataSource));
    }

    /**
     * Who takes what is filed for a sink as soon as it is committed.
     *
     * @param bundle how many of them may share a row; 1: each has its own
     */
    record Taker(UUID id, Duration lease, int bundle) {}

    /**
     * Files all of them in the transaction of this thread if it has one: at most one statement for those that share no row, one for each bundle,
     * and one for dead letters. Where PostgreSQL refuses the data of one, that one becomes a dead letter and the others are filed.
     *
     * @param takers by sink, who has taken what is filed for it; a sink that is not among them has to look for it
     * @param repeatable whether the transaction ends with this and is done again where PostgreSQL forgets it in a crash. Where few are filed they
     *        are then committed as well, in the same round trip and without waiting for the disk: whatever waits for it later, as what settles
     *        them, waits for this too
     * @return what can be delivered, in its order; nothing where some of it was refused, and then nothing is taken
     */
    List<Delivery> file(List<Filed> filed, Map<String, Taker> takers, boolean repeatable) throws SQLException {
        // takes part in Spring's transaction, unlike dataSource.getConnection()
        Connection connection = DataSourceUtils.doGetConnection(dataSource);
        try {
            boolean alone = connection.getAutoCommit();
            if (!carefully || alone) {
                try {
                    return insert(connection, filed, takers, repeatable);
                } catch (SQLException e) {
                    ids.forget();
                    carefully |= isRefused(e);
                    if (!alone || !isRefused(e)) {
                        // a savepoint costs a round trip, so there is none as a rule: the transaction ends here, and
                        // what it took comes again
                        throw e;
                    }
                }
            }
            for (Filed one : filed) {
                if (!fits(connection, one)) {
                    insert(connection, List.of(one.refused()), Map.of(), false);
                }
            }
            carefully = false;
            return List.of();
        } finally {
            DataSourceUtils.doReleaseConnection(connection, dataSource);
        }
    }

    /** A number that is there already is not the data's fault: a server that is behind another has given it out again. The next try has the next. */
    private static boolean isRefused(SQLException e) {
        return e.getSQLState() != null
                && !e.getSQLState().equals(UNIQUE_VIOLATION)
                && REFUSED.stream().anyMatch(e.getSQLState()::startsWith);
    }

    /** False where PostgreSQL refuses the data; the transaction is then as it was before. */
    private boolean fits(Connection connection, Filed filed) throws SQLException {
        Savepoint before = connection.getAutoCommit() ? null : connection.setSavepoint();
        try {
            insert(connection, List.of(filed), Map.of(), false);
            if (before != null) {
                connection.releaseSavepoint(before);
            }
            return true;
        } catch (SQLException e) {
            if (!isRefused(e)) {
                throw e;
            }
            LOG.error("PostgreSQL refuses to file alert {}: {}", filed.alertId(), Errors.inWords(e));
            if (before != null) {
                connection.rollback(before);
            }
            return false;
        }
    }

    private List<Delivery> insert(
            Connection connection, List<Filed> filed, Map<String, Taker> takers, boolean repeatable)
            throws SQLException {
        List<Filed> alive = filed.stream().filter(f -> f.error() == null).toList();
        Map<Filed, Delivery> deliveries = new IdentityHashMap<>();
        List<Filed> single = new ArrayList<>();
        for (Map.Entry<String, List<Filed>> sink : bySink(alive).entrySet()) {
            Taker taker = takers.get(sink.getKey());
            if (taker == null || taker.bundle() == 1 || sink.getValue().size() == 1) {
                single.addAll(sink.getValue());
                continue;
            }
            for (int from = 0; from < sink.getValue().size(); from += taker.bundle()) {
                bundle(
                        connection,
                        sink.getValue()
                                .subList(
                                        from,
                                        Math.min(
                                                from + taker.bundle(),
                                                sink.getValue().size())),
                        taker,
                        deliveries);
            }
        }
        if (!single.isEmpty()) {
            List<Long> reserved = repeatable && single.size() == filed.size() && single.size() <= FEW
                    ? ids.take(single.size())
                    : List.of();
            if (reserved.isEmpty()) {
                single(connection, single, takers, deliveries);
            } else {
                few(connection, single, takers, reserved, deliveries);
            }
        }
        List<Filed> dead = filed.stream().filter(f -> f.error() != null).toList();
        if (!dead.isEmpty()) {
            update(
                    connection,
                    """
                    insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                    select sink, alert_id, alert::json, 0, clock_timestamp(), last_error
                    from unnest(?::text[], ?::text[], ?::text[], ?::text[]) as filed (sink, alert_id, alert, last_error)
                    """,
                    texts(dead, Filed::sink),
                    texts(dead, Filed::alertId),
                    texts(dead, Filed::alert),
                    texts(dead, Filed::error));
        }
        return alive.stream().map(deliveries::get).toList();
    }

    private static Map<String, List<Filed>> bySink(List<Filed> filed) {
        Map<String, List<Filed>> bySink = new LinkedHashMap<>();
        filed.forEach(
                f -> bySink.computeIfAbsent(f.sink(), sink -> new ArrayList<>()).add(f));
        return bySink;
    }

    /** Commits too. */
    private static void few(
            Connection connection,
            List<Filed> filed,
            Map<String, Taker> takers,
            List<Long> reserved,
            Map<Filed, Delivery> deliveries)
            throws SQLException {
        String rows = String.join(
                ", ",
                Collections.nCopies(
                        filed.size(),
                        "(?, ?, ?, ?::json, ?::uuid, coalesce(clock_timestamp() + ?::bigint * interval '1 ms', '-infinity'))"));
        try (PreparedStatement statement = connection.prepareStatement("""
                insert into rowbell.delivery (id, sink, alert_id, alert, taken_by, taken_until)
                overriding system value
                values %s;
                set local synchronous_commit = off;
                commit
                """.formatted(rows))) {
            int place = 1;
            Iterator<Long> ids = reserved.iterator();
            for (Filed one : filed) {
                Delivery delivery = new Delivery(ids.next(), 0, one.alertId(), one.alert(), one.time(), 0);
                Taker taker = takers.get(one.sink());
                statement.setLong(place++, delivery.id());
                statement.setString(place++, one.sink());
                statement.setString(place++, one.alertId());
                statement.setString(place++, one.alert());
                statement.setObject(place++, taker == null ? null : taker.id());
                statement.setObject(
                        place++, taker == null ? null : taker.lease().toMillis());
                deliveries.put(one, delivery);
            }
            statement.execute();
        }
    }

    /** @param deliveries to which they are added, as with {@link #bundle} */
    private static void single(
            Connection connection, List<Filed> filed, Map<String, Taker> takers, Map<Filed, Delivery> deliveries)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("""
                insert into rowbell.delivery (sink, alert_id, alert, taken_by, taken_until)
                select sink, alert_id, alert::json, taken_by, coalesce(clock_timestamp() + lease * interval '1 ms', '-infinity')
                from unnest(?::text[], ?::text[], ?::text[], ?::uuid[], ?::bigint[]) with ordinality
                  as filed (sink, alert_id, alert, taken_by, lease, place)
                order by place
                returning id, sink, alert_id
                """)) {
            statement.setArray(1, array(connection, "text", filed, Filed::sink));
            statement.setArray(2, array(connection, "text", filed, Filed::alertId));
            statement.setArray(3, array(connection, "text", filed, Filed::alert));
            statement.setArray(
                    4,
                    array(
                            connection,
                            "uuid",
                            filed,
                            f -> takers.containsKey(f.sink())
                                    ? takers.get(f.sink()).id()
                                    : null));
            statement.setArray(
                    5,
                    array(
                            connection,
                            "bigint",
                            filed,
                            f -> takers.containsKey(f.sink())
                                    ? takers.get(f.sink()).lease().toMillis()
                                    : null));
            try (ResultSet rows = statement.executeQuery()) {
                for (Filed one : filed) {
                    // PostgreSQL returns them in the order of the insert and does not promise to: a delivery must not
                    // go under another's id
                    if (!rows.next()
                            || !rows.getString(2).equals(one.sink())
                            || !rows.getString(3).equals(one.alertId())) {
                        throw new SQLException("deliveries did not come back in the order in which they were filed");
                    }
                    deliveries.put(one, new Delivery(rows.getLong(1), 0, one.alertId(), one.alert(), one.time(), 0));
                }
            }
        }
    }

    private static void bundle(Connection connection, List<Filed> filed, Taker taker, Map<Filed, Delivery> deliveries)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("""
                insert into rowbell.bundle (sink, deliveries, alerts, taken_by, taken_until)
                values (?, ?, ?, ?, clock_timestamp() + ? * interval '1 ms')
                returning id
                """)) {
            statement.setString(1, filed.get(0).sink());
            statement.setInt(2, filed.size());
            statement.setString(3, filed.stream().map(Filed::alert).collect(Collectors.joining("\n")));
            statement.setObject(4, taker.id());
            statement.setLong(5, taker.lease().toMillis());
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                long id = row.getLong(1);
                filed.forEach(
                        one -> deliveries.put(one, new Delivery(0, id, one.alertId(), one.alert(), one.time(), 0)));
            }
        }
    }

    /** Takes ids for what is filed later; to be called when there is nothing to do. */
    void reserve() {
        ids.reserve();
    }

    /** The database may be another from now on. */
    void distrust() {
        ids.forget();
    }

    /**
     * Gives each delivery of these bundles a row of its own, with its own retries: something went wrong with them, or takes long.
     *
     * @param until who has them then; null: nobody, they are due
     * @return those that are still the taker's
     */
    List<Delivery> unbundle(Collection<Long> bundles, UUID taker, Taker until) throws SQLException {
        return unbundle("id = any(?::bigint[]) and taken_by = ?", until, bundles.toArray(), taker);
    }

    /** The same with those of a sink whose taker has died. Nobody has them then. */
    void unbundleAbandoned(String sink, Duration lease) throws SQLException {
        // of nobody's lease: the clock was set back
        String abandoned =
                "sink = ? and (taken_until <= clock_timestamp() or taken_until > clock_timestamp() + ? * interval '2 ms')";
        if (isAny(abandoned, sink, lease)) {
            unbundle(abandoned, null, sink, lease.toMillis());
        }
    }

    /** Asked now and then by each sink, and as a rule there are none: for that a transaction would be too much. */
    private boolean isAny(String which, String sink, Duration lease) throws SQLException {
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement =
                        connection.prepareStatement("select exists (select from rowbell.bundle where " + which + ")")) {
            statement.setString(1, sink);
            statement.setLong(2, lease.toMillis());
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return row.getBoolean(1);
            }
        }
    }

    private List<Delivery> unbundle(String which, Taker until, Object... parameters) throws SQLException {
        try {
            return transaction.execute(status -> {
                try {
                    List<Filed> filed = opened(which, parameters);
                    return filed.isEmpty()
                            ? List.of()
                            : file(
                                    filed,
                                    until == null
                                            ? Map.of()
                                            : Map.of(filed.get(0).sink(), until),
                                    false);
                } catch (SQLException e) {
                    throw new UncategorizedSQLException("unbundling", null, e);
                }
            });
        } catch (UncategorizedSQLException e) {
            throw e.getSQLException();
        } catch (TransactionException e) {
            throw new SQLException(e.getMessage(), e);
        }
    }

    /** Takes bundles away, and returns what was in them. */
    private List<Filed> opened(String which, Object... parameters) throws SQLException {
        Connection connection = DataSourceUtils.doGetConnection(dataSource);
        try (PreparedStatement statement = connection.prepareStatement("""
                with opened as (
                  delete from rowbell.bundle
                  where ctid = any(array(
                    select ctid
                    from rowbell.bundle
                    where %s
                    for update skip locked))
                  returning id, sink, alerts)
                select sink, alerts from opened order by id
                """.formatted(which))) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setObject(
                        i + 1,
                        parameters[i] instanceof Object[] ids
                                ? connection.createArrayOf("bigint", ids)
                                : parameters[i]);
            }
            List<Filed> filed = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    String sink = rows.getString(1);
                    rows.getString(2).lines().forEach(alert -> {
                        Map<String, Object> document = AlertReader.parse(alert);
                        filed.add(new Filed(
                                sink,
                                (String) document.get("id"),
                                alert,
                                document.get("time") instanceof String time ? time : null,
                                null,
                                null));
                    });
                }
            }
            return filed;
        } finally {
            DataSourceUtils.doReleaseConnection(connection, dataSource);
        }
    }

    /**
     * Takes up to {@code most} due deliveries of a sink, the longest due first. They are nobody else's until the lease ends; a process that
     * dies with them leaves them to be taken again.
     *
     * @param taker by which the later calls know what is still this one's: another may have taken it after the lease
     */
    List<Delivery> take(String sink, int most, Duration lease, UUID taker) throws SQLException {
        LowWater lowWater = lowWater(sink);
        LowWater.Look look = lowWater.next();
        try (Connection connection = dataSource.getConnection();
                PreparedStatement statement = connection.prepareStatement("""
                        with taken as (
                          update rowbell.delivery
                          set taken_until = clock_timestamp() + ? * interval '1 ms',
                              taken_by = ?
                          where ctid = any(array(
                            select ctid
                            from rowbell.delivery
                            where sink = ?
                              and due >= coalesce(?, now() - interval '2 s')
                              and due <= clock_timestamp()
                              and (taken_until <= clock_timestamp() or taken_until > clock_timestamp() + ? * interval '2 ms')
                            order by due, id
                            limit ?
                            for update skip locked))
                          returning id, alert_id, alert, attempts, due)
                        select id, alert_id, alert, attempts, due
                        from taken
                        order by due, id
                        """)) {
            statement.setLong(1, lease.toMillis());
            statement.setObject(2, taker);
            statement.setString(3, sink);
            statement.setTimestamp(4, look.since());
            // of nobody's lease: the clock was set back
            statement.setLong(5, lease.toMillis());
            statement.setInt(6, most);
            List<Delivery> taken = new ArrayList<>();
            Timestamp last = null;
            try (ResultSet rows = statement.executeQuery()) {
                lowWater.answered(look);
                while (rows.next()) {
                    last = rows.getTimestamp(5);
                    taken.add(new Delivery(
                            rows.getLong(1), 0, rows.getString(2), rows.getString(3), null, rows.getInt(4)));
                }
            }
            lowWater.found(last, taken.isEmpty());
            return taken;
        }
    }

    private LowWater lowWater(String sink) {
        return lowWaters.computeIfAbsent(sink, s -> new LowWater());
    }

    /** Keeps what was taken for another lease from now, and returns the ids of what is still this one's. */
    Set<Long> keep(List<Delivery> deliveries, Duration lease, UUID taker) throws SQLException {
        return until(deliveries, lease.toMillis() + " ms", taker);
    }

    /** Gives back what was taken and not tried: it is due at once, and no attempt was made. */
    void release(String sink, List<Delivery> deliveries, UUID taker) throws SQLException {
        until(deliveries, "-1 day", taker);
        lowWater(sink).forget();
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
            statement.setArray(
                    2, connection.createArrayOf("bigint", ids(deliveries).toArray()));
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
        List<Outcome> failed =
                outcomes.stream().filter(o -> !o.isDelivered() && !o.isDead()).toList();
        // one statement commits by itself: where the network is cut now, no session stays behind that holds the rows
        try (Connection connection = dataSource.getConnection()) {
            List<Long> bundles = deliveries(delivered).stream()
                    .filter(Delivery::isBundled)
                    .map(Delivery::bundle)
                    .distinct()
                    .toList();
            if (bundles.isEmpty() && failed.isEmpty() && dead.isEmpty()) {
                update(
                        connection,
                        "delete from rowbell.delivery where id = any(?::bigint[])",
                        ids(deliveries(delivered)));
                return;
            } else if (deliveries(outcomes).stream().allMatch(Delivery::isBundled)) {
                update(connection, "delete from rowbell.bundle where id = any(?::bigint[])", bundles);
                return;
            }
            update(
                    connection,
                    """
                    with bundles as (
                      delete from rowbell.bundle where id = any(?::bigint[])),
                    delivered as (
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
                    """,
                    bundles,
                    ids(deliveries(delivered)),
                    ids(deliveries(failed)),
                    numbers(failed, o -> o.retryIn().toMillis()),
                    texts(failed, Outcome::error),
                    taker,
                    ids(deliveries(dead)),
                    texts(dead, Outcome::error),
                    taker);
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
                    statement.setArray(
                            place++,
                            connection.createArrayOf(
                                    !list.isEmpty() && list.get(0) instanceof Long ? "bigint" : "text",
                                    list.toArray()));
                } else {
                    statement.setObject(place++, parameter);
                }
            }
            statement.executeUpdate();
        }
    }

    private static <T> Array array(Connection connection, String type, List<T> items, Function<T, Object> element)
            throws SQLException {
        return connection.createArrayOf(type, items.stream().map(element).toArray());
    }

    private static List<Delivery> deliveries(List<Outcome> outcomes) {
        return outcomes.stream().map(Outcome::delivery).toList();
    }

    private static List<Long> ids(List<Delivery> deliveries) {
        return numbers(
                deliveries.stream().filter(delivery -> !delivery.isBundled()).toList(), Delivery::id);
    }

    private static <T> List<Long> numbers(List<T> items, Function<T, Long> number) {
        return items.stream().map(number).toList();
    }

    private static <T> List<String> texts(List<T> items, Function<T, String> text) {
        return items.stream().map(text).toList();
    }
}
