package dev.rowbell.health;

import java.time.Duration;
import java.util.List;
import javax.sql.DataSource;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;

/** Counts the queues in the database, at a cost that does not grow with them. Safe for many threads. */
final class QueueRepository {

    /** Of each queue, so many rows are counted at most. */
    static final int COUNTED = 100_000;

    /** For a table so bloated that even this takes long. */
    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    private final JdbcClient jdbc;
    private final String feedback;

    /** @param feedback the feedback table, as SQL names it */
    QueueRepository(DataSource dataSource, String feedback) {
        JdbcTemplate template = new JdbcTemplate(dataSource);
        template.setQueryTimeout((int) TIMEOUT.toSeconds());
        jdbc = JdbcClient.create(template);
        this.feedback = feedback;
    }

    /** With {@code clock_timestamp()}, which is volatile, PostgreSQL would read all rows of an index to find those that are due. */
    List<Queue> queues() {
        return jdbc.sql("""
                with recursive sink as (
                  (select min(sink) as name from rowbell.delivery)
                  union all
                  select (select min(d.sink) from rowbell.delivery d where d.sink > sink.name) from sink where sink.name is not null),
                queue as (
                  select 'feedback' as name, count(*) as alerts, min(crt_time) as oldest
                  from (select crt_time from %1$s order by crt_time limit %2$d) waiting
                  union all
                  select 'outbox:' || name, waiting.alerts, waiting.oldest
                  from sink
                  cross join lateral (
                    select coalesce(sum(d.alerts), 0) as alerts, min(d.filed) as oldest
                    from (select d.alerts, d.filed from rowbell.delivery d where d.sink = name order by d.filed limit %2$d) d) waiting
                  where name is not null
                  union all
                  select 'timer', count(*), min(due)
                  from (
                    select t.began + r."for" as due
                    from rowbell.rule r
                    join rowbell.rule_state s on s.rule = r.name
                    cross join lateral (
                      select t.began from rowbell.timer t
                      where t.rule = s.id and t.fired is null and t.began <= statement_timestamp() - r."for" order by t.began limit %2$d) t
                    where r.enabled and s.broken is null and s.paused is null
                    union all
                    (select at from rowbell.timer_event order by feed, id limit %2$d)
                    union all
                    select g.due
                    from rowbell.rule r
                    join rowbell.rule_state s on s.rule = r.name
                    cross join lateral (
                      select g.due from rowbell.window_group g where g.rule = s.id and g.due <= statement_timestamp() order by g.due limit %2$d) g
                    where r.enabled and coalesce(r.within, r.absent) is not null and s.broken is null and s.paused is null
                    union all
                    (select at from rowbell.window_event limit %2$d)) waiting
                  union all
                  select 'armed', count(*), null from (select from rowbell.timer where fired is null limit %2$d) armed
                  union all
                  select 'group', count(*), null from (select from rowbell.window_group limit %2$d) counted
                  union all
                  select 'dead_letter', count(*), min(died)
                  from (select died from rowbell.dead_letter order by died limit %2$d) waiting)
                select name, alerts, greatest(0, extract(epoch from clock_timestamp() - oldest)) * 1000 as millis from queue
                """.formatted(feedback, COUNTED))
                .query((row, number) -> new Queue(
                        row.getString("name"), row.getLong("alerts"), Duration.ofMillis(row.getLong("millis"))))
                .list();
    }

    /** How full the server's queue of notifications is, from 0 to 1. Fails where the server is read only, as a primary that was demoted. */
    double notificationQueue() {
        return jdbc.sql("""
                        select pg_notification_queue_usage()
                        from (values (1)) as one
                        left join (select 1 from rowbell.delivery limit 0 for update) as written on true
                        """).query(Double.class).single();
    }
}
