package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;

class SchemaTest {

    /** Or Rowbell would start on a schema that lacks the last migration. */
    @Test
    void theNewestMigrationIsKnown() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/main/resources/db/migration"))) {
            String newest = files.map(file -> file.getFileName().toString().replaceFirst("^V(\\d+)__.*", "$1"))
                    .max(Comparator.comparingInt(Integer::parseInt)).orElseThrow();
            assertEquals(newest, Schema.NEWEST);
        }
    }
}
