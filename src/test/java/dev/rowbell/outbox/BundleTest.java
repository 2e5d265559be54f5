package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/** What people edit, read and copy is in the shape it is said to be, and works. */
class BundleTest {

    @TempDir
    Path dir;

    static List<Path> routes() throws IOException {
        try (Stream<Path> files = Stream.concat(
                Files.list(Path.of("routes")), Files.list(Path.of("src/main/resources/dev/rowbell/demo")))) {
            return files.filter(file -> file.toString().endsWith(".camel.yaml"))
                    .sorted()
                    .toList();
        }
    }

    @ParameterizedTest
    @MethodSource("routes")
    void routesAreCanonicalYaml(Path file) throws IOException {
        for (Object item : (List<?>) new Load(LoadSettings.builder().build()).loadFromString(Files.readString(file))) {
            Map<?, ?> route = (Map<?, ?>) ((Map<?, ?>) item).get("route");
            assertNotNull(route, "only routes at the top of " + file);
            assertNotNull(route.get("id"));
            assertNotNull(route.get("description"), "description of " + route.get("id"));
            canonical(file, route);
        }
    }

    private static void canonical(Path file, Object node) {
        if (node instanceof Map<?, ?> map) {
            map.forEach((key, value) -> {
                if (key.equals("parameters")) {
                    return;
                }
                if (key.equals("uri")) {
                    assertFalse(
                            value.toString().contains("?"), file + ": parameters go into their own block: " + value);
                } else if (Set.of("to", "toD").contains(key)) {
                    assertTrue(value instanceof Map, file + ": long form of " + key);
                } else if (Set.of("simple", "constant", "jq").contains(key)) {
                    assertTrue(value instanceof Map, file + ": long form of the expression " + value);
                }
                canonical(file, value);
            });
        } else if (node instanceof List<?> list) {
            list.forEach(item -> canonical(file, item));
        }
    }

    @Test
    void everySettingThatIsUsedIsInApplicationPropertiesAndTheOtherWayRound() throws IOException {
        Properties shipped = new Properties();
        try (InputStream in = Files.newInputStream(Path.of("application.properties"))) {
            shipped.load(in);
        }
        Set<String> used = new TreeSet<>();
        Pattern key = Pattern.compile(
                "(?:text|password|isSet|number|size|duration|durationOrZero|flag)\\(\"(rowbell\\.[a-z.-]+)\"|\\{\\{(?:\\w+:)?(rowbell\\.[a-z.-]+)}}");
        try (Stream<Path> files = Stream.concat(Files.walk(Path.of("src/main/java")), routes().stream())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Matcher found = key.matcher(Files.readString(file));
                while (found.find()) {
                    used.add(found.group(1) == null ? found.group(2) : found.group(1));
                }
            }
        }
        assertEquals(
                new TreeSet<>(shipped.stringPropertyNames().stream()
                        .filter(name -> name.startsWith("rowbell."))
                        .toList()),
                used);
    }

    @Test
    void toolsKnowTheOptionsOfOutbox() throws IOException {
        try (InputStream in = getClass().getResourceAsStream("/META-INF/dev/rowbell/outbox/outbox.json")) {
            JsonNode metadata = new ObjectMapper().readTree(in);
            assertEquals("outbox:sink", metadata.at("/component/syntax").asText());
            for (String option :
                    List.of("sink", "maxAttempts", "backoff", "maxBackoff", "batch", "parallel", "poll", "lease")) {
                assertFalse(
                        metadata.at("/properties/" + option + "/description")
                                .asText()
                                .isBlank(),
                        option);
            }
        }
    }

    @Test
    void theArticlesTriggersAreReadAsTheyStand() throws IOException {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute(Files.readString(Path.of("examples/article/article.sql")));
        Properties example = new Properties();
        try (InputStream in = Files.newInputStream(Path.of("examples/article/application.properties"))) {
            example.load(in);
        }
        Map<String, String> settings = database.settings();
        example.stringPropertyNames().stream()
                .filter(name -> !name.startsWith("rowbell.jdbc"))
                .forEach(name -> settings.put(name, example.getProperty(name)));
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.awaitListener("channel_1");
            database.execute(
                    "insert into feed (id, c1) select i, case when i % 1000 = 0 then 10000 else 1 end from generate_series(1, 3000) i",
                    "insert into feed (id, c2) values (2, 30001) on conflict (id) do update set c2 = excluded.c2");
            await().until(() -> AlertFiles.read(dir).size() == 4);
            assertEquals(
                    List.of("c1 overflow", "c1 overflow", "c1 overflow", "c2 overflow"),
                    AlertFiles.values(dir, "reason").stream()
                            .map(Object::toString)
                            .sorted()
                            .toList());
            Map<String, Object> notified = AlertFiles.read(dir).stream()
                    .filter(alert -> alert.get("reason").equals("c2 overflow"))
                    .findFirst()
                    .orElseThrow();
            assertEquals(30001, ((Map<?, ?>) notified.get("new")).get("c2"));
            Map<String, Object> durable = AlertFiles.read(dir).stream()
                    .filter(alert -> alert.get("reason").equals("c1 overflow"))
                    .findFirst()
                    .orElseThrow();
            assertEquals(10000, ((Map<?, ?>) ((Map<?, ?>) durable.get("new")).get("info")).get("c1"));
        }
    }

    @Test
    void theFourthSinkOfTheDocsWorksAsItStands() throws IOException {
        TestDatabase database = TestDatabase.createWithSchema();
        Matcher yaml = Pattern.compile("```yaml\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("docs/sinks.md")));
        assertTrue(yaml.find());
        try (WebReceiver chat = new WebReceiver()) {
            Files.writeString(
                    dir.resolve("chat.camel.yaml"), yaml.group(1).replace("https://chat.example.org", chat.url()));
            Files.writeString(
                    dir.resolve("alerts.camel.yaml"),
                    Files.readString(Path.of("routes/alerts.camel.yaml")).replace("outbox:mail", "outbox:chat"));
            Map<String, String> settings = database.settings();
            settings.put("rowbell.console", "OFF");
            settings.put("rowbell.file.dir", "");
            try (RunningRowbell rowbell = RunningRowbell.start(
                    settings,
                    "file:routes/sources.camel.yaml,file:routes/file.camel.yaml,file:routes/http.camel.yaml,file:" + dir
                            + "/*.camel.yaml")) {
                database.execute(
                        "insert into rowbell.feedback (alert) values ('{\"rule\": \"r\", \"reason\": \"say \\\"hi\\\"\"}')");
                await().until(() -> chat.requests().size() == 1);
                assertEquals(
                        "{\"text\":\"warning: say \\\"hi\\\"\",\"rule\":\"r\"}",
                        chat.requests().get(0).body());
                assertEquals("POST", chat.requests().get(0).method());
                await().until(() -> database.isDelivered());
            }
        }
    }
}
