package dev.rowbell.testing;

import dev.rowbell.alert.AlertJson;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Reads back what the file sink wrote. */
public final class AlertFiles {

    private AlertFiles() {}

    public static List<Map<String, Object>> read(Path dir) {
        if (!Files.isDirectory(dir)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(dir)) {
            return files.filter(file -> file.getFileName().toString().matches("alerts-\\d{4}-\\d{2}-\\d{2}\\.jsonl"))
                    .sorted()
                    .flatMap(AlertFiles::lines)
                    .map(AlertJson::parse)
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static List<Object> values(Path dir, String key) {
        return read(dir).stream().map(alert -> alert.get(key)).toList();
    }

    /** Whole lines: a reader may come in the middle of a write. */
    private static Stream<String> lines(Path file) {
        try {
            String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
            return text.substring(0, text.lastIndexOf('\n') + 1).lines();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
