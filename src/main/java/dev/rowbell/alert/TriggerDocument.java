package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads a document of the form in which the compiled triggers write it, in one pass: takes the values that routes ask for, finds the changed
 * columns, and inserts into the text the keys that the triggers leave out. OLD and NEW stay text. {@link AlertReader} reads documents of any
 * other form; both make the same alert of the same document. For one document.
 */
final class TriggerDocument {

    private static final JsonFactory JSON = AlertJson.factory(Integer.MAX_VALUE);

    private final String text;
    private final JsonParser parser;
    private final Map<String, Object> values = new HashMap<>(32);
    private final StringBuilder completed;
    private final AlertTime.Window times;
    /** How much of the text has been copied. */
    private int copied;
    /** The key that comes next; null at the end. */
    private String key;
    /** Where the last value ends. */
    private int end;

    private boolean fits = true;

    /** A column with the text of its value: of an array or object all of it. */
    private record Column(String name, JsonToken token, String text) {}

    private TriggerDocument(String text, JsonParser parser, AlertTime.Window times) {
        this.text = text;
        this.parser = parser;
        this.times = times;
        completed = new StringBuilder(text.length() + 128);
    }

    /**
     * @param source of the alert where the document has none
     * @param times those that the alert may have
     * @return null where the document is of another form
     */
    static Map<String, Object> read(String text, AlertReader.Source source, AlertTime.Window times) {
        if (!text.startsWith("{\"id\":\"")) {
            return null;
        }
        try (JsonParser parser = JSON.createParser(text)) {
            TriggerDocument document = new TriggerDocument(text, parser, times);
            document.read(source);
            return document.fits ? new LazyAlert(document.completed.toString(), document.values) : null;
        } catch (IOException e) {
            return null;
        }
    }

    private void read(AlertReader.Source source) throws IOException {
        parser.nextToken();
        key = parser.nextFieldName();
        require("id");
        require("rule");
        allow("reason");
        require("severity");
        require("status");
        String origin = source.origin();
        if (allow("source")) {
            origin = (String) values.get("source");
        } else {
            values.put("source", source.name());
            insert(",\"source\":");
            quote(source.name());
        }
        boolean hasTable = allow("table");
        allow("partition");
        require("operation");
        boolean ofTimer = AlertKeys.TIMER.equals(values.get("operation"));
        fits &= hasTable || ofTimer;
        require("time");
        fits &= times.admits(values.get("time"));
        while (ofTimer && AlertKeys.OF_TIMERS.contains(key)) {
            allow(key);
        }
        List<Column> old = row("old");
        List<Column> now = row("new");
        insertChanged(changed(old, now));
        allow("channel");
        identify(origin, names(), isOfOld(old, now) ? old : now);
        completed.append(text, copied, text.length());
        fits &= parser.currentToken() == JsonToken.END_OBJECT
                && parser.nextToken() == null
                && text.indexOf('\n') < 0
                && text.indexOf('\r') < 0;
    }

    private void require(String expected) throws IOException {
        fits &= allow(expected);
    }

    /** Reads the key and its text or number where it is the next. */
    private boolean allow(String expected) throws IOException {
        if (!expected.equals(key)) {
            return false;
        }
        JsonToken token = parser.nextToken();
        fits &= token == JsonToken.VALUE_STRING || token.isNumeric() && AlertKeys.OF_TIMERS.contains(key);
        Object value = token.isNumeric() ? WrittenNumber.read(parser) : parser.getText();
        fits &= !"".equals(value) && AlertKeys.suits(key, value);
        values.put(key, value);
        next();
        return true;
    }

    private void next() throws IOException {
        end = (int) parser.currentLocation().getCharOffset();
        key = parser.nextFieldName();
    }

    private void insert(String json) {
        completed.append(text, copied, end).append(json);
        copied = end;
    }

    /** The columns of the key: the trigger names them. */
    private List<String> names() throws IOException {
        completed.append(text, copied, end);
        List<String> names = new ArrayList<>();
        if ("key".equals(key)) {
            fits &= parser.nextToken() == JsonToken.START_ARRAY;
            while (fits && parser.nextToken() == JsonToken.VALUE_STRING) {
                names.add(parser.getText());
            }
            fits &= parser.currentToken() == JsonToken.END_ARRAY;
            next();
        } else {
            names.add("id");
        }
        copied = end;
        return names;
    }

