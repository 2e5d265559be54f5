package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.Maven;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code jars/}: components that Rowbell does not bring, as the comment in its pom.xml says. */
@Tag("long")
class JarsIT {

    @TempDir
    Path dir;

    @Test
    void aComponentNamedInJarsPomXmlRunsWithWhatItDependsOn() throws IOException {
        Path jars = Files.createDirectory(dir.resolve("jars"));
        String pom = Files.readString(Path.of("jars/pom.xml"));
        assertTrue(
                pom.contains("<camel.version>%s<".formatted(System.getProperty("camel.version"))),
                "another Camel than Rowbell's");
        Files.writeString(
                jars.resolve("pom.xml"),
                pom.replaceAll("<!--\\s+<dependency>", "<dependency>")
                        .replaceAll("</dependency>\\s+-->", "</dependency>")
                        .replace("camel-kafka", "camel-quartz"));
        Maven.run(dir, "-f", "jars/pom.xml", "package");
        Files.createDirectory(dir.resolve("routes"));
        Files.writeString(dir.resolve("routes/clock.camel.yaml"), """
                - route:
                    id: clock
                    from:
                      uri: quartz:clock
                      parameters:
                        cron: "* * * * * ?"
                      steps:
                        - setBody:
                            expression:
                              constant:
                                expression: it runs
                        - to:
                            uri: file:out
                            parameters:
                              fileName: clock
                """);
        try (Program rowbell = Program.java(
                dir,
                TestDatabase.createWithSchema().settings(),
                "-cp",
                Path.of("target/rowbell.jar").toAbsolutePath() + File.pathSeparator + "jars/*",
                "dev.rowbell.Main")) {
            await().atMost(Duration.ofSeconds(120))
                    .failFast(() -> assertTrue(rowbell.isAlive(), rowbell.output()))
                    .until(() -> Files.exists(dir.resolve("out/clock")));
        }
    }
}
