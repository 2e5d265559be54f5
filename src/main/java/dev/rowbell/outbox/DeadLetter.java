package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.error.Errors;
import java.util.Map;
import org.apache.camel.Exchange;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Files an alert that could not be routed as a dead letter, in the transaction that took it. */
public final class DeadLetter {

    private static final Logger LOG = LoggerFactory.getLogger(DeadLetter.class);

    /** The alert is the {@link OriginalAlert}, else the body; what went wrong in {@link Exchange#EXCEPTION_CAUGHT}. */
    public void add(Exchange exchange) {
        OutboxComponent component = exchange.getContext().getComponent("outbox", OutboxComponent.class);
        String error = Errors.inWords(exchange.getProperty(Exchange.EXCEPTION_CAUGHT, Throwable.class));
        Object origin = OriginalAlert.of(exchange);
        Map<String, Object> alert =
                component.alerts().fromBody(origin == null ? exchange.getIn().getBody() : origin, null);
        String id = (String) alert.get("id");
        component
                .watchdog()
                .failures()
                .failed("routing")
                .ifPresent(since -> LOG.error(
                        "alert {} of rule {} could not be routed and is a dead letter ({}): {}. Mend routes/alerts.camel.yaml;"
                                + " \"deliveries retry\" routes it again",
                        id,
                        Errors.withoutSecrets(String.valueOf(alert.get("rule"))),
                        since,
                        error));
        String document = text(id, alert);
        component.file(transaction -> transaction.addDeadLetter(id, document, error, origin));
    }

    /** Also where a route put something into the alert that JSON cannot say. */
    private static String text(String id, Map<String, Object> alert) {
        try {
            return AlertJson.write(alert);
        } catch (IllegalArgumentException e) {
            return AlertJson.write(Map.of("id", id, "payload", alert.toString()));
        }
    }
}
