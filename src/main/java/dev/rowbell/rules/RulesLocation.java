package dev.rowbell.rules;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.camel.CamelContext;
import org.apache.camel.spi.Resource;
import org.apache.camel.support.PluginHelper;

/**
 * The place of a file of rules: a path such as {@code rules.yaml}, or with the prefix {@code file:} or {@code classpath:}.
 *
 * @param path never empty
 */
record RulesLocation(CamelContext context, String path) {

    /** As people write it, without {@code file:}. */
    String shown() {
        return path.replaceFirst("^file:", "");
    }

    /**
     * The whole content; empty where there is no such file.
     *
     * @throws IOException where it cannot be read, or is not UTF-8
     */
    Optional<String> text() throws IOException {
        String uri = path.startsWith("classpath:") ? path : "file:" + shown();
        Resource resource = PluginHelper.getResourceLoader(context).resolveResource(uri);
        if (!resource.exists()) {
            return Optional.empty();
        }
        try (InputStream in = resource.getInputStream()) {
            return Optional.of(StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(in.readAllBytes()))
                    .toString());
        } catch (CharacterCodingException e) {
            throw new IOException("it is not UTF-8", e);
        }
    }
}
