package dev.rowbell;

import org.apache.camel.CamelContext;
import org.apache.camel.spi.ContextServicePlugin;

/** Sets up Rowbell in a CamelContext that has the jar on its class path; ServiceLoader finds it. */
public final class RowbellPlugin implements ContextServicePlugin {

    @Override
    public void load(CamelContext context) {
        RowbellSetup.in(context, context.getTypeConverterRegistry());
    }
}
