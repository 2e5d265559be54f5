package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Maven;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code camel run application.properties routes/*} with the bundle named in camel.jbang.dependencies. */
class JBangIT {

    @TempDir
    Path dir;

    @Test
    void camelJBangRunsTheBundle() throws IOException, InterruptedException {
        TestDatabase database = TestDatabase.create();
        Files.copy(Path.of("application.properties"), dir.resolve("application.properties"));
        List<String> command = new ArrayList<>(List.of(
                "-Dmaven.repo.local=" + Maven.installed(),
                "-cp",
                commandLine(),
                Path.of("src/test/jbang/CamelJBang.java").toAbsolutePath().toString(),
                "run",
                "application.properties"));
        Files.createDirectory(dir.resolve("routes"));
        try (DirectoryStream<Path> routes = Files.newDirectoryStream(Path.of("routes"))) {
            for (Path route : routes) {
                Files.copy(route, dir.resolve(route));
                command.add(route.toString());
            }
        }
        Map<String, String> settings = database.settings();
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        settings.put("rowbell.health.enabled", "true");
        settings.put("rowbell.health.port", String.valueOf(port));
        try (Program camel = Program.java(dir, settings, command.toArray(String[]::new))) {
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

    private String commandLine() throws IOException {
        Path classPath = dir.resolve("class-path");
        Maven.run(
                Path.of("."),
                "-f",
                "src/test/jbang/pom.xml",
                "-Dcamel.version=" + System.getProperty("camel.version"),
                Maven.dependency("build-classpath"),
                "-Dmdep.outputFile=" + classPath);
        return Files.readString(classPath).strip();
    }
}
