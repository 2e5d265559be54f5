package dev.rowbell.bench;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Rowbell as people run it, or what is measured in its place, in a JVM and a directory of its own, with the file sink. */
final class RowbellProcess implements AutoCloseable {

    private final Process process;
    private final Path directory;
    private final int port;
    private final CountDownLatch up = new CountDownLatch(1);
    private final long started = System.nanoTime();
    private final Map<Path, Long> read = new HashMap<>();
    private final byte[] buffer = new byte[1 << 20];
    private long lines;
    private volatile double startSeconds;

    /** Options of {@link #launch} that run the program from its classes. */
    static final List<String> MAIN = List.of("-cp", classPath(), "dev.rowbell.Main");

    private RowbellProcess(Process process, Path directory, int port) {
        this.process = process;
        this.directory = directory;
        this.port = port;
    }

    /** @param more settings besides the database and those that make it quiet */
    static RowbellProcess start(Db db, Map<String, String> more) throws Exception {
        return start(db, more, Map.of());
    }

    /** @param routes files of routes by name, instead of or besides those that come with it */
    static RowbellProcess start(Db db, Map<String, String> more, Map<String, String> routes) throws Exception {
        return launch(db, more, routes, MAIN).awaitUp();
    }

    /** A process that is measured in the place of Rowbell. */
    static RowbellProcess plain(Db db, String work) throws Exception {
        return launch(db, Map.of(), Map.of(), List.of("-cp", classPath(), Plain.class.getName(), work, db.url()))
                .awaitUp();
    }

    private RowbellProcess awaitUp() throws Exception {
        if (!up.await(60, TimeUnit.SECONDS)) {
            close();
            throw new IllegalStateException("the process did not start");
        }
        return this;
    }

    /** The shipped route, with a sink of the benchmark in the place of the file. */
    static String alertsTo(String sink) throws IOException {
        return Files.readString(Path.of("routes", "alerts.camel.yaml")).replace("outbox:file", "outbox:" + sink);
    }

    /**
     * Does not wait until it has started.
     *
     * @param java options and a main class or jar
     */
    static RowbellProcess launch(Db db, Map<String, String> more, Map<String, String> routes, List<String> java)
            throws Exception {
        Path directory = Files.createTempDirectory("rowbell-bench");
        if (!routes.isEmpty()) {
            Files.createDirectory(directory.resolve("routes"));
            for (String shipped : List.of("sources", "alerts", "file", "http", "mail")) {
                Files.copy(
                        Path.of("routes", shipped + ".camel.yaml"),
                        directory.resolve("routes/" + shipped + ".camel.yaml"));
            }
            for (Map.Entry<String, String> route : routes.entrySet()) {
                Files.writeString(directory.resolve("routes/" + route.getKey() + ".camel.yaml"), route.getValue());
            }
        }
        int port = freePort();
        List<String> settings = new ArrayList<>(List.of(
                "rowbell.jdbc.url=" + db.url(),
                "rowbell.rules.file=",
                "rowbell.console=OFF",
                "rowbell.health.port=" + port,
                "rowbell.file.dir=alerts"));
        more.forEach((key, value) -> settings.add(key + "=" + value));
        Files.write(directory.resolve("application.properties"), settings);
        return run(directory, port, java("-Xmx160m", java));
    }

    /** Another program, which says {@link Plain#UP}, in a directory of its own. */
    static RowbellProcess peer(List<String> command) throws Exception {
        return run(Files.createTempDirectory("rowbell-bench"), 0, command).awaitUp();
    }

