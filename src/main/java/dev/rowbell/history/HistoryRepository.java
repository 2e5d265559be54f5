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
        List<String> among = new ArrayList<>();
        time(among, values, "h.routed >= :from", "from", filter.from());
        time(among, values, "h.routed < :to", "to", filter.to());
        if (after != null) {
            // the first alone lets PostgreSQL leave out days
            time(among, values, "h.routed <= :routed", "routed", after.routed());
            among.add("(h.routed, h.id) < (:routed, :after)");
            values.put("after", after.id());
        }
        // the narrowest goes by its index; the others, and what became of the alert, are looked at in so many
        if (!exact.isEmpty()) {
            among.add(exact.remove(0));
        }
        if (OUTCOMES.containsKey(filter.outcome())) {
            exact.add(OUTCOMES.get(filter.outcome()));
        }
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
                            %s
                            order by h.routed desc, h.id desc
                            limit :looked) h
                          %s
                          order by h.routed desc, h.id desc
                          limit :most) x
                        order by x.routed desc, x.id desc
                        """.formatted(where(among), where(exact)))
                .params(values)
                .param("looked", LOOKED_AT)
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
        return new Found(entries, rows.size() > most ? rows.get(most - 1).place() : lastLookedAt(where(among), values));
    }

    private record Row(Place place, Entry entry) {}

    /** Null where no more are behind it. */
    private Place lastLookedAt(String among, Map<String, Object> values) {
        return jdbc.sql(
                        "select h.routed, h.id from rowbell.history h %s order by h.routed desc, h.id desc offset :n limit 1"
                                .formatted(among))
                .params(values)
                .param("n", LOOKED_AT - 1)
                .query((row, number) ->
                        new Place(row.getObject(1, OffsetDateTime.class).toInstant(), row.getString(2)))
                .optional()
                .orElse(null);
    }

    private void exact(List<String> conditions, Map<String, Object> values, String column, String value) {
        if (!value.isEmpty()) {
            conditions.add("h.%1$s = :%1$s".formatted(column));
            // as the history has it
            values.put(column, storable.cut(value));
        }
    }

    private static void time(
            List<String> conditions, Map<String, Object> values, String condition, String name, Instant time) {
        if (time != null) {
            conditions.add(condition);
            values.put(name, time.atOffset(ZoneOffset.UTC));
        }
    }

    private static String where(List<String> conditions) {
        return conditions.isEmpty() ? "" : conditions.stream().collect(Collectors.joining(" and ", "where ", ""));
    }

    /** The document of the alert with this id, as it was routed last; empty where the history does not have it. */
    public Optional<String> document(String id) {
        return jdbc.sql("select h.document from rowbell.history h where h.id = ? order by h.routed desc limit 1")
                .param(storable.cut(id))
                .query(String.class)
                .optional();
    }
}
