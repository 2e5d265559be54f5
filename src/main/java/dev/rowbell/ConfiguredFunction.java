package dev.rowbell;

import org.apache.camel.spi.PropertiesFunction;

/** {@code {{configured:KEY}}} is true where the key is set to something: a sink is off until its key is. */
final class ConfiguredFunction implements PropertiesFunction {

    static final String NAME = "configured";

    private final Settings settings;

    ConfiguredFunction(Settings settings) {
        this.settings = settings;
    }

    @Override
    public String getName() {
        return NAME;
    }

    @Override
    public String apply(String key) {
        return String.valueOf(settings.isSet(key));
    }
}
