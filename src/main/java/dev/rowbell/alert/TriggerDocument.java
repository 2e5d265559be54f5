package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Reads the document as the compiled triggers write it, and makes of it the alert without taking it apart: nearly every alert is of this form, and
 * most of what it holds, OLD and NEW, is nothing that a route asks for. What Rowbell adds is put in between. Anything else is left to
 * {@link AlertReader}, which says what the form is of whatever comes; both make the same alert of the same document. For one document.
 */
final class TriggerDocument {

    /** The keys in their order; each at most once. */
    private static final List<String> KEYS = List.of(
            "id",
            "rule",
            "reason",
            "severity",
            "status",
            "source",
            "table",
            "partition",
            "operation",
            "time",
            "old",
            "new",
            "channel");

    private static final int[] ALWAYS = Stream.of("id", "rule", "severity", "status", "table", "operation", "time")
            .mapToInt(KEYS::indexOf)
            .toArray();
    private static final int SOURCE = KEYS.indexOf("source");
    private static final int ID = KEYS.indexOf("id");
    private static final int TIME = KEYS.indexOf("time");

    /** What an {@link UnreadAlert} is told of: the keys above and one that Rowbell adds; their places do not change. */
    private static final int CHANGED = KEYS.size();

    private static final Map<String, Integer> PLACES = new HashMap<>();

    static {
        KEYS.forEach(key -> PLACES.put(key, PLACES.size()));
        PLACES.put("changed", CHANGED);
    }

    /** The last that was not like the one before: nearly always the next is. Safe without a lock, for nobody changes any of it. */
    private static volatile Like like = new Like(nothing(), List.of(), List.of(), "[]");

    /**
     * A document that was read. What the next has in common with it is not made again, nor looked at again whether it suits; and as its strings are the same
     * they have their hash codes, for whoever looks for them in a Map.
     *
     * @param known what it says, by {@link #place}
     * @param columns of its last row, none of them twice
     * @param changed the columns that changed
     * @param changedInJson the same, as it stands in the alert
     */
    private record Like(Object[] known, List<String> columns, List<String> changed, String changedInJson) {}

    /** A string in a longer one might be longer than the JSON library reads, which it would say too late. */
    private static final int LONGEST = 1_000_000;

    private static final JsonFactory JSON = new JsonFactory();

    private final String text;
    private final JsonParser parser;
    private final FieldNames names;
    private final Like before = like;
    private final Object[] known = nothing();
    private final List<Column> old = new ArrayList<>();
    private final List<String> changed = new ArrayList<>();
    private List<String> columns;
    /** Whether it says nothing new but its id and time. */
    private boolean alike = true;

    private int start;
    private int statusEnd;
    private int oldStart;
    private int newKey;
    private int newStart;
    private int rowsEnd;
    private int end;

    /** A column's value as JSON says it: a scalar's own text, of anything else all of it. */
    private record Column(String name, JsonToken token, String value) {}

    private TriggerDocument(String text, JsonParser parser) {
        this.text = text;
        this.parser = parser;
        names = new FieldNames(parser);
    }

    /**
     * @param text the document, or a row of the feedback table that holds nothing else
     * @return null where it is of any other form
     */
    static Map<String, Object> read(String text, String source) {
        if (text.length() > LONGEST) {
            return null;
        }
        try (JsonParser parser = JSON.createParser(text)) {
            TriggerDocument document = new TriggerDocument(text, parser);
            return document.isRead() ? document.alert(source) : null;
        } catch (IOException | NumberFormatException e) {
            return null;
        }
    }

    /** Where the value of a key is in what is known of an alert; -1: nowhere. */
    static int place(Object key) {
        return PLACES.getOrDefault(key, -1);
    }

    /** What is known of a document of which nothing is. */
    static Object[] nothing() {
        return new Object[CHANGED + 1];
    }

