package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.Maven;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The libraries that an application gets with the jar. */
@Tag("long")
class DependenciesIT {

    private static final Path DOCS = Path.of("docs/embedding.md");
    private static final Pattern TREE = Pattern.compile("(?s)(?<=```\ncom\\.example:host).*?(?=\n```)");

    @TempDir
    Path host;

    /** {@code -Drowbell.renew=true} writes them into the docs. */
    @Test
    void anApplicationGetsTheLibrariesThatTheDocsList() throws IOException {
        Files.writeString(host.resolve("pom.xml"), """
                <project>
                  <modelVersion>4.0.0</modelVersion>
                  <groupId>com.example</groupId>
                  <artifactId>host</artifactId>
                  <version>1</version>
                  <dependencies>
                    <dependency>
                      <groupId>dev.rowbell</groupId>
                      <artifactId>rowbell</artifactId>
                      <version>%s</version>
                    </dependency>
                  </dependencies>
                </project>
                """.formatted(System.getProperty("rowbell.version")));
        Maven.run(
                host,
                "-Dmaven.repo.local=" + Maven.installed(),
                Maven.dependency("tree"),
                "-Dscope=runtime",
                "-DoutputFile=tree");
        String tree = Files.readString(host.resolve("tree")).strip().replaceFirst("com\\.example:host", "");
        String docs = Files.readString(DOCS);
        if (Boolean.getBoolean("rowbell.renew")) {
            docs = TREE.matcher(docs).replaceFirst(Matcher.quoteReplacement(tree));
            Files.writeString(DOCS, docs);
        }
        Matcher listed = TREE.matcher(docs);
        assertEquals(true, listed.find(), DOCS + " has no tree");
        assertEquals(
                tree,
                listed.group(),
                () -> DOCS + " lists others. Is the change meant? Then: mvn failsafe:integration-test failsafe:verify"
                        + " -Dit.test=DependenciesIT -Drowbell.test.excluded= -Drowbell.renew=true");
    }
}
