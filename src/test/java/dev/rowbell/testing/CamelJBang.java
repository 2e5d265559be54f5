package dev.rowbell.testing;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The command line of Camel JBang, with the jar from the local repository. Only for tests that Failsafe runs. */
public final class CamelJBang {

    private CamelJBang() {}

    /** {@code camel ARGUMENTS}. */
    public static Program start(Path dir, Map<String, String> settings, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "-XX:TieredStopAtLevel=1",
                "-Dmaven.repo.local=" + Maven.installed(),
                "-cp",
                Maven.camelJBang(dir),
                Path.of("src/test/jbang/CamelJBang.java").toAbsolutePath().toString()));
        command.addAll(List.of(arguments));
        return Program.java(dir, settings, command.toArray(String[]::new));
    }

    /** {@code camel ARGUMENTS application.properties routes/*} in a directory that gets these files. */
    public static Program startWithShippedFiles(Path dir, Map<String, String> settings, String... arguments)
            throws IOException {
        List<String> all = new ArrayList<>(List.of(arguments));
        Files.copy(Path.of("application.properties"), dir.resolve("application.properties"));
        all.add("application.properties");
        Files.createDirectory(dir.resolve("routes"));
        try (DirectoryStream<Path> routes = Files.newDirectoryStream(Path.of("routes"))) {
            for (Path route : routes) {
                Files.copy(route, dir.resolve(route));
                all.add(route.toString());
            }
        }
        return start(dir, settings, all.toArray(String[]::new));
    }
}
