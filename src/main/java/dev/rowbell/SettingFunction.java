package dev.rowbell;

import java.util.function.UnaryOperator;
import org.apache.camel.spi.PropertiesFunction;

/**
 * Replaces {@code {{NAME:KEY}}} in a route.
 *
 * @param value gives the replacement of a key
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
