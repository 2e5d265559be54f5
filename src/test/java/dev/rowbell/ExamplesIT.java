package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.CamelJBang;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.Maven;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each directory of {@code examples/} alone, with the jar from the local repository, by the command that its README begins with. */
@Tag("long")
class ExamplesIT {

    private final TestDatabase database = TestDatabase.create();

    @TempDir
    Path dir;

    @Test
    void plainCamelGetsAnAlert() throws IOException {
        copied("camel-main", "ROWBELL_JDBC_PASSWORD=… mvn compile exec:exec");
        try (Program shop = Maven.start(dir, Maven.installed(), settings(), "compile", "exec:exec")) {
            getsAnAlert(shop);
        }
    }

    /** Which loads no plugin. */
    @Test
    void plainCamelOfTheOldestVersionGetsAnAlert() throws IOException {
        copied("camel-main", "ROWBELL_JDBC_PASSWORD=… mvn compile exec:exec");
        useCamel("4.14.0");
        try (Program shop = Maven.start(dir, Maven.installed(), settings(), "compile", "exec:exec")) {
            getsAnAlert(shop);
        }
    }

    /** Which would say that there is no component outbox. */
    @Test
    void aCamelThatIsTooOldIsToldSoAtTheStart() throws IOException {
        copied("camel-main", "ROWBELL_JDBC_PASSWORD=… mvn compile exec:exec");
        useCamel("4.13.0");
        try (Program shop = Maven.start(dir, Maven.installed(), settings(), "compile", "exec:exec")) {
            assertTrue(shop.exitWithin(600) != 0, shop.output());
            assertTrue(
                    shop.output()
                            .contains(
                                    "Rowbell needs Apache Camel 4.14 or newer, and this is 4.13.0: docs/embedding.md lists the versions"),
                    shop.output());
        }
    }

    private void useCamel(String version) throws IOException {
        change("pom.xml", "<version>4.17.0<", "<version>" + version + "<");
        change("pom.xml", "<dependencies>", """
                <dependencyManagement>
                  <dependencies>
                    <dependency>
                      <groupId>org.apache.camel</groupId>
                      <artifactId>camel-bom</artifactId>
                      <version>%s</version>
                      <type>pom</type>
                      <scope>import</scope>
                    </dependency>
                  </dependencies>
                </dependencyManagement>
                <dependencies>""".formatted(version));
    }

    @Test
    void camelJBangGetsAnAlert() throws IOException {
        copied("jbang", "ROWBELL_JDBC_PASSWORD=… camel run application.properties *.camel.yaml");
        try (Program shop = CamelJBang.start(
                dir, settings(), "run", "application.properties", "alerts.camel.yaml", "desk.camel.yaml")) {
            getsAnAlert(shop);
        }
    }

    @Test
    void quarkusGetsAnAlert() throws IOException {
        copied("quarkus", "mvn package", "ROWBELL_JDBC_PASSWORD=… java -jar target/quarkus-app/quarkus-run.jar");
        try (Program maven = Maven.start(dir, Maven.installed(), Map.of(), "package")) {
            assertTrue(maven.exitWithin(600) == 0, maven.output());
        }
        try (Program shop = Program.java(dir, settings(), "-jar", "target/quarkus-app/quarkus-run.jar")) {
            getsAnAlert(shop);
        }
    }

