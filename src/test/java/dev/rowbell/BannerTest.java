package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the program says at its start. */
class BannerTest {

    @TempDir
    Path dir;

    @Test
    void itsColumnsStandStraightAlsoWithALongName() throws Exception {
        Map<String, String> settings = TestDatabase.createWithSchema().settings();
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        RunningRowbell.writeAlertsRoute(dir, "- to: outbox:on-call-of-the-weekend\n");
        Files.writeString(dir.resolve("chat.camel.yaml"), """
                - route:
                    id: chat
                    from:
                      uri: outbox:on-call-of-the-weekend
                      steps:
                        - log: '${body}'
                """);
        try (RunningRowbell rowbell =
                RunningRowbell.start(settings, "file:%1$s/*.camel.yaml,file:routes/file.camel.yaml".formatted(dir))) {
            List<String> lines = Banner.of(rowbell.context(), false)
                    .lines()
                    .filter(line -> line.startsWith("  "))
                    .toList();
            assertTrue(lines.contains("  on-call-of-the-weekend on"), lines.toString());
            assertTrue(lines.contains("  file                   on: " + dir.resolve("alerts")), lines.toString());
            assertEquals(
                    List.of(),
                    lines.stream()
                            .filter(line -> !line.matches("  .{22} \\S.*"))
                            .toList());
        }
    }
}
