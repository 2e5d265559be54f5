package dev.rowbell;

import static java.nio.file.StandardCopyOption.COPY_ATTRIBUTES;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.io.Writer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code java -jar target/rowbell.jar} as people run it. */
class MainIT {

    @TempDir
    Path dir;

    @Test
    @Tag("long")
    void theStartScriptMakesAnArchiveOfTheClassesAndUsesItTheNextTime() throws Exception {
        Path home = Files.createDirectory(dir.resolve("home"));
        Files.createDirectory(home.resolve("bin"));
        Files.createDirectory(home.resolve("target"));
        Path script = Files.copy(Path.of("bin/rowbell"), home.resolve("bin/rowbell"), COPY_ATTRIBUTES);
        Files.copy(Path.of("target/rowbell.jar"), home.resolve("target/rowbell.jar"));
        Files.createSymbolicLink(
                home.resolve("target/lib"), Path.of("target/lib").toAbsolutePath());
        Map<String, String> settings = new HashMap<>(TestDatabase.create().settings());
        settings.put("java.home", System.getProperty("java.home"));
        try (Program rowbell = Program.start(dir, settings, List.of(script.toString()))) {
            rowbell.awaitOutput("Rowbell is watching");
            rowbell.terminate();
            rowbell.awaitExit();
            assertFalse(rowbell.output().contains("[cds"), rowbell.output());
        }
        settings.put("java.opts", "-Xlog:class+load");
        try (Program rowbell = Program.start(dir, settings, List.of(script.toString()))) {
            rowbell.awaitOutput("dev\\.rowbell\\.Main source: shared objects file");
            rowbell.awaitOutput("org\\.apache\\.camel\\.\\S+ source: shared objects file");
            rowbell.awaitOutput("Rowbell is watching");
        }
        settings.remove("java.opts");
        Program.ends(0, Program.start(dir, settings, List.of(script.toString(), "rules", "list")), "no rules");
        // as in /usr/local/bin, with another collector than that of the script
        Path link = Files.createSymbolicLink(dir.resolve("rowbell"), script);
        settings.put("java.tool.options", "-XX:+UseG1GC");
        // Java says that it picked them up
        Program.ends(
                0,
                Program.start(dir, settings, List.of(link.toString(), "rules", "list")),
                "\\s*Picked up .*\\Rno rules");
    }

