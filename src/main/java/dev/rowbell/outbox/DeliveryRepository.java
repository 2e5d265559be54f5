package dev.rowbell.outbox;

import dev.rowbell.database.PollCursor;
import dev.rowbell.database.StorableText;
import dev.rowbell.database.Transactions;
import dev.rowbell.history.History;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.core.simple.JdbcClient.StatementSpec;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * The table {@code rowbell.delivery}. Time is the database's, so that processes whose clocks differ agree on what is due. All methods throw a
 * {@link DataAccessException} where the database fails, and take part in the transaction of the thread if it has one. Safe for many threads.
 */
final class DeliveryRepository {

    /**
     * Of what is leased at once, in characters, or in bytes where PostgreSQL stores more of them: a digest of 20,000 alerts of usual length, and a small
     * part of a small heap.
     */
    private static final int SIZE_AT_MOST = 32_000_000;

    private static final int MOST_BYTES_OF_A_CHARACTER = 4;

    private final JdbcTemplate template;
    private final JdbcClient jdbc;
    private final DeadLetterRepository deadLetters;
    private final StorableText storable;
    private final History history;
    private final TransactionTemplate transaction;

    DeliveryRepository(DataSource dataSource, DeadLetterRepository deadLetters, History history) {
        this.history = history;
        transaction = new TransactionTemplate(new Transactions(dataSource));
        template = new JdbcTemplate(dataSource);
        jdbc = JdbcClient.create(template);
        storable = new StorableText(dataSource);
        this.deadLetters = deadLetters;
    }

    /** Files all of them in one round trip. They are due in the order of the list. */
    void insert(List<NewDelivery> deliveries) {
        template.batchUpdate("""
                insert into rowbell.delivery (id, sink, documents, characters, locked_by, locked_until)
                values (?, ?, ?, ?, ?, coalesce(clock_timestamp() + ?::bigint * interval '1 ms', '-infinity'))
                """, deliveries, deliveries.size(), (statement, delivery) -> {
            Lease lease = delivery.lease();
            statement.setObject(1, delivery.id());
            statement.setString(2, delivery.sink());
            statement.setObject(
                    3, delivery.documents().stream().map(storable::of).toArray(String[]::new));
            statement.setLong(4, Delivery.characters(delivery.documents()));
            statement.setObject(5, lease == null ? null : lease.id());
            statement.setObject(6, lease == null ? null : lease.length().toMillis(), Types.BIGINT);
        });
    }

    /** Whether there may be more that were not leased for their length. */
    static boolean isHeavy(List<Delivery> leased) {
        return leased.stream()
                        .mapToLong(delivery -> Delivery.characters(delivery.documents()))
                        .sum()
                > SIZE_AT_MOST / MOST_BYTES_OF_A_CHARACTER;
    }

    /**
     * Leases due deliveries, the longest due first, with up to so many alerts together, and no more than fit into memory; none of a sink that is
     * paused. Each has no more alerts than a batch of the sink, and a batch whose lease had ended is split: one of its alerts may have ended the
     * process that had it.
     *
     * @param cursor remembers how far the queue of the sink is taken
     */
    List<Delivery> lease(String sink, int alerts, int batch, Lease lease, PollCursor cursor) {
        record Row(Delivery delivery, boolean expired, Timestamp due) {}
        PollCursor.Scan scan = cursor.next();
        List<Row> rows = jdbc.sql("""
                        with waiting as materialized (
                          select id, ctid, due, alerts, locked_by, greatest(characters, pg_column_size(documents)) as size
                          from rowbell.delivery
                          where sink = :sink
                            and not exists (select from rowbell.paused_sink p where p.sink = :sink)
                            and due >= coalesce(:since, now() - interval '2 s')
                            and due <= clock_timestamp()
                            -- a lease that ends later than any can: the clock was set back
                            and (locked_until <= clock_timestamp() or locked_until > clock_timestamp() + :length * interval '2 ms')
                          order by due
                          limit :alerts
                          for update skip locked),
                        leased as (
                          update rowbell.delivery
                          set locked_by = :lease,
                              locked_until = clock_timestamp() + :length * interval '1 ms'
                          where ctid = any(array(
                            select ctid
                            from (
                              select ctid, alerts, sum(alerts) over w as total, sum(size) over w as total_size
                              from waiting
                              window w as (order by due, id)) as counted
                            where total <= :alerts and total_size <= :size or total = alerts))
                          returning id, documents, attempts)
                        select id, documents, attempts, locked_by is not null as expired, due
                        from leased
                        join waiting using (id)
                        order by due, id
                        """)
                .param("sink", sink)
                .param("since", scan.since(), Types.TIMESTAMP)
                .param("length", lease.length().toMillis())
                .param("alerts", alerts)
                .param("size", SIZE_AT_MOST)
                .param("lease", lease.id())
                .query((row, number) ->
                        new Row(delivery(row, lease), row.getBoolean("expired"), row.getTimestamp("due")))
                .list();
        cursor.answered(scan);
        cursor.found(rows.isEmpty() ? null : rows.get(rows.size() - 1).due(), rows.isEmpty());
        List<Delivery> split = new ArrayList<>();
        List<Delivery> whole = new ArrayList<>();
        for (Row row : rows) {
            int size = row.delivery().size();
            (size > 1 && row.expired() || size > batch ? split : whole).add(row.delivery());
        }
        return Stream.concat(whole.stream(), split(split).stream()).toList();
    }

