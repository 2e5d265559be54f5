package dev.rowbell.alert;

import org.apache.camel.Exchange;

/**
 * The alert of an exchange as it was taken, whatever a route makes of the body. An exchange property and no variable: Camel looks at the
 * value of each variable for a stream, and copies them all for each <code>${body[...]}</code>.
 */
public final class OriginalAlert {

    private static final String PROPERTY = "rowbell.alert";

    private OriginalAlert() {}

    /** Null where the exchange did not come from the feedback table or a notification. */
    public static Object of(Exchange exchange) {
        return exchange.getProperty(PROPERTY);
    }

    public static void set(Exchange exchange, Object alert) {
        exchange.setProperty(PROPERTY, alert);
    }
}
