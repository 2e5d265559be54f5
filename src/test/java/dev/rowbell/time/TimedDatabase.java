package dev.rowbell.time;

import dev.rowbell.error.FailureLog;
import dev.rowbell.health.QueueMonitor;
import dev.rowbell.testing.TestDatabase;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** A database whose timers are worked on at command. Time passes by {@link #pass}, which moves what is armed into the past. */
abstract class TimedDatabase {

    static final String UNPAID =
            "insert into rowbell.rule (name, feed, condition, \"for\", resolved) values ('unpaid', 'public.orders', 'NEW.state = ''placed''', '30 min', true)";

    final TestDatabase database = TestDatabase.createWithSchema();

    private final SingleConnectionDataSource connection = database.singleConnection();
    /** Few at a time, so that a transaction has more. */
    private final Timers timers = new Timers(connection, 1000);

    @AfterEach
    void close() {
        connection.destroy();
    }

    /** What health and metrics read. */
    static QueueMonitor queues(TestDatabase database) {
        Map<String, String> settings = database.settings();
        return new QueueMonitor(
                new DriverManagerDataSource(
                        database.url(), settings.get("rowbell.jdbc.user"), settings.get("rowbell.jdbc.password")),
                "rowbell.feedback",
                Map::of,
                new FailureLog(Clock.systemUTC()),
                () -> Duration.ofMinutes(5));
    }

    void orders(String each) {
        database.execute("create table public.orders (id int primary key, state text, placed_at timestamptz, n int)");
        database.execute("select rowbell.for_each('public.orders', '" + each + "')");
    }

    void work() {
        timers.work();
    }

    void pass(String time) {
        work();
        database.execute(
                "update rowbell.timer set since = since - interval '%1$s', began = began - interval '%1$s' where fired is null"
                        .formatted(time));
        work();
    }

    /** And takes them away. */
    List<String> alerts() {
        work();
        List<String> alerts = database.query(
                "select concat_ws(' ', alert ->> 'status', alert ->> 'rule', alert ->> 'new')"
                        + " from rowbell.feedback where alert ->> 'rule' <> 'rowbell-rule-failed' order by crt_time, alert -> 'new' ->> 'id'");
        database.execute("delete from rowbell.feedback");
        return alerts.stream()
                .map(a -> a.replaceAll(",\"placed_at\":[^,]*,\"n\":[^}]*", ""))
                .toList();
    }

    /** Their keys. */
    List<String> armed() {
        work();
        return database.query("select key from rowbell.timer where fired is null order by key");
    }
}
