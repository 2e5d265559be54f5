package dev.rowbell.bench;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;

/** From the start of the JVM to the first alert in the file, of a rule, given a database: {@code java -jar}, and the same with an archive of its classes. */
final class StartPart {

    private static final double REACH = 2.5;

    private final Db db;
    private final Report report;

    StartPart(Server server, Report report) throws Exception {
        db = server.database();
        this.report = report;
    }

    void run() throws Exception {
        db.feed();
        Path directory = Files.createTempDirectory("rowbell-start");
        try {
            Path jar = directory.resolve("rowbell.jar");
            write(jar);
            String archive = directory.resolve("rowbell.jsa").toString();
            start("-XX:ArchiveClassesAtExit=" + archive, "-Xlog:cds=error", "-jar", jar.toString());
            Map<String, Series> taken = new Rounds()
                    .add("start", () -> start("-jar", jar.toString()))
                    .add("archive", () -> start("-XX:SharedArchiveFile=" + archive, "-jar", jar.toString()))
                    .run();
            report.atMost(
                    "start",
                    "to the first alert routed",
                    taken.get("start"),
                    "s",
                    "to be reached",
                    Series.of(REACH),
                    1);
            report.atMost(
                    "start",
                    "the same with an archive of its classes",
                    taken.get("archive"),
                    "s",
                    "to be reached",
                    Series.of(REACH),
                    1);
        } finally {
            try (Stream<Path> files = Files.walk(directory)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        }
    }

    private double start(String... java) throws Exception {
        db.raise(1);
        long start = System.nanoTime();
        try (RowbellProcess rowbell = RowbellProcess.launch(db, Map.of(), Map.of(), List.of(java))) {
            return (rowbell.awaitAlerts(1) - start) / 1e9;
        }
    }

    /** As {@code mvn package} makes it: the classes in a jar whose manifest names the libraries beside it. */
    private static void write(Path jar) throws IOException {
        Map<Boolean, List<Path>> places = Stream.of(RowbellProcess.classPath().split(File.pathSeparator))
                .map(Path::of)
                .collect(Collectors.partitioningBy(Files::isDirectory));
        Path libraries = Files.createDirectory(jar.resolveSibling("lib"));
        for (Path library : places.get(false)) {
            Files.createSymbolicLink(libraries.resolve(library.getFileName()), library);
        }
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, "dev.rowbell.Main");
        manifest.getMainAttributes()
                .put(
                        Attributes.Name.CLASS_PATH,
                        places.get(false).stream()
                                .map(library -> "lib/" + library.getFileName())
                                .collect(Collectors.joining(" ")));
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream entries = new JarOutputStream(out, manifest)) {
            for (Path classes : places.get(true)) {
                try (Stream<Path> files = Files.walk(classes)) {
                    for (Path file : files.filter(file -> !file.equals(classes)).toList()) {
                        // folders too: Camel looks for routes in one
                        entries.putNextEntry(
                                new ZipEntry(classes.relativize(file) + (Files.isDirectory(file) ? "/" : "")));
                        if (Files.isRegularFile(file)) {
                            Files.copy(file, entries);
                        }
                    }
                }
            }
        }
    }
}
