package dev.rowbell.feedback;

import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.outbox.DeadLetter;
import dev.rowbell.outbox.OutboxComponent;
import dev.rowbell.silence.Silences;
import java.util.Map;
import java.util.function.Predicate;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.Producer;
import org.apache.camel.component.direct.DirectConsumerNotAvailableException;
import org.apache.camel.component.pgevent.PgEventEndpoint;

/**
 * Sends the alert in the body to {@code direct:alerts}, unless a silence, a cooldown or an acknowledgement silences it. An alert that cannot be routed becomes a dead
 * letter, with the error; the others of its batch go on. A sink that has asked for its rule gets it as well. In Java, because each alert takes this step, which in YAML takes as long as all of its other
 * steps together. Safe for many threads.
 */
public final class Routing implements Processor, CamelContextAware {

    private static final String ALERTS = "direct:alerts?block=false";

    private final Silences silences;
    private final Predicate<Map<String, Object>> acknowledged;
    private final DeadLetter deadLetter;
    private final OutboxComponent outbox;
    private CamelContext context;
    private volatile Producer alerts;

    /** @param acknowledged asked for each durable alert whether it is not to be sent */
    public Routing(
            Silences silences,
            Predicate<Map<String, Object>> acknowledged,
            DeadLetter deadLetter,
            OutboxComponent outbox) {
        this.silences = silences;
        this.acknowledged = acknowledged;
        this.deadLetter = deadLetter;
        this.outbox = outbox;
    }

    /** @throws IllegalStateException where the route does not run, or Camel stops: alerts wait until it is back */
    @Override
    @SuppressWarnings("unchecked")
    public void process(Exchange exchange) throws Exception {
        Map<String, Object> alert = (Map<String, Object>) exchange.getIn().getBody();
        OriginalAlert.set(exchange, alert);
        boolean notification = exchange.getFromEndpoint() instanceof PgEventEndpoint;
        Long silence = !notification && acknowledged.test(alert)
                ? Long.valueOf(Silences.ACKNOWLEDGED)
                : silences.silenceOf(alert, notification ? "notify" : "durable");
        if (silence != null) {
            exchange.setProperty(Silences.PROPERTY, silence);
            return;
        }
        Exception failure = route(exchange);
        if (failure instanceof DirectConsumerNotAvailableException) {
            throw new IllegalStateException("the route alerts is not running, see routes/alerts.camel.yaml", failure);
        } else if (failure instanceof IllegalStateException
                && String.valueOf(failure.getMessage()).contains("has not been started")) {
            throw new IllegalStateException("the route alerts is being replaced", failure);
        } else if (failure != null && isStopping()) {
            throw new IllegalStateException("stopped before the alert was routed", failure);
        } else if (failure != null) {
            clearFailure(exchange, failure);
            deadLetter.add(exchange);
        }
    }

    /** A stop refuses alerts and interrupts routes, which says nothing about the alert: it is routed again after the next start. */
    private boolean isStopping() {
        return context.isStopping()
                || context.isStopped()
                || context.getShutdownStrategy().isForceShutdown();
    }

    private Exception route(Exchange exchange) {
        try {
            producer().process(exchange);
            if (exchange.getException() == null) {
                outbox.fileSubscribed(exchange);
            }
            return exchange.getException();
        } catch (Exception e) {
            return e;
        }
    }

    /** As doTry does when it catches an exception: for the steps that follow, the exchange has not failed. */
    private static void clearFailure(Exchange exchange, Exception failure) {
        exchange.setException(null);
        exchange.setRouteStop(false);
        exchange.setRollbackOnly(false);
        exchange.getExchangeExtension().setRedeliveryExhausted(false);
        exchange.setProperty(Exchange.EXCEPTION_CAUGHT, failure);
    }

    private Producer producer() throws Exception {
        Producer known = alerts;
        if (known == null) {
            known = context.getEndpoint(ALERTS).createProducer();
            context.addService(known);
            alerts = known;
        }
        return known;
    }

    @Override
    public void setCamelContext(CamelContext context) {
        this.context = context;
    }

    @Override
    public CamelContext getCamelContext() {
        return context;
    }
}
