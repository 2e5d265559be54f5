package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** No plugin of Maven has the version of whichever Maven runs: the Surefire of Maven 3.8 runs no test of JUnit 5, and calls that a success. */
class PinnedPluginsTest {

    private static final Pattern PLUGIN = Pattern.compile(
            "<plugin>\\s*<groupId>[^<]*</groupId>\\s*<artifactId>([^<]*)</artifactId>(?:\\s*<version>([^<]*)</version>)?");

    @ParameterizedTest
    @CsvSource({
        "pom.xml, resources compiler surefire jar install",
        "starters/test/pom.xml, resources compiler surefire jar install",
        "starters/spring-boot/pom.xml, resources compiler surefire jar install",
        "examples/spring-boot/pom.xml, resources compiler surefire jar",
        "examples/quarkus/pom.xml, resources compiler surefire jar"
    })
    void eachPluginOfTheLifecycleHasAVersion(Path pom, String plugins) throws IOException {
        Map<String, String> versions = versions(pom);
        for (String plugin : plugins.split(" ")) {
            assertTrue(versions.containsKey("maven-" + plugin + "-plugin"), () -> plugin + " is not among " + versions);
        }
    }

    @Test
    void aPluginHasOneVersionEverywhere() throws IOException {
        Map<String, String> ours = versions(Path.of("pom.xml"));
        for (String file : List.of(
                "starters/test/pom.xml",
                "starters/spring-boot/pom.xml",
                "examples/spring-boot/pom.xml",
                "examples/quarkus/pom.xml",
                "docs/testing.md",
                "docs/spring-boot.md")) {
            Map<String, String> theirs = versions(Path.of(file));
            for (String plugin : new TreeSet<>(theirs.keySet())) {
                assertEquals(ours.getOrDefault(plugin, theirs.get(plugin)), theirs.get(plugin), file + " " + plugin);
            }
        }
        assertTrue(versions(Path.of("docs/testing.md")).containsKey("maven-surefire-plugin"));
    }

    private static Map<String, String> versions(Path pom) throws IOException {
        Map<String, String> versions = new TreeMap<>();
        Matcher plugins = PLUGIN.matcher(Files.readString(pom));
        while (plugins.find()) {
            // a profile may add to a plugin that has its version above
            if (plugins.group(2) != null) {
                versions.put(plugins.group(1), plugins.group(2));
            }
        }
        return versions;
    }
}
