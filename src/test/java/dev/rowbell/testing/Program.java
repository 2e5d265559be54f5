package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;

/** A program in a process of its own, its output in a file. */
public final class Program implements AutoCloseable {

    private final Process process;
    private final Path output;

    private Program(Process process, Path output) {
        this.process = process;
        this.output = output;
    }

    /** {@code java -jar target/rowbell.jar} in a directory, with settings by environment as in a container. */
    public static Program rowbell(Path dir, Map<String, String> settings, String... arguments) {
        // starts sooner, and a test is over before the better compiler pays
        List<String> command = new ArrayList<>(List.of(
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-jar",
                Path.of("target/rowbell.jar").toAbsolutePath().toString()));
        command.addAll(List.of(arguments));
        return java(dir, settings, command.toArray(String[]::new));
    }

    public static Program java(Path dir, Map<String, String> settings, String... arguments) {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(List.of(arguments));
        return start(dir, settings, command);
    }

    public static Program start(Path dir, Map<String, String> settings, List<String> command) {
        try {
            Path output = Files.createTempFile("rowbell", ".log");
            ProcessBuilder builder = new ProcessBuilder(command)
                    .directory(dir.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()));
            // several run at a time
            builder.environment().put("ROWBELL_HEALTH_ENABLED", "false");
            settings.forEach((key, value) -> builder.environment()
                    .put(key.toUpperCase().replace('.', '_').replace('-', '_'), value));
            return new Program(builder.start(), output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String output() {
        try {
            return Files.readString(output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns what the first group of the pattern matches, all of it where it has none, once the output has it. */
    public String awaitOutput(String pattern) {
        Pattern expected = Pattern.compile(pattern);
        Awaitility.await(pattern)
                .atMost(Duration.ofSeconds(120))
                .failFast("ended", () -> !isAlive())
                .until(() -> expected.matcher(output()).find());
        Matcher found = expected.matcher(output());
        assertTrue(found.find());
        return found.groupCount() == 0 ? found.group() : found.group(1);
    }

    /** A command that ends, having said nothing but this. */
    public static void ends(int exit, Program command, String output) {
        try (command) {
            assertEquals(exit, command.awaitExit(), command.output());
            assertTrue(Pattern.compile(output).matcher(command.output()).lookingAt(), command.output());
        }
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /** SIGTERM. */
    public void terminate() {
        process.destroy();
    }

    /** SIGKILL. */
    public void kill() {
        process.destroyForcibly();
    }

    /** The exit code of a program that ends by itself or was killed. */
    public int awaitExit() {
        return exitWithin(120);
    }

    /** The exit code; fails when it takes longer. */
    public int exitWithin(long seconds) {
        try {
            if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
                throw new AssertionError("still running after " + seconds + " s:\n" + output());
            }
            return process.exitValue();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        // Maven may end before the program that it has started
        List<ProcessHandle> children = process.descendants().toList();
        process.destroy();
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
            children.forEach(ProcessHandle::destroy);
            Files.deleteIfExists(output);
        } catch (InterruptedException | IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
