package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Functions, commands and settings that the docs name are used by some other test: one of them had never worked. */
class DocumentedTest {

    private final String tests = read(Path.of("src/test/java"), ".java");

    @Test
    void someTestCallsEachFunctionOfTheSchema() throws IOException {
        String functions = Files.readString(Path.of("docs/schema.md"))
                .replaceFirst("(?s).*\n## Functions\n", "")
                .replaceFirst("(?s)\n## .*", "");
        // generated functions have the number of a feed in their name
        List<String> names = matches("(?m)`(\\w+)\\([^`]*\\)`(?=[^|\n]* \\|)", functions)
                .filter(name -> !name.endsWith("_N"))
                .toList();
        assertFalse(names.isEmpty());
        assertEquals(
                List.of(),
                names.stream()
                        .filter(name -> !tests.contains("rowbell." + name + "("))
                        .toList());
    }

    @Test
    void someTestGivesEachCommand() {
        List<String> commands = matches(
                        "java -jar target/rowbell\\.jar ([a-z]+ [a-z]+)(?![-a-z])|`deliveries ([a-z]+)",
                        read(Path.of("README.md"), ".md") + read(Path.of("docs"), ".md"))
                .map(command -> command.contains(" ") ? command : "deliveries " + command)
                .toList();
        assertFalse(commands.isEmpty());
        assertEquals(
                List.of(),
                commands.stream()
                        .filter(command -> !tests.contains("\"" + command.replace(" ", "\", \"") + "\""))
                        .toList());
    }

    @Test
    void someTestSetsEachSetting() throws IOException {
        List<String> keys = matches("(?m)^(rowbell\\.[^=]+)=", Files.readString(Path.of("application.properties")))
                .toList();
        assertFalse(keys.isEmpty());
        assertEquals(
                List.of(),
                keys.stream().filter(key -> !tests.contains('"' + key + '"')).toList());
    }

    /** The first group that took part, each once. */
    private static Stream<String> matches(String pattern, String text) {
        return Pattern.compile(pattern)
                .matcher(text)
                .results()
                .map(found -> found.group(1) == null ? found.group(2) : found.group(1))
                .distinct();
    }

    private static String read(Path root, String ending) {
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(file -> file.toString().endsWith(ending)
                            && !file.endsWith(DocumentedTest.class.getSimpleName() + ".java"))
                    .map(file -> {
                        try {
                            return Files.readString(file);
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                    })
                    .collect(Collectors.joining("\n"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
