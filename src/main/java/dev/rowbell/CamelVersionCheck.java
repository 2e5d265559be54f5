package dev.rowbell;

import org.apache.camel.CamelContext;
import org.apache.camel.TypeConverterLoaderException;
import org.apache.camel.spi.TypeConverterLoader;
import org.apache.camel.spi.TypeConverterRegistry;

/**
 * Ends the start of a CamelContext of a Camel that is too old, which does not load {@link RowbellPlugin} and would say that there is no component
 * {@code outbox}. It has no converter: the list of converters is what each Camel reads from each jar at its start.
 */
public final class CamelVersionCheck implements TypeConverterLoader {

    @Override
    public void load(TypeConverterRegistry registry) {
        try {
            Class.forName("org.apache.camel.spi.ContextServicePlugin", false, CamelContext.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new TypeConverterLoaderException(
                    "Rowbell needs Apache Camel 4.15 or newer, and this is %s: docs/embedding.md lists the versions"
                            .formatted(CamelContext.class.getPackage().getImplementationVersion()),
                    e);
        }
    }
}
