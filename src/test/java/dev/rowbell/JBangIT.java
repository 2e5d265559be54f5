package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.CamelJBang;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code camel run application.properties routes/*}, and {@code camel export}, with the bundle named in camel.jbang.dependencies. */
class JBangIT {

    @TempDir
    Path dir;

    @Test
    @Tag("long")
    void camelJBangRunsTheBundle() throws IOException, InterruptedException {
        TestDatabase database = TestDatabase.create();
        Map<String, String> settings = database.settings();
        int port = FreePort.find();
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.health.port", String.valueOf(port));
        try (Program camel = CamelJBang.startWithShippedFiles(dir, settings, "run")) {
            await().atMost(Duration.ofSeconds(120))
                    .failFast(() -> assertEquals(true, camel.isAlive(), camel.output()))
                    .until(() -> camel.output().contains("(rowbell) started"));
            database.awaitListener("channel_1");
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"durable\", \"rule\": \"r\"}')",
                    "select pg_notify('channel_1', 'Resone:c2 overflow::{\"id\": 2}')");
            await().until(() -> AlertFiles.read(dir.resolve("alerts")).size() == 2);
            assertEquals(true, AlertFiles.values(dir.resolve("alerts"), "id").contains("durable"));
            assertEquals(
                    true, AlertFiles.values(dir.resolve("alerts"), "reason").contains("c2 overflow"));
            HttpClient client = HttpClient.newHttpClient();
            for (String path : List.of("health/ready", "metrics")) {
                URI uri = URI.create("http://127.0.0.1:" + port + "/observe/" + path);
                assertEquals(
                        200,
                        client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
                                .statusCode(),
                        path);
            }
        }
    }

    @Tag("long")
    @ParameterizedTest
    @ValueSource(strings = {"camel-main", "spring-boot"})
    void camelJBangExportsTheBundleAndOpensNoDatabase(String runtime) throws IOException {
        // Camel 4.17.0 has no catalogue of Kamelets of its own, and looks into one
        try (Program camel = CamelJBang.startWithShippedFiles(
                dir,
                Map.of(),
                "export",
                "--runtime=" + runtime,
                "--gav=org.example:exported:1",
                "--dir=out",
                "--kamelets-version=4.18.0")) {
            assertEquals(0, camel.exitWithin(300), camel.output());
            String pom = Files.readString(dir.resolve("out/pom.xml"));
            assertTrue(pom.contains("<artifactId>rowbell</artifactId>"), pom);
            for (String route : List.of("sources", "alerts", "mail", "http", "file")) {
                String file = route + ".camel.yaml";
                assertEquals(
                        Files.readString(Path.of("routes", file)),
                        Files.readString(
                                dir.resolve("out/src/main/resources/camel").resolve(file)));
            }
            assertFalse(Files.exists(dir.resolve(".rowbell")), camel.output());
        }
    }
}
