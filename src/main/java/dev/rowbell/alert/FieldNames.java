package dev.rowbell.alert;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.SerializedString;

/**
 * The names of a document's keys and columns, one after the other. Nearly always they are those of the document before, and to see that takes the JSON
 * library half of what it takes to look a name up. For one document.
 */
final class FieldNames {

    /** Of the last document that had others than the one before; null where an object had no more. */
    private static volatile SerializableString[] last = {};

    private final JsonParser parser;
    private final SerializableString[] expected = last;
    private int count;
    /** Those read so far; null while they are as expected. */
    private List<SerializableString> others;

    FieldNames(JsonParser parser) {
        this.parser = parser;
    }

    /** As {@link JsonParser#nextFieldName()}. */
    String next() throws IOException {
        SerializableString guess = count < expected.length ? expected[count] : null;
        if (guess != null && parser.nextFieldName(guess)) {
            read(guess, true);
            return guess.getValue();
        }
        String name = guess == null ? parser.nextFieldName() : parser.currentToken() == JsonToken.FIELD_NAME ? parser.currentName() : null;
        read(name == null ? null : new SerializedString(name), guess == null && name == null && count < expected.length);
        return name;
    }

    private void read(SerializableString name, boolean asExpected) {
        if (!asExpected && others == null) {
            others = new ArrayList<>(Arrays.asList(expected).subList(0, count));
        }
        if (others != null) {
            others.add(name);
        }
        count++;
    }

    /** To be called when all of the document has been read. */
    void expectAgain() {
        if (others != null) {
            last = others.toArray(SerializableString[]::new);
        }
    }
}
