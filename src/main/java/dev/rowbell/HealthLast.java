package dev.rowbell;

import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.Service;
import org.apache.camel.StartupListener;
import org.apache.camel.component.micrometer.prometheus.MicrometerPrometheus;
import org.apache.camel.component.platform.http.main.DefaultMainHttpServerFactory;
import org.apache.camel.main.HttpManagementServerConfigurationProperties;
import org.apache.camel.main.HttpServerConfigurationProperties;
import org.apache.camel.main.MainHttpServerFactory;
import org.apache.camel.support.service.ServiceSupport;

/**
 * Camel's own servers and metrics, found by Camel in the registry. But the server for health and figures starts after the routes: it takes a sixth of the
 * start, and no alert waits for it.
 */
final class HealthLast implements MainHttpServerFactory, CamelContextAware {

    private final DefaultMainHttpServerFactory camels = new DefaultMainHttpServerFactory();

    @Override
    public CamelContext getCamelContext() {
        return camels.getCamelContext();
    }

    @Override
    public void setCamelContext(CamelContext context) {
        camels.setCamelContext(context);
    }

    @Override
    public Service newHttpServer(CamelContext context, HttpServerConfigurationProperties settings) {
        return camels.newHttpServer(context, settings);
    }

    @Override
    public Service newHttpManagementServer(CamelContext context, HttpManagementServerConfigurationProperties settings) {
        Last last = new Last(camels.newHttpManagementServer(context, settings));
        try {
            context.addStartupListener(last);
        } catch (Exception e) {
            throw RuntimeCamelException.wrapRuntimeCamelException(e);
        }
        return last;
    }

    private static final class Last extends ServiceSupport implements StartupListener {

        private final Service server;
        private boolean isThere;

        Last(Service server) {
            this.server = server;
        }

        @Override
        public void onCamelContextStarting(CamelContext context, boolean alreadyStarted) throws Exception {
            if (context.getEndpoints().stream()
                    .anyMatch(endpoint -> endpoint.getEndpointUri().matches("(?s)(platform-http|rest).*"))) {
                // a route may be served by it
                startServer(context);
            }
        }

        @Override
        public void onCamelContextStarted(CamelContext context, boolean alreadyStarted) {
            // not yet
        }

        @Override
        public void onCamelContextFullyStarted(CamelContext context, boolean alreadyStarted) throws Exception {
            startServer(context);
        }

        private void startServer(CamelContext context) throws Exception {
            if (isThere) {
                return;
            }
            isThere = true;
            // stops with the context
            context.addService(server, true, true);
            Metrics metrics = context.hasService(Metrics.class);
            if (metrics != null) {
                metrics.serve();
            }
        }
    }

    /** Counts from the beginning, and is asked once there is a server. */
    static final class Metrics extends MicrometerPrometheus {

        @Override
        protected void doStart() {
            // looks for the server
        }

        private void serve() throws Exception {
            super.doStart();
        }
    }
}
