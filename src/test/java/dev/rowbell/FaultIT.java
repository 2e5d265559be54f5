package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.OwnPostgres;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.SmtpServer;
import dev.rowbell.testing.TcpProxy;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.ToIntFunction;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The program of its own processes, on a PostgreSQL that is real, with faults that are: whatever dies, a durable alert whose transaction
 * committed arrives. {@code -Drowbell.seed} repeats the random moments.
 */
@Tag("long")
class FaultIT {

    private static final long SEED = Long.getLong("rowbell.seed", System.nanoTime());
    private static final Duration DRAINED = Duration.ofSeconds(120);
    /** What was delivered is settled after this, with some time for a slow machine. */
    private static final Duration SETTLED = Duration.ofMillis(500);

    @TempDir
    Path dir;

    private final Random random = new Random(SEED);
    private Map<String, String> settings;

    /**
     * Writes the alerts a1, a2, … up to a limit, some of them every 50 ms in a transaction of their own, whatever fails. It knows which
     * of them PostgreSQL said it has, and of which nobody can know.
     */
    private final class Writer implements AutoCloseable {

        final Set<String> committed = ConcurrentHashMap.newKeySet();
        final Set<String> unknown = ConcurrentHashMap.newKeySet();
        final AtomicInteger failures = new AtomicInteger();
        private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
        private final int batch;
        private volatile int limit;
        private volatile int last;
        private Connection connection;

        Writer(int batch, int limit) {
            this.batch = batch;
            this.limit = limit;
            thread.scheduleWithFixedDelay(this::write, 0, 50, TimeUnit.MILLISECONDS);
        }

        private void write() {
            int from = last + 1;
            int to = Math.min(last + batch, limit);
            if (from > to) {
                return;
            }
            List<String> ids =
                    IntStream.rangeClosed(from, to).mapToObj(i -> "a" + i).toList();
            try {
                if (connection == null) {
                    connection = connect();
                }
                try (Statement statement = connection.createStatement()) {
                    statement.execute(
                            "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r') from generate_series(%d, %d) i"
                                    .formatted(from, to));
                }
                committed.addAll(ids);
            } catch (SQLException e) {
                failures.incrementAndGet();
                unknown.addAll(ids);
                forget();
            }
            last = to;
        }

        private void forget() {
            try {
                if (connection != null) {
                    connection.close();
                }
            } catch (SQLException e) {
                // it was broken
            }
            connection = null;
        }

        void writeUpTo(int newLimit) {
            limit = newLimit;
        }

        void awaitEnd() {
            await("all is written").atMost(DRAINED).until(() -> last == limit);
        }

        /** Writes no more. */
        @Override
        public void close() {
            thread.shutdown();
            try {
                if (!thread.awaitTermination(30, TimeUnit.SECONDS)) {
                    throw new IllegalStateException("the writer hangs");
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            forget();
        }
    }

    private void use(Map<String, String> database) {
        settings = database;
        settings.put("rowbell.console", "OFF");
        settings.put("rowbell.demo", "false");
        settings.put("rowbell.outbox.lease", "2s");
    }

    private Connection connect() throws SQLException {
        return DriverManager.getConnection(
                settings.get("rowbell.jdbc.url"),
                settings.get("rowbell.jdbc.user"),
                settings.get("rowbell.jdbc.password"));
    }

    private long number(String sql) throws SQLException {
        return Long.parseLong(text(sql));
    }

    private String text(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getString(1);
        }
    }

    private long count(String table) throws SQLException {
        return number("select count(*) from " + table);
    }

    private static void awaitWatching(Program program) {
        await("Rowbell is watching")
                .failFast("ended", () -> !program.isAlive())
                .until(() -> program.output().contains("Rowbell is watching"));
    }

    /** Returns at a moment that chance chooses. */
    private void awaitAnyMomentWithin(Duration most) {
        await().atMost(most.plusSeconds(10))
                .pollDelay(Duration.ofMillis(random.nextLong(most.toMillis())))
                .until(() -> true);
    }

    private void awaitDrained(Program... programs) {
        await("every queue is empty")
                .atMost(DRAINED)
                .ignoreExceptionsInstanceOf(SQLException.class)
                .failFast("a Rowbell ended", () -> Stream.of(programs).anyMatch(program -> !program.isAlive()))
                .until(() -> number(
                                "select (select count(*) from rowbell.feedback) + (select count(*) from rowbell.delivery)")
                        == 0);
    }