    /**
     * Gives each alert of these deliveries a row of its own, with its own retries. Their leases stay and begin again.
     *
     * @return the deliveries of one alert each, without those whose lease has ended
     */
    List<Delivery> split(List<Delivery> deliveries) {
        if (deliveries.isEmpty()) {
            return List.of();
        }
        Lease lease = deliveries.get(0).lease().renewed();
        return sql(deliveries, """
                        with batch as (
                          delete from rowbell.delivery
                          where id = any(:ids::uuid[])
                            and locked_by = any(:leases::uuid[])
                          returning *),
                        single as (
                          insert into rowbell.delivery (sink, documents, characters, attempts, filed, due, locked_by, locked_until, last_error)
                          select sink, array[document], length(document), attempts, filed, due + place * interval '1 us', :lease,
                            clock_timestamp() + :length * interval '1 ms', last_error
                          from batch
                          cross join unnest(documents) with ordinality as alert (document, place)
                          returning id, documents, attempts, due)
                        select id, documents, attempts
                        from single
                        order by due, id
                        """)
                .param("lease", lease.id())
                .param("length", lease.length().toMillis())
                .query((row, number) -> delivery(row, lease))
                .list();
    }

    private static Delivery delivery(ResultSet row, Lease lease) throws SQLException {
        return new Delivery(
                row.getObject("id", UUID.class),
                List.of((String[]) row.getArray("documents").getArray()),
                row.getInt("attempts"),
                lease);
    }

    /** Begins their leases again. Returns those that are still this process's. */
    List<Delivery> renew(List<Delivery> deliveries) {
        if (deliveries.isEmpty()) {
            return List.of();
        }
        Lease lease = deliveries.get(0).lease();
        Set<UUID> kept = sql(deliveries, """
                        update rowbell.delivery
                        set locked_until = clock_timestamp() + :length * interval '1 ms'
                        where id = any(:ids::uuid[])
                          and locked_by = any(:leases::uuid[])
                        returning id
                        """)
                .param("length", lease.length().toMillis())
                .query(UUID.class)
                .set();
        return deliveries.stream()
                .filter(delivery -> kept.contains(delivery.id()))
                .map(delivery -> delivery.with(delivery.lease().renewed()))
                .toList();
    }

    /** Ends their leases; no attempt was made, and they are due at once. */
    void release(List<Delivery> deliveries) {
        sql(deliveries, """
                        update rowbell.delivery
                        set locked_by = null,
                            locked_until = '-infinity'
                        where id = any(:ids::uuid[])
                          and locked_by = any(:leases::uuid[])
                        """).update();
    }

    /**
     * Stores what became of deliveries of the sink, and notes it in the history; all or nothing, but for a history that fails. To repeat it changes
     * nothing in the outbox. A delivery that failed is left alone where its lease has ended.
     */
    void acknowledge(String sink, List<Outcome> outcomes) {
        boolean noted = history.isOn();
        try {
            if (outcomes.stream().allMatch(Outcome::isDelivered)) {
                // one statement is a transaction
                delete(sink, outcomes, noted);
            } else {
                transaction.executeWithoutResult(status -> {
                    retry(outcomes.stream().filter(Outcome::isRetried).toList());
                    giveUp(outcomes.stream().filter(Outcome::isDead).toList());
                    delete(sink, outcomes, noted);
                });
            }
        } catch (DataAccessException e) {
            if (!noted || history.isOn()) {
                throw e;
            }
            acknowledge(sink, outcomes);
        }
    }

