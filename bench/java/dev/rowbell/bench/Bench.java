package dev.rowbell.bench;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The benchmark. Arguments choose parts, none means all (backlog measures memory too); {@code -Dbench.rounds} is how many rounds there are of each (3; three
 * times as many for the parts with writers), {@code -Dbench.seconds} the length of one round of writers (0.7), {@code -Dbench.time} which measures of the part time
 * (all; quiet,absent,arming,hot,punctual,due), {@code -Dbench.short=true} a form of four minutes that
 * only shows that it works.
 */
public final class Bench {

    private interface Part {
        void run(Server server, Report report) throws Exception;
    }

    private static final Map<String, Part> PARTS = new LinkedHashMap<>();

    static {
        PARTS.put("write", (server, report) -> new WritePart(server, report).run());
        PARTS.put("storm", (server, report) -> new StormPart(server, report).run());
        PARTS.put("time", (server, report) -> new TimePart(server, report).run());
        PARTS.put("latency", (server, report) -> new LatencyPart(server, report).run());
        PARTS.put("first", (server, report) -> new FirstPart(server, report).run());
        PARTS.put("start", (server, report) -> new StartPart(server, report).run());
        PARTS.put("http", (server, report) -> new HttpPart(server, report).run());
        PARTS.put("drain", (server, report) -> new DrainPart(server, report).run());
        PARTS.put("history", (server, report) -> new HistoryPart(server, report).run());
        PARTS.put("console", (server, report) -> new ConsolePart(server, report).run());
        PARTS.put("cold", (server, report) -> new ColdPart(server, report).run());
        PARTS.put("flood", (server, report) -> new FloodPart(server, report).run());
        PARTS.put("backlog", (server, report) -> new BacklogPart(server, report).run());
    }

    private Bench() {}

    /** It runs in Maven's JVM, which .mvn/jvm.config gives the quick compiler alone: too slow a floor to measure against. */
    private static boolean hasBothCompilers() {
        return ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                .getVMOption("TieredStopAtLevel")
                .getValue()
                .equals("4");
    }

    /** Runs the benchmark in a JVM of its own. */
    private static int runApart(String[] args) throws Exception {
        List<String> arguments = new ArrayList<>();
        System.getProperties().forEach((key, value) -> {
            if (key.toString().startsWith("bench.")) {
                arguments.add("-D%s=%s".formatted(key, value));
            }
        });
        arguments.addAll(List.of("-cp", RowbellProcess.classPath(), Bench.class.getName()));
        arguments.addAll(List.of(args));
        return new ProcessBuilder(RowbellProcess.java("-XX:TieredStopAtLevel=4", arguments))
                .inheritIO()
                .start()
                .waitFor();
    }

    public static void main(String[] args) throws Exception {
        if (!hasBothCompilers()) {
            System.exit(runApart(args));
        }
        // the benchmark prints its own lines only
        System.setProperty("logback.configurationFile", "dev/rowbell/logback-command.xml");
        List<String> chosen = args.length == 0 ? List.copyOf(PARTS.keySet()) : List.of(args);
        for (String part : chosen) {
            if (!PARTS.containsKey(part)) {
                System.err.println(
                        "bench: there is no part " + part + ", choose from " + String.join(" ", PARTS.keySet()));
                System.exit(2);
            }
        }
        try (Server server = Server.start();
                Report report = new Report()) {
            report.say("PostgreSQL " + server.describe());
            for (String part : chosen) {
                PARTS.get(part).run(server, report);
            }
            report.table();
        } catch (WrongCount e) {
            System.err.println("bench: " + e.getMessage());
            System.exit(1);
        }
    }
}
