package dev.rowbell;

import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.feedback.Batch;
import dev.rowbell.feedback.Doorbell;
import java.util.Map;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.Producer;
import org.apache.camel.Route;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.StartupSummaryLevel;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.impl.engine.DefaultContextServiceLoaderPlugin;
import org.apache.camel.model.language.LanguageExpression;
import org.apache.camel.spi.ContextServiceLoaderPluginResolver;
import org.apache.camel.support.RoutePolicySupport;

/**
 * Routes of the same shape as the shipped ones, in a CamelContext of their own: Camel runs the same code for an alert that is rehearsed as for a real one,
 * and the context of the application has no route, no exchange and no figure more. Of the program alone: in an application, libraries that attach
 * themselves to each CamelContext, such as a debugger, would see this one. For one thread.
 */
final class RehearsalRoutes implements AutoCloseable {

    private final DefaultCamelContext context = new WithoutPlugins();
    private final Producer doorbell;
    private final Producer feedback;
    private final Producer alerts;

    /** Rowbell is a plug-in of the class path, too. */
    private static final class WithoutPlugins extends DefaultCamelContext {

        private WithoutPlugins() {
            super(false);
        }

        @Override
        protected ContextServiceLoaderPluginResolver createContextServiceLoaderPlugin() {
            return new DefaultContextServiceLoaderPlugin() {
                @Override
                protected void doStart() {
                    // loads none
                }
            };
        }
    }

    /** In the place of the doorbell, which Camel would stop with the context. */
    public static final class Bell {

        private final Doorbell doorbell;

        private Bell(Doorbell doorbell) {
            this.doorbell = doorbell;
        }

        public void ring() {
            doorbell.ring();
        }
    }

    /**
     * @param loader of the application
     * @param sink is given the exchange in the place of the first sink of the route alerts
     */
    RehearsalRoutes(ClassLoader loader, Doorbell bell, Processor sink) throws Exception {
        context.getCamelContextExtension().setName("rowbell-rehearsal");
        context.setApplicationContextClassLoader(loader);
        context.setStartupSummaryLevel(StartupSummaryLevel.Off);
        context.disableJMX();
        context.addRoutes(routes(new Bell(bell), sink));
        context.start();
        doorbell = producer("doorbell");
        feedback = producer("feedback");
        alerts = producer("alerts");
    }

    private RouteBuilder routes(Bell bell, Processor sink) {
        return new RouteBuilder() {
            @Override
            public void configure() {
                from("direct:doorbell").bean(bell, "ring");
                from("direct:feedback")
                        .errorHandler(noErrorHandler())
                        .routePolicy(new Counting())
                        .process(RehearsalRoutes.this::toAlerts);
                from("direct:alerts")
                        .errorHandler(noErrorHandler())
                        .filter(condition("operation != 'UPDATE' || changed || truncated"))
                        .choice()
                        .when(condition("severity == 'info'"))
                        .to("direct:off")
                        .otherwise()
                        .to("direct:sink", "direct:off", "direct:off");
                from("direct:sink").errorHandler(noErrorHandler()).process(sink);
                from("direct:off").errorHandler(noErrorHandler()).process(exchange -> {});
            }
        };
    }

    private static LanguageExpression condition(String condition) {
        return new LanguageExpression("alert", condition);
    }

    private static final class Counting extends RoutePolicySupport {

        @Override
        public void onExchangeDone(Route route, Exchange exchange) {
            new Batch().add(exchange);
        }
    }

    private void toAlerts(Exchange exchange) throws Exception {
        OriginalAlert.set(exchange, exchange.getIn().getBody());
        alerts.process(exchange);
    }

    private Producer producer(String route) throws Exception {
        Producer producer = context.getEndpoint("direct:" + route).createProducer();
        context.addService(producer);
        return producer;
    }

    void ring() {
        run(doorbell, "");
    }

    /** @throws RuntimeException where a step fails */
    void route(Map<String, Object> alert) {
        run(feedback, alert);
    }

    private static void run(Producer producer, Object body) {
        Exchange exchange = producer.getEndpoint().createExchange();
        exchange.getIn().setBody(body);
        try {
            producer.process(exchange);
        } catch (Exception e) {
            exchange.setException(e);
        }
        if (exchange.getException() != null) {
            throw RuntimeCamelException.wrapRuntimeCamelException(exchange.getException());
        }
    }

    @Override
    public void close() {
        context.stop();
    }
}
