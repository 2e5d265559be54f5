package dev.rowbell.sink;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.settings.SettingsException;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The file, and who may read it. */
class JsonLinesTest {

    private static final Clock CLOCK = Clock.fixed(Instant.parse("2026-11-28T12:00:00Z"), ZoneOffset.UTC);

    @TempDir
    Path dir;

    private static String permissions(Path path) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
    }

    private JsonLines lines(Path directory, String permissions) {
        return new JsonLines(directory::toString, () -> permissions, CLOCK);
    }

    @ParameterizedTest
    @CsvSource({
        "600, rw-------, rwx------",
        "640, rw-r-----, rwxr-x---",
        "644, rw-r--r--, rwxr-xr-x",
        "660, rw-rw----, rwxrwx---"
    })
    void newFilesAndDirectoriesHaveThePermissionsThatAreSet(String octal, String ofFile, String ofDirectory)
            throws IOException {
        Path directory = dir.resolve("in/alerts");
        lines(directory, octal).append(Map.of("id", "a1"));
        assertEquals(ofFile, permissions(directory.resolve("alerts-2026-11-28.jsonl")));
        assertEquals(ofDirectory, permissions(directory));
    }

    @Test
    void theSettingReachesTheFileSink() throws IOException {
        TestDatabase database = TestDatabase.createWithSchema();
        Map<String, String> settings = database.settings();
        Path directory = dir.resolve("alerts");
        settings.put("rowbell.file.dir", directory.toString());
        settings.put("rowbell.file.permissions", "640");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"a1\"}')");
            await().until(() -> !AlertFiles.values(directory, "id").isEmpty());
        }
        assertEquals("rwxr-x---", permissions(directory));
    }

    @Test
    void existingFilesAndDirectoriesKeepThePermissionsThatTheyHave() throws IOException {
        Path file = Files.createFile(dir.resolve("alerts-2026-11-28.jsonl"));
        Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwxrwxr-x"));
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
        lines(dir, "600").append(Map.of("id", "a1"));
        assertEquals("rw-rw-r--", permissions(file));
        assertEquals("rwxrwxr-x", permissions(dir));
        assertEquals("{\"id\":\"a1\"}\n", Files.readString(file));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "0600", "400", "680", "rw-------"})
    void permissionsThatCannotBeUsedAreRefusedWithTheKey(String octal) {
        String refused = assertThrows(SettingsException.class, () -> JsonLines.mode(octal))
                .getMessage();
        assertTrue(refused.contains("rowbell.file.permissions=" + octal + ": give three octal digits"), refused);
    }
}
