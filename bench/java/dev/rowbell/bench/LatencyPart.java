package dev.rowbell.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * From the moment a writer asks for its commit to the first line of a route, against a plain listener on pgjdbc. Both writers insert a row of the
 * same table: a transaction that only notifies is not synced to disk, and no row in it could raise an alert.
 */
final class LatencyPart {

    private static final int PROBES = Rounds.SHORT ? 20 : 100;
    private static final long PAUSE = TimeUnit.MILLISECONDS.toNanos(Rounds.SHORT ? 10 : 50);
    private static final int LOAD = Rounds.SHORT ? 500 : 5000;
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(30);

    /** What is asked for goes to a sink of its own or is noted while it is routed; the load goes to the file. */
    private static final String ROUTES = """
            - route:
                id: alerts
                errorHandler:
                  noErrorHandler: {}
                from:
                  uri: direct:alerts
                  steps:
                    - choice:
                        when:
                          - expression:
                              simple:
                                expression: "${body[rule]} == 'durable'"
                            steps:
                              - to:
                                  uri: outbox:stamp
                          - expression:
                              simple:
                                expression: "${body[rule]} == 'notified'"
                            steps:
                              - bean:
                                  beanType: dev.rowbell.bench.Stamp
                        otherwise:
                          steps:
                            - to:
                                uri: outbox:file
            """ + Stamp.ROUTE;

    private final Db db;
    private final Report report;
    private long nextId = 1;

    LatencyPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        db.execute(
                "create table probe (id bigint primary key, kind int)",
                "create table plain_probe (like probe including all)",
                "create table feed (id bigint primary key, c1 int)",
                "insert into rowbell.rule (name, feed, condition, delivery) values ('durable', 'public.probe', 'NEW.kind = 1', 'durable'),"
                        + " ('notified', 'public.probe', 'NEW.kind = 2', 'notify'), ('load', 'public.feed', 'NEW.c1 > 0', 'durable')");
        try (RowbellProcess rowbell = RowbellProcess.start(db, Map.of(), Map.of("alerts", ROUTES))) {
            List<double[]> plain = new ArrayList<>();
            List<double[]> durable = new ArrayList<>();
            List<double[]> notified = new ArrayList<>();
            List<double[]> loaded = new ArrayList<>();
            for (int round = 0; round <= Rounds.COUNT; round++) {
                double[][] measured = {plain(), through(rowbell, 1), through(rowbell, 2), underLoad(rowbell)};
                if (round > 0) {
                    plain.add(measured[0]);
                    durable.add(measured[1]);
                    notified.add(measured[2]);
                    loaded.add(measured[3]);
                }
            }
            report.atMost(
                    "latency",
                    "durable, to the sink route, p50",
                    series(durable, 0.50),
                    "ms",
                    "getNotifications, p50",
                    series(plain, 0.50),
                    2);
            report.atMost(
                    "latency",
                    "durable, to the sink route, p99",
                    series(durable, 0.99),
                    "ms",
                    "getNotifications, p99",
                    series(plain, 0.99),
                    3);
            report.atMost(
                    "latency",
                    "notify, to routing, p50",
                    series(notified, 0.50),
                    "ms",
                    "getNotifications, p50",
                    series(plain, 0.50),
                    1.3);
            report.atMost(
                    "latency",
                    "durable, while " + LOAD + " alerts/s flow, p99",
                    series(loaded, 0.99),
                    "ms",
                    "idle, p50",
                    series(durable, 0.50),
                    20);
        }
    }

    /** Of each round one quantile, in milliseconds. */
    private static Series series(List<double[]> rounds, double quantile) {
        return new Series(rounds.stream()
                .map(sorted -> sorted[(int) Math.ceil(quantile * sorted.length) - 1] / 1e6)
                .toList());
    }

    private double[] plain() throws Exception {
        double[] took = new double[PROBES];
        long[] sent = new long[PROBES];
        try (Connection listening = db.connect();
                Statement listen = listening.createStatement();
                Connection writing = db.connect()) {
            listen.execute("listen plain");
            writing.setAutoCommit(false);
            Thread listener = new Thread(
                    () -> {
                        try {
                            for (int heard = 0; heard < PROBES; ) {
                                for (PGNotification notification :
                                        listening.unwrap(PGConnection.class).getNotifications(0)) {
                                    int probe = Integer.parseInt(notification.getParameter());
                                    took[probe] = System.nanoTime() - sent[probe];
                                    heard++;
                                }
                            }
                        } catch (Exception e) {
                            throw new IllegalStateException(e);
                        }
                    },
                    "plain listener");
            listener.start();
            try (PreparedStatement insert = writing.prepareStatement("insert into plain_probe values (?, 0)");
                    PreparedStatement notify = writing.prepareStatement("select pg_notify('plain', ?)")) {
                for (int i = 0; i < PROBES; i++) {
                    insert.setLong(1, nextId++);
                    insert.execute();
                    notify.setString(1, String.valueOf(i));
                    notify.execute();
                    sent[i] = System.nanoTime();
                    writing.commit();
                    LockSupport.parkNanos(PAUSE);
                }
            }
            listener.join(TimeUnit.NANOSECONDS.toMillis(PATIENCE));
            if (listener.isAlive()) {
                throw new WrongCount("the plain listener did not hear all " + PROBES + " notifications");
            }
        }
        Arrays.sort(took);
        return took;
    }

    private double[] through(RowbellProcess rowbell, int kind) throws Exception {
        Map<Long, Long> sent = new HashMap<>();
        try (Connection writing = db.connect();
                PreparedStatement insert = writing.prepareStatement("insert into probe values (?, ?)")) {
            writing.setAutoCommit(false);
            for (int i = 0; i < PROBES; i++) {
                insert.setLong(1, nextId);
                insert.setInt(2, kind);
                insert.execute();
                sent.put(nextId++, System.nanoTime());
                writing.commit();
                LockSupport.parkNanos(PAUSE);
            }
        }
        long since = System.nanoTime();
        Map<Long, Long> stamped = rowbell.stamps();
        while (!stamped.keySet().containsAll(sent.keySet())) {
            if (System.nanoTime() - since > PATIENCE) {
                throw new WrongCount("%d probes went in, some of them did not come out".formatted(PROBES));
            }
            TimeUnit.MILLISECONDS.sleep(20);
            stamped = rowbell.stamps();
        }
        double[] took = new double[PROBES];
        int i = 0;
        for (Map.Entry<Long, Long> probe : sent.entrySet()) {
            took[i++] = stamped.get(probe.getKey()) - probe.getValue();
        }
        Arrays.sort(took);
        return took;
    }

    private double[] underLoad(RowbellProcess rowbell) throws Exception {
        rowbell.clear();
        db.execute("truncate feed");
        boolean[] ended = new boolean[1];
        long[] written = new long[1];
        Thread load = new Thread(
                () -> {
                    try (Connection connection = db.connect();
                            Statement statement = connection.createStatement()) {
                        long start = System.nanoTime();
                        for (long id = 0; !ended[0]; id += LOAD / 100) {
                            statement.execute("insert into feed select i, 1 from generate_series(%d, %d) i"
                                    .formatted(id + 1, id + LOAD / 100));
                            written[0] = id + LOAD / 100;
                            LockSupport.parkNanos(start + written[0] * 1_000_000_000L / LOAD - System.nanoTime());
                        }
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                },
                "load");
        load.start();
        try {
            LockSupport.parkNanos(TimeUnit.SECONDS.toNanos(1));
            return through(rowbell, 1);
        } finally {
            ended[0] = true;
            load.join();
            rowbell.awaitAlerts(written[0]);
        }
    }
}
