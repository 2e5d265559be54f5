package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The Maven that runs the tests, as a program. Only for tests that Failsafe runs, which tells where it is. */
public final class Maven {

    private Maven() {}

    /** Runs to its end; fails where it fails. */
    public static void run(Path dir, String... arguments) {
        try (Program maven = start(dir, Path.of(System.getProperty("maven.repo")), Map.of(), arguments)) {
            assertEquals(0, maven.exitWithin(600), maven.output());
        }
    }

    public static Program start(Path dir, Path repository, Map<String, String> settings, String... arguments) {
        boolean windows = File.separatorChar == '\\';
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("maven.home"), "bin", windows ? "mvn.cmd" : "mvn")
                        .toString(),
                "-B",
                "-q",
                "-Dmaven.repo.local=" + repository));
        command.addAll(List.of(arguments));
        return Program.start(dir, settings, command);
    }

    /** The class path of the command line of Camel JBang, so that it shares no library with Rowbell's own. */
    public static String camelJBang(Path dir) throws IOException {
        Path classPath = dir.resolve("class-path");
        run(
                Path.of("."),
                "-f",
                "src/test/jbang/pom.xml",
                "-Dcamel.version=" + System.getProperty("camel.version"),
                dependency("build-classpath"),
                "-Dmdep.outputFile=" + classPath);
        return Files.readString(classPath).strip();
    }

    /** A goal of the dependency plugin. */
    public static String dependency(String goal) {
        return "org.apache.maven.plugins:maven-dependency-plugin:" + System.getProperty("dependency-plugin.version")
                + ":" + goal;
    }

    /** The local repository as {@code mvn install} would leave it, without touching the user's own: links but for Rowbell. */
    public static Path installed() throws IOException {
        // not a temporary directory: JUnit warns of each link in one
        Path repository = Path.of("target/repository-with-rowbell").toAbsolutePath();
        String name = "rowbell-" + System.getProperty("rowbell.version");
        Path version = Files.createDirectories(
                repository.resolve("dev/rowbell/rowbell/" + System.getProperty("rowbell.version")));
        try (DirectoryStream<Path> groups = Files.newDirectoryStream(Path.of(System.getProperty("maven.repo")))) {
            for (Path group : groups) {
                try {
                    Files.createSymbolicLink(repository.resolve(group.getFileName()), group.toAbsolutePath());
                } catch (FileAlreadyExistsException e) {
                    // from an earlier run, or the group of Rowbell
                    continue;
                }
            }
        }
        replace(version.resolve(name + ".jar"), Path.of("target/rowbell.jar"));
        replace(version.resolve(name + ".pom"), Path.of("pom.xml"));
        return repository;
    }

    /** At once, since another test may read it. */
    private static void replace(Path file, Path by) throws IOException {
        Path copy = Files.createTempFile(file.getParent(), "copy", null);
        Files.copy(by, copy, StandardCopyOption.REPLACE_EXISTING);
        Files.move(copy, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