    /**
     * Of a document that Rowbell wrote the texts up to the first value of another kind, which is OLD or NEW as a rule: what sinks ask for.
     *
     * @return what was found, in its {@link #place}; nothing more where it is no such document
     */
    static Object[] beginning(String text) {
        Object[] known = nothing();
        try (JsonParser parser = JSON.createParser(text)) {
            if (parser.nextToken() == JsonToken.START_OBJECT) {
                for (String name = parser.nextFieldName();
                        name != null && parser.nextToken() == JsonToken.VALUE_STRING;
                        name = parser.nextFieldName()) {
                    int place = place(name);
                    if (place >= 0) {
                        known[place] = parser.getText();
                    }
                }
            }
        } catch (IOException e) {
            // whoever reads all of it will say so
        }
        return known;
    }

    private boolean isRead() throws IOException {
        boolean inRow = false;
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            return false;
        }
        start = tokenStart();
        String name = names.next();
        if ("crt_time".equals(name)) {
            inRow = true;
            if (!parser.nextToken().isScalarValue()
                    || !"alert".equals(names.next())
                    || parser.nextToken() != JsonToken.START_OBJECT) {
                return false;
            }
            start = tokenStart();
            name = names.next();
        }
        if (!text.startsWith("{\"id\":\"", start)) {
            // of other white space, so that all documents come out alike
            return false;
        }
        for (int place = 0; name != null; name = names.next(), place++) {
            while (place < KEYS.size() && !KEYS.get(place).equals(name)) {
                place++;
            }
            if (name.equals("new")) {
                newKey = tokenStart();
            }
            if (place == KEYS.size() || !isRead(place, parser.nextToken())) {
                return false;
            }
        }
        end = position();
        return parser.currentToken() == JsonToken.END_OBJECT
                && (!inRow || parser.nextToken() == JsonToken.END_OBJECT)
                && parser.nextToken() == null
                && isAllKnown()
                && rowsEnd > 0
                && isOnOneLine();
    }

    private boolean isAllKnown() {
        for (int place : ALWAYS) {
            if (known[place] == null) {
                return false;
            }
        }
        return true;
    }

    private boolean isRead(int place, JsonToken token) throws IOException {
        String key = KEYS.get(place);
        switch (key) {
            case "old" -> {
                oldStart = tokenStart();
                return token == JsonToken.START_OBJECT && isOldRead();
            }
            case "new" -> {
                newStart = tokenStart();
                return token == JsonToken.START_OBJECT && isNewRead();
            }
            default -> {
                if (token != JsonToken.VALUE_STRING) {
                    return false;
                }
                boolean same = isAt(before.known()[place]);
                String value = same ? (String) before.known()[place] : parser.getText();
                known[place] = value;
                alike &= same || place == ID || place == TIME;
                if (key.equals("status")) {
                    statusEnd = position();
                }
                return same || !value.isEmpty() && AlertReader.suits(key, value);
            }
        }
    }

    /** Whether the parser is at this string. */
    private boolean isAt(Object string) throws IOException {
        int length = parser.getTextLength();
        if (!(string instanceof String expected) || expected.length() != length) {
            return false;
        }
        char[] characters = parser.getTextCharacters();
        int offset = parser.getTextOffset();
        // ids and times differ near their end
        for (int i = length - 1; i >= 0; i--) {
            if (characters[offset + i] != expected.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    private boolean isOldRead() throws IOException {
        columns = new ArrayList<>();
        for (String name = names.next(); name != null; name = names.next()) {
            JsonToken token = parser.nextToken();
            columns.add(name);
            old.add(new Column(name, token, value(token)));
        }
        rowsEnd = position();
        return areDistinct();
    }

    /** As {@link AlertReader} compares them; columns that are not in the same order in both are left to it. */
    private boolean isNewRead() throws IOException {
        columns = new ArrayList<>();
        for (String name = names.next(); name != null; name = names.next()) {
            JsonToken token = parser.nextToken();
            boolean same;
            if (oldStart == 0) {
                skip(token);
                same = token == JsonToken.VALUE_NULL;
            } else if (columns.size() < old.size()
                    && old.get(columns.size()).name().equals(name)) {
                same = isSame(old.get(columns.size()), token, value(token));
            } else {
                return false;
            }
            if (!same) {
                changed.add(name);
            }
            columns.add(name);
        }
        rowsEnd = position();
        return oldStart == 0 ? areDistinct() : columns.size() == old.size();
    }

    /** Of a name that is there twice a Map would have the last. Quicker than to have the JSON library watch, where one row is like the one before. */
    private boolean areDistinct() {
        if (columns.equals(before.columns())) {
            return true;
        }
        alike = false;
        return new HashSet<>(columns).size() == columns.size();
    }

    private static boolean isSame(Column was, JsonToken token, String value) throws IOException {
        if (was.token() == token && was.value().equals(value)) {
            return true;
        }
        if (was.token().isNumeric() && token.isNumeric()) {
            return new BigDecimal(was.value()).compareTo(new BigDecimal(value)) == 0;
        }
        return was.token() == token
                && token.isStructStart()
                && Json.MAPPER.readValue(was.value(), Object.class).equals(Json.MAPPER.readValue(value, Object.class));
    }

    private String value(JsonToken token) throws IOException {
        if (token.isStructStart()) {
            int from = tokenStart();
            skip(token);
            return text.substring(from, position());
        }
        skip(token);
        return parser.getText();
    }

    /** Over a value, which is one that can be read: some numbers are too large for that. */
    private void skip(JsonToken token) throws IOException {
        if (token.isStructStart()) {
            // of this value alone
            parser.enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);
        }
        int depth = 0;
        for (JsonToken t = token; ; t = parser.nextToken()) {
            if (t.isStructStart()) {
                depth++;
            } else if (t.isStructEnd()) {
                depth--;
            } else if (t == JsonToken.VALUE_NUMBER_FLOAT) {
                parser.getDecimalValue();
            }
            if (depth == 0) {
                return;
            }
        }
    }

    /** Foreign white space may be more than one. */
    private boolean isOnOneLine() {
        return isWithout('\n') && isWithout('\r') && isWithout('\t');
    }

    private boolean isWithout(char c) {
        int place = text.indexOf(c, start);
        return place < 0 || place >= end;
    }

    private int tokenStart() {
        return (int) parser.currentTokenLocation().getCharOffset();
    }

    private int position() {
        return (int) parser.currentLocation().getCharOffset();
    }

    private Map<String, Object> alert(String source) {
        if (newStart == 0) {
            old.stream()
                    .filter(column -> column.token() != JsonToken.VALUE_NULL)
                    .forEach(column -> changed.add(column.name()));
        }
        StringBuilder document =
                new StringBuilder(end - start + 100 + 16 * changed.size()).append(text, start, statusEnd);
        if (known[SOURCE] == null) {
            known[SOURCE] = source;
            JsonStringEncoder.getInstance().quoteAsString(source, document.append(",\"source\":\""));
            document.append('"');
        }
        if (oldStart == 0) {
            // always there, if only empty
            document.append(text, statusEnd, newKey).append("\"old\":{},").append(text, newKey, rowsEnd);
        } else {
            document.append(text, statusEnd, rowsEnd).append(newStart == 0 ? ",\"new\":{}" : "");
        }
        Like now = remember();
        document.append(",\"changed\":").append(now.changedInJson()).append(text, rowsEnd, end);
        return new UnreadAlert(document.toString(), known);
    }

    /** For the next document, and what this one is like. */
    private Like remember() {
        names.expectAgain();
        boolean changedAlike = changed.equals(before.changed());
        List<String> changes = changedAlike ? before.changed() : Collections.unmodifiableList(changed);
        known[CHANGED] = changes;
        if (alike && changedAlike) {
            return before;
        }
        Like now = new Like(known, columns, changes, changedAlike ? before.changedInJson() : inJson(changes));
        like = now;
        return now;
    }

    private static String inJson(List<String> names) {
        StringBuilder json = new StringBuilder("[");
        for (String name : names) {
            JsonStringEncoder.getInstance().quoteAsString(name, json.append(json.length() == 1 ? "\"" : ",\""));
            json.append('"');
        }
        return json.append(']').toString();
    }
}
