package dev.rowbell.alert;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.SerializedString;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The names of a document's keys and columns, one after the other. Nearly always they are those of the document before, and to see that takes the JSON
 * library half of what it takes to look a name up. For one document.
 */
final class FieldNames {

    /** Of the last document that had others than the one before; null where an object had no more. */
    private static volatile SerializableString[] last = {};

    private final JsonParser parser;
    private final SerializableString[] expected = last;
    private int asExpected;
    /** Those that came after the last that was as expected; null while all are. Where one is another, so are most that follow. */
    private List<String> others;

    FieldNames(JsonParser parser) {
        this.parser = parser;
    }

    /** As {@link JsonParser#nextFieldName()}. */
    String next() throws IOException {
        if (others != null) {
            String name = parser.nextFieldName();
            others.add(name);
            return name;
        }
        boolean guessing = asExpected < expected.length && expected[asExpected] != null;
        if (guessing && parser.nextFieldName(expected[asExpected])) {
            return expected[asExpected++].getValue();
        }
        String name;
        if (guessing) {
            // it has been read, and is another
            name = parser.currentToken() == JsonToken.FIELD_NAME ? parser.currentName() : null;
        } else {
            name = parser.nextFieldName();
        }
        if (name == null && asExpected < expected.length && expected[asExpected] == null) {
            asExpected++;
        } else {
            others = new ArrayList<>();
            others.add(name);
        }
        return name;
    }

    /** To be called when all of the document has been read. */
    void expectAgain() {
        if (others != null) {
            SerializableString[] names = Arrays.copyOf(expected, asExpected + others.size());
            for (int i = 0; i < others.size(); i++) {
                names[asExpected + i] = others.get(i) == null ? null : new SerializedString(others.get(i));
            }
            last = names;
        }
    }
}
