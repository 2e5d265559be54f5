package dev.rowbell.history;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertTime;
import dev.rowbell.database.StorableText;
import dev.rowbell.error.Errors;
import dev.rowbell.firing.Firing;
import java.time.Clock;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Notes the alerts that a transaction routed, in this transaction and in one statement: for the list of what fires, and for the history. Where one of
 * both fails it is left out for a while, and the other goes on. Safe for many threads.
 */
public final class RoutingNotes {

    private static final String NOTED = """
            with noted as (
              select ?::text as path, ?::text[] as fingerprints, ?::text[] as ids, ?::text[] as keys, ?::bigint[] as times, ?::boolean[] as fires,
                ?::boolean[] as silenced, ?::text[] as documents, ?::bigint[] as silences, ?::int[] as kinds, ?::text[] as rules, ?::text[] as feeds,
                ?::text[] as severities, ?::text[] as statuses, ?::text[] as reasons, ?::text[] as sinks)
            """;
    private static final String LISTED = """
            , listed as (
              insert into rowbell.firing_event (fingerprints, alert_ids, keys, times, fires, silenced, kinds, rules, feeds, severities, reasons)
              select fingerprints, ids, keys, times, fires, silenced, kinds, rules, feeds, severities, reasons
              from noted)
            """;
    private static final String RECORDED = """
            select rowbell.note_routed(path, ids, keys, times, documents, silences, kinds, rules, feeds, severities, statuses, reasons, sinks)
            from noted
            """;
    private static final String NOTHING = "select null where false";

    private final History history;
    private final Firing firing;
    private final Clock clock;
    private final JdbcClient jdbc;
    private final StorableText storable;
    /** Whether each has a statement of its own: that of both has failed, and only so it shows which one is at fault. */
    private volatile boolean apart;

    public RoutingNotes(DataSource dataSource, History history, Firing firing, Clock clock) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
        this.history = history;
        this.firing = firing;
        this.clock = clock;
    }

    /** Whether something is to be noted now. */
    public boolean isOn() {
        return history.isOn() || firing.isOn();
    }

    /**
     * Notes alerts; the list has durable ones only.
     *
     * @param path {@code durable} or {@code notify}
     * @throws DataAccessException where the database fails: the transaction is to be rolled back
     */
    public void note(String path, List<Routed> routed) {
        if (routed.isEmpty()) {
            return;
        }
        boolean listed = path.equals("durable") && firing.isOn();
        boolean recorded = history.isOn();
        List<Routed> redacted = routed;
        try {
            redacted = recorded ? history.redacted(routed) : routed;
        } catch (IllegalArgumentException e) {
            history.failed(Errors.inWords(e));
            recorded = false;
        }
        if (listed && recorded && !apart && redacted == routed) {
            try {
                insert(path, routed, true, true);
            } catch (DataAccessException e) {
                apart = !Errors.isDatabaseAway(e);
                throw e;
            }
        } else {
            insertApart(path, listed ? routed : List.of(), recorded ? redacted : List.of());
        }
    }

    private void insertApart(String path, List<Routed> listed, List<Routed> recorded) {
        try {
            insert(path, listed, true, false);
        } catch (DataAccessException e) {
            firing.failed(e);
            throw e;
        }
        try {
            insert(path, recorded, false, true);
        } catch (DataAccessException e) {
            history.failed(e);
            throw e;
        }
        apart = apart && (listed.isEmpty() || recorded.isEmpty());
    }

    /** What many alerts share. */
    private record Kind(Object rule, Object feed, Object severity, Object status, Object reason, List<String> sinks) {}

    private void insert(String path, List<Routed> routed, boolean listed, boolean recorded) {
        int count = routed.size();
        if (count == 0) {
            return;
        }
        long[] times = new long[count];
        boolean[] fires = new boolean[count];
        boolean[] silenced = new boolean[count];
        String[] documents = recorded ? new String[count] : null;
        int[] places = new int[count];
        Map<Kind, Integer> kinds = new LinkedHashMap<>();
        long now = AlertTime.micros(clock.instant());
        for (int i = 0; i < count; i++) {
            Routed one = routed.get(i);
            Map<String, Object> alert = one.alert();
            Instant time = AlertTime.parse(alert.get("time"));
            times[i] = time == null ? now : AlertTime.micros(time);
            fires[i] = !"resolved".equals(alert.get("status"));
            silenced[i] = one.silence() != null;
            if (recorded) {
                documents[i] = storable.of(AlertJson.asTaken(alert));
            }
            Kind kind = new Kind(
                    alert.get("rule"),
                    alert.get("table"),
                    alert.get("severity"),
                    alert.get("status"),
                    alert.get("reason"),
                    one.sinks());
            places[i] = kinds.computeIfAbsent(kind, added -> kinds.size() + 1);
        }
        List<Kind> shared = List.copyOf(kinds.keySet());
        // the statement names only the part that is to be written: the other part may be damaged
        jdbc.sql(NOTED + (listed ? LISTED : "") + (recorded ? RECORDED : NOTHING))
                .param(path)
                .param(listed ? storable.texts(routed, one -> one.alert().get("fingerprint")) : null)
                .param(storable.texts(routed, one -> one.alert().get("id")))
                .param(storable.texts(routed, one -> one.alert().get("key")))
                .param(times)
                .param(fires)
                .param(silenced)
                .param(documents)
                .param(silences(routed))
                .param(places)
                .param(storable.texts(shared, Kind::rule))
                .param(storable.texts(shared, Kind::feed))
                .param(storable.texts(shared, Kind::severity))
                .param(storable.texts(shared, Kind::status))
                .param(storable.texts(shared, Kind::reason))
                .param(shared.stream()
                        .map(kind -> storable.of(String.join(",", kind.sinks())))
                        .toArray(String[]::new))
                .query(String.class)
                .optional()
                .ifPresent(history::failed);
        if (listed) {
            firing.noted(count);
        }
        if (recorded) {
            history.noted(count);
        }
    }

    /** Null where there is none, as mostly. */
    private static Long[] silences(List<Routed> routed) {
        return routed.stream().allMatch(one -> one.silence() == null)
                ? null
                : routed.stream().map(Routed::silence).toArray(Long[]::new);
    }
}