    /** The rest of the interface is tested with plain Camel and with Spring Boot: here the web server is another one. */
    @Test
    void quarkusServesTheJsonInterface() throws IOException {
        copied("quarkus", "mvn package", "ROWBELL_JDBC_PASSWORD=… java -jar target/quarkus-app/quarkus-run.jar");
        change("pom.xml", "<dependency>\n      <groupId>dev.rowbell</groupId>", """
                <dependency>
                      <groupId>org.apache.camel.quarkus</groupId>
                      <artifactId>camel-quarkus-platform-http</artifactId>
                    </dependency>
                    <dependency>
                      <groupId>dev.rowbell</groupId>""");
        change(
                "src/main/resources/application.properties",
                "routes/sources.camel.yaml",
                "routes/sources.camel.yaml,classpath:dev/rowbell/routes/api.camel.yaml");
        try (Program maven = Maven.start(dir, Maven.installed(), Map.of(), "package")) {
            assertTrue(maven.exitWithin(600) == 0, maven.output());
        }
        int port = FreePort.find();
        Map<String, String> settings = settings();
        settings.putAll(Map.of(
                "quarkus.http.host",
                "127.0.0.1",
                "quarkus.http.port",
                String.valueOf(port),
                "rowbell.api.enabled",
                "true",
                "rowbell.api.operate",
                "true"));
        WebClient client = new WebClient(port);
        try (Program shop = Program.java(dir, settings, "-jar", "target/quarkus-app/quarkus-run.jar")) {
            getsAnAlert(shop);
            // Camel starts before the web server does
            await().atMost(Duration.ofSeconds(120))
                    .failFast(() -> assertTrue(shop.isAlive(), shop.output()))
                    .until(() -> shop.output().contains("Listening on: http://127.0.0.1:" + port));
            database.execute("""
                    insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                    values ('f8', 'too-late', 'public.orders', 'id=8', 'critical', 'too late', 1, now(), now(), 0, 'x')""");
            HttpResponse<String> firing = client.get("/rowbell/api/firing?rule=too-late&key=id%3D8");
            assertEquals(200, firing.statusCode(), firing.body());
            assertTrue(firing.body().contains("\"id=8\""), firing.body());
            assertEquals(
                    "application/json",
                    firing.headers().firstValue("Content-Type").orElse("").replaceFirst(";.*", ""));
            HttpResponse<String> explained = client.get("/rowbell/api/explain?rule=order-too-large&key=2");
            assertTrue(explained.body().contains("\"summary\""), explained.body());
            assertEquals(404, client.get("/rowbell/api/none").statusCode());
            // an action takes a password, and there are no users
            assertEquals(
                    401,
                    client.post("/rowbell/api/firing/acknowledge", Map.of("rule", "too-late"), Map.of())
                            .statusCode());
            assertEquals(0, database.count("rowbell.audit"));
        }
    }

    private void change(String file, String from, String to) throws IOException {
        String before = Files.readString(dir.resolve(file));
        assertTrue(before.contains(from), before);
        Files.writeString(dir.resolve(file), before.replaceFirst(Pattern.quote(from), Matcher.quoteReplacement(to)));
    }

    /** As a clean checkout has it. */
    private void copied(String example, String... commands) throws IOException {
        Path from = Path.of("examples", example);
        assertTrue(
                Files.readString(from.resolve("README.md"))
                        .matches("(?s)# [^\n]*\n\n```sh\n\\Q" + String.join("\n", commands) + "\\E\n```\n.*"),
                "its README begins with another command");
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.filter(Files::isRegularFile)
                    .filter(file -> !file.startsWith(from.resolve("target")))
                    .toList()) {
                Path copy = dir.resolve(from.relativize(file).toString());
                Files.createDirectories(copy.getParent());
                Files.copy(file, copy);
            }
        }
        database.execute("create table orders (id int primary key, amount int)");
    }

    private Map<String, String> settings() {
        Map<String, String> settings = database.settings();
        settings.remove("rowbell.rules.file");
        return settings;
    }

    private void getsAnAlert(Program shop) {
        await().atMost(Duration.ofSeconds(300))
                .failFast(() -> assertTrue(shop.isAlive(), shop.output()))
                .until(() -> database.query("select concat(to_regclass('rowbell.rule_state'))")
                                .equals(List.of("rowbell.rule_state"))
                        && database.count("rowbell.rule") == 1);
        database.execute("insert into orders values (1, 5), (2, 20000)");
        await().atMost(Duration.ofSeconds(120))
                .failFast(() -> assertTrue(shop.isAlive(), shop.output()))
                .until(() -> shop.output().contains("too large: {id=2, amount=20000}"));
    }
}