    private boolean isOfOld(List<Column> old, List<Column> now) {
        return now == null || old != null && "resolved".equals(values.get("status"));
    }

    /** Writes key and fingerprint in the place of the names. */
    private void identify(String origin, List<String> names, List<Column> row) {
        String rowKey = row == null
                ? null
                : AlertIdentity.key(names, name -> textOf(row, name), AlertKeys.TIMER.equals(values.get("operation")));
        values.put("key", rowKey);
        if (rowKey != null) {
            completed.append(",\"key\":");
            quote(rowKey);
        }
        String fingerprint =
                AlertIdentity.fingerprint(origin, values.get("rule"), values.get("table"), rowKey, values.get("id"));
        values.put("fingerprint", fingerprint);
        completed.append(",\"fingerprint\":");
        quote(fingerprint);
    }

    /** As {@link AlertIdentity#text}, of a column; null where the row has no such column. */
    private static String textOf(List<Column> row, String name) {
        for (Column column : row) {
            if (column.name().equals(name)) {
                return column.token() == JsonToken.VALUE_NULL
                        ? null
                        : column.token().isStructStart()
                                ? AlertIdentity.text(AlertJson.valueOrText(column.text()))
                                : column.text();
            }
        }
        return null;
    }

    private void insertChanged(List<String> names) {
        values.put("changed", Collections.unmodifiableList(names));
        insert(",\"changed\":[");
        for (int i = 0; i < names.size(); i++) {
            completed.append(i == 0 ? "" : ",");
            quote(names.get(i));
        }
        completed.append(']');
    }

    private void quote(String string) {
        JsonStringEncoder.getInstance().quoteAsString(string, completed.append('"'));
        completed.append('"');
    }

    /** The columns of OLD or NEW; null where the document has none, and then an empty row is inserted. */
    private List<Column> row(String side) throws IOException {
        if (!side.equals(key)) {
            insert(",\"" + side + "\":{}");
            return null;
        }
        List<Column> columns = new ArrayList<>();
        fits &= parser.nextToken() == JsonToken.START_OBJECT;
        for (String name = parser.nextFieldName(); fits && name != null; name = parser.nextFieldName()) {
            columns.add(new Column(name, parser.nextToken(), value()));
        }
        next();
        return columns;
    }

    /** The text of the value. A value that is too deep for others to read becomes a JSON string in the document. */
    private String value() throws IOException {
        if (!parser.currentToken().isStructStart()) {
            return parser.getText();
        }
        int start = (int) parser.currentTokenLocation().getCharOffset();
        int deepest = 0;
        for (int depth = 1; depth > 0; ) {
            JsonToken token = parser.nextToken();
            depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
            deepest = Math.max(deepest, depth);
        }
        end = (int) parser.currentLocation().getCharOffset();
        String value = text.substring(start, end);
        if (deepest > AlertJson.DEEPEST) {
            completed.append(text, copied, start);
            quote(value);
            copied = end;
        }
        return value;
    }

    /** As {@link ChangedColumns} finds them. Rows with different columns, or with a column twice, are left to {@link AlertReader}. */
    private List<String> changed(List<Column> old, List<Column> now) {
        List<Column> columns = now == null ? old : now;
        boolean both = old != null && now != null;
        fits &= columns != null && (!both || old.size() == now.size());
        List<String> changed = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (int i = 0; fits && i < columns.size(); i++) {
            Column column = columns.get(i);
            fits = names.add(column.name())
                    && (!both || column.name().equals(old.get(i).name()));
            if (both ? !isSame(old.get(i), column) : column.token() != JsonToken.VALUE_NULL) {
                changed.add(column.name());
            }
        }
        return changed;
    }

    private static boolean isSame(Column old, Column now) {
        if (old.token() == now.token() && old.text().equals(now.text())) {
            return true;
        } else if (old.token().isNumeric() && now.token().isNumeric()) {
            return WrittenNumber.isSame(old.text(), now.text());
        }
        return old.token() == now.token()
                && old.token().isStructStart()
                && ChangedColumns.isSame(AlertJson.valueOrText(old.text()), AlertJson.valueOrText(now.text()));
    }
}
