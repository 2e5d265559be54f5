package dev.rowbell.bench;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Rowbell and the programs of {@code bench/peers}, in turns, each just started and with its own table, trigger and queue: one alert at a time from the
 * writer's statement to the handler, and a queue of many from the first handled to the last. {@code bench/peers/run} runs it. Arguments: latency,
 * drain; none means both.
 */
public final class Peers {

    private static final int WARM_UP = Rounds.SHORT ? 10 : 40;
    private static final int COUNTED = Rounds.SHORT ? 20 : 240;
    private static final int ALERTS = Rounds.SHORT ? 20_000 : 200_000;
    private static final int AT_ONCE = 1000;
    private static final long UP_NANOS = TimeUnit.SECONDS.toNanos(3);
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
    private static final Path DIRECTORY = Path.of("bench", "peers").toAbsolutePath();

    /** Starts a program for some work. */
    private interface Program {
        RowbellProcess start(String work) throws Exception;
    }

    private interface Measure {
        void of(String name, Program program) throws Exception;
    }

    private final Db db;
    private final Report report;
    private final Map<String, Program> programs = new LinkedHashMap<>();
    private int nextId = 1;

    private Peers(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
        programs.put("rowbell", this::rowbell);
        add("graphile_worker", node("graphile-worker.mjs"), db.url().substring("jdbc:".length()));
        add("pg_boss", node("pg-boss.mjs"), db.url().substring("jdbc:".length()));
        add("camel", java("CamelPeer"), db.url());
        String offsets =
                Path.of("target", "bench", "debezium.offsets").toAbsolutePath().toString();
        add("debezium", java("DebeziumPeer"), db.url(), offsets);
        db.execute(
                "create table rowbell_feed" + Db.COLUMNS,
                "insert into rowbell.rule (name, feed, condition, fires) values ('c2', 'public.rowbell_feed', 'NEW.c2 > 9999', 'every')");
    }

    public static void main(String[] args) throws Exception {
        List<String> work = Arrays.stream(args).filter(arg -> !arg.isBlank()).toList();
        // the benchmark prints its own lines only
        System.setProperty("logback.configurationFile", "dev/rowbell/logback-command.xml");
        try (Server server = Server.start("logical");
                Report report = new Report()) {
            report.say("PostgreSQL " + server.describe());
            Peers peers = new Peers(server, report);
            if (work.isEmpty() || work.contains("latency")) {
                peers.latency();
            }
            if (work.isEmpty() || work.contains("drain")) {
                peers.drain();
            }
            report.table();
        }
    }

    private static List<String> node(String script) {
        return List.of(
                DIRECTORY.resolve("node_modules/.bin/node").toString(),
                DIRECTORY.resolve(script).toString());
    }

    private static List<String> java(String name) {
        String classes = DIRECTORY.resolve("target/classes") + ":" + DIRECTORY.resolve("target/lib") + "/*";
        return RowbellProcess.java("-Xmx512m", List.of("-cp", classes, "dev.rowbell.bench." + name));
    }

    /** Creates its table, and has it create the rest. */
    private void add(String name, List<String> command, String... arguments) throws Exception {
        db.execute("create table " + name + "_feed" + Db.COLUMNS);
        Process setup = new ProcessBuilder(with(command, "setup", arguments))
                .redirectErrorStream(true)
                .redirectOutput(Path.of("target", "bench", name + ".log").toFile())
                .start();
        if (!setup.waitFor(60, TimeUnit.SECONDS) || setup.exitValue() != 0) {
            setup.destroyForcibly();
            throw new IllegalStateException("the setup of " + name + " failed, see target/bench/" + name + ".log");
        }
        programs.put(name, work -> RowbellProcess.peer(with(command, work, arguments)));
    }

    private static List<String> with(List<String> command, String work, String... arguments) {
        List<String> all = new ArrayList<>(command);
        all.add(work);
        all.addAll(List.of(arguments));
        return all;
    }

    private RowbellProcess rowbell(String work) throws Exception {
        return RowbellProcess.start(
                db,
                Map.of(),
                work.equals("drain")
                        ? ColdPart.routes()
                        : Map.of("alerts", RowbellProcess.alertsTo("stamp"), "stamp", Stamp.ROUTE));
    }

    private void latency() throws Exception {
        Map<String, List<Double>> median = new LinkedHashMap<>();
        Map<String, List<Double>> high = new LinkedHashMap<>();
        inTurns((name, program) -> {
            double[] took = latency(name, program);
            note(median, name, took[(int) Math.ceil(0.50 * took.length) - 1]);
            note(high, name, took[(int) Math.ceil(0.99 * took.length) - 1]);
        });
        report("statement to handler, p50", "ms", median);
        report("statement to handler, p99", "ms", high);
    }

    private double[] latency(String name, Program program) throws Exception {
        try (RowbellProcess process = program.start("latency");
                Connection connection = db.connect();
                PreparedStatement insert =
                        connection.prepareStatement("insert into " + name + "_feed (id, c2) values (?, ?)")) {
            LockSupport.parkNanos(UP_NANOS);
            Map<Long, Long> sent = new TreeMap<>();
            for (int i = 0; i < WARM_UP + COUNTED; i++) {
                insert.setInt(1, nextId);
                insert.setInt(2, 10_000);
                if (i >= WARM_UP) {
                    sent.put((long) nextId, System.nanoTime());
                }
                insert.executeUpdate();
                nextId++;
                LockSupport.parkNanos(PAUSE_NANOS);
            }
            return FirstPart.sorted(FirstPart.took(process, sent));
        }
    }

    private void drain() throws Exception {
        Map<String, List<Double>> rates = new LinkedHashMap<>();
        Map<String, List<Double>> cpu = new LinkedHashMap<>();
        Map<String, List<Double>> memory = new LinkedHashMap<>();
        inTurns((name, program) -> {
            db.execute("truncate " + name + "_feed");
            // many in one transaction take graphile-worker's add_job ever longer
            for (int from = 1; from <= ALERTS; from += AT_ONCE) {
                db.execute("insert into %s_feed select i, 1, 10000 + i %% 100 from generate_series(%d, %d) i"
                        .formatted(name, from, from + AT_ONCE - 1));
            }
            // as autovacuum does when alerts wait for longer
            db.execute("vacuum analyze");
            try (RowbellProcess process = program.start("drain")) {
                Reads.Seen seen = process.awaitReads(ALERTS);
                note(rates, name, ALERTS / ((seen.last() - seen.first()) / 1e9));
                note(cpu, name, process.cpuSeconds() - seen.cpuBefore());
                note(memory, name, process.peakMegabytes());
            }
        });
        report("%,d waiting, to the handler".formatted(ALERTS), "/s", rates);
        report("CPU for them", "s", cpu);
        report("peak RSS", "MB", memory);
    }

    /** A program that fails is left out, and the others go on. */
    private void inTurns(Measure measure) {
        for (int round = 0; round < Rounds.COUNT; round++) {
            programs.forEach((name, program) -> {
                try {
                    measure.of(name, program);
                } catch (Exception e) {
                    report.say("  " + name + " failed: " + e);
                }
            });
        }
    }

    private static void note(Map<String, List<Double>> values, String name, double value) {
        values.computeIfAbsent(name, key -> new ArrayList<>()).add(value);
    }

    private void report(String measure, String unit, Map<String, List<Double>> values) {
        Series rowbell = new Series(values.get("rowbell"));
        values.forEach((name, list) -> report.atMost(name, measure, new Series(list), unit, "rowbell", rowbell, 0));
    }
}
