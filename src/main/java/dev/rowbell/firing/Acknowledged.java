package dev.rowbell.firing;

import dev.rowbell.alert.AlertTime;
import dev.rowbell.database.Transactions;
import dev.rowbell.error.Errors;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionTemplate;

/** Which alerts are not sent, because the thing that they are about was acknowledged and has not ended. It locks nothing. Safe for many threads. */
final class Acknowledged {

    private static final Logger LOG = LoggerFactory.getLogger(Acknowledged.class);

    /** What is acknowledged is quiet within this time. */
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** The same, while no alert waits. */
    private static final Duration FRESH_WHEN_IDLE = Duration.ofMillis(500);
    /** Before an alert is dropped: another process may have routed its end. */
    private static final Duration FRESH_TO_DROP = Duration.ofMillis(20);
    /** Reading takes at most one part in so many of the time: in a storm there is much that is not folded yet. */
    private static final int PART = 10;

    private final JdbcClient jdbc;
    private final TransactionTemplate outsideOfTransaction;
    private final UnaryOperator<String> stored;

    /** By fingerprint, since when it fires. */
    private Map<String, Instant> things = Map.of();
    /** The ends of those that this process routed, which may not be committed yet. */
    private final Map<String, Instant> ends = new HashMap<>();

    private long readAt = System.nanoTime() - FRESH.toNanos();
    /** How long the last look took, in nanoseconds. */
    private long took;

    private boolean failed;

    /** @param stored a fingerprint as the database has it */
    Acknowledged(DataSource dataSource, UnaryOperator<String> stored) {
        jdbc = JdbcClient.create(dataSource);
        this.stored = stored;
        outsideOfTransaction = new TransactionTemplate(new Transactions(dataSource));
        outsideOfTransaction.setPropagationBehavior(TransactionDefinition.PROPAGATION_NOT_SUPPORTED);
    }

    /** Whether the durable alert is not to be sent. To be asked for each, in their order. */
    synchronized boolean covers(Map<String, Object> alert) {
        refresh(FRESH);
        if (things.isEmpty() || !(alert.get("fingerprint") instanceof String fingerprint)) {
            return false;
        }
        String thing = stored.apply(fingerprint);
        if (!things.containsKey(thing)) {
            return false;
        } else if ("resolved".equals(alert.get("status"))) {
            Instant time = AlertTime.parse(alert.get("time"));
            ends.put(thing, time == null ? Instant.MAX : time);
            return false;
        }
        refresh(FRESH_TO_DROP);
        Instant since = things.get(thing);
        Instant end = ends.get(thing);
        return since != null && (end == null || end.isBefore(since));
    }

    synchronized boolean isEmpty() {
        return things.isEmpty();
    }

    synchronized void refreshWhenIdle() {
        refresh(FRESH_WHEN_IDLE);
    }

    private void refresh(Duration fresh) {
        long begin = System.nanoTime();
        if (begin - readAt < Math.max(fresh.toNanos(), PART * took)) {
            return;
        }
        try {
            things = outsideOfTransaction.execute(status -> read());
            ends.keySet().retainAll(things.keySet());
            failed = false;
        } catch (DataAccessException e) {
            if (!failed && !Errors.isDatabaseAway(e)) {
                LOG.warn(
                        "what is acknowledged cannot be read, trying again; that known before stays in force: {}",
                        Errors.inWords(e));
            }
            failed = true;
        }
        readAt = System.nanoTime();
        took = readAt - begin;
    }

    /** On a connection of its own: a failure must not fail the transaction of the thread. */
    private Map<String, Instant> read() {
        Map<String, Instant> read = new HashMap<>();
        jdbc.sql("""
                        with ends as materialized (
                          select u.fingerprint, max(u.micros) as micros
                          from rowbell.firing_event e
                          cross join lateral unnest(e.fingerprints, e.times, e.fires) as u (fingerprint, micros, fires)
                          where false = any (e.fires) and e.fingerprints && array(select q.fingerprint from rowbell.acknowledgement q)
                            and not u.fires
                          group by u.fingerprint)
                        select a.fingerprint, f.since
                        from rowbell.acknowledgement a
                        join rowbell.firing_state f on f.fingerprint = a.fingerprint and f.id = a.firing and f.times > 0
                        left join rowbell.rule r on r.name = f.rule
                        left join ends e on e.fingerprint = a.fingerprint
                        where rowbell.fires_anew(r) is not true
                          and (timestamptz 'epoch' + e.micros * interval '1 us' >= f.since) is not true
                        """).query(row -> {
            read.put(row.getString(1), row.getObject(2, OffsetDateTime.class).toInstant());
        });
        return read;
    }
}