    private List<Path> files() {
        Path alerts = dir.resolve("alerts");
        if (!Files.isDirectory(alerts)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(alerts)) {
            return files.toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private long bytes() {
        return files().stream().mapToLong(file -> file.toFile().length()).sum();
    }

    private void awaitDeliveriesAfter(long bytes) {
        await("something is delivered").pollInterval(Duration.ofMillis(5)).until(() -> bytes() > bytes);
    }

    /** The ids in the files, whose every line is whole. */
    private List<String> filed() throws IOException {
        List<String> ids = new ArrayList<>();
        for (Path file : files()) {
            String text = Files.readString(file);
            assertTrue(text.endsWith("\n"), file + " ends in a torn line");
            text.lines().forEach(line -> ids.add((String) AlertJson.parse(line).get("id")));
        }
        return ids;
    }

    private void arrived(Writer writer, List<String> ids, long inFlight) throws SQLException {
        Set<String> distinct = new HashSet<>(ids);
        int repeats = ids.size() - distinct.size();
        System.out.printf(
                "faults: %d alerts committed, %d not known, %d arrived, %d repeats of %d in flight, -Drowbell.seed=%d%n",
                writer.committed.size(), writer.unknown.size(), distinct.size(), repeats, inFlight, SEED);
        List<String> lost =
                writer.committed.stream().filter(id -> !distinct.contains(id)).toList();
        assertTrue(
                lost.isEmpty(),
                () -> "%d lost, one of them %s, -Drowbell.seed=%d".formatted(lost.size(), lost.get(0), SEED));
        assertTrue(
                distinct.stream().allMatch(id -> writer.committed.contains(id) || writer.unknown.contains(id)),
                "what nobody wrote, -Drowbell.seed=" + SEED);
        assertTrue(
                repeats <= inFlight,
                "%d repeats of %d in flight, -Drowbell.seed=%d".formatted(repeats, inFlight, SEED));
        assertEquals(0, count("rowbell.feedback"));
        assertEquals(0, count("rowbell.delivery"));
        assertEquals(0, count("rowbell.dead_letter"));
    }

    private long inFlight() throws SQLException {
        return inFlight("file");
    }

    /** What a sink may get once more: it was being delivered when the fault came. */
    private long inFlight(String sink) throws SQLException {
        return number(
                "select coalesce(sum(alerts), 0) from rowbell.delivery where locked_by is not null and sink = '%s'"
                        .formatted(sink));
    }

    @Test
    void killedAtAnyMomentNothingIsLost() throws Exception {
        int kills = 20;
        int alerts = 2500;
        use(TestDatabase.createWithSchema().settings());
        long inFlight = 0;
        try (Writer writer = new Writer(125, alerts)) {
            for (int kill = 1; kill <= kills; kill++) {
                long before = bytes();
                try (Program rowbell = Program.rowbell(dir, settings)) {
                    if (random.nextInt(4) == 0) {
                        awaitAnyMomentWithin(Duration.ofSeconds(3));
                    } else {
                        // what was written while nobody ran is delivered within a moment: that is when to kill
                        awaitDeliveriesAfter(before);
                        awaitAnyMomentWithin(Duration.ofMillis(100));
                    }
                    rowbell.kill();
                    rowbell.awaitExit();
                }
                // what was delivered and not settled is some of it, and nothing else may come again
                inFlight += inFlight();
                writer.writeUpTo(alerts * Math.min(kill + 1, kills));
            }
            writer.awaitEnd();
            try (Program rowbell = Program.rowbell(dir, settings)) {
                awaitWatching(rowbell);
                awaitDrained(rowbell);
            }
            assertEquals(kills * alerts, writer.committed.size());
            assertTrue(inFlight > 0, "no kill met a delivery, -Drowbell.seed=" + SEED);
            arrived(writer, filed(), inFlight);
        }
    }

    @Test
    void ofTwoProcessesTheOtherGoesOnWhenOneIsKilled() throws Exception {
        use(TestDatabase.createWithSchema().settings());
        settings.put("rowbell.source", "one");
        try (Program one = Program.rowbell(dir, settings)) {
            settings.put("rowbell.source", "other");
            try (Program other = Program.rowbell(dir, settings)) {
                awaitWatching(one);
                awaitWatching(other);
                // more than the two can deliver meanwhile
                try (Writer writer = new Writer(2000, 20_000)) {
                    await("both work")
                            .pollInterval(Duration.ofMillis(5))
                            .until(() -> text().contains("\"one\"") && text().contains("\"other\""));
                    awaitAnyMomentWithin(Duration.ofMillis(300));
                    one.kill();
                    one.awaitExit();
                    long inFlight = inFlight();
                    assertTrue(
                            count("rowbell.feedback") + count("rowbell.delivery") > 0,
                            "killed too late to prove anything, -Drowbell.seed=" + SEED);
                    writer.awaitEnd();
                    awaitDrained(other);
                    assertEquals(20_000, writer.committed.size());
                    arrived(writer, filed(), inFlight);
                }
            }
        }
    }

    private String text() throws IOException {
        StringBuilder text = new StringBuilder();
        for (Path file : files()) {
            text.append(Files.readString(file));
        }
        return text.toString();
    }

    @Test
    void aStopWithRequestsThatHangEndsInTimeAndRepeatsOnlyThose() throws Exception {
        int parallel = 16;
        use(TestDatabase.createWithSchema().settings());
        copyRoutes(parallel);
        settings.put("rowbell.file.dir", "");
        CountDownLatch release = new CountDownLatch(1);
        try (WebReceiver web = new WebReceiver();
                Writer writer = new Writer(1000, 1000)) {
            settings.put("rowbell.http.url", web.url());
            AtomicInteger hanging = new AtomicInteger();
            web.answer(request -> {
                if (web.requests().size() > 200 && release.getCount() > 0) {
                    hanging.incrementAndGet();
                    awaitRelease(release);
                }
                return 200;
            });
            writer.awaitEnd();
            try (Program rowbell = Program.rowbell(dir, settings)) {
                await("all of its threads wait for an answer").until(() -> hanging.get() == parallel);
                assertEquals(parallel, web.requests().size() - 200);
                long start = System.nanoTime();
                rowbell.terminate();
                rowbell.exitWithin(10);
                System.out.printf(
                        "faults: stopped after %d ms%n", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
                assertFalse(rowbell.output().contains("gives up waiting"), rowbell.output());
            }
            assertTrue(number("select sum(alerts) from rowbell.delivery") > 500, "stopped too late to prove anything");
            release.countDown();
            try (Program rowbell = Program.rowbell(dir, settings)) {
                awaitWatching(rowbell);
                awaitDrained(rowbell);
            }
            assertEquals(1000, writer.committed.size());
            arrived(
                    writer,
                    web.requests().stream()
                            .map(request ->
                                    (String) AlertJson.parse(request.body()).get("id"))
                            .toList(),
                    parallel);
        }
    }

    /** What is wrong with the database while Rowbell stops. */
    private interface Fault {
        void happen(TcpProxy network) throws Exception;
    }

    private void stopsWithinTenSeconds(Fault fault) throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        use(database.settings());
        try (TcpProxy network = new TcpProxy(database.port())) {
            try (Writer writer = new Writer(50, 1_000_000)) {
                Map<String, String> through = new HashMap<>(settings);
                through.put(
                        "rowbell.jdbc.url",
                        "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
                try (Program rowbell = Program.rowbell(dir, through)) {
                    awaitWatching(rowbell);
                    awaitDeliveriesAfter(0);
                    fault.happen(network);
                    awaitAnyMomentWithin(Duration.ofSeconds(12));
                    long start = System.nanoTime();
                    rowbell.terminate();
                    await("it ends").atMost(Duration.ofSeconds(40)).until(() -> !rowbell.isAlive());
                    System.out.printf(
                            "faults: stopped after %d ms, -Drowbell.seed=%d%n%s%n",
                            TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start), SEED, rowbell.output());
                    assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(10), rowbell.output());
                }
            }
        }
    }

    @Test
    void aStopOnConnectionsThatAreHalfOpenEndsInTime() throws Exception {
        stopsWithinTenSeconds(TcpProxy::cutSilently);
    }

    @Test
    void aStopWhileTheDatabaseIsSilentEndsInTime() throws Exception {
        stopsWithinTenSeconds(TcpProxy::cutAll);
    }

    @Test
    void aStopWhileTheDatabaseIsAwayEndsInTime() throws Exception {
        stopsWithinTenSeconds(network -> network.refuse(true));
    }

    @Test
    void aStopWhileTheStartWaitsForASilentDatabaseEndsInTime() throws Exception {
        TestDatabase database = TestDatabase.create();
        use(database.settings());
        try (TcpProxy network = new TcpProxy(database.port())) {
            network.cutAll();
            settings.put(
                    "rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
            try (Program rowbell = Program.rowbell(dir, settings)) {
                await("it tries").until(() -> network.connections() > 0);
                rowbell.terminate();
                rowbell.exitWithin(10);
            }
        }
    }

    @Test
    void aStopWhileTablesAreLockedEndsInTime() throws Exception {
        try (Locker locker = new Locker()) {
            stopsWithinTenSeconds(network -> locker.lock());
        }
    }

    /** A session that keeps the queues from Rowbell, as an alter table in an open transaction does. */
    private final class Locker implements AutoCloseable {

        private Connection connection;

        void lock() throws SQLException {
            connection = connect();
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute("lock rowbell.delivery, rowbell.sink, rowbell.silence");
            }
        }

        @Override
        public void close() throws SQLException {
            if (connection != null) {
                connection.close();
            }
        }
    }

    /** Two sinks that are refused, a database that is away, sessions that are killed, and a stop: what the operator reads. */
    @Test
    void ofAFaultTheLogSaysInFewLinesWhatSinceWhenAndWhatToDo() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        use(database.settings());
        settings.put("rowbell.http.url", "http://127.0.0.1:1/hook");
        settings.put("rowbell.mail.host", "127.0.0.1");
        settings.put("rowbell.mail.port", "1");
        settings.put("rowbell.mail.to", "a@example.org");
        settings.put("rowbell.mail.digest", "1ms");
        settings.put("rowbell.outbox.max-backoff", "5s");
        try (TcpProxy network = new TcpProxy(database.port());
                Writer writer = new Writer(20, 1_000_000)) {
            Map<String, String> through = new HashMap<>(settings);
            through.put(
                    "rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
            try (Program rowbell = Program.rowbell(dir, through)) {
                awaitWatching(rowbell);
                awaitOutput(rowbell, "sink http fails since ");
                awaitOutput(rowbell, "sink mail fails since ");
                network.refuse(true);
                awaitOutput(rowbell, "the database is away since ");
                awaitMoment(Duration.ofSeconds(25));
                network.refuse(false);
                awaitOutput(rowbell, "the database is back after ");
                for (int kill = 0; kill < 20; kill++) {
                    database.execute("select pg_terminate_backend(pid) from pg_stat_activity"
                            + " where datname = current_database() and application_name like 'rowbell%'");
                    awaitMoment(Duration.ofMillis(300));
                }
                network.cutSilently();
                awaitMoment(Duration.ofSeconds(3));
                rowbell.terminate();
                rowbell.exitWithin(12);
                List<String> lines = rowbell.output()
                        .lines()
                        .dropWhile(line -> !line.startsWith("  mail"))
                        .skip(1)
                        .filter(line -> !line.isBlank())
                        .toList();
                System.out.println(String.join("\n", lines));
                assertTrue(lines.size() <= 12, lines.size() + " lines");
                for (String line : lines) {
                    assertTrue(
                            line.matches("\\d\\d:\\d\\d:\\d\\d\\.\\d{3} (WARN |INFO ) .*"), "no stack trace: " + line);
                    assertTrue(
                            !line.contains("WARN") || line.matches(".*(since 2\\d{3}-|the stop has waited \\d+ s).*"),
                            "since when: " + line);
                    assertTrue(line.length() < 400, line);
                }
            }
        }
    }

    private static void awaitOutput(Program program, String text) {
        await(text).until(() -> program.output().contains(text));
    }

    private static void awaitMoment(Duration time) {
        await().atMost(time.plusSeconds(10)).pollDelay(time).until(() -> true);
    }

    /** Seconds; {@code -Drowbell.soak=600} for ten minutes. */
    private static final int SOAK = Integer.getInteger("rowbell.soak", 60);

    @FunctionalInterface
    private interface Misfortune {
        void strike() throws Exception;
    }

    @Test
    void aSoakOfFaultsAtRandomLosesNothingAndLeavesNothingStuck() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        use(database.settings());
        try (TcpProxy network = new TcpProxy(database.port());
                WebReceiver web = new WebReceiver();
                TcpProxy webNetwork = new TcpProxy(URI.create(web.url()).getPort());
                SmtpServer mail = new SmtpServer();
                TcpProxy mailNetwork = new TcpProxy(mail.port());
                Writer writer = new Writer(20, 1_000_000)) {
            Map<String, String> through = new HashMap<>(settings);
            through.put(
                    "rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/%s".formatted(network.port(), database.name()));
            through.put("rowbell.http.url", "http://127.0.0.1:%d/hook".formatted(webNetwork.port()));
            through.put("rowbell.http.batch", "50");
            through.put("rowbell.mail.host", "127.0.0.1");
            through.put("rowbell.mail.port", String.valueOf(mailNetwork.port()));
            through.put("rowbell.mail.starttls", "false");
            through.put("rowbell.mail.to", "a@example.org");
            through.put("rowbell.mail.digest", "1s");
            through.put("rowbell.outbox.max-attempts", "1000");
            through.put("rowbell.outbox.max-backoff", "2s");
            through.put("rowbell.outbox.lease", "10s");
            through.put("rowbell.health.enabled", "true");
            Queue<String> accepted = new ConcurrentLinkedQueue<>();
            ToIntFunction<WebReceiver.Request> accept = request -> {
                accepted.add(request.body());
                return 204;
            };
            web.answer(accept);
            List<Program> processes = new ArrayList<>();
            int[] ports = {FreePort.find(), FreePort.find()};
            for (int port : ports) {
                processes.add(soaked(through, port));
            }
            AtomicLong filing = new AtomicLong();
            AtomicLong posting = new AtomicLong();
            Misfortune count = () -> {
                filing.addAndGet(inFlight("file"));
                posting.addAndGet(inFlight("http"));
            };
            Map<String, Misfortune> misfortunes = new TreeMap<>(Map.of(
                    "kill -9",
                            () -> {
                                int victim = random.nextInt(2);
                                processes.get(victim).kill();
                                processes.get(victim).awaitExit();
                                count.strike();
                                processes.get(victim).close();
                                processes.set(victim, soaked(through, ports[victim]));
                            },
                    "terminate",
                            () -> {
                                text("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                                        + " where datname = current_database() and application_name like 'rowbell%'");
                                count.strike();
                            },
                    "half open",
                            () -> {
                                network.cutSilently();
                                count.strike();
                            },
                    "http away",
                            () -> {
                                webNetwork.refuse(true);
                                count.strike();
                            },
                    "http 503", () -> web.answer(request -> 503),
                    "mail away", () -> mailNetwork.refuse(true),
                    "mail 451", () -> mail.answer("451 try again later"),
                    "database away",
                            () -> {
                                network.refuse(true);
                                count.strike();
                                for (int port : ports) {
                                    await("not ready without its database")
                                            .atMost(Duration.ofSeconds(20))
                                            .until(() -> status(port, "ready") == 503);
                                }
                            },
                    "deadlock", this::deadlock));
            List<String> kinds = List.copyOf(misfortunes.keySet());
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SOAK);
            int round = 0;
            while (System.nanoTime() < end) {
                // each kind once before any comes again by chance
                String kind = round < kinds.size()
                        ? kinds.get((round + (int) Math.floorMod(SEED, kinds.size())) % kinds.size())
                        : kinds.get(random.nextInt(kinds.size()));
                round++;
                System.out.printf("soak: %s, -Drowbell.seed=%d%n", kind, SEED);
                misfortunes.get(kind).strike();
                awaitAnyMomentWithin(Duration.ofSeconds(5));
                network.refuse(false);
                webNetwork.refuse(false);
                mailNetwork.refuse(false);
                web.answer(accept);
                mail.answer("250 OK");
                if (round % 3 == 0) {
                    awaitReady(ports);
                } else {
                    awaitAnyMomentWithin(Duration.ofSeconds(2));
                }
            }
            writer.close();
            awaitDrained(processes.toArray(Program[]::new));
            awaitReady(ports);
            assertEquals(0, count("pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"));
            assertTrue(mail.taken() > 0, "no mail");
            List<String> posted = accepted.stream().flatMap(FaultIT::ids).toList();
            Set<String> once = new HashSet<>(posted);
            Set<String> lost = new TreeSet<>(writer.committed);
            lost.removeAll(once);
            assertTrue(lost.isEmpty(), "%d lost by HTTP, -Drowbell.seed=%d".formatted(lost.size(), SEED));
            int repeats = posted.size() - once.size();
            System.out.printf("soak: %d faults, %d repeats of %d in flight by HTTP%n", round, repeats, posting.get());
            assertTrue(repeats <= posting.get(), "%d repeats by HTTP, -Drowbell.seed=%d".formatted(repeats, SEED));
            arrived(writer, filed(), filing.get());
            processes.forEach(Program::close);
        }
    }

