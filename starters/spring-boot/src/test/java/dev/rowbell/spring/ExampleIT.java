package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code examples/spring-boot} alone, with the starter from the local repository, by the command that its README begins with. */
class ExampleIT {

    private static final Path EXAMPLE = Path.of("../../examples/spring-boot");

    private final TestServer database = TestServer.create();

    @TempDir
    Path dir;

    /** As a clean checkout has it. */
    private void copy() throws IOException {
        try (Stream<Path> files = Files.walk(EXAMPLE)) {
            for (Path file : files.filter(Files::isRegularFile)
                    .filter(file -> !file.startsWith(EXAMPLE.resolve("target")))
                    .toList()) {
                Path copy = dir.resolve(EXAMPLE.relativize(file).toString());
                Files.createDirectories(copy.getParent());
                Files.copy(file, copy);
            }
        }
    }

    @Test
    void theExampleGetsAnAlert() throws IOException {
        copy();
        assertThat(dir.resolve("README.md"))
                .content()
                .startsWith("# Spring Boot\n\n```sh\nROWBELL_JDBC_PASSWORD=… mvn compile exec:exec\n```\n");
        database.execute("create table orders (id int primary key, amount int)");
        Path output = dir.resolve("output");
        ProcessBuilder maven = new ProcessBuilder("mvn", "-B", "-ntp", "compile", "exec:exec")
                .directory(dir.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        String repository = System.getProperty("maven.repo.local");
        if (repository != null) {
            maven.command().add("-Dmaven.repo.local=" + repository);
        }
        maven.environment().put("ROWBELL_JDBC_URL", database.url());
        maven.environment().put("ROWBELL_JDBC_USER", "postgres");
        Process running = maven.start();
        try {
            await().atMost(Duration.ofMinutes(5))
                    .failFast(() -> assertThat(running.isAlive())
                            .as(() -> output(output))
                            .isTrue())
                    .until(() -> output(output).contains("Started Shop"));
            database.execute("insert into orders values (1, 5), (2, 20000)");
            await().atMost(Duration.ofMinutes(2))
                    .until(() -> output(output).contains("too large: {id=2, amount=20000}"));
            assertThat(output(output)).doesNotContain("id=1");
        } finally {
            List<ProcessHandle> all = running.descendants().toList();
            all.forEach(ProcessHandle::destroy);
            running.destroy();
            all.forEach(process -> process.onExit().join());
        }
    }

    private static String output(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
