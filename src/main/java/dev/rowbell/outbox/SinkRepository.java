package dev.rowbell.outbox;

import dev.rowbell.database.StorableText;
import dev.rowbell.database.Transactions;
import dev.rowbell.settings.SettingsException;
import java.sql.Types;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import javax.sql.DataSource;
import org.postgresql.util.PSQLException;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * The tables {@code rowbell.sink}, which process delivers for which sinks, and {@code rowbell.paused_sink}. Its methods throw a
 * {@link DataAccessException} where the database fails. Safe for many threads.
 */
public final class SinkRepository {

    /** A process that has announced nothing for so long was killed. */
    private static final Duration FORGOTTEN = Duration.ofMinutes(1);
    /** By which {@code rowbell.pause_sink} refuses a name. */
    private static final String UNKNOWN = "22023";

    private final JdbcClient jdbc;
    private final StorableText storable;
    private final TransactionTemplate outsideOfTransaction;

    public SinkRepository(DataSource dataSource) {
        jdbc = JdbcClient.create(dataSource);
        storable = new StorableText(dataSource);
        outsideOfTransaction = new TransactionTemplate(new Transactions(dataSource));
        outsideOfTransaction.setPropagationBehavior(TransactionDefinition.PROPAGATION_NOT_SUPPORTED);
    }

    /** The state of a sink in a process that delivers for it, as the others are told. */
    record Announced(Throughput.Rate rate, Optional<Circuit.Open> circuit) {

        private String error() {
            return circuit.map(Circuit.Open::error).orElse(null);
        }

        private Integer failures() {
            return circuit.map(Circuit.Open::failures).orElse(null);
        }

        private Double secondsUntilTry() {
            return circuit.map(open -> open.untilTry().toMillis() / 1000.0).orElse(null);
        }
    }

    /** Stores that the process delivers for these sinks and no others, and deletes the sinks of processes that were killed. */
    void announce(UUID process, Map<String, Announced> sinks) {
        jdbc.sql("""
                        with announced as (
                          insert into rowbell.sink
                            (process, name, seen, delivered_per_minute, failed_per_minute, circuit_error, circuit_failures, next_try)
                          select :process, s.name, clock_timestamp(), s.delivered, s.failed, s.error, s.failures, clock_timestamp() + s.try * interval '1 s'
                          from unnest(:sinks::text[], :delivered::float8[], :failed::float8[], :errors::text[], :failures::int[], :tries::float8[])
                            as s (name, delivered, failed, error, failures, try)
                          on conflict (process, name) do update
                          set seen = excluded.seen, delivered_per_minute = excluded.delivered_per_minute, failed_per_minute = excluded.failed_per_minute,
                            circuit_error = excluded.circuit_error, circuit_failures = excluded.circuit_failures, next_try = excluded.next_try)
                        delete from rowbell.sink
                        where process = :process and name <> all (:sinks::text[])
                          or process <> :process and seen < clock_timestamp() - :forgotten::interval
                        """)
                .param("process", process)
                .param("sinks", sinks.keySet().toArray(String[]::new))
                .param(
                        "delivered",
                        sinks.values().stream()
                                .map(announced -> announced.rate().deliveredPerMinute())
                                .toArray(Double[]::new))
                .param(
                        "failed",
                        sinks.values().stream()
                                .map(announced -> announced.rate().failedPerMinute())
                                .toArray(Double[]::new))
                // as the receiver worded it
                .param(
                        "errors",
                        sinks.values().stream()
                                .map(Announced::error)
                                .map(error -> error == null ? null : storable.of(error))
                                .toArray(String[]::new))
                .param(
                        "failures",
                        sinks.values().stream().map(Announced::failures).toArray(Integer[]::new))
                .param(
                        "tries",
                        sinks.values().stream().map(Announced::secondsUntilTry).toArray(Double[]::new))
                .param("forgotten", FORGOTTEN.toSeconds() + " s")
                .update();
    }

    /** The sinks for which some process delivers now. */
    public List<String> announced() {
        return jdbc.sql(
                        "select distinct s.name from rowbell.sink s where s.seen > clock_timestamp() - ?::interval order by s.name")
                .param(FORGOTTEN.toSeconds() + " s")
                .query(String.class)
                .list();
    }

    /** The sinks for which other processes deliver. Uses a connection of its own: a failure must not fail the transaction of the thread. */
    Set<String> elsewhere(UUID process) {
        return outsideOfTransaction.execute(status -> jdbc.sql("""
                        select name
                        from rowbell.sink
                        where process <> ?
                          and seen > clock_timestamp() - ?::interval
                        """)
                .param(process)
                .param(FORGOTTEN.toSeconds() + " s")
                .query(String.class)
                .set());
    }

    /** Files a delivery of one alert, as routing does. */
    public void file(String sink, String document) {
        jdbc.sql("insert into rowbell.delivery (sink, documents) values (?, array[?])")
                .params(sink, document)
                .update();
    }

