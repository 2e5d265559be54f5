package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * From a writer's statement to the first line of the sink's route, in a process that is up and has seen no alert yet, as after a restart or a quiet
 * night. The floor is a listener on pgjdbc that is as cold; its table has a trigger that notifies.
 */
final class FirstPart {

    private static final Duration UP = Duration.ofMillis(Rounds.SHORT ? 500 : 10_000);
    /** Of those that follow each other, the first do not count. */
    private static final int FIRST = Rounds.SHORT ? 10 : 40;

    private static final int COUNTED = Rounds.SHORT ? 20 : 400;
    private static final Duration PAUSE = Duration.ofMillis(50);
    private static final int RARE = Rounds.SHORT ? 4 : 24;
    private static final Duration RARE_PAUSE = Duration.ofMillis(Rounds.SHORT ? 200 : 5_000);
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    /** The writer is warm. */
    private static final int WRITTEN_BEFORE = 500;

    private static final int NOTHING = 0;
    private static final int DURABLE = 1;
    private static final int NOTIFY = 2;

    private final Db db;
    private final Report report;
    private final Map<String, String> routes;
    private long nextId = 1;

    FirstPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
        routes = Map.of("alerts", RowbellProcess.alertsTo("stamp"), "stamp", Stamp.ROUTE);
    }

    void run() throws Exception {
        db.execute(
                "create table probe (id bigint primary key, kind int)",
                "create table plain_probe (like probe including all)",
                "create function tell() returns trigger language plpgsql as"
                        + " $$ begin perform pg_notify('plain', new.id::text); return null; end $$",
                "create trigger tell after insert on plain_probe for each row when (new.kind > 0) execute function tell()",
                "insert into rowbell.rule (name, feed, condition, delivery) values ('durable', 'public.probe', 'NEW.kind = 1', 'durable'),"
                        + " ('notified', 'public.probe', 'NEW.kind = 2', 'notify')");
        List<double[]> plain = new ArrayList<>();
        List<double[]> durable = new ArrayList<>();
        List<double[]> notified = new ArrayList<>();
        for (int round = 0; round < Rounds.COUNT; round++) {
            plain.add(plain());
            durable.add(rowbell(DURABLE));
            notified.add(rowbell(NOTIFY));
        }
        report.atMost(
                "first",
                "durable, p50",
                counted(durable, 0.50),
                "ms",
                "getNotifications, p50",
                counted(plain, 0.50),
                1.3);
        report.atMost(
                "first",
                "durable, p99",
                counted(durable, 0.99),
                "ms",
                "getNotifications, p99",
                counted(plain, 0.99),
                2);
        report.atMost(
                "first",
                "notify, p50",
                counted(notified, 0.50),
                "ms",
                "getNotifications, p50",
                counted(plain, 0.50),
                1.2);
        report.atMost(
                "first",
                "notify, p99",
                counted(notified, 0.99),
                "ms",
                "getNotifications, p99",
                counted(plain, 0.99),
                0);
        report.atMost("first", "durable, the very first", veryFirst(durable), "ms", "to be reached", Series.of(30), 1);
        report.atMost("first", "the same", veryFirst(durable), "ms", "getNotifications", veryFirst(plain), 0);
        rare();
    }

    private double[] plain() throws Exception {
        try (RowbellProcess listener = RowbellProcess.plain(db, "listen");
                Connection connection = db.connect();
                PreparedStatement insert = connection.prepareStatement("insert into plain_probe values (?, ?)")) {
            return probes(listener, insert, DURABLE);
        }
    }

    private double[] rowbell(int kind) throws Exception {
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of(), routes);
                Connection connection = db.connect();
                PreparedStatement insert = connection.prepareStatement("insert into probe values (?, ?)")) {
            return probes(rowbell, insert, kind);
        }
    }

    /** Milliseconds of each, in the order in which they were written. */
    private double[] probes(RowbellProcess process, PreparedStatement insert, int kind) throws Exception {
        warmUp(insert);
        Map<Long, Long> sent = new TreeMap<>();
        for (int i = 0; i < FIRST + COUNTED; i++) {
            probe(insert, kind, sent);
            LockSupport.parkNanos(PAUSE.toNanos());
        }
        return took(process, sent);
    }

    /** Both at once and in turns: they have time enough. */
    private void rare() throws Exception {
        try (RowbellProcess listener = RowbellProcess.plain(db, "listen");
                RowbellProcess rowbell = RowbellProcess.start(db, Map.of(), routes);
                Connection connection = db.connect();
                PreparedStatement plain = connection.prepareStatement("insert into plain_probe values (?, ?)");
                PreparedStatement insert = connection.prepareStatement("insert into probe values (?, ?)")) {
            warmUp(plain);
            warmUp(insert);
            Map<Long, Long> told = new TreeMap<>();
            Map<Long, Long> sent = new TreeMap<>();
            for (int i = 0; i < RARE; i++) {
                probe(plain, DURABLE, told);
                LockSupport.parkNanos(RARE_PAUSE.dividedBy(2).toNanos());
                probe(insert, DURABLE, sent);
                LockSupport.parkNanos(RARE_PAUSE.dividedBy(2).toNanos());
            }
            report.atMost(
                    "first",
                    "durable, one in %d ms, p50".formatted(RARE_PAUSE.toMillis()),
                    quantile(took(rowbell, sent), 0.50),
                    "ms",
                    "getNotifications, p50",
                    quantile(took(listener, told), 0.50),
                    1.8);
        }
    }

    private void warmUp(PreparedStatement insert) throws Exception {
        LockSupport.parkNanos(UP.toNanos());
        for (int i = 0; i < WRITTEN_BEFORE; i++) {
            probe(insert, NOTHING, new TreeMap<>());
        }
    }

    private void probe(PreparedStatement insert, int kind, Map<Long, Long> sent) throws Exception {
        insert.setLong(1, nextId);
        insert.setInt(2, kind);
        sent.put(nextId++, System.nanoTime());
        insert.executeUpdate();
    }

    static double[] took(RowbellProcess process, Map<Long, Long> sent) throws Exception {
        Map<Long, Long> stamps = process.stamps();
        long since = System.nanoTime();
        while (!stamps.keySet().containsAll(sent.keySet())) {
            if (System.nanoTime() - since > PATIENCE.toNanos()) {
                throw new WrongCount("%d probes went in, some of them did not come out".formatted(sent.size()));
            }
            TimeUnit.MILLISECONDS.sleep(20);
            stamps = process.stamps();
        }
        double[] took = new double[sent.size()];
        int i = 0;
        for (Map.Entry<Long, Long> probe : sent.entrySet()) {
            took[i++] = (stamps.get(probe.getKey()) - probe.getValue()) / 1e6;
        }
        return took;
    }

    private static Series counted(List<double[]> rounds, double quantile) {
        return new Series(rounds.stream()
                .map(took -> quantile(Arrays.copyOfRange(took, FIRST, took.length), quantile)
                        .median())
                .toList());
    }

    private static Series veryFirst(List<double[]> rounds) {
        return new Series(rounds.stream().map(took -> took[0]).toList());
    }

    private static Series quantile(double[] values, double quantile) {
        return Series.of(sorted(values)[(int) Math.ceil(quantile * values.length) - 1]);
    }

    static double[] sorted(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted;
    }
}
