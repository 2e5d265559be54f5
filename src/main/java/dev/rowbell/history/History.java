package dev.rowbell.history;

import dev.rowbell.database.StorableText;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.housekeeping.LateFold;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.CannotGetJdbcConnectionException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * What became of each alert, {@code rowbell.history}. The transaction that routes alerts adds one row for all of them, as does the one that tells the
 * database what sinks did; these rows are moved into the history afterwards. Where that fails the history lacks something, and no alert waits. Safe for
 * many threads.
 */
public final class History {

    private static final Logger LOG = LoggerFactory.getLogger(History.class);

    /** Between two looks at the columns that are left out. */
    private static final Duration COLUMNS = Duration.ofMinutes(10);
    /** Between two looks at the days. */
    private static final Duration KEEP = Duration.ofMinutes(1);
    /** After a failure to note something. */
    private static final Duration RETRY = Duration.ofSeconds(10);

    private StorableText storable;
    private volatile Settings settings = new Settings(Duration.ZERO, Redaction.of(""), true);

    /** Of those that are left out, the ones that were missing last. */
    private List<String> unknownColumns = List.of();

    private final LateFold fold = new LateFold();
    /** Until when nothing is noted: it failed. */
    private volatile long retryAt = System.nanoTime();

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
            if (!settings.redaction().names().isEmpty()) {
                housekeeping.register("look for the columns that the history leaves out", COLUMNS, () -> look(jdbc));
            }
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

    /** The alerts as the history has them, the very same list where that makes no difference. */
    List<Routed> redacted(List<Routed> routed) {
        List<Routed> redacted = new ArrayList<>(routed.size());
        boolean differ = false;
        for (Routed one : routed) {
            Map<String, Object> alert = settings.redaction().apply(one.alert());
            boolean same = alert == one.alert();
            redacted.add(same ? one : new Routed(alert, one.silence(), one.sinks()));
            differ |= !same;
        }
        return differ ? redacted : routed;
    }

    /** Notes what became of alerts, in the transaction of the thread; else as the other does. */
    public void noteTried(JdbcClient jdbc, String sink, List<Tried> tries) {
        if (!tries.isEmpty() && isOn()) {
            noteTried(jdbc, "select true", List.of(), sink, tries);
        }
    }

    /**
     * Notes what became of alerts, in one statement with another that stores that.
     *
     * @param other its SQL, which may change data
     * @param values of its parameters
     * @param sink null for the routing
     * @throws DataAccessException where both are undone
     */
    public void noteTried(JdbcClient jdbc, String other, List<Object> values, String sink, List<Tried> tries) {
        List<String> ids = new ArrayList<>();
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < tries.size(); i++) {
            for (String id : tries.get(i).alertIds()) {
                ids.add(id);
                places.add(i + 1);
            }
        }
        long now = System.nanoTime();
        List<Object> all = new ArrayList<>(values);
        Collections.addAll(
                all,
                sink,
                storable.texts(ids, id -> id),
                places.toArray(Integer[]::new),
                tries.stream().mapToLong(tried -> (now - tried.at()) / 1000).toArray(),
                storable.texts(tries, Tried::outcome),
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
        try {
            jdbc.sql("with other as (%s) select rowbell.note_tried(?, ?, ?, ?, ?, ?, ?, ?, ?)".formatted(other))
                    .params(all)
                    .query(String.class)
                    .optional()
                    .ifPresent(this::failed);
        } catch (DataAccessException e) {
            failed(e);
            throw e;
        }
        noted(ids.size());
    }

    void noted(int alerts) {
        fold.noted(alerts);
    }

    /** It could not be noted, unless the database is away or there is no connection, as during a stop. */
    void failed(DataAccessException failure) {
        if (!Errors.isDatabaseAway(failure) && !(failure instanceof CannotGetJdbcConnectionException)) {
            failed(Errors.inWords(failure));
        }
    }

    /** Alerts must not wait for the history of them: after a failure it is left out for a while, also by the next try of the transaction. */
    void failed(String why) {
        retryAt = System.nanoTime() + RETRY.toNanos();
        LOG.warn("what became of alerts cannot be noted, rowbell.history lacks those of the next 10 s: {}", why);
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

    /** A column of another name is kept: one that is written wrongly, or was renamed. */
    private void look(JdbcClient jdbc) {
        List<String> missing = jdbc.sql("""
                        select u.name
                        from unnest(?::text[]) as u (name)
                        where not exists (
                          select from pg_attribute a
                          join pg_class t on t.oid = a.attrelid
                          join pg_namespace s on s.oid = t.relnamespace
                          where a.attnum > 0 and not a.attisdropped and s.nspname || '.' || t.relname || '.' || a.attname = u.name)
                        """)
                .param(settings.redaction().names().toArray(String[]::new))
                .query(String.class)
                .list();
        if (!missing.isEmpty() && !missing.equals(unknownColumns)) {
            LOG.warn(
                    "rowbell.history.redact: no table here has {}, so it leaves nothing out; names are as alerts show them, without quotes",
                    String.join(", ", missing));
        }
        unknownColumns = missing;
    }

    private void keepDays(JdbcClient jdbc) {
        jdbc.sql("select rowbell.keep_history(?::interval)")
                .param(settings.keep().toString())
                .query(row -> {});
    }
}