    /** Notes alerts in the history that could not be filed. */
    void noteDead(List<NewDeadLetter> letters) {
        letters.stream()
                .collect(Collectors.groupingBy(letter -> Optional.ofNullable(letter.sink())))
                .forEach((sink, own) -> history.noteTried(
                        jdbc,
                        sink.orElse(null),
                        own.stream().map(NewDeadLetter::tried).toList()));
    }

    /** Deletes those that are delivered, and notes what became of all. */
    private void delete(String sink, List<Outcome> outcomes, boolean noted) {
        String delete = "delete from rowbell.delivery where id = any(?::uuid[])";
        Object ids = texts(
                outcomes.stream().filter(Outcome::isDelivered).toList(),
                outcome -> outcome.delivery().id());
        if (noted) {
            history.noteTried(
                    jdbc,
                    delete,
                    List.of(ids),
                    sink,
                    outcomes.stream().map(Outcome::tried).toList());
        } else {
            jdbc.sql(delete).param(ids).update();
        }
    }

    private void retry(List<Outcome> failed) {
        if (!failed.isEmpty()) {
            List<Delivery> deliveries = failed.stream().map(Outcome::delivery).toList();
            sql(deliveries, """
                            update rowbell.delivery d
                            set attempts = d.attempts + failed.counted,
                                due = clock_timestamp() + failed.wait * interval '1 ms',
                                locked_by = null,
                                locked_until = '-infinity',
                                last_error = failed.error
                            from unnest(:ids::uuid[], :waits::bigint[], :errors::text[], :counted::int[]) as failed (id, wait, error, counted)
                            where d.id = failed.id
                              -- again, so that any plan goes by the index
                              and d.id = any(:ids::uuid[])
                              and d.locked_by = any(:leases::uuid[])
                            """)
                    .param("waits", texts(failed, outcome -> outcome.retryIn().toMillis()))
                    .param("counted", texts(failed, outcome -> outcome.counted() ? 1 : 0))
                    .param("errors", texts(failed, outcome -> storable.of(outcome.error())))
                    .update();
        }
    }

    private void giveUp(List<Outcome> dead) {
        if (!dead.isEmpty()) {
            deadLetters.replace(
                    leases(dead.stream().map(Outcome::delivery).toList()),
                    dead.stream()
                            .flatMap(outcome -> outcome.delivery().documents().stream()
                                    .map(document -> NewDeadLetter.of(outcome.delivery(), document, outcome.error())))
                            .toList());
        }
    }

    /**
     * Makes due what is due later than any retry can be, because the clock was set back.
     *
     * @return how many rows
     */
    int makeDue(String sink, Duration longestWait) {
        return jdbc.sql("""
                        update rowbell.delivery
                        set due = clock_timestamp()
                        where sink = ?
                          and due > clock_timestamp() + ? * interval '2 ms'
                        """).param(sink).param(longestWait.toMillis()).update();
    }

    /** Whether no delivery waits for the sink, due or not. */
    boolean isEmpty(String sink) {
        return !jdbc.sql("select exists (select from rowbell.delivery where sink = ?)")
                .param(sink)
                .query(Boolean.class)
                .single();
    }

    /** A statement about deliveries and their leases, {@code :ids} and {@code :leases}. */
    private StatementSpec sql(List<Delivery> deliveries, String sql) {
        return jdbc.sql(sql).param("ids", texts(deliveries, Delivery::id)).param("leases", leases(deliveries));
    }

    private static String[] leases(List<Delivery> deliveries) {
        return deliveries.stream()
                .map(delivery -> delivery.lease().id().toString())
                .distinct()
                .toArray(String[]::new);
    }

    private static <T> String[] texts(List<T> items, Function<T, Object> value) {
        return items.stream().map(item -> value.apply(item).toString()).toArray(String[]::new);
    }
}
