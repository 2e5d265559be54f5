package dev.rowbell.firing;

import java.util.List;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/** The view {@code rowbell.firing}, for people. Its methods throw a {@link DataAccessException} where the database fails. Safe for many threads. */
public final class FiringRepository {

    private final JdbcClient jdbc;

    public FiringRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
    }

    /**
     * A thing that is wrong now. Times are in the time zone of this machine, as {@code 2026-11-23 08:00:00}.
     *
     * @param rule null where an alert from elsewhere names none; {@code feed}, {@code key} and {@code reason} likewise
     * @param silenced how many of its alerts a silence or a cooldown kept back
     * @param acknowledgedBy null where it is not acknowledged; {@code assignee} and {@code note} where there is none
     */
    public record Entry(
            String rule,
            String feed,
            String key,
            String severity,
            String reason,
            String since,
            String last,
            long times,
            long silenced,
            String acknowledgedBy,
            String assignee,
            String note) {}

    /**
     * Selects entries; each is empty for any.
     *
     * @param text a part of the rule, feed, key, reason, assignee or note
     */
    public record Filter(String rule, String feed, String severity, String text) {}

    /** That began last, first. */
    public List<Entry> list(Filter filter, int most) {
        return jdbc.sql("""
                        select rule, feed, key, severity, reason, to_char(f.since, 'YYYY-MM-DD HH24:MI:SS') as since,
                          to_char(f.last, 'YYYY-MM-DD HH24:MI:SS') as last, times, silenced, acknowledged_by, assignee, note
                        from rowbell.firing f
                        where (:rule = '' or rule = :rule) and (:feed = '' or feed = :feed) and (:severity = '' or severity = :severity)
                          and (:text = '' or strpos(lower(concat_ws(' ', rule, feed, key, reason, assignee, note)), lower(:text)) > 0)
                        order by f.since desc
                        limit :most
                        """)
                .param("rule", filter.rule())
                .param("feed", filter.feed())
                .param("severity", filter.severity())
                .param("text", filter.text())
                .param("most", most)
                .query(Entry.class)
                .list();
    }

    public record Severity(String name, long count) {}

    /** How much fires of each severity, among so many things. */
    public List<Severity> severities(int among) {
        return jdbc.sql("""
                        select severity as name, count(*) from (select severity from rowbell.firing limit ?) f group by severity
                        order by array_position('{critical,warning,info}', severity), severity
                        """).param(among).query(Severity.class).list();
    }

    /**
     * Acknowledges what the rule fires for.
     *
     * @param key as alerts show it; null: all of the rule
     * @param note may be null, as the assignee
     * @return how many things that is
     */
    public long acknowledge(String rule, String key, String note, String assignee) {
        return jdbc.sql("select rowbell.acknowledge(?, ?, ?, ?)")
                .params(rule, key, note, assignee)
                .query(Long.class)
                .single();
    }

    /** Takes that back, with the same arguments and result. */
    public long unacknowledge(String rule, String key) {
        return jdbc.sql("select rowbell.unacknowledge(?, ?)")
                .params(rule, key)
                .query(Long.class)
                .single();
    }
}