    /** A command that runs the Java of the benchmark. */
    static List<String> java(String memory, List<String> arguments) {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), memory));
        command.addAll(arguments);
        return command;
    }

    private static RowbellProcess run(Path directory, int port, List<String> command) throws IOException {
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .start();
        RowbellProcess rowbell = new RowbellProcess(process, directory, port);
        Thread reader = new Thread(rowbell::read, "rowbell output");
        reader.setDaemon(true);
        reader.start();
        return rowbell;
    }

    /** Another process of this machine may have the default port. */
    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    /** exec:java has the project in a class loader of its own. */
    static String classPath() {
        if (RowbellProcess.class.getClassLoader() instanceof URLClassLoader loader) {
            return String.join(
                    File.pathSeparator,
                    Stream.of(loader.getURLs())
                            .map(url -> Path.of(URI.create(url.toString())).toString())
                            .toList());
        }
        return System.getProperty("java.class.path");
    }

    private void read() {
        try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith("Rowbell is watching") || line.equals(Plain.UP)) {
                    startSeconds = (System.nanoTime() - started) / 1e9;
                    up.countDown();
                } else if (line.contains("is a superuser")) {
                    // as the embedded server has it
                    continue;
                } else if (line.contains("WARN") || line.contains("ERROR") || line.startsWith("rowbell:")) {
                    System.out.println("  rowbell: " + line);
                }
            }
        } catch (IOException e) {
            // it has been stopped
        }
    }

    /** What {@link Stamp} has noted there: when each id got to it. */
    Map<Long, Long> stamps() throws IOException {
        Path file = directory.resolve(Stamp.FILE);
        Map<Long, Long> stamps = new HashMap<>();
        if (Files.exists(file)) {
            String text = Files.readString(file);
            // the last line may be half written
            text.substring(0, text.lastIndexOf('\n') + 1)
                    .lines()
                    .map(line -> line.split(" "))
                    .forEach(stamp -> stamps.putIfAbsent(Long.parseLong(stamp[0]), Long.parseLong(stamp[1])));
        }
        return stamps;
    }

    /** The most memory that the process ever had, in MB: VmHWM of proc(5). */
    double peakMegabytes() throws IOException {
        return megabytes("VmHWM:");
    }

    /** What it has now, in MB: VmRSS of proc(5). */
    double megabytes() throws IOException {
        return megabytes("VmRSS:");
    }

    private double megabytes(String key) throws IOException {
        return Files.readAllLines(Path.of("/proc/" + process.pid() + "/status")).stream()
                .filter(line -> line.startsWith(key))
                .mapToDouble(line -> Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024)
                .findFirst()
                .orElseThrow();
    }

    /** What it has taken of all processors since its start. */
    double cpuSeconds() {
        return process.info().totalCpuDuration().orElseThrow().toMillis() / 1e3;
    }

    Reads.Seen reads() throws IOException {
        return Reads.Seen.in(directory);
    }

    /** Waits until {@link Reads} has seen so many different ids there. Others than those are a wrong count. */
    Reads.Seen awaitReads(int count) throws Exception {
        Reads.Seen seen = reads();
        long since = System.nanoTime();
        while (seen.different() < count) {
            if (System.nanoTime() - since > 60e9) {
                throw new WrongCount("%d alerts went in, %d came out".formatted(count, seen.different()));
            }
            TimeUnit.MILLISECONDS.sleep(10);
            Reads.Seen now = reads();
            if (now.count() > seen.count()) {
                since = System.nanoTime();
            }
            seen = now;
        }
        return seen;
    }

    /** Whether the sink {@link Reads} is there. */
    void down(boolean down) throws IOException {
        if (down) {
            Files.createFile(directory.resolve(Reads.DOWN));
        } else {
            Files.delete(directory.resolve(Reads.DOWN));
        }
    }

    /** Where its web console is. */
    int port() {
        return port;
    }

    /** Of the address of its web console; the setting {@code rowbell.embedded.dir} has to be {@code .}. */
    String token() throws IOException {
        return Files.readString(directory.resolve("web-token")).strip();
    }

    double startSeconds() {
        return startSeconds;
    }

    long pid() {
        return process.pid();
    }

    /** Lines that the file sink has written; reads on from where the last call ended. */
    long lines() throws IOException {
        for (Path file : files()) {
            try (FileChannel channel = FileChannel.open(file)) {
                channel.position(read.getOrDefault(file, 0L));
                ByteBuffer bytes = ByteBuffer.wrap(buffer);
                for (int n = channel.read(bytes); n > 0; n = channel.read(bytes.clear())) {
                    for (int i = 0; i < n; i++) {
                        if (buffer[i] == '\n') {
                            lines++;
                        }
                    }
                }
                read.put(file, channel.position());
            }
        }
        return lines;
    }

    private List<Path> files() throws IOException {
        Path alerts = directory.resolve("alerts");
        if (!Files.isDirectory(alerts)) {
            return List.of();
        }
        try (Stream<Path> list = Files.list(alerts)) {
            return list.filter(file -> file.toString().endsWith(".jsonl")).toList();
        }
    }

    /**
     * Waits until that many different alerts are in the file, and returns when the last one came, as {@link System#nanoTime()}, to 10 ms.
     * Other ids than those written are a wrong count. It reads the file when it no longer grows, because reading takes CPU from Rowbell.
     */
    long awaitAlerts(long count) throws Exception {
        long last = -1;
        long grown = System.nanoTime();
        while (true) {
            long now = System.nanoTime();
            long size = size();
            if (size != last) {
                last = size;
                grown = now;
            } else if (now - grown > 50e6 && lines() >= count) {
                break;
            } else if (now - grown > 30e9) {
                throw new WrongCount("%d alerts went in, %d came out".formatted(count, lines));
            }
            TimeUnit.MILLISECONDS.sleep(10);
        }
        Set<String> ids = ids();
        if (ids.size() != count) {
            throw new WrongCount("%d alerts went in, %d different ones came out".formatted(count, ids.size()));
        }
        return grown;
    }

    /** Waits until so many are in the file while more follow, and returns the time, as {@link System#nanoTime()}. */
    long awaitLines(long count) throws Exception {
        long last = -1;
        long since = System.nanoTime();
        for (long now = lines(); now < count; now = lines()) {
            if (now != last) {
                last = now;
                since = System.nanoTime();
            } else if (System.nanoTime() - since > 30e9) {
                throw new WrongCount("%d alerts went in, %d came out".formatted(count, now));
            }
            TimeUnit.MILLISECONDS.sleep(10);
        }
        return System.nanoTime();
    }

    private long size() throws IOException {
        long size = 0;
        for (Path file : files()) {
            size += Files.size(file);
        }
        return size;
    }

    Set<String> ids() throws IOException {
        Set<String> ids = new HashSet<>();
        for (Path file : files()) {
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    int from = line.indexOf("\"id\":\"") + 6;
                    ids.add(line.substring(from, line.indexOf('"', from)));
                }
            }
        }
        return ids;
    }

    /** Deletes the alerts in the files. */
    void clear() throws IOException {
        for (Path file : files()) {
            Files.delete(file);
        }
        read.clear();
        lines = 0;
    }

    @Override
    public void close() throws Exception {
        process.destroy();
        if (!process.waitFor(20, TimeUnit.SECONDS)) {
            process.destroyForcibly().waitFor();
        }
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
