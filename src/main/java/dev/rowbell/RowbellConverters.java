package dev.rowbell;

import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.TypeConverterLoaderException;
import org.apache.camel.spi.TypeConverterLoader;
import org.apache.camel.spi.TypeConverterRegistry;

/**
 * Sets up Rowbell where {@link RowbellPlugin} does not: Camel 4.14 loads no plugin, and the list of converters is what each Camel reads from each jar at
 * its start. Ends the start of a Camel that is older.
 */
public final class RowbellConverters implements TypeConverterLoader {

    @Override
    public void load(TypeConverterRegistry registry) {
        try {
            Class.forName("org.apache.camel.spi.ContextServicePlugin", false, CamelContext.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            CamelContext context = ((CamelContextAware) registry).getCamelContext();
            if (!context.getVersion().startsWith("4.14.")) {
                throw new TypeConverterLoaderException(
                        "Rowbell needs Apache Camel 4.14 or newer, and this is %s: docs/embedding.md lists the versions"
                                .formatted(context.getVersion()),
                        e);
            }
            RowbellSetup.in(context, registry);
        }
    }
}
