package dev.rowbell.settings;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Application;
import dev.rowbell.testing.OwnPostgres;
import dev.rowbell.testing.Program;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PasswordTest {

    private static final List<String> KEYS =
            List.of("rowbell.jdbc.password", "rowbell.listen.password", "rowbell.mail.password", "rowbell.http.secret");

    @TempDir
    Path dir;

    /** As the program reads it. */
    private String read(String file, String key) throws Exception {
        Path path = Files.writeString(dir.resolve("application.properties"), file);
        Application camel = new Application();
        camel.setPropertyPlaceholderLocations("file:" + path);
        camel.addOverrideProperty("camel.main.routesCollectorEnabled", "false");
        try {
            camel.init();
            Settings settings = new Settings(camel.getCamelContext());
            settings.misspelled(Map.of());
            return settings.password(key);
        } finally {
            camel.stop();
        }
    }

    /** For a file of properties: a backslash is written twice, and a blank at the beginning after one. */
    private static String written(String password) {
        return password.replace("\\", "\\\\").replaceFirst("^(?=[ \t])", "\\\\");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a{{b",
                "a}}b",
                "{{a}}",
                "{{a:b}}",
                "{{?a}}",
                "{{rowbell.{{x}}",
                "x?nested=true{{y",
                "#a#b!c",
                "a\\b",
                "a\\",
                "\\{{a\\}}",
                " blanks  ",
                "tab\t ",
                "\ttabs\t",
                "p€ß日😀",
                "=:a=:b",
                "'\"$%&{}()?@/;,",
                "${x}",
                "null"
            })
    void aPasswordInTheFileKeepsEveryCharacter(String password) throws Exception {
        for (String key : KEYS) {
            assertEquals(password, read(key + "=" + written(password) + "\n", key));
        }
    }

    @Test
    void aPasswordMayBeOnePlaceholderOfCamels() throws Exception {
        assertEquals(System.getenv("PATH"), read("rowbell.jdbc.password={{env:PATH}}\n", "rowbell.jdbc.password"));
        assertEquals("a{{b ", read("""
                rowbell.mail.password={{my.password}}
                my.password=a{{b\s
                """, "rowbell.mail.password"));
    }

    @Test
    void aFileThatIsNotUtf8IsRefusedWithTheKey() throws Exception {
        Path path = dir.resolve("application.properties");
        Files.write(path, "rowbell.jdbc.password=pü\n".getBytes(StandardCharsets.ISO_8859_1));
        Application camel = new Application();
        camel.setPropertyPlaceholderLocations("file:" + path);
        camel.init();
        try {
            SettingsException refused = assertThrows(
                    SettingsException.class,
                    () -> new Settings(camel.getCamelContext()).password("rowbell.jdbc.password"));
            assertTrue(refused.getMessage().startsWith("rowbell.jdbc.password: it has bytes that are no UTF-8"));
        } finally {
            camel.stop();
        }
    }

    /** Both ends of the way: a real login, and a log of all that happens. */
    @Test
    @Tag("long")
    void aPasswordLogsInFromFileEnvironmentAndSystemPropertyAndIsInNoLog() throws Exception {
        String password = " s3cr{{et}}\\{{x\\ #€ ";
        try (OwnPostgres server = new OwnPostgres(dir.resolve("data"))) {
            server.execute("create role hostile superuser login password '%s'".formatted(password));
            Path hba = dir.resolve("data/pg_hba.conf");
            Files.writeString(hba, "host all hostile all scram-sha-256\n" + Files.readString(hba));
            server.execute("select pg_reload_conf()");
            Map<String, String> settings = server.settings();
            settings.put("rowbell.jdbc.user", "hostile");
            settings.remove("rowbell.jdbc.password");
            settings.put("LC_ALL", "C.UTF-8");
            settings.put("ROWBELL_LOG", "DEBUG");
            Path work = Files.createDirectory(dir.resolve("work"));
            Files.createDirectory(work.resolve("routes"));
            Path file = work.resolve("application.properties");

            Files.writeString(file, "rowbell.jdbc.password=" + written(password) + "\n");
            logsIn(password, work, settings);
            Files.delete(file);
            logsIn(password, work, settings, "-Drowbell.jdbc.password=" + password);
            settings.put("rowbell.jdbc.password", password);
            logsIn(password, work, settings);
        }
    }

    private static void logsIn(String password, Path dir, Map<String, String> settings, String... options) {
        List<String> arguments = new ArrayList<>(List.of(options));
        arguments.addAll(List.of("-cp", System.getProperty("java.class.path"), "dev.rowbell.Main"));
        try (Program rowbell = Program.java(dir, new HashMap<>(settings), arguments.toArray(String[]::new))) {
            await().failFast(() -> assertTrue(rowbell.isAlive(), rowbell.output()))
                    .until(() -> rowbell.output().contains("Rowbell is watching"));
            rowbell.terminate();
            rowbell.awaitExit();
            assertFalse(rowbell.output().contains(password.strip()), "the log has the password");
            assertFalse(rowbell.output().contains("s3cr{{et"), "the log has the password");
        }
    }
}
