package dev.rowbell;

import org.apache.camel.CamelContext;
import org.apache.camel.main.Main;
import org.apache.camel.main.SimpleMainShutdownStrategy;

/** Camel with the {@code application.properties} of the current directory, or else the one in the jar. */
public final class Application extends Main {

    public Application() {
        // Main has a shutdown hook. With Camel's own beside it, a stop waits for itself until its time is over whenever
        // Camel's comes first
        setShutdownStrategy(new SimpleMainShutdownStrategy());
        setPropertyPlaceholderLocations(
                "file:application.properties;optional=true,classpath:dev/rowbell/application.properties");
    }

    @Override
    protected CamelContext createCamelContext() {
        CamelContext context = super.createCamelContext();
        // of the files of settings; Java's own is Latin-1
        context.getPropertiesComponent().setEncoding("UTF-8");
        // the class loader that finds plugins; Maven's exec:java has one of its own
        context.setApplicationContextClassLoader(Application.class.getClassLoader());
        return context;
    }

    @Override
    protected void configureLifecycle(CamelContext context) throws Exception {
        super.configureLifecycle(context);
        RouteErrors.addTo(context);
    }
}
