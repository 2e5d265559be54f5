package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/** Alerts as JSON text. Numbers keep every digit. Safe for many threads. */
public final class AlertJson {

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    /** Of what comes from elsewhere. What is deeper stays text: sinks wrap alerts, and the JSON library writes a depth of 1000 at most. */
    static final StreamReadConstraints FOREIGN =
            StreamReadConstraints.builder().maxNestingDepth(500).build();

    private static final JsonMapper FOREIGN_MAPPER = JsonMapper.builder(
                    JsonFactory.builder().streamReadConstraints(FOREIGN).build())
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private static final TypeReference<LinkedHashMap<String, Object>> DOCUMENT = new TypeReference<>() {};

    private AlertJson() {}

    /** @throws IllegalArgumentException where the text is no JSON object */
    public static Map<String, Object> parse(String alert) {
        try {
            Map<String, Object> document = MAPPER.readValue(alert, DOCUMENT);
            if (document != null) {
                return document;
            }
            throw new IllegalArgumentException("not an alert document: null");
        } catch (JsonProcessingException | NumberFormatException e) {
            throw new IllegalArgumentException("not an alert document", e);
        }
    }

    /** Whether {@link #parse} would read it; cheaper. */
    public static boolean isDocument(String text) {
        try (JsonParser parser = MAPPER.getFactory().createParser(text)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return false;
            }
            parser.skipChildren();
            return parser.nextToken() == null;
        } catch (IOException e) {
            return false;
        }
    }

    /** As {@link #parse}, but not before the alert is asked for more than the texts that its document begins with. */
    public static Map<String, Object> parseLazily(String alert) {
        return new LazyAlert(alert, null);
    }

    /**
     * The values of the first keys of a document while they are text without escapes, which are all that most sinks ask for. By hand: a parser takes
     * several times as long. What is not in this form is left to {@link #parse}.
     */
    static Map<String, Object> leadingTexts(String document) {
        Map<String, Object> texts = new HashMap<>(32);
        int escape = document.indexOf('\\');
        int escaped = escape < 0 ? document.length() : escape;
        int at = 1;
        while (document.startsWith("\"", at)) {
            int key = document.indexOf('"', at + 1);
            int value = key + 3;
            int end = key > 0 && document.startsWith("\":\"", key) ? document.indexOf('"', value) : -1;
            if (end < 0 || end > escaped || !document.startsWith(",", end + 1)) {
                return texts;
            }
            texts.put(document.substring(at + 1, key), document.substring(value, end));
            at = end + 2;
        }
        return texts;
    }

    /** Null where it is the JSON null. */
    static Object value(String json) throws JsonProcessingException {
        return FOREIGN_MAPPER.readValue(json, Object.class);
    }

    /** The value; the text itself where it is null, no JSON, or JSON with a number too large for the JSON library. */
    static Object valueOrText(String text) {
        try {
            Object value = value(text);
            return value == null ? text : value;
        } catch (JsonProcessingException | NumberFormatException e) {
            return text;
        }
    }

    /**
     * JSON text on one line, which UTF-8 can encode. A lazily parsed alert that is unchanged is written as the text that it came as.
     *
     * @throws IllegalArgumentException where a value cannot be written as JSON
     */
    public static String write(Object alert) {
        String unchanged = alert instanceof LazyAlert lazy ? lazy.unchangedText() : null;
        if (unchanged != null) {
            return unchanged;
        }
        try {
            String text = MAPPER.writeValueAsString(alert);
            // UTF-8 cannot encode half a surrogate pair, which JSON can escape
            return hasLoneSurrogate(text)
                    ? MAPPER.writer().with(JsonWriteFeature.ESCAPE_NON_ASCII).writeValueAsString(alert)
                    : text;
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(
                    "the alert has a value that JSON cannot hold: " + e.getOriginalMessage(), e);
        }
    }

    private static boolean hasLoneSurrogate(String text) {
        return text.codePoints().anyMatch(AlertJson::isSurrogate);
    }

    static boolean isSurrogate(int codePoint) {
        return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
    }
}
