package dev.rowbell.history;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertTime;
import dev.rowbell.database.StorableText;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.housekeeping.LateFold;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * What became of each alert, {@code rowbell.history}. The transaction that routes alerts adds one row for all of them, as does the one that tells the
 * database what sinks did; these rows are moved into the history afterwards. Where that fails the history lacks something, and no alert waits. Safe for
 * many threads.
 */
public final class History {

    private static final Logger LOG = LoggerFactory.getLogger(History.class);

    /** Between two looks at the days. */
    private static final Duration KEEP = Duration.ofMinutes(1);
    /** After a failure to note something. */
    private static final Duration RETRY = Duration.ofSeconds(10);

    private final Clock clock;
    private StorableText storable;
    private volatile Settings settings = new Settings(Duration.ZERO, Redaction.of(""), true);

    private final LateFold fold = new LateFold();
    /** Until when nothing is noted: it failed. */
    private volatile long retryAt = System.nanoTime();

    public History(Clock clock) {
        this.clock = clock;
    }

    /**
     * To be called when the database is open. Before, nothing is noted.
     *
     * @param settings where they keep nothing, what there was is dropped
     */
    public void start(DataSource dataSource, Settings settings, Housekeeping housekeeping) {
        JdbcClient jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
        this.settings = settings;
        housekeeping.register("make and drop the days of the history", KEEP, () -> keepDays(jdbc));
        if (!settings.keep().isZero()) {
            housekeeping.register("bring the history up to date", LateFold.PAUSE, () -> fold(jdbc));
        }
    }

    /**
     * What is kept.
     *
     * @param keep how long the history goes back; zero: there is none
     * @param answers whether it has what receivers answered, besides the status
     */
    public record Settings(Duration keep, Redaction redaction, boolean answers) {}

    /** Whether something is to be noted now. */
    public boolean isOn() {
        return !settings.keep().isZero() && System.nanoTime() - retryAt >= 0;
    }

    /** What many alerts share. */
    private record Kind(Object rule, Object feed, Object severity, Object status, Object reason, List<String> sinks) {}

    /**
     * Notes the alerts that a transaction routed, in this transaction.
     *
     * @param jdbc of the transaction
     * @param path {@code durable} or {@code notify}
     * @throws DataAccessException where the transaction is to be rolled back
     */
    public void noteRouted(JdbcClient jdbc, String path, List<Routed> all) {
        if (all.isEmpty() || !isOn()) {
            return;
        }
        try {
            insert(
                    jdbc,
                    path,
                    all.stream()
                            .map(one -> new Routed(settings.redaction().apply(one.alert()), one.silence(), one.sinks()))
                            .toList());
        } catch (IllegalArgumentException e) {
            failed(Errors.inWords(e));
        }
        fold.noted(all.size());
    }

    private void insert(JdbcClient jdbc, String path, List<Routed> routed) {
        int count = routed.size();
        long[] times = new long[count];
        int[] places = new int[count];
        Map<Kind, Integer> kinds = new LinkedHashMap<>();
        long now = AlertTime.micros(clock.instant());
        for (int i = 0; i < count; i++) {
            Map<String, Object> alert = routed.get(i).alert();
            Instant time = AlertTime.parse(alert.get("time"));
            times[i] = time == null ? now : AlertTime.micros(time);
            Kind kind = new Kind(
                    alert.get("rule"),
                    alert.get("table"),
                    alert.get("severity"),
                    alert.get("status"),
                    alert.get("reason"),
                    routed.get(i).sinks());
            places[i] = kinds.computeIfAbsent(kind, added -> kinds.size() + 1);
        }
        List<Kind> shared = List.copyOf(kinds.keySet());
        note(
                jdbc,
                "select rowbell.note_routed(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                path,
                texts(routed, one -> one.alert().get("id")),
                texts(routed, one -> one.alert().get("key")),
                times,
                documents(routed),
                silences(routed),
                places,
                texts(shared, Kind::rule),
                texts(shared, Kind::feed),
                texts(shared, Kind::severity),
                texts(shared, Kind::status),
                texts(shared, Kind::reason),
                shared.stream()
                        .map(kind -> storable.of(String.join(",", kind.sinks())))
                        .toArray(String[]::new));
    }

    private String[] documents(List<Routed> routed) {
        String[] documents = new String[routed.size()];
        for (int i = 0; i < documents.length; i++) {
            documents[i] = storable.of(AlertJson.asTaken(routed.get(i).alert()));
        }
        return documents;
    }

    /** Null where there is none, as mostly. */
    private static Long[] silences(List<Routed> routed) {
        return routed.stream().allMatch(one -> one.silence() == null)
                ? null
                : routed.stream().map(Routed::silence).toArray(Long[]::new);
    }

    /**
     * Notes what became of alerts, in the transaction that stores that.
     *
     * @param jdbc of the transaction
     * @param sink null for the routing
     * @throws DataAccessException where the transaction is to be rolled back
     */
    public void noteTried(JdbcClient jdbc, String sink, List<Tried> tries) {
        if (tries.isEmpty() || !isOn()) {
            return;
        }
        List<String> ids = new ArrayList<>();
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < tries.size(); i++) {
            for (String id : tries.get(i).alertIds()) {
                ids.add(id);
                places.add(i + 1);
            }
        }
        long now = System.nanoTime();
        note(
                jdbc,
                "select rowbell.note_tried(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                sink,
                texts(ids, id -> id),
                places.toArray(Integer[]::new),
                tries.stream().mapToLong(tried -> (now - tried.at()) / 1000).toArray(),
                texts(tries, Tried::outcome),
                tries.stream().map(Tried::attempt).toArray(Integer[]::new),
                tries.stream()
                        .map(tried ->
                                tried.answer() == null ? null : tried.answer().status())
                        .toArray(Integer[]::new),
                tries.stream()
                        .map(tried -> tried.answer() == null || !settings.answers()
                                ? null
                                : storedWhole(tried.answer().text()))
                        .toArray(String[]::new),
                tries.stream().map(tried -> storedWhole(tried.error())).toArray(String[]::new));
        fold.noted(ids.size());
    }

    /** Alerts must not wait for the history of them: after a failure it is left out for a while, also by the next try of this transaction. */
    private void note(JdbcClient jdbc, String sql, Object... values) {
        try {
            String failure = jdbc.sql(sql)
                    .params(Arrays.asList(values))
                    .query(String.class)
                    .optional()
                    .orElse(null);
            if (failure != null) {
                failed(failure);
            }
        } catch (DataAccessException e) {
            if (!Errors.isDatabaseAway(e)) {
                failed(Errors.inWords(e));
            }
            throw e;
        }
    }

    private void failed(String why) {
        retryAt = System.nanoTime() + RETRY.toNanos();
        LOG.warn("what became of alerts cannot be noted, rowbell.history lacks those of the next 10 s: {}", why);
    }

    private <T> String[] texts(List<T> of, Function<T, Object> value) {
        String[] texts = new String[of.size()];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = value.apply(of.get(i)) instanceof String text ? storable.cut(text) : null;
        }
        return texts;
    }

    private String storedWhole(String text) {
        return text == null ? null : storable.of(text);
    }

    private void fold(JdbcClient jdbc) {
        fold.run(
                LateFold.LATE,
                most -> jdbc.sql("select rowbell.fold_history(?)")
                        .param(most)
                        .query(Integer.class)
                        .single());
    }

    private void keepDays(JdbcClient jdbc) {
        jdbc.sql("select rowbell.keep_history(?::interval)")
                .param(settings.keep().toString())
                .query(row -> {});
    }
}
