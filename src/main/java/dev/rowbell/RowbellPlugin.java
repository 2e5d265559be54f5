package dev.rowbell;

import org.apache.camel.CamelContext;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.spi.ContextServicePlugin;

/** Found by ServiceLoader: any CamelContext that has the jar can run Rowbell's routes, with nothing to configure. */
public final class RowbellPlugin implements ContextServicePlugin {

    @Override
    public void load(CamelContext context) {
        try {
            Rowbell.join(context);
        } catch (Exception e) {
            throw RuntimeCamelException.wrapRuntimeCamelException(e);
        }
    }
}
