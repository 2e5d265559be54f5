package dev.rowbell.history;

import dev.rowbell.database.StorableText;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/** The view {@code rowbell.history}, for people. Its methods throw a {@link DataAccessException} where the database fails. Safe for many threads. */
public final class HistoryRepository {

    /** Alerts that a search looks at, so that what is rare takes no longer than what is frequent. */
    static final int LOOKED_AT = 1000;

    private static final Instant FIRST = Instant.EPOCH;
    private static final Instant LAST = Instant.parse("9999-01-01T00:00:00Z");

    /** What may have become of an alert, each with the condition for {@code h}. */
    private static final Map<String, String> OUTCOMES = Map.of(
            "sent",
            "cardinality(h.sinks) > 0",
            "silenced",
            "h.silenced_by is not null",
            "nowhere",
            "h.silenced_by is null and cardinality(h.sinks) = 0",
            "failed",
            tried("failed"),
            "dead",
            tried("dead"));

    private final JdbcClient jdbc;
    private final StorableText storable;

    public HistoryRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
    }

    /** No join: for few alerts, looking up each is cheaper than reading all tries, whatever the statistics say. */
    private static String tried(String outcome) {
        return "'%s' = any (array(select t.outcome from rowbell.history_try t where t.alert_id = h.id))"
                .formatted(outcome);
    }

    /**
     * Selects alerts; each is empty for any.
     *
     * @param from when the alert was routed, inclusive; null: any time; {@code to} likewise, exclusive
     * @param outcome {@code sent}, {@code silenced}, {@code nowhere} (routed to no sink), {@code failed} (a try failed) or {@code dead}; another: any
     */
    public record Filter(String id, String rule, String feed, String key, Instant from, Instant to, String outcome) {}

    /** Where a page ends: the next one begins behind the alert that was routed then and has this id. */
    public record Place(Instant routed, String id) {}

    /**
     * An alert. Times are in the time zone of this machine, as {@code 2026-11-23 08:00:00}.
     *
     * @param rule null where an alert from elsewhere names none; {@code feed}, {@code key}, {@code severity}, {@code status} and {@code reason} likewise
     * @param silencedBy as {@code silence 7}; null where it was not
     * @param outcomes of each sink the last, as {@code file delivered, http dead}; {@code waits} where there is none yet; null where it has no sink
     */
    public record Entry(
            String routed,
            String id,
            String rule,
            String feed,
            String key,
            String severity,
            String status,
            String reason,
            String silencedBy,
            String outcomes) {}

    /**
     * Some of the alerts that were sought, the newest first.
     *
     * @param older where the next page begins; null: this is the last one. It may have fewer entries than asked for, or none, and not be the last
     */
    public record Found(List<Entry> entries, Place older) {}

    /** @param after null: from the newest on */
    public Found search(Filter filter, Place after, int most) {
        Map<String, Object> values = new LinkedHashMap<>();
        List<String> exact = new ArrayList<>();
        exact(exact, values, "id", filter.id());
        exact(exact, values, "key", filter.key());
        exact(exact, values, "rule", filter.rule());
        exact(exact, values, "feed", filter.feed());
        Place before = after == null ? new Place(filter.to() == null ? LAST : filter.to(), "") : after;
        values.put("from", (filter.from() == null ? FIRST : filter.from()).atOffset(ZoneOffset.UTC));
        values.put("before", before.routed().atOffset(ZoneOffset.UTC));
        values.put("before_id", before.id());
        // the narrowest goes by its index; the others, and what became of the alert, are looked at in so many
        String column = exact.isEmpty() ? "" : "h.%s, ".formatted(exact.get(0));
        List<String> others = new ArrayList<>(
                exact.stream().map(one -> "h.%1$s = :%1$s".formatted(one)).toList());
        if (OUTCOMES.containsKey(filter.outcome())) {
            others.add(OUTCOMES.get(filter.outcome()));
        }
        // the ends of one index: for an equal value PostgreSQL might take that of the times, and read all alerts of a
        // day where the value is rare
        String bounds = "(%1$sh.routed) >= (%2$s:from) and (%1$sh.routed, h.id) < (%2$s:before, :before_id)"
                .formatted(column, column.replace("h.", ":"));
        String order = column.replace(",", " desc,") + "h.routed desc, h.id desc";
        List<Row> rows = jdbc.sql("""
                        select x.routed as at, to_char(x.routed, 'YYYY-MM-DD HH24:MI:SS') as routed, x.id, x.rule, x.feed, x.key, x.severity, x.status,
                          x.reason, x.silenced_by, (
                            select string_agg(concat_ws(' ', coalesce(s.sink, t.sink, 'routing'), coalesce(t.outcome, 'waits')), ', ' order by s.place)
                            from unnest(x.sinks) with ordinality as s (sink, place)
                            full join (
                              select distinct on (t.sink) t.sink, t.outcome
                              from rowbell.history_try t
                              where t.alert_id = x.id
                              order by t.sink, t.at desc) t on t.sink = s.sink) as outcomes
                        from (
                          select *
                          from (
                            select h.routed, h.id, h.rule, h.feed, h.key, h.severity, h.status, h.reason, h.silenced_by, h.sinks
                            from rowbell.history h
                            where h.routed >= :from and h.routed <= :before and %1$s
                            order by %2$s
                            limit %3$d) h
                          %4$s
                          order by %2$s
                          limit :most) x
                        order by x.routed desc, x.id desc
                        """.formatted(bounds, order, LOOKED_AT, where(others)))
                .params(values)
                .param("most", most + 1)
                .query((row, number) -> new Row(
                        new Place(row.getObject("at", OffsetDateTime.class).toInstant(), row.getString("id")),
                        new Entry(
                                row.getString("routed"),
                                row.getString("id"),
                                row.getString("rule"),
                                row.getString("feed"),
                                row.getString("key"),
                                row.getString("severity"),
                                row.getString("status"),
                                row.getString("reason"),
                                row.getString("silenced_by"),
                                row.getString("outcomes"))))
                .list();
        List<Entry> entries = rows.stream().limit(most).map(Row::entry).toList();
        return new Found(entries, rows.size() > most ? rows.get(most - 1).place() : last(bounds, order, values));
    }

    private record Row(Place place, Entry entry) {}

    /** Of the alerts that are looked at; null where no more are behind it. */
    private Place last(String bounds, String order, Map<String, Object> values) {
        // without the path, PostgreSQL might read all of the index of the times, which has both others
        return jdbc.sql("""
                        select h.routed, h.id, h.path
                        from rowbell.history h
                        where h.routed >= :from and h.routed <= :before and %s
                        order by %s
                        offset %d limit 1
                        """.formatted(bounds, order, LOOKED_AT - 1))
                .params(values)
                .query((row, number) ->
                        new Place(row.getObject(1, OffsetDateTime.class).toInstant(), row.getString(2)))
                .optional()
                .orElse(null);
    }

    private void exact(List<String> columns, Map<String, Object> values, String column, String value) {
        if (!value.isEmpty()) {
            columns.add(column);
            // as the history has it
            values.put(column, storable.cut(value));
        }
    }

    private static String where(List<String> conditions) {
        return conditions.isEmpty() ? "" : conditions.stream().collect(Collectors.joining(" and ", "where ", ""));
    }

    /** The document of the alert with this id, as it was routed last; empty where the history does not have it. */
    public Optional<String> document(String id) {
        // a limit would let PostgreSQL hope to find it soon by its time
        return jdbc
                .sql("select h.document from rowbell.history h where h.id = ? order by h.routed desc")
                .param(storable.cut(id))
                .query(String.class)
                .list()
                .stream()
                .findFirst();
    }
}
