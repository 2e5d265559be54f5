package dev.rowbell;

import java.util.function.UnaryOperator;
import org.apache.camel.spi.PropertiesFunction;

/**
 * What {@code {{NAME:KEY}}} in a route says of the setting KEY.
 *
 * @param value what it says; given the key
 */
record SettingFunction(String name, UnaryOperator<String> value) implements PropertiesFunction {

    @Override
    public String getName() {
        return name;
    }

    @Override
    public String apply(String key) {
        return value.apply(key);
    }
}