    @Test
    void theBannerComesBeforeTheAlertsOfABacklog() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute("""
                insert into rowbell.feedback (alert)
                select json_build_object('id', 'a-' || i, 'rule', 'r') from generate_series(1, 500) i
                """);
        try (Program rowbell = Program.rowbell(dir, database.settings())) {
            rowbell.awaitOutput("warning r");
            rowbell.awaitOutput("Rowbell is watching");
            List<String> lines = rowbell.output().lines().toList();
            int banner = IntStream.range(0, lines.size())
                    .filter(i -> lines.get(i).startsWith("Rowbell is watching"))
                    .findFirst()
                    .orElseThrow();
            int end = banner + lines.subList(banner, lines.size()).indexOf("");
            assertEquals(
                    List.of(),
                    lines.subList(0, end).stream()
                            .filter(line -> line.contains("warning r"))
                            .toList());
        }
    }

    @Test
    void itReadsApplicationPropertiesAndRoutesOfItsDirectory() throws Exception {
        TestDatabase database = TestDatabase.create();
        int port = FreePort.find();
        Properties file = new Properties();
        file.putAll(database.settings());
        file.put("rowbell.file.dir", "elsewhere");
        file.put("rowbell.source", "from-the-file");
        try (Writer out = Files.newBufferedWriter(dir.resolve("application.properties"))) {
            file.store(out, null);
        }
        Files.createDirectory(dir.resolve("routes"));
        for (String route : List.of("sources", "alerts", "file")) {
            Files.copy(Path.of("routes", route + ".camel.yaml"), dir.resolve("routes/" + route + ".camel.yaml"));
        }
        Files.writeString(dir.resolve("own.xml"), """
                <configuration>
                  <appender name="own" class="ch.qos.logback.core.ConsoleAppender">
                    <encoder><pattern>my own %msg%n</pattern></encoder>
                  </appender>
                  <root level="INFO"><appender-ref ref="own"/></root>
                </configuration>
                """);
        Map<String, String> environment = Map.of(
                "rowbell.source",
                "from-the-environment",
                "rowbell.health.enabled",
                "true",
                "rowbell.health.port",
                String.valueOf(port));
        try (Program rowbell = Program.java(
                dir,
                environment,
                "-Dlogback.configurationFile=own.xml",
                "-jar",
                Path.of("target/rowbell.jar").toAbsolutePath().toString())) {
            rowbell.awaitOutput("connect +" + database.url());
            rowbell.awaitOutput("file +on: elsewhere");
            assertFalse(rowbell.output().contains("http "), rowbell.output());
            database.execute("insert into rowbell.feedback (alert) values ('{\"rule\": \"r\"}')");
            Awaitility.await()
                    .until(() -> AlertFiles.values(dir.resolve("elsewhere"), "source")
                            .equals(List.of("from-the-environment")));
            rowbell.awaitOutput("(?m)^my own warning r$");
            rowbell.awaitOutput("health +http://127.0.0.1:" + port + "/observe/health");
            HttpClient client = HttpClient.newHttpClient();
            for (String path : List.of("observe/health/ready", "observe/metrics", "", "rules")) {
                URI uri = URI.create("http://127.0.0.1:" + port + "/" + path);
                assertEquals(
                        200,
                        client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.discarding())
                                .statusCode(),
                        path);
            }
        }
    }

    /** No connection is free, then one, of which the pool and the migration need more. */
    @Test
    void aServerWithoutAFreeConnectionIsWaitedFor() {
        TestDatabase database = TestDatabase.create();
        String user = "busy_" + database.name();
        database.execute(
                "create role %s login password 'busy' connection limit 0".formatted(user),
                "grant all on database %s to %s".formatted(database.name(), user));
        Map<String, String> settings = with(database, "rowbell.jdbc.user", user);
        settings.put("rowbell.jdbc.password", "busy");
        try (Program rowbell = Program.rowbell(dir, settings)) {
            rowbell.awaitOutput("rowbell.jdbc.url: cannot connect to .*: FATAL: too many connections .*;"
                    + " trying again for 1m \\(rowbell.jdbc.wait\\)");
            database.execute("alter role %s connection limit 1".formatted(user));
            Awaitility.await()
                    .until(() -> database.query("select count(*) from pg_stat_activity where usename = '" + user + "'")
                            .equals(List.of("1")));
            assertTrue(rowbell.isAlive());
            database.execute("alter role %s connection limit -1".formatted(user));
            rowbell.awaitOutput("Rowbell is watching");
        }
    }

    @Test
    void withoutMemoryItEnds() throws Exception {
        Files.createDirectory(dir.resolve("routes"));
        Files.writeString(dir.resolve("routes/sources.camel.yaml"), """
                - route:
                    from:
                      uri: pgevent:///rowbell/channel_1
                      parameters:
                        datasource: "#class:dev.rowbell.testing.Exhausted"
                      steps:
                        - log: never
                """);
        String classes = Path.of("target/rowbell.jar").toAbsolutePath()
                + System.getProperty("path.separator")
                + Path.of("target/test-classes").toAbsolutePath();
        try (Program rowbell =
                Program.java(dir, TestDatabase.create().settings(), "-cp", classes, "dev.rowbell.Main")) {
            assertEquals(3, rowbell.awaitExit(), rowbell.output());
            assertTrue(rowbell.output().contains("rowbell: no memory is left"), rowbell.output());
        }
    }

    @Test
    @Tag("long")
    void aRouteMayBeServedBesideHealth() throws Exception {
        Files.createDirectory(dir.resolve("routes"));
        Files.writeString(dir.resolve("routes/hello.camel.yaml"), """
                - route:
                    from:
                      uri: platform-http:/hello
                      steps:
                        - setBody:
                            constant: good morning
                """);
        int port = FreePort.find();
        Map<String, String> settings = with(TestDatabase.create(), "rowbell.health.enabled", "true");
        settings.put("rowbell.health.port", String.valueOf(port));
        try (Program rowbell = Program.rowbell(dir, settings)) {
            rowbell.awaitOutput("Rowbell is watching");
            HttpClient client = HttpClient.newHttpClient();
            assertEquals(
                    "good morning",
                    client.send(
                                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/hello"))
                                            .build(),
                                    HttpResponse.BodyHandlers.ofString())
                            .body());
            assertEquals(
                    200,
                    client.send(
                                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/observe/metrics"))
                                            .build(),
                                    HttpResponse.BodyHandlers.discarding())
                            .statusCode());
        }
    }

    private void refuses(Map<String, String> settings, String... words) {
        try (Program rowbell = Program.rowbell(dir, settings)) {
            assertEquals(2, rowbell.awaitExit(), rowbell.output());
            // the tests' user is a superuser, which is said as soon as the database is there
            List<String> lines = rowbell.output()
                    .lines()
                    .filter(line -> !line.isBlank() && !line.contains("is a superuser"))
                    .toList();
            assertEquals(1, lines.size(), rowbell.output());
            for (String word : words) {
                assertTrue(lines.get(0).contains(word), lines.get(0));
            }
        }
    }

    @Test
    @Tag("long")
    void aWrongSettingIsOneLineThatNamesTheKey() throws IOException {
        TestDatabase database = TestDatabase.create();
        refuses(
                Map.of("rowbell.jdbc.wait", "1ms", "rowbell.jdbc.url", "jdbc:postgresql://localhost:1/shop"),
                "rowbell.jdbc.url",
                "localhost:1");
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            // takes the connection and says nothing
            refuses(
                    Map.of(
                            "rowbell.jdbc.wait",
                            "1ms",
                            "rowbell.jdbc.url",
                            "jdbc:postgresql://127.0.0.1:%d/shop".formatted(silent.getLocalPort())),
                    "rowbell.jdbc.url");
        }
        refuses(Map.of("rowbell.jdbc.url", "jdbc:mysql://localhost/shop"), "rowbell.jdbc.url", "jdbc:postgresql://");
        refuses(
                with(database, "rowbell.jdbc.url", database.url() + "_nowhere"),
                "rowbell.jdbc.url",
                database.name() + "_nowhere");
        refuses(with(database, "rowbell.jdbc.user", "nobody"), "rowbell.jdbc.user", "rowbell.jdbc.password");
        database.execute("drop role if exists poor", "create role poor login password 'poor'");
        Map<String, String> poor = with(database, "rowbell.jdbc.user", "poor");
        poor.put("rowbell.jdbc.password", "poor");
        refuses(poor, "rowbell.jdbc.user", "create on the database", "docs/schema.md");
        refuses(with(database, "rowbell.migrate", "false"), "rowbell.migrate", "no schema rowbell");
        refuses(with(database, "rowbell.feedback.table", "public.nowhere"), "rowbell.feedback.table");
        database.execute(
                "create table no_time (a int)",
                "create table parts (crt_time timestamptz) partition by range (crt_time)");
        refuses(with(database, "rowbell.feedback.table", "no_time"), "rowbell.feedback.table", "crt_time");
        refuses(with(database, "rowbell.feedback.table", "parts"), "rowbell.feedback.table", "partitions");
        refuses(
                with(database, "rowbell.rules", "rules.yaml"),
                "rowbell.rules",
                "rowbell.rules.file",
                "ROWBELL_RULES_FILE");
        refuses(with(database, "rowbell.rules.file", "http:rules.yaml"), "rowbell.rules.file", "rules.yaml");
        refuses(with(database, "rowbell.feedback.batch", "many"), "rowbell.feedback.batch", "whole number");
        refuses(with(database, "rowbell.outbox.backoff", "soon"), "rowbell.outbox.backoff", "15m");
        refuses(with(database, "rowbell.mail.host", "localhost"), "rowbell.mail.to");
        refuses(with(database, "rowbell.console", "LOUD"), "rowbell.console=LOUD", "INFO or OFF");
        refuses(with(database, "rowbell.api.enabled", "true"), "rowbell.api.enabled=true", "/api by itself");
        refuses(with(database, "rowbell.http.url", "localhost"), "rowbell.http.url", "https://");
        refuses(with(database, "rowbell.http.url", "https://bob:secret@localhost/"), "rowbell.http.url", "login");
        Files.writeString(dir.resolve("a-file"), "");
        refuses(with(database, "rowbell.file.dir", "a-file"), "rowbell.file.dir");
        refuses(Map.of("rowbell.embedded.dir", "a-file"), "rowbell.embedded.dir");
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String port = String.valueOf(taken.getLocalPort());
            refuses(Map.of("rowbell.embedded.port", port), "rowbell.embedded.port", port);
            Map<String, String> observed = with(database, "rowbell.health.enabled", "true");
            observed.put("rowbell.health.port", port);
            refuses(observed, "rowbell.health.port=" + port, "rowbell.health.enabled=false");
        }
        Files.createDirectories(dir.resolve("routes"));
        Files.writeString(dir.resolve("routes/broken.camel.yaml"), "- route:\n    id: broken\n    form: [a mistake");
        refuses(database.settings(), "broken.camel.yaml", "line 3");
    }

    private static Map<String, String> with(TestDatabase database, String key, String value) {
        Map<String, String> settings = database.settings();
        settings.put(key, value);
        return settings;
    }

    @Test
    @Tag("long")
    void twoProcessesAppendToOneFileAndTearNoLine() {
        TestDatabase database = TestDatabase.create();
        Map<String, String> settings = with(database, "rowbell.console", "OFF");
        settings.put("rowbell.feedback.batch", "50");
        try (Program one = Program.rowbell(dir, settings);
                Program two = Program.rowbell(dir, settings)) {
            one.awaitOutput("Rowbell is watching");
            two.awaitOutput("Rowbell is watching");
            for (int batch = 0; batch < 20; batch++) {
                database.execute(
                        "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', repeat('订', 300)) from generate_series(%d, %d) i"
                                .formatted(batch * 500 + 1, batch * 500 + 500));
            }
            Awaitility.await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(
                    IntStream.rangeClosed(1, 10_000)
                            .mapToObj(i -> "a" + i)
                            .sorted()
                            .toList(),
                    AlertFiles.values(dir.resolve("alerts"), "id").stream()
                            .map(Object::toString)
                            .sorted()
                            .toList());
        }
    }

    @Tag("long")
    @Test
    void rulesAreCheckedListedAndTestedFromTheCommandLine() throws IOException {
        TestDatabase database = TestDatabase.create();
        Map<String, String> settings = with(database, "rowbell.rules.file", "rules.yaml");
        Program.ends(2, Program.rowbell(dir, settings, "rules", "lost"), "(?s)Unmatched argument.*'lost'.*");
        Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: full
                    feed: orders
                    condition: NEW.amount > 10
                """);
        Program.ends(
                2,
                Program.rowbell(dir, settings, "rules", "check"),
                "rowbell: the database has no schema rowbell yet: start Rowbell once first, or .*\n$");
        database.execute(
                "create table orders (id int primary key, amount int)",
                "insert into orders select i, i from generate_series(1, 12) i");
        try (Program rowbell = Program.rowbell(dir, settings)) {
            rowbell.awaitOutput("rules +1 from rules\\.yaml\n");
        }
        Program.ends(0, Program.rowbell(dir, settings, "rules", "check"), "1 rule, all right\n$");
        Program.ends(
                0,
                Program.rowbell(dir, settings, "rules", "test", "full"),
                "\\{\"id\":11,\"amount\":11}\n\\{\"id\":12,\"amount\":12}\n2 rows\n$");
        Program.ends(
                2,
                Program.rowbell(dir, settings, "rules", "test", "ful"),
                "rowbell: there is no rule \"ful\"; did you mean full\\?\n$");
        Files.writeString(dir.resolve("other.yaml"), """
                rules:
                  - name: empty
                    feed: public.orders
                    condition: NEW.amont = 0
                    severty: info
                  - name: empty-too
                    feed: public.orders

                    condition: NEW.amont = 0
                """);
        Program.ends(
                1,
                Program.rowbell(dir, settings, "rules", "check", "other.yaml"),
                "other\\.yaml:4: rule \"empty\": condition: column new\\.amont does not exist .*\n"
                        + "other\\.yaml:5: rule \"empty\": unknown key \"severty\" .*\n"
                        + "other\\.yaml:9: rule \"empty-too\": condition: column new\\.amont does not exist .*\n$");
        assertEquals(List.of("full"), database.query("select name from rowbell.rule"));
    }
}
