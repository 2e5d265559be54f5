package dev.rowbell.outbox;

import dev.rowbell.database.StorableText;
import java.sql.Types;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.core.simple.JdbcClient.StatementSpec;

/**
 * {@code rowbell.dead_letter}, as operators see it. Its methods throw a {@link DataAccessException} where the database fails. Safe for many threads.
 */
public final class DeadLetterRepository {

    private static final String COLUMNS = """
            select id, sink, rowbell.alert_text(alert, 'rule') as rule, alert_id, attempts, to_char(died, 'YYYY-MM-DD HH24:MI:SS') as died,
              last_error, rowbell.readable(alert::text, '\\\\x') as alert
            """;

    /** Of the error: short enough for an address. There is an index of it. */
    private static final String HASH = "hashtextextended(left(last_error, 1000), 0)";

    private static final String SHOWN_HASH = "lpad(to_hex(%s), 16, '0')".formatted(HASH);

    private final JdbcClient jdbc;
    private final StorableText storable;

    public DeadLetterRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
    }

    /**
     * Selects dead letters.
     *
     * @param sink null for any
     * @param rule null for any
     * @param olderThan since they died; null for any
     */
    public record Filter(String sink, String rule, Duration olderThan) {}

    /**
     * A dead letter.
     *
     * @param sink null where the alert could not be routed
     * @param died in the time zone of this machine, as {@code 2026-11-23 08:00:00}
     * @param alert the document, as JSON; null in a list of the newest
     */
    public record Letter(
            long id,
            String sink,
            String rule,
            String alertId,
            int attempts,
            String died,
            String lastError,
            String alert) {}

    /** Oldest first. */
    public List<Letter> list(Filter filter, int most) {
        return filtered(COLUMNS + "from rowbell.dead_letters(?, ?, ?::interval) limit ?", filter)
                .param(most)
                .query(Letter.class)
                .list();
    }

    /**
     * Dead letters of one sink that have the same error.
     *
     * @param sink null where the alerts could not be routed
     * @param hash of the error
     * @param died when the last of them died, as that of a letter
     */
    public record Group(String sink, String lastError, String hash, long letters, String died) {}

    /** The largest groups among so many dead letters that died last. */
    public List<Group> groups(int among, int most) {
        return jdbc.sql("""
                        select sink, last_error, %s as hash, count(*) as letters, to_char(max(died), 'YYYY-MM-DD HH24:MI:SS') as died
                        from (
                          select sink, left(last_error, 1000) as last_error, died
                          from rowbell.dead_letter order by died desc limit :among) d
                        group by sink, last_error
                        order by letters desc, died desc
                        limit :most
                        """.formatted(SHOWN_HASH))
                .param("among", among)
                .param("most", most)
                .query(Group.class)
                .list();
    }

    /** Those of a group, the last one first, without their alerts, which may be long. */
    public List<Letter> newest(String sink, String hash, int among, int most) {
        return jdbc.sql("""
                        select id, sink, case when pg_column_size(alert) < 100000 then rowbell.alert_text(alert, 'rule') end as rule,
                          alert_id, attempts, to_char(died, 'YYYY-MM-DD HH24:MI:SS') as died, last_error, null as alert
                        from (
                          select id, sink, alert, alert_id, attempts, died, left(last_error, 1000) as last_error
                          from rowbell.dead_letter order by died desc limit :among) d
                        where %s
                        order by d.died desc, id desc
                        limit :most
                        """.formatted(ofGroup(sink)))
                .param("sink", sink, Types.VARCHAR)
                .param("hash", number(hash), Types.BIGINT)
                .param("among", among)
                .param("most", most)
                .query(Letter.class)
                .list();
    }

    /** By the index: the error is known by its hash. */
    private static String ofGroup(String sink) {
        return (sink == null ? "sink is null and :sink::text is null" : "sink = :sink") + " and " + HASH + " = :hash";
    }

    /** Null, which no group has, where it is no hash. */
    private static Long number(String hash) {
        try {
            return Long.parseUnsignedLong(hash, 16);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    /**
     * All of a group, however old.
     *
     * @param letters counted up to so many
     * @param newest no letter of them has a higher number
     */
    public record Whole(long letters, long newest) {}

    /**
     * @param sink null where the alerts could not be routed
     * @param most letters that are counted
     */
    public Whole whole(String sink, String hash, int most) {
        return jdbc.sql("""
                        select
                          (select count(*) from (select from rowbell.dead_letter where %s limit :most) d) as letters,
                          (select coalesce(max(id), 0) from rowbell.dead_letter) as newest
                        """.formatted(ofGroup(sink)))
                .param("sink", sink, Types.VARCHAR)
                .param("hash", number(hash), Types.BIGINT)
                .param("most", most)
                .query(Whole.class)
                .single();
    }

    /** Sends a group again, but for letters with a higher number, and returns how many. */
    public long retry(String sink, String hash, long newest) {
        return ofGroup("replay_all", sink, hash, newest);
    }

    /** Deletes a group, but for letters with a higher number, and returns how many. */
    public long discard(String sink, String hash, long newest) {
        return ofGroup("discard_all", sink, hash, newest);
    }

    private long ofGroup(String function, String sink, String hash, long newest) {
        return jdbc.sql("select rowbell.%s(array(select id from rowbell.dead_letter where %s and id <= :newest))"
                        .formatted(function, ofGroup(sink)))
                .param("sink", sink, Types.VARCHAR)
                .param("hash", number(hash), Types.BIGINT)
                .param("newest", newest)
                .query(Long.class)
                .single();
    }

    /** Empty where no dead letter has this number. */
    public Optional<Letter> find(long id) {
        return jdbc.sql(COLUMNS + "from rowbell.dead_letter where id = ?")
                .param(id)
                .query(Letter.class)
                .optional();
    }

    /** What the receiver answered last, as far as the history has it: its beginning. */
    public Optional<String> answer(Letter letter) {
        return jdbc.sql("""
                        select t.answer from rowbell.history_try t
                        where t.alert_id = ? and t.sink = ? and t.answer is not null
                        order by t.at desc
                        limit 1
                        """)
                .param(letter.alertId())
                .param(2, letter.sink(), Types.VARCHAR)
                .query(String.class)
                .optional();
    }

    /** Sends them again, and returns how many. */
    public long retry(Filter filter) {
        return filtered("select rowbell.retry(?, ?, ?::interval)", filter)
                .query(Long.class)
                .single();
    }

    /** Deletes them, and returns how many. */
    public long discard(Filter filter) {
        return filtered("select rowbell.discard(?, ?, ?::interval)", filter)
                .query(Long.class)
                .single();
    }

    /** @return false where no dead letter has this number */
    public boolean retry(long id) {
        return jdbc.sql("select rowbell.replay(?)")
                .param(id)
                .query(Boolean.class)
                .single();
    }

    /** @return false where no dead letter has this number */
    public boolean discard(long id) {
        return jdbc.sql("select rowbell.discard_all(array[?])")
                        .param(id)
                        .query(Long.class)
                        .single()
                > 0;
    }

    /**
     * Deletes some of those that died longer ago.
     *
     * @param most few enough that the statement is short
     * @return how many
     */
    public int deleteExpired(Duration age, int most) {
        return jdbc.sql("""
                        delete from rowbell.dead_letter
                        where id = any(array(
                          select id
                          from rowbell.dead_letter
                          where died < clock_timestamp() - ?::interval
                          order by died
                          limit ?
                          for update skip locked))
                        """).param(age.toString()).param(most).update();
    }

    /** Stores alerts that could not be routed. */
    void insert(List<NewDeadLetter> letters) {
        jdbc.sql("""
                        insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                        select sink, alert_id, alert::json, 0, clock_timestamp(), error
                        from unnest(:sinks::text[], :alertIds::text[], :alerts::text[], :errors::text[]) as letter (sink, alert_id, alert, error)
                        """)
                .param("sinks", texts(letters, NewDeadLetter::sink))
                .param("alertIds", texts(letters, NewDeadLetter::alertId))
                .param("alerts", texts(letters, NewDeadLetter::alert))
                .param("errors", texts(letters, NewDeadLetter::error))
                .update();
    }

    /** Puts the alerts of deliveries that are given up in the place of these, except for those whose lease is none of these. */
    void replace(String[] leases, List<NewDeadLetter> letters) {
        jdbc.sql("""
                        with dead as (
                          delete from rowbell.delivery
                          where id = any(:deliveries::uuid[])
                            and locked_by = any(:leases::uuid[])
                          returning id, sink, attempts, filed)
                        insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, last_error)
                        select dead.sink, alert_id, alert::json, dead.attempts + 1, dead.filed, error
                        from unnest(:deliveries::uuid[], :alertIds::text[], :alerts::text[], :errors::text[]) as letter (id, alert_id, alert, error)
                        join dead using (id)
                        """)
                .param("leases", leases)
                .param("deliveries", texts(letters, letter -> letter.delivery().toString()))
                .param("alertIds", texts(letters, NewDeadLetter::alertId))
                .param("alerts", texts(letters, NewDeadLetter::alert))
                .param("errors", texts(letters, NewDeadLetter::error))
                .update();
    }

    private String[] texts(List<NewDeadLetter> letters, Function<NewDeadLetter, String> text) {
        return letters.stream()
                .map(text)
                .map(value -> value == null ? null : storable.of(value))
                .toArray(String[]::new);
    }

    private StatementSpec filtered(String sql, Filter filter) {
        return jdbc.sql(sql)
                .param(1, filter.sink(), Types.VARCHAR)
                .param(2, filter.rule(), Types.VARCHAR)
                .param(3, filter.olderThan() == null ? null : filter.olderThan().toString(), Types.VARCHAR);
    }
}
