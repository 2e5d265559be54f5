package dev.rowbell.outbox;

import dev.rowbell.error.Errors;
import dev.rowbell.history.Tried;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import org.apache.camel.Exchange;
import org.apache.camel.StreamCache;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What receivers answered, for the history. */
final class Answers {

    private static final Logger LOG = LoggerFactory.getLogger(Answers.class);

    /** In characters. */
    private static final int LONGEST = 500;
    /** The most bytes of a character of UTF-8. */
    private static final int WIDEST = 4;

    private Answers() {}

    /** Of the request that a route sent last; null where it sent none over HTTP, or what followed took the answer away. */
    static Tried.Answer of(Exchange exchange) {
        Integer status = exchange.getMessage().getHeader(Exchange.HTTP_RESPONSE_CODE, Integer.class);
        return status == null ? null : of(status, text(exchange.getMessage().getBody()));
    }

    /** @param text may be null, as the status */
    static Tried.Answer of(Integer status, String text) {
        String line = text == null ? "" : Errors.withoutSecrets(text);
        String cut = line.codePointCount(0, line.length()) <= LONGEST
                ? line
                : line.substring(0, line.offsetByCodePoints(0, LONGEST));
        return new Tried.Answer(status, cut.isEmpty() ? null : cut);
    }

    /** The beginning; null where it is no text. */
    private static String text(Object body) {
        try {
            if (body instanceof StreamCache cache && body instanceof InputStream stream) {
                cache.reset();
                return new String(stream.readNBytes(LONGEST * WIDEST), StandardCharsets.UTF_8);
            }
        } catch (IOException e) {
            LOG.debug("the answer cannot be read", e);
        }
        return body instanceof String string
                ? string
                : body instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : null;
    }
}
