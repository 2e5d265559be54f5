package dev.rowbell.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Text that is checked in, so that a review sees what a change makes of it. {@code mvn test -Dtest=SchemaSnapshotTest,GoldenTriggerTest
 * -Drowbell.renew=true} writes the files again.
 */
public final class Golden {

    private Golden() {}

    /** Fails where the file differs from the text; writes the file where it is to be renewed. */
    public static void compare(String file, String actual) throws IOException {
        Path path = Path.of("src/test/resources/dev/rowbell", file);
        if (Boolean.getBoolean("rowbell.renew")) {
            Files.createDirectories(path.getParent());
            Files.writeString(path, actual);
        }
        assertEquals(
                Files.readString(path),
                actual,
                () -> path + " differs. Is the change meant? Then: mvn test -Drowbell.renew=true -Dtest="
                        + "SchemaSnapshotTest,GoldenTriggerTest");
    }
}
