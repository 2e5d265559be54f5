package dev.rowbell.firing;

import dev.rowbell.alert.AlertTime;
import dev.rowbell.database.StorableText;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.housekeeping.LateFold;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
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

    private final Clock clock;
    private JdbcClient jdbc;
    private StorableText storable;
    private Acknowledged acknowledged;
    /** How long that stays in the list which has no end; zero: there is no list. */
    private Duration keep = Duration.ZERO;

    /** The last thing of which it was looked whether it has ended, in the order of fingerprints. */
    private String lookedAt = "";

    private final LateFold fold = new LateFold();
    /** Until when nothing is noted: it failed. */
    private volatile long retryAt = System.nanoTime();

    public Firing(Clock clock) {
        this.clock = clock;
    }

    /**
     * To be called before the other methods.
     *
     * @param table the feedback table, as SQL names it
     * @param keep how long an alert without an end stays in the list; zero: there is no list
     */
    public void start(DataSource dataSource, String table, Duration keep, Housekeeping housekeeping) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
        acknowledged = new Acknowledged(dataSource, storable::cut);
        this.keep = keep;
        if (!keep.isZero()) {
            housekeeping.register("bring up to date what fires", LateFold.PAUSE, this::fold);
            housekeeping.register("end what rules fired for that are gone", GONE, this::endOfGoneRules);
            housekeeping.register("end what no alert ends", UNSEEN, this::endUnseen);
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

    /**
     * Notes the durable alerts that a transaction routed, in this transaction.
     *
     * @param silenced those of them that are not delivered, the very same objects
     * @throws DataAccessException where the database fails: the transaction is to be rolled back
     */
    public void note(List<Map<String, Object>> alerts, List<Map<String, Object>> silenced) {
        if (keep.isZero() || alerts.isEmpty() || System.nanoTime() - retryAt < 0) {
            return;
        }
        try {
            insert(alerts, silenced);
        } catch (DataAccessException e) {
            if (!Errors.isDatabaseAway(e)) {
                // alerts must not wait for the list of them
                retryAt = System.nanoTime() + RETRY.toNanos();
                LOG.warn(
                        "what fires cannot be noted, rowbell.firing lacks the alerts of the next 10 s: {}",
                        Errors.inWords(e));
            }
            throw e;
        }
    }

    /** What many alerts share. */
    private record Kind(Object rule, Object feed, Object severity, Object reason) {}

    private void insert(List<Map<String, Object>> alerts, List<Map<String, Object>> silenced) {
        Set<Map<String, Object>> quiet = Collections.newSetFromMap(new IdentityHashMap<>());
        quiet.addAll(silenced);
        int count = alerts.size();
        long[] times = new long[count];
        boolean[] fires = new boolean[count];
        boolean[] isSilenced = new boolean[count];
        int[] places = new int[count];
        Map<Kind, Integer> kinds = new LinkedHashMap<>();
        long now = AlertTime.micros(clock.instant());
        for (int i = 0; i < count; i++) {
            Map<String, Object> alert = alerts.get(i);
            Instant time = AlertTime.parse(alert.get("time"));
            times[i] = time == null ? now : AlertTime.micros(time);
            fires[i] = !"resolved".equals(alert.get("status"));
            isSilenced[i] = !silenced.isEmpty() && quiet.contains(alert);
            Kind kind = new Kind(alert.get("rule"), alert.get("table"), alert.get("severity"), alert.get("reason"));
            places[i] = kinds.computeIfAbsent(kind, added -> kinds.size() + 1);
        }
        jdbc.sql("""
                        insert into rowbell.firing_event (fingerprints, alert_ids, keys, times, fires, silenced, kinds, rules, feeds, severities, reasons)
                        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                        """)
                .params(
                        texts(alerts, alert -> alert.get("fingerprint")),
                        texts(alerts, alert -> alert.get("id")),
                        texts(alerts, alert -> alert.get("key")),
                        times,
                        fires,
                        isSilenced,
                        places,
                        texts(kinds.keySet(), Kind::rule),
                        texts(kinds.keySet(), Kind::feed),
                        texts(kinds.keySet(), Kind::severity),
                        texts(kinds.keySet(), Kind::reason))
                .update();
        fold.noted(count);
    }

    private <T> String[] texts(Collection<T> of, Function<T, Object> value) {
        String[] texts = new String[of.size()];
        int at = 0;
        for (T one : of) {
            texts[at++] = value.apply(one) instanceof String text ? storable.cut(text) : null;
        }
        return texts;
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

    private void endUnseen() {
        lookedAt = jdbc.sql("select coalesce(rowbell.end_unseen(?, ?), '')")
                .params(lookedAt, LOOKED_AT_ONCE)
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
