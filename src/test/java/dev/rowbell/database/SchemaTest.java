package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SchemaTest {

    /** Or Rowbell would start on a schema that lacks the last of them. */
    @Test
    void allMigrationsAreKnown() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/main/resources/db/migration"))) {
            assertEquals(
                    IntStream.rangeClosed(1, Schema.NEWEST).boxed().toList(),
                    files.map(file -> Integer.valueOf(
                                    file.getFileName().toString().replaceFirst("^V(\\d+)__.*", "$1")))
                            .sorted()
                            .toList());
        }
    }
}
