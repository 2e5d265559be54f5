package dev.rowbell;

import org.apache.camel.spi.PropertiesFunction;

/** {@code {{millis:KEY}}} is the duration that the key is set to in milliseconds, for the endpoint options that know no 15s. */
final class MillisFunction implements PropertiesFunction {

    private final Settings settings;

    MillisFunction(Settings settings) {
        this.settings = settings;
    }

    @Override
    public String getName() {
        return "millis";
    }

    @Override
    public String apply(String key) {
        return String.valueOf(settings.duration(key).toMillis());
    }
}
