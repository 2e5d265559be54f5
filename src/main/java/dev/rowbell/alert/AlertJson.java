package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.JsonSerializer;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import java.io.IOException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.camel.spi.TypeConverterRegistry;
import org.apache.camel.support.SimpleTypeConverter;

/**
 * Alerts as JSON text. Numbers stay as they are written, see {@link WrittenNumber}, and a document of which no value was changed stays the same
 * text. Safe for many threads.
 */
public final class AlertJson {

    /** Of what comes from elsewhere. What is deeper stays text: sinks wrap alerts, and the JSON library writes a depth of 1000 at most. */
    static final int DEEPEST = 500;

    private static final JsonMapper MAPPER = mapper(1000);
    private static final JsonMapper FOREIGN_MAPPER = mapper(DEEPEST);

    private static final TypeReference<LinkedHashMap<String, Object>> DOCUMENT = new TypeReference<>() {};

    private AlertJson() {}

    /** Values may be as long as PostgreSQL lets them be: {@code rowbell.alert.max-size} limits alerts. */
    static JsonFactory factory(int deepest) {
        return JsonFactory.builder()
                .enable(StreamReadFeature.USE_FAST_BIG_NUMBER_PARSER)
                .streamReadConstraints(StreamReadConstraints.builder()
                        .maxNestingDepth(deepest)
                        .maxNumberLength(Integer.MAX_VALUE)
                        .maxStringLength(Integer.MAX_VALUE)
                        .maxNameLength(Integer.MAX_VALUE)
                        .build())
                .build();
    }

    private static JsonMapper mapper(int deepest) {
        SimpleModule asWritten = new SimpleModule();
        asWritten.addDeserializer(Number.class, new JsonDeserializer<>() {
            @Override
            public Number deserialize(JsonParser parser, DeserializationContext context) throws IOException {
                return WrittenNumber.read(parser);
            }
        });
        asWritten.addSerializer(LazyAlert.class, new JsonSerializer<>() {
            @Override
            public void serialize(LazyAlert alert, JsonGenerator json, SerializerProvider provider) throws IOException {
                json.writeRawValue(write(alert));
            }
        });
        return JsonMapper.builder(factory(deepest))
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
                .addModule(asWritten)
                .build();
    }

    /** Lets the language {@code jq} see numbers as they are written: of a Map, Camel's own conversion makes 6E+4 of 60000.00. */
    public static void addConverter(TypeConverterRegistry registry) {
        registry.addTypeConverter(
                JsonNode.class,
                LazyAlert.class,
                new SimpleTypeConverter(
                        false, (type, exchange, alert) -> MAPPER.valueToTree(((LazyAlert) alert).toBeRead())));
    }

    /** @throws IllegalArgumentException where the text is no JSON object */
    public static Map<String, Object> parse(String alert) {
        try {
            Map<String, Object> document = MAPPER.readValue(alert, DOCUMENT);
            if (document != null) {
                return document;
            }
            throw new IllegalArgumentException("not an alert document: null");
        } catch (JsonProcessingException e) {
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

    static Map<String, Object> leadingTexts(String document) {
        Map<String, Object> texts = new HashMap<>(32);
        LeadingTexts leading = new LeadingTexts(document);
        while (leading.next()) {
            texts.put(leading.key(), leading.value());
        }
        return texts;
    }

    /** The value under a key of the alert, for a caller that does not change it: the alert stays the text that it came as. */
    static Object peek(Map<?, ?> alert, String key) {
        return alert instanceof LazyAlert lazy ? lazy.peek(key) : alert.get(key);
    }

    /** Null where it is the JSON null. */
    private static Object value(String json) throws JsonProcessingException {
        return FOREIGN_MAPPER.readValue(json, Object.class);
    }

    /** The value; the text itself where it is null, no JSON, or too deep. */
    static Object valueOrText(String text) {
        try {
            Object value = value(text);
            return value == null ? text : value;
        } catch (JsonProcessingException e) {
            return text;
        }
    }

    /**
     * JSON text on one line, which UTF-8 can encode. A lazily parsed alert that is unchanged is written as the text that it came as, also where it is
     * a part of what is written.
     *
     * @throws IllegalArgumentException where a value cannot be written as JSON
     */
    public static String write(Object alert) {
        Object value = alert;
        if (alert instanceof LazyAlert lazy) {
            String unchanged = lazy.unchangedText();
            if (unchanged != null) {
                return unchanged;
            }
            value = lazy.toBeRead();
        }
        try {
            String text = MAPPER.writeValueAsString(value);
            // UTF-8 cannot encode half a surrogate pair, which JSON can escape
            return hasLoneSurrogate(text)
                    ? MAPPER.writer().with(JsonWriteFeature.ESCAPE_NON_ASCII).writeValueAsString(value)
                    : text;
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(
                    "the alert has a value that JSON cannot hold: " + e.getOriginalMessage(), e);
        }
    }

    /** The alert as it was taken, whatever a route made of it: a key that a route removed, or gave another value, is as it was. */
    public static Map<String, Object> taken(Map<String, Object> alert) {
        return alert instanceof LazyAlert lazy ? lazy.taken() : alert;
    }

    /** The document of an alert as it was taken, whatever a route made of it: for the history. */
    public static String asTaken(Map<String, Object> alert) {
        if (alert instanceof LazyAlert lazy) {
            return lazy.text();
        }
        try {
            return write(alert);
        } catch (IllegalArgumentException e) {
            return write(Map.of("id", String.valueOf(alert.get("id")), "payload", alert.toString()));
        }
    }

    /** The id of the alert of a document; empty where it has none, or cannot be read. */
    public static String id(String document) {
        return text(document, "id");
    }

    /** The time of the alert of a document; empty where it has none, or cannot be read. */
    public static String time(String document) {
        return text(document, "time");
    }

    /** Of a document that begins with texts, as those of the triggers do, no more is read: each delivery takes this step. */
    private static String text(String document, String key) {
        LeadingTexts leading = new LeadingTexts(document);
        while (leading.next()) {
            if (leading.isAt(key)) {
                return leading.value();
            }
        }
        try {
            return new LazyAlert(document, null).peek(key) instanceof String text ? text : "";
        } catch (IllegalArgumentException e) {
            return "";
        }
    }

    private static boolean hasLoneSurrogate(String text) {
        return text.codePoints().anyMatch(AlertJson::isSurrogate);
    }

    static boolean isSurrogate(int codePoint) {
        return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
    }
}