    /**
     * That nothing is delivered to a sink.
     *
     * @param since in the time zone of this machine, as {@code 2026-11-23 08:00:00}
     * @param by the role, and what its session says of itself
     * @param note null where there is none
     */
    public record Pause(String sink, String since, String by, String note) {

        public String inWords() {
            return "sink %s is paused since %s by %s%s: its alerts wait"
                    .formatted(sink, since, by, note == null ? "" : " (" + note + ")");
        }
    }

    /** The sinks that are paused, by name. */
    public List<Pause> pauses() {
        return jdbc.sql("""
                        select p.sink, to_char(p.since, 'YYYY-MM-DD HH24:MI:SS') as since, concat_ws(', ', p.who, nullif(p.application, '')) as by, p.note
                        from rowbell.paused_sink p
                        order by p.sink
                        """).query(Pause.class).list();
    }

    /**
     * Keeps all processes from delivering to the sink.
     *
     * @param note why; null for nothing
     * @return false where it was paused before
     * @throws SettingsException where no process has the sink and nothing waits for it
     */
    public boolean pause(String sink, String note) {
        try {
            return jdbc.sql("select rowbell.pause_sink(?, ?)")
                    .param(sink)
                    .param(2, note, Types.VARCHAR)
                    .query(Boolean.class)
                    .single();
        } catch (DataAccessException e) {
            if (e.getRootCause() instanceof PSQLException unknown
                    && UNKNOWN.equals(unknown.getSQLState())
                    && unknown.getServerErrorMessage() != null) {
                throw new SettingsException(unknown.getServerErrorMessage().getMessage(), e);
            }
            throw e;
        }
    }

    /** @return false where the sink was not paused */
    public boolean resume(String sink) {
        return jdbc.sql("select rowbell.resume_sink(?)")
                .param(sink)
                .query(Boolean.class)
                .single();
    }

    /**
     * A sink as the database knows it.
     *
     * @param processes that deliver for it now
     * @param deliveredPerMinute the alerts that these processes deliver a minute, over the last five minutes or since their start; null where there is none
     * @param failedPerMinute likewise, the alerts whose delivery failed
     * @param nextDue when its next delivery is due, in the time zone of this machine, as {@code 2026-11-23 08:00:00}; null where none waits
     * @param lastError of those that are tried again; null where none is
     * @param circuitError why the circuits of all these processes are open; null where one is closed
     * @param circuitFailures then, how many tries in a row have failed
     * @param nextTry then, when the next delivery is tried, as {@code nextDue}
     */
    public record State(
            String name,
            int processes,
            Double deliveredPerMinute,
            Double failedPerMinute,
            String nextDue,
            String lastError,
            String circuitError,
            Integer circuitFailures,
            String nextTry) {}

    /** In the order of the names, at a cost that does not grow with the queues. */
    public List<State> states(Collection<String> sinks) {
        // those that failed are due later than those that wait for their turn
        return jdbc.sql("""
                        select n.name, p.processes, p.delivered_per_minute, p.failed_per_minute,
                          (select to_char(min(d.due), 'YYYY-MM-DD HH24:MI:SS') from rowbell.delivery d where d.sink = n.name) as next_due,
                          (select d.last_error
                            from (select d.last_error, d.due from rowbell.delivery d where d.sink = n.name order by d.due desc limit 100) d
                            where d.last_error is not null order by d.due desc limit 1) as last_error,
                          case when p.open then p.circuit_error end as circuit_error,
                          case when p.open then p.circuit_failures end as circuit_failures,
                          case when p.open then to_char(greatest(p.next_try, clock_timestamp()), 'YYYY-MM-DD HH24:MI:SS') end as next_try
                        from unnest(:sinks::text[]) with ordinality as n (name, place)
                        cross join lateral (
                          select count(*) as processes, sum(s.delivered_per_minute) as delivered_per_minute, sum(s.failed_per_minute) as failed_per_minute,
                            bool_and(s.circuit_error is not null) as open, max(s.circuit_error) as circuit_error,
                            max(s.circuit_failures) as circuit_failures, min(s.next_try) as next_try
                          from rowbell.sink s
                          where s.name = n.name and s.seen > clock_timestamp() - :forgotten::interval) p
                        order by n.place
                        """)
                .param("sinks", sinks.toArray(String[]::new))
                .param("forgotten", FORGOTTEN.toSeconds() + " s")
                .query(State.class)
                .list();
    }

    /** Deletes the deliveries that wait for the sink, without those that are under way, and returns how many alerts they have. */
    public long discardWaiting(String sink) {
        return jdbc.sql("""
                        with gone as (
                          delete from rowbell.delivery where sink = ? and locked_until <= clock_timestamp() returning alerts)
                        select coalesce(sum(alerts), 0) from gone
                        """).param(sink).query(Long.class).single();
    }
}
