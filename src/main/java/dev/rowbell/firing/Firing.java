package dev.rowbell.firing;

import dev.rowbell.database.StorableText;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.housekeeping.LateFold;
import java.time.Duration;
import java.util.Map;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * What fires now, {@code rowbell.firing}. The transaction that routes alerts adds one row for all of them, which is folded into the list afterwards:
 * to write the list at once would take a third of the time of a batch, and two processes would wait for each other. Safe for many threads.
 */
public final class Firing {

    private static final Logger LOG = LoggerFactory.getLogger(Firing.class);

    /** How late the list may be while a thing is acknowledged: routing reads all events that are not folded, to find its end. */
    private static final Duration LATE_WHEN_ACKNOWLEDGED = Duration.ofSeconds(30);
    /** After a failure to note alerts. */
    private static final Duration RETRY = Duration.ofSeconds(10);

    private static final Duration GONE = Duration.ofSeconds(10);
    private static final Duration UNSEEN = Duration.ofSeconds(5);
    /** Things that fire, of which one statement looks whether they have ended: 5,000 took 225 ms beside other load (PostgreSQL 15). */
    private static final int LOOKED_AT_ONCE = 2000;

    private static final Duration FORGET = Duration.ofMinutes(1);
    private static final int FORGOTTEN_AT_ONCE = 10_000;

    private JdbcClient jdbc;
    private Acknowledged acknowledged;
    /** How long that stays in the list which has no end; zero: there is no list. */
    private Duration keep = Duration.ZERO;

    /** The last thing of which it was looked whether it has ended, in the order of fingerprints. */
    private String lookedAt = "";

    private final LateFold fold = new LateFold();
    /** Until when nothing is noted: it failed. */
    private volatile long retryAt = System.nanoTime();

    /**
     * To be called before the other methods.
     *
     * @param table the feedback table, as SQL names it
     * @param own how fingerprints of alerts of this database begin; asked while the database is open: {@code camel export} opens none
     * @param keep how long an alert without an end stays in the list; zero: there is no list
     */
    public void start(
            DataSource dataSource, String table, Supplier<String> own, Duration keep, Housekeeping housekeeping) {
        jdbc = JdbcClient.create(dataSource);
        StorableText storable = new StorableText(dataSource);
        acknowledged = new Acknowledged(dataSource, storable::cut);
        this.keep = keep;
        if (!keep.isZero()) {
            housekeeping.register("bring up to date what fires", LateFold.PAUSE, this::fold);
            housekeeping.register("end what rules fired for that are gone", GONE, this::endOfGoneRules);
            housekeeping.register("end what no alert ends", UNSEEN, () -> endUnseen(storable.of(own.get())));
        }
        housekeeping.register("forget what does not fire any more", FORGET, () -> forget(table));
    }

    /**
     * Whether the durable alert is not to be sent: it is about what was acknowledged and has not ended. To be asked for each, in the order in which
     * they were taken.
     */
    public boolean isAcknowledged(Map<String, Object> alert) {
        return !keep.isZero() && acknowledged.covers(alert);
    }

    /** To be called while no alert waits, so that alerts seldom have to wait until it is read what is acknowledged. */
    public void refreshWhenIdle() {
        if (!keep.isZero()) {
            acknowledged.refreshWhenIdle();
        }
    }

    /** Whether durable alerts are to be noted now, as {@link dev.rowbell.history.RoutingNotes} does. */
    public boolean isOn() {
        return !keep.isZero() && System.nanoTime() - retryAt >= 0;
    }

    /** So many alerts were noted. */
    public void noted(int alerts) {
        fold.noted(alerts);
    }

    /** Alerts could not be noted, which must not wait for the list of them: unless the database is away, it is left out for a while. */
    public void failed(DataAccessException failure) {
        if (!Errors.isDatabaseAway(failure)) {
            retryAt = System.nanoTime() + RETRY.toNanos();
            LOG.warn(
                    "what fires cannot be noted, rowbell.firing lacks the alerts of the next 10 s: {}",
                    Errors.inWords(failure));
        }
    }

    private void fold() {
        fold.run(
                acknowledged.isEmpty() ? LateFold.LATE : LATE_WHEN_ACKNOWLEDGED,
                most -> jdbc.sql("select rowbell.fold_firing(?)")
                        .param(most)
                        .query(Integer.class)
                        .single());
    }

    private void endOfGoneRules() {
        jdbc.sql("select rowbell.end_firing_of_gone_rules()").query(row -> {});
    }

    private void endUnseen(String own) {
        lookedAt = jdbc.sql("select coalesce(rowbell.end_unseen(?, ?, ?), '')")
                .params(own, lookedAt, LOOKED_AT_ONCE)
                .query(String.class)
                .single();
    }

    private void forget(String table) {
        // here, since the owner of the schema may have no right on it
        String sql = "select rowbell.forget_firing(?::interval, (select min(crt_time)::timestamptz from %s), ?)"
                .formatted(table);
        while (jdbc.sql(sql)
                        .param(keep.toString())
                        .param(FORGOTTEN_AT_ONCE)
                        .query(Integer.class)
                        .single()
                == FORGOTTEN_AT_ONCE) {}
    }
}
