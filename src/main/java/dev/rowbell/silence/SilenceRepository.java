package dev.rowbell.silence;

import dev.rowbell.database.StorableText;
import dev.rowbell.database.Transactions;
import java.sql.Types;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * The tables {@code rowbell.silence} and {@code rowbell.cooldown}. Its methods throw a {@link DataAccessException} where the database fails. Safe
 * for many threads.
 */
public final class SilenceRepository {

    private final JdbcClient jdbc;
    private final TransactionTemplate outsideOfTransaction;
    private final TransactionTemplate savepoint;
    private final StorableText storable;

    public SilenceRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
        Transactions manager = new Transactions(dataSource);
        savepoint = new TransactionTemplate(manager);
        savepoint.setPropagationBehavior(TransactionDefinition.PROPAGATION_NESTED);
        outsideOfTransaction = new TransactionTemplate(manager);
        outsideOfTransaction.setPropagationBehavior(TransactionDefinition.PROPAGATION_NOT_SUPPORTED);
    }

    /**
     * The silences and cooldowns in force.
     *
     * @param cooldowns by rule, how long it keeps quiet about a row
     */
    record InForce(List<Silence> silences, Map<String, Duration> cooldowns) {

        static final InForce NONE = new InForce(List.of(), Map.of());
    }

    /** Uses a connection of its own: a failure must not fail the transaction of the thread. */
    InForce read() {
        return outsideOfTransaction.execute(status -> new InForce(silences(), cooldowns()));
    }

    private List<Silence> silences() {
        return jdbc.sql("""
                        select id, rule, feed, key
                        from rowbell.silence
                        where since <= clock_timestamp()
                          and until > clock_timestamp()
                        order by id
                        """)
                .query((row, number) ->
                        Silence.of(row.getLong(1), row.getString(2), row.getString(3), row.getString(4)))
                .list();
    }

    private Map<String, Duration> cooldowns() {
        Map<String, Duration> cooldowns = new HashMap<>();
        jdbc.sql("""
                        select r.name, (extract(epoch from r.cooldown) * 1000)::bigint
                        from rowbell.rule r
                        where r.cooldown > interval '0'
                        """).query(row -> {
            cooldowns.put(row.getString(1), Duration.ofMillis(row.getLong(2)));
        });
        return cooldowns;
    }

    /**
     * Whether an alert passes the cooldown of its rule. If so, the cooldown of the row starts again, in the thread's transaction.
     *
     * @param path {@code durable} or {@code notify}
     * @param key of the row; empty where the feed has none, and then the whole feed counts as one row
     * @param time the alert's; null: now
     */
    boolean passesCooldown(String rule, String path, String status, String key, Instant time, Duration cooldown) {
        return jdbc.sql(
                        "select rowbell.passes_cooldown(?, ?, ?, ?, coalesce(?::timestamptz, clock_timestamp()), ?::interval)")
                .param(rule)
                .param(path)
                .param(status)
                .param(storable.key(key))
                .param(5, time == null ? null : time.toString(), Types.VARCHAR)
                .param(cooldown.toString())
                .query(Boolean.class)
                .single();
    }

    /**
     * Adds to the counts of silences, in the thread's transaction; where that fails, the transaction is as it was before. Waits for no transaction
     * that has a silence locked.
     *
     * @param alerts by the id of a silence, how many more alerts it has kept from being delivered
     * @return the silences that are locked, and were not counted
     */
    Set<Long> count(Map<Long, Long> alerts) {
        return savepoint.execute(status -> jdbc.sql("""
                        with counted as (
                          select id, alerts from unnest(:ids::bigint[], :alerts::bigint[]) as counted (id, alerts)),
                        free as (
                          select s.id from rowbell.silence s where s.id in (select id from counted) order by s.id for no key update skip locked),
                        added as (
                          update rowbell.silence s
                          set silenced = s.silenced + counted.alerts
                          from counted
                          join free on free.id = counted.id
                          where s.id = counted.id)
                        select s.id
                        from rowbell.silence s
                        where s.id in (select id from counted) and s.id not in (select id from free)
                        """)
                .param("ids", alerts.keySet().toArray(Long[]::new))
                .param("alerts", alerts.values().toArray(Long[]::new))
                .query(Long.class)
                .set());
    }

    /**
     * A silence, for people. The patterns are as they were written, null for anything; times are in the time zone of this machine.
     *
     * @param state {@code planned}, {@code in force} or {@code over}
     * @param silenced the alerts that it kept from being delivered
     */
    public record Shown(
            long id,
            String state,
            String rule,
            String feed,
            String key,
            String since,
            String until,
            String who,
            String why,
            long silenced) {}

    /** Those in force first, then those that are planned, the next first, then those that ended last. */
    public List<Shown> list(int most) {
        return jdbc.sql("""
                        select id, state, rule, feed, key, to_char(since, 'YYYY-MM-DD HH24:MI:SS') as since,
                          case when isfinite(until) then to_char(until, 'YYYY-MM-DD HH24:MI:SS') else until::text end as until, who, why, silenced
                        from rowbell.silence s
                        cross join lateral (
                          select case when s.until <= clock_timestamp() then 'over' when s.since > clock_timestamp() then 'planned' else 'in force' end as state) t
                        order by array_position('{in force,planned,over}', state), case when state = 'planned' then s.since end, s.until desc, s.id
                        limit ?
                        """).param(most).query(Shown.class).list();
    }

    /**
     * A silence that was added.
     *
     * @param planned whether it begins later
     */
    public record Added(long id, boolean planned) {}

    /**
     * Adds a silence.
     *
     * @param rule the patterns as people write them, null for anything; {@code feed} and {@code key} likewise
     * @param from null: now
     * @param until null where {@code length} is given
     * @param who as it is to be shown; null: the role of the database
     */
    public Added add(
            String rule,
            String feed,
            String key,
            Instant from,
            Instant until,
            Duration length,
            String who,
            String why) {
        return jdbc.sql("""
                        insert into rowbell.silence (rule, feed, key, since, until, who, why)
                        select :rule, :feed, :key, s.since, coalesce(:until::timestamptz, s.since + :length::interval), coalesce(:who, current_user), :why
                        from (select coalesce(:from::timestamptz, clock_timestamp()) as since) s
                        returning id, since > clock_timestamp() as planned
                        """)
                .param("rule", rule, Types.VARCHAR)
                .param("feed", feed, Types.VARCHAR)
                .param("key", key, Types.VARCHAR)
                .param("from", from == null ? null : from.toString(), Types.VARCHAR)
                .param("until", until == null ? null : until.toString(), Types.VARCHAR)
                .param("length", length == null ? null : length.toString(), Types.VARCHAR)
                .param("who", who, Types.VARCHAR)
                .param("why", why)
                .query(Added.class)
                .single();
    }

    /** @return whether it had begun, and has ended now; empty where no silence of this number was in force or planned */
    public Optional<Boolean> end(long id) {
        return jdbc.sql("""
                        update rowbell.silence s
                        set since = least(s.since, now.at), until = now.at
                        from (select clock_timestamp() as at) now
                        where s.id = ? and s.until > now.at
                        returning s.since < now.at
                        """).param(id).query(Boolean.class).optional();
    }

    /** A thing that fires and that a silence would cover. */
    public record Covered(String rule, String feed, String key) {}

    /**
     * What fires now and would be covered by a silence with these patterns, judged as alerts are.
     *
     * @param among so many things that fire
     */
    public List<Covered> covered(String rule, String feed, String key, int among) {
        Silence silence = Silence.of(0, rule, feed, key);
        return jdbc
                .sql("select rule, feed, key from rowbell.firing f order by f.since desc limit ?")
                .param(among)
                .query(Covered.class)
                .list()
                .stream()
                .filter(thing -> silence.covers(thing.rule(), thing.feed(), thing.key()))
                .toList();
    }

    /** The feeds of all rules, as alerts show them. */
    public Set<String> feeds() {
        return jdbc.sql("""
                        select n.nspname || '.' || c.relname
                        from (select distinct rowbell.find_feed(r.feed) as relation from rowbell.rule r where r.feed is not null) f
                        join pg_class c on c.oid = f.relation
                        join pg_namespace n on n.oid = c.relnamespace
                        """).query(String.class).set();
    }

    /** The names of all rules. */
    public Set<String> rules() {
        return jdbc.sql("select name from rowbell.rule").query(String.class).set();
    }

    /** Whether a silence with this pattern for feeds would cover one of these, which are as alerts show them. */
    public static boolean coversAny(String feed, Set<String> feeds) {
        Silence silence = Silence.of(0, null, feed, null);
        return feeds.stream().anyMatch(shown -> silence.covers(null, shown, null));
    }

    /** Deletes cooldowns that are over. */
    void deleteExpired(int most) {
        jdbc.sql("""
                        delete from rowbell.cooldown
                        where ctid = any(array(
                          select c.ctid
                          from rowbell.cooldown c
                          left join rowbell.rule r on r.name = c.rule
                          where greatest(c.routed, c.last) < clock_timestamp() - coalesce(r.cooldown, interval '0')
                          order by c.routed
                          limit ?
                          for update of c skip locked))
                        """).param(most).update();
    }
}
