package dev.rowbell.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.camel.CamelContext;
import org.apache.camel.main.Main;

/**
 * Rowbell in this JVM with the shipped routes, as it runs in a Camel application that has the jar on its class
 * path.
 */
public final class RunningRowbell implements AutoCloseable {

    private final Main camel = new Main();

    private RunningRowbell() {}

    /** Runs what is in {@code routes/}. */
    public static RunningRowbell start(Map<String, String> settings) {
        return start(settings, "file:routes/*.camel.yaml");
    }

    /** @param routes resource patterns, with commas between */
    public static RunningRowbell start(Map<String, String> settings, String routes) {
        RunningRowbell rowbell = new RunningRowbell();
        rowbell.camel.setPropertyPlaceholderLocations("file:application.properties");
        Properties properties = new Properties();
        // several run at a time
        properties.put("rowbell.health.enabled", "false");
        properties.put("rowbell.mail.digest", "1ms");
        properties.put("rowbell.rehearsal", "0");
        properties.putAll(settings);
        rowbell.camel.setOverrideProperties(properties);
        rowbell.camel.configure().withRoutesIncludePattern(routes);
        rowbell.camel.start();
        return rowbell;
    }

    /** Writes a route {@code alerts} of a test's own. */
    public static void writeAlertsRoute(Path dir, String steps) throws IOException {
        Files.writeString(dir.resolve("alerts.camel.yaml"), """
                - route:
                    id: alerts
                    description: a test's
                    from:
                      uri: direct:alerts
                      steps:
                """ + steps.indent(8));
    }

    public CamelContext context() {
        return camel.getCamelContext();
    }

    @Override
    public void close() {
        camel.stop();
    }
}
