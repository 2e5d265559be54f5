package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.camel.CamelContext;
import org.apache.camel.ExtendedCamelContext;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckRegistry;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.spi.ContextServiceLoaderPluginResolver;
import org.apache.camel.support.PluginHelper;
import org.apache.camel.support.service.ServiceSupport;
import org.junit.jupiter.api.Test;

/** A Camel application that has the jar on its class path, and uses nothing of it. */
class UnusedJarTest {

    @Test
    void anApplicationWithOtherRoutesHasWhatItHasWithoutTheJar() throws Exception {
        try (CamelContext with = new DefaultCamelContext();
                CamelContext without = new DefaultCamelContext() {
                    @Override
                    protected ContextServiceLoaderPluginResolver createContextServiceLoaderPlugin() {
                        return new NoPlugins();
                    }
                }) {
            assertNull(without.getRegistry().lookupByName("rowbellAlerts"));
            assertEquals(state(without), state(with));
        }
    }

    private static Map<String, Object> state(CamelContext application) throws Exception {
        application.setLoadHealthChecks(true);
        application.addRoutes(new RouteBuilder() {
            @Override
            public void configure() {
                from("direct:in")
                        .filter(simple("${body[id]} == 7"))
                        .setHeader("id", jq(".id"))
                        .to("direct:out");
                from("direct:out").marshal().json().to("file:target/out?fileName=never");
            }
        });
        application.start();
        ExtendedCamelContext engine = application.getCamelContextExtension();
        HealthCheckRegistry health = HealthCheckRegistry.get(application);
        Map<String, Object> state = new TreeMap<>();
        state.put("components", new TreeSet<>(application.getComponentNames()));
        state.put("languages", new TreeSet<>(application.getLanguageNames()));
        state.put("health", health.stream().map(HealthCheck::getId).sorted().toList());
        state.put("interceptors", engine.getInterceptStrategies());
        state.put("processors", PluginHelper.getProcessorFactory(application).getClass());
        state.put("policies", application.getRoutePolicyFactories());
        state.put("log listeners", engine.getLogListeners());
        state.put("notifiers", application.getManagementStrategy().getEventNotifiers());
        state.put("options", application.getGlobalOptions());
        state.put(
                "endpoints",
                application.getEndpoints().stream()
                        .map(Object::toString)
                        .sorted()
                        .toList());
        state.put("properties", application.getPropertiesComponent().loadProperties());
        return state;
    }

    /** No ContextServicePlugin is found, as if no jar had one. */
    private static final class NoPlugins extends ServiceSupport implements ContextServiceLoaderPluginResolver {

        @Override
        public void setCamelContext(CamelContext context) {}

        @Override
        public CamelContext getCamelContext() {
            return null;
        }
    }
}
