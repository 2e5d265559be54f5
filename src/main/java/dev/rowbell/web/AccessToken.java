package dev.rowbell.web;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The token by which the user who started Rowbell operates without a login. It is kept in a file that this user alone can read. */
final class AccessToken {

    private static final Logger LOG = LoggerFactory.getLogger(AccessToken.class);
    private static final String FILE = "web-token";

    private AccessToken() {}

    /** That of the file, or where there is none that can be trusted, a new one. */
    static String of(Settings settings) {
        Path dir =
                Path.of(settings.text("rowbell.embedded.dir")).toAbsolutePath().normalize();
        Path file = dir.resolve(FILE);
        try {
            boolean posix = Files.getFileStore(existing(dir)).supportsFileAttributeView("posix");
            Files.createDirectories(dir, attributes(posix, "rwx------"));
            String kept = read(file, posix);
            if (!kept.isEmpty()) {
                return kept;
            }
            Files.deleteIfExists(file);
            String token = WebSessions.random();
            // never through a link, with these rights from the first moment, and never into another file that has come
            // in its place
            try (ByteChannel created = Files.newByteChannel(
                    file,
                    Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                    attributes(posix, "rw-------"))) {
                created.write(ByteBuffer.wrap((token + "\n").getBytes(StandardCharsets.US_ASCII)));
            }
            return token;
        } catch (IOException e) {
            LOG.info(
                    "{} cannot be kept, so the address of the web console changes with each start: {}",
                    file,
                    Errors.inWords(e));
            return WebSessions.random();
        }
    }

    private static Path existing(Path dir) {
        return Files.exists(dir) ? dir : existing(dir.getParent());
    }

    private static FileAttribute<?>[] attributes(boolean posix, String permissions) {
        return posix
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
                }
                : new FileAttribute<?>[0];
    }

    /** Empty where another user may know or have written it. */
    private static String read(Path file, boolean posix) throws IOException {
        if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
            return "";
        }
        if (posix) {
            PosixFileAttributes known =
                    Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            boolean own = known.owner().getName().equals(System.getProperty("user.name"))
                    && known.permissions().equals(Set.copyOf(PosixFilePermissions.fromString("rw-------")));
            if (!own) {
                return "";
            }
        }
        String token = Files.readString(file).strip();
        return token.matches("[A-Za-z0-9_-]{43}") ? token : "";
    }
}