    private static void awaitReady(int... ports) {
        for (int port : ports) {
            await("ready")
                    .atMost(DRAINED)
                    .ignoreExceptionsInstanceOf(ConnectException.class)
                    .until(() -> status(port, "ready") == 200);
        }
    }

    /** Locks the queues against their order: a poll has rows of the one and waits for the other. PostgreSQL ends one of the two. */
    private void deadlock() throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("lock rowbell.delivery in exclusive mode");
            awaitMoment(Duration.ofMillis(300));
            try {
                statement.execute("lock rowbell.feedback in exclusive mode");
            } catch (SQLException e) {
                assertEquals("40P01", e.getSQLState());
            }
        }
    }

    private Program soaked(Map<String, String> through, int port) {
        Map<String, String> own = new HashMap<>(through);
        own.put("rowbell.health.port", String.valueOf(port));
        Program program = Program.rowbell(dir, own);
        awaitWatching(program);
        return program;
    }

    private static int status(int port, String check) throws IOException, InterruptedException {
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(
                                        URI.create("http://127.0.0.1:%d/observe/health/%s".formatted(port, check)))
                                // a probe gives up after a second; a slow machine has three
                                .timeout(Duration.ofSeconds(3))
                                .build(),
                        HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    /** Of the alerts of a batch of CloudEvents. */
    private static Stream<String> ids(String body) {
        return Pattern.compile("\"id\":\"(a\\d+)\"")
                .matcher(body)
                .results()
                .map(found -> found.group(1))
                .distinct();
    }

    private void copyRoutes(int parallel) throws IOException {
        Files.createDirectory(dir.resolve("routes"));
        for (String route : List.of("sources", "alerts", "file", "http", "mail")) {
            String yaml = Files.readString(Path.of("routes", route + ".camel.yaml"));
            Files.writeString(
                    dir.resolve("routes/" + route + ".camel.yaml"),
                    yaml.replace(
                            "uri: outbox:http\n      parameters:\n",
                            "uri: outbox:http\n      parameters:\n        parallel: %d\n".formatted(parallel)));
        }
    }

    private static void awaitRelease(CountDownLatch release) {
        try {
            if (!release.await(60, TimeUnit.SECONDS)) {
                throw new IllegalStateException("nobody released it");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    void aPostgresqlThatIsKilledAndComesBackLosesNothing() throws Exception {
        // who lives through it remembers what it has delivered
        survives(OwnPostgres::kill, 400, 0);
    }

    @Test
    void aPostgresqlThatIsStoppedImmediatelyAndComesBackLosesNothing() throws Exception {
        survives(OwnPostgres::stopImmediately, 400, 0);
    }

    /** Taking a few does not wait for the disk: where it is undone they come again, and those alone that were not settled. */
    @Test
    void ofAlertsThatComeOneByOneAPostgresqlThatIsKilledRepeatsThoseInFlight() throws Exception {
        int written = 2 + (int) (SETTLED.toMillis() / 50);
        survives(OwnPostgres::kill, 1, 3 * written);
    }

    /**
     * Three times, under load, and Rowbell is not started again.
     *
     * @param batch how many alerts a transaction writes
     * @param inFlight how many may be repeated
     */
    private void survives(Consumer<OwnPostgres> fault, int batch, long inFlight) throws Exception {
        try (OwnPostgres postgres = new OwnPostgres(dir.resolve("data"))) {
            use(postgres.settings());
            try (Program rowbell = Program.rowbell(dir, settings)) {
                awaitWatching(rowbell);
                try (Writer writer = new Writer(batch, 1_000_000)) {
                    for (int i = 0; i < 3; i++) {
                        awaitDeliveriesAfter(bytes());
                        awaitAnyMomentWithin(Duration.ofSeconds(1));
                        fault.accept(postgres);
                        int failures = writer.failures.get();
                        await("writers feel it").until(() -> writer.failures.get() > failures);
                        awaitAnyMomentWithin(Duration.ofSeconds(1));
                        postgres.start();
                    }
                    awaitDeliveriesAfter(bytes());
                    writer.close();
                    awaitDrained(rowbell);
                    arrived(writer, filed(), inFlight);
                    awaitTwoListeners();
                }
            }
        }
    }

    /** What is seen after a crash that undid how a delivery was filed that is under way. */
    private interface Undone {

        /**
         * @param underWay its id
         * @param release lets its request be answered
         */
        void see(String underWay, Program rowbell, WebReceiver web, CountDownLatch release) throws Exception;
    }

    private void undone(String alert, Undone undone) throws Exception {
        CountDownLatch release = new CountDownLatch(1);
        try (OwnPostgres postgres = new OwnPostgres(dir.resolve("data"), "wal_writer_delay=10s");
                WebReceiver web = new WebReceiver()) {
            use(postgres.settings());
            settings.put("rowbell.file.dir", "");
            settings.put("rowbell.http.url", web.url());
            web.answer(request -> {
                awaitRelease(release);
                return 200;
            });
            try (Program rowbell = Program.rowbell(dir, settings)) {
                awaitWatching(rowbell);
                try (Connection connection = connect();
                        Statement statement = connection.createStatement()) {
                    statement.execute("insert into rowbell.feedback (alert) values ('%s')".formatted(alert));
                }
                await("it is under way").until(() -> web.requests().size() == 1);
                String underWay = text("select id from rowbell.delivery");
                postgres.kill();
                postgres.start();
                undone.see(underWay, rowbell, web, release);
            }
        }
    }

    /** Where it is, the row of another alert is deleted when the first is acknowledged. */
    @Test
    void theIdOfADeliveryUnderWayIsNotGivenAgainWhereACrashUndidIt() throws Exception {
        undone("{\"id\": \"a\", \"rule\": \"r\"}", (underWay, rowbell, web, release) -> {
            String next = text("insert into rowbell.delivery (sink, documents) values ('nobody', '{n}') returning id");
            assertNotEquals(underWay, next);
            release.countDown();
            await("all the others are acknowledged")
                    .atMost(DRAINED)
                    .until(() -> count("rowbell.delivery") == 1 && count("rowbell.feedback") == 0);
            assertEquals(1, count("rowbell.delivery where id = '" + next + "'"));
        });
    }

    /** It is given one when it is taken, and would be given another the next time. */
    @Test
    void anAlertThatCameWithoutAnIdIsNotRepeatedUnderAnotherAfterACrash() throws Exception {
        undone("{\"rule\": \"r\"}", (underWay, rowbell, web, release) -> {
            release.countDown();
            awaitDrained(rowbell);
            assertEquals(
                    1,
                    web.requests().stream()
                            .map(request -> AlertJson.parse(request.body()).get("id"))
                            .distinct()
                            .count());
        });
    }

    /** One for the doorbell and one for notifications, and none that was left behind. */
    private void awaitTwoListeners() {
        await("two listen").during(Duration.ofSeconds(2)).until(() -> listeners() == 2);
    }

    private long listeners() throws SQLException {
        return count("pg_stat_activity where datname = current_database() and application_name = 'rowbell listen'");
    }

    @Test
    void whenEveryConnectionIsTerminatedOverAndOverNothingIsLost() throws Exception {
        use(TestDatabase.createWithSchema().settings());
        try (Program rowbell = Program.rowbell(dir, settings)) {
            awaitWatching(rowbell);
            try (Writer writer = new Writer(100, 10_000);
                    Connection admin = connect();
                    Statement terminate = admin.createStatement()) {
                awaitDeliveriesAfter(0);
                AtomicInteger terminated = new AtomicInteger();
                long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
                await().pollInterval(Duration.ofMillis(100)).until(() -> {
                    try (ResultSet row =
                            terminate.executeQuery("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                                    + " where datname = current_database() and application_name like 'rowbell%'")) {
                        row.next();
                        terminated.addAndGet(row.getInt(1));
                    }
                    return System.nanoTime() > end;
                });
                assertTrue(terminated.get() > 20, terminated + " connections were there to be terminated");
                writer.awaitEnd();
                awaitDrained(rowbell);
                assertEquals(10_000, writer.committed.size());
                arrived(writer, filed(), 0);
                awaitTwoListeners();
            }
        }
    }

    @Test
    void aPostgresqlWithoutRoomForItsTablesGoesOnWhenThereIsSome() throws Exception {
        Path disk = smallDisk();
        try (OwnPostgres postgres = new OwnPostgres(dir.resolve("data"))) {
            use(postgres.settings());
            try (Connection connection = connect();
                    Statement statement = connection.createStatement()) {
                statement.execute(
                        "create tablespace small location '" + Files.createDirectory(disk.resolve("tables")) + "'");
                statement.execute("create database small tablespace small");
            }
            settings.computeIfPresent("rowbell.jdbc.url", (key, url) -> url.replaceFirst("/postgres$", "/small"));
            survivesAFullDisk(disk, postgres, rowbell -> {
                await("Rowbell feels it too").until(() -> rowbell.output().contains("No space left on device"));
                assertTrue(postgres.isAlive());
            });
        } finally {
            remove(disk);
        }
    }

    @Test
    void aPostgresqlThatEndsForWantOfRoomForItsLogGoesOnWhenThereIsSome() throws Exception {
        Path disk = smallDisk();
        // without a segment kept in reserve, which a checkpoint that comes in time would make of each old one
        try (OwnPostgres postgres =
                new OwnPostgres(disk.resolve("data"), "max_wal_size=32MB", "min_wal_size=32MB", "wal_recycle=off")) {
            use(postgres.settings());
            survivesAFullDisk(
                    disk,
                    postgres,
                    rowbell -> await("PostgreSQL ends").until(() -> {
                        // what a checkpoint or a crash has given back
                        fill(disk.resolve("filler"), disk);
                        try {
                            // asks for a new segment of the log, which there is no room for
                            number("select count(pg_switch_wal()) from pg_logical_emit_message(true, 'a', 'b')");
                        } catch (SQLException e) {
                            // in the one or the other of its crashes
                        }
                        return !postgres.isAlive();
                    }));
        } finally {
            remove(disk);
        }
    }

    @Test
    void aQueueOfNotificationsThatFillsUpIsWarnedOfAndFailsNoWriter() throws Exception {
        try (OwnPostgres postgres = new OwnPostgres(dir.resolve("data"), "max_notify_queue_pages=64")) {
            use(postgres.settings());
            try (Program rowbell = Program.rowbell(dir, settings);
                    Connection lazy = connect();
                    Statement holds = lazy.createStatement();
                    Connection writer = connect();
                    Statement writes = writer.createStatement()) {
                awaitWatching(rowbell);
                writes.execute("create table feed (id int primary key, c2 int)");
                writes.execute(
                        "insert into rowbell.rule (name, feed, condition, delivery) values ('d', 'public.feed', 'NEW.c2 > 0', 'durable'),"
                                + " ('n', 'public.feed', 'NEW.c2 > 0', 'notify')");
                holds.execute("listen anything");
                lazy.setAutoCommit(false);
                holds.execute("select 1");
                while (number("select (pg_notification_queue_usage() * 100)::int") < 95) {
                    writes.execute("select pg_notify('nobody', i || repeat('x', 7000)) from generate_series(1, 2) i");
                }
                await("the warning").until(() -> rowbell.output().contains("the queue of notifications is 9"));
                writes.execute("insert into feed select i, 1 from generate_series(1, 1000) i");
                awaitDrained(rowbell);
                await().until(() -> filed().size() >= 1000);
                lazy.rollback();
                await("the queue is read")
                        .until(() -> number("select (pg_notification_queue_usage() * 100)::int") < 10);
                writes.execute("insert into feed values (1001, 1)");
                // the durable one and the notification
                await().until(() -> filed().size() == 1002);
                assertEquals(0, count("rowbell.dead_letter"));
            }
        }
    }

    private Path smallDisk() throws IOException, InterruptedException {
        Path disk = Files.createDirectory(dir.resolve("disk"));
        Assumptions.assumeTrue(
                // of which a busy machine leaves enough for the alerts that wait, when it is emptied again
                run("mount", "-t", "tmpfs", "-o", "size=400m,mode=700", "tmpfs", disk.toString()),
                "only root can mount a small disk");
        return disk;
    }

    private static void remove(Path disk) {
        // a process that was killed lets go of its files a moment later
        await("nobody uses the disk").until(() -> run("umount", disk.toString()));
    }

    /** @param worse what happens while the disk is full */
    private void survivesAFullDisk(Path disk, OwnPostgres postgres, Consumer<Program> worse) throws Exception {
        try (Program rowbell = Program.rowbell(dir, settings)) {
            awaitWatching(rowbell);
            // more than Rowbell can deliver meanwhile, so that it wants room too
            try (Writer writer = new Writer(2000, 1_000_000)) {
                awaitDeliveriesAfter(bytes());
                Path filler = disk.resolve("filler");
                await("writers feel it").until(() -> {
                    fill(filler, disk);
                    return writer.failures.get() > 20;
                });
                worse.accept(rowbell);
                Files.delete(filler);
                // where it has ended, whoever looks after it starts it again
                postgres.start();
                int before = writer.committed.size();
                await("writers write again").until(() -> writer.committed.size() > before + 1000);
                writer.close();
                awaitDrained(rowbell);
                arrived(writer, filed(), 0);
                awaitTwoListeners();
            }
        }
    }

    private static void fill(Path filler, Path disk) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(filler.toFile(), "rw")) {
            file.seek(file.length());
            byte[] block = new byte[8192];
            while (Files.getFileStore(disk).getUsableSpace() > 0) {
                file.write(block);
            }
        } catch (IOException e) {
            // the last block is PostgreSQL's or nobody's: it is full
        }
    }

    private static boolean run(String... command) throws IOException, InterruptedException {
        return new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }
}
