package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.CamelJBang;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.Maven;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The projects that {@code camel export} makes of the shipped files, changed as docs/embedding.md says: built, started, and an alert of each kind seen.
 * CONTRIBUTING.md has the command: it takes minutes, and libraries that nothing else needs.
 */
@Tag("export")
class ExportIT {

    private final TestDatabase database = TestDatabase.create();

    @TempDir
    Path dir;

    @Test
    void exportedToMain() throws IOException {
        export("--runtime=main");
        change("src/main/resources/assembly/runner.xml", "<dependencySets>", """
                <containerDescriptorHandlers>
                  <containerDescriptorHandler><handlerName>metaInf-services</handlerName></containerDescriptorHandler>
                </containerDescriptorHandlers>
                <dependencySets>""");
        mvn("package");
        raisesAlerts("target/alerts-1.jar");
    }

    @Test
    void exportedToSpringBoot() throws IOException {
        for (String starter : List.of("starters/test", "starters/spring-boot")) {
            try (Program maven = Maven.start(Path.of(starter), Maven.installed(), Map.of(), "install", "-DskipTests")) {
                assertEquals(0, maven.exitWithin(600), maven.output());
            }
        }
        export("--runtime=spring-boot", "--dep=dev.rowbell:rowbell-spring-boot-starter:0.1.0");
        mvn("package");
        raisesAlerts("target/alerts-1.jar");
    }

    @Test
    void exportedToQuarkus() throws IOException {
        export(
                "--runtime=quarkus",
                "--dep=net.thisptr:jackson-jq:1.6.0,net.thisptr:jackson-jq-extra:1.6.0",
                "--dep=org.springframework:spring-core:6.2.15,org.springframework:spring-beans:6.2.15",
                "--dep=org.springframework:spring-tx:6.2.15,org.springframework:spring-jdbc:6.2.15",
                "--dep=org.springframework:spring-jcl:6.2.15");
        for (String library : List.of("freemarker", "mail", "pgevent", "sql")) {
            change(
                    "pom.xml",
                    "<groupId>org.apache.camel.quarkus</groupId>\n            <artifactId>camel-quarkus-" + library
                            + "<",
                    "<groupId>org.apache.camel</groupId>\n            <artifactId>camel-" + library + "<");
        }
        mvn("package", "-Dquarkus.platform.version=3.31.1");
        raisesAlerts("target/quarkus-app/quarkus-run.jar");
    }

    private void export(String... options) throws IOException {
        List<String> arguments = new ArrayList<>(List.of("export"));
        arguments.addAll(List.of(options));
        arguments.addAll(List.of(
                "--gav=org.example:alerts:1", "--java-version=17", "--kamelets-version=4.18.0", "--dir=alerts"));
        String docs = Files.readString(Path.of("docs/embedding.md"));
        for (String argument : arguments) {
            assertTrue(docs.contains(argument.replace("--runtime=", "")), argument);
        }
        try (Program camel = CamelJBang.startWithShippedFiles(dir, Map.of(), arguments.toArray(String[]::new))) {
            assertEquals(0, camel.exitWithin(600), camel.output());
        }
    }

    private void change(String file, String from, String to) throws IOException {
        Path path = dir.resolve("alerts").resolve(file);
        String before = Files.readString(path);
        assertTrue(before.contains(from), before);
        Files.writeString(path, before.replace(from, to));
    }

    private void mvn(String... arguments) throws IOException {
        try (Program maven = Maven.start(dir.resolve("alerts"), Maven.installed(), Map.of(), arguments)) {
            assertEquals(0, maven.exitWithin(900), maven.output());
        }
    }

    /** Where rules.yaml is, but no route and no setting: those are in the jar. */
    private void raisesAlerts(String jar) throws IOException {
        database.execute(
                "create table feed (id int primary key, c2 int, c4 int)",
                "create table shipment (id int primary key, shipped_at timestamptz)");
        Path running = Files.createDirectory(dir.resolve("running"));
        Files.copy(Path.of("rules.yaml"), running.resolve("rules.yaml"));
        Map<String, String> settings = database.settings();
        settings.put("rowbell.rules.file", "rules.yaml");
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.health.port", String.valueOf(FreePort.find()));
        settings.put("quarkus.http.host", "127.0.0.1");
        settings.put("quarkus.http.port", String.valueOf(FreePort.find()));
        try (Program alerts = Program.java(
                running,
                settings,
                "-XX:TieredStopAtLevel=1",
                "-jar",
                dir.resolve("alerts").resolve(jar).toString())) {
            await().atMost(Duration.ofSeconds(300))
                    .failFast(() -> assertTrue(alerts.isAlive(), alerts.output()))
                    .until(() -> database.query("select concat(to_regclass('rowbell.rule_state'))")
                                    .equals(List.of("rowbell.rule_state"))
                            && database.count("rowbell.rule") == 3);
            database.awaitListener("channel_1");
            database.execute("insert into feed values (1, 30001, 0), (2, 0, -1)");
            await().failFast(() -> assertTrue(alerts.isAlive(), alerts.output()))
                    .until(() -> Set.copyOf(AlertFiles.values(running.resolve("alerts"), "rule"))
                            .equals(Set.of("c2-overflow", "c4-negative")));
        }
    }
}
