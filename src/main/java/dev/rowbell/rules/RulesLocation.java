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
 * Where the rules are, written {@code file:rules.yaml} or {@code classpath:rules.yaml}.
 *
 * @param uri never empty
 */
record RulesLocation(CamelContext context, String uri) {

    /** As people write it: {@code rules.yaml} for a file. */
    String shown() {
        return uri.replaceFirst("^file:", "");
    }

    /**
     * The whole of it; empty where there is no such file.
     *
     * @throws IOException where it cannot be read, or is not UTF-8
     */
    Optional<String> text() throws IOException {
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
