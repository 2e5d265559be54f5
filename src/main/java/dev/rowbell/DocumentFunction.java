package dev.rowbell;

import org.apache.camel.spi.PropertiesFunction;

/**
 * {@code {{document:KEY}}} is, for the query of the route {@code feedback}, what says the document of a row {@code taken} of the table that the key
 * is set to: of Rowbell's own its column, of any other the whole row, whatever its columns are. To make JSON of each row of the first as well
 * would take the query a fifth longer.
 */
final class DocumentFunction implements PropertiesFunction {

    private static final String OWN = "rowbell.feedback";

    private final Settings settings;

    DocumentFunction(Settings settings) {
        this.settings = settings;
    }

    @Override
    public String getName() {
        return "document";
    }

    @Override
    public String apply(String key) {
        return settings.text(key).equals(OWN) ? "alert" : "row_to_json(taken) as feedback";
    }
}
