package dev.rowbell.listen;

import dev.rowbell.feedback.Doorbell;
import dev.rowbell.health.Metrics;
import dev.rowbell.health.Watchdog;
import java.util.Map;
import org.apache.camel.Endpoint;
import org.apache.camel.component.pgevent.PgEventComponent;

/**
 * Takes the place of Camel's {@code pgevent}, whose listener does not survive the second loss of its connection. Same URI and options, on
 * pgjdbc instead of pgjdbc-ng.
 */
public final class ListenComponent extends PgEventComponent {

    private final Listeners listeners;
    private final Metrics metrics;
    private final Watchdog watchdog;
    private final Doorbell doorbell;
    private final Runnable onConnectionLost;

    /** @param onConnectionLost called when a listener loses its connection, by the thread of the listener */
    public ListenComponent(
            Listeners listeners, Metrics metrics, Watchdog watchdog, Doorbell doorbell, Runnable onConnectionLost) {
        this.listeners = listeners;
        this.metrics = metrics;
        this.watchdog = watchdog;
        this.doorbell = doorbell;
        this.onConnectionLost = onConnectionLost;
    }

    Listeners listeners() {
        return listeners;
    }

    Metrics metrics() {
        return metrics;
    }

    Watchdog watchdog() {
        return watchdog;
    }

    Doorbell doorbell() {
        return doorbell;
    }

    void connectionLost() {
        onConnectionLost.run();
    }

    @Override
    protected Endpoint createEndpoint(String uri, String remaining, Map<String, Object> parameters) throws Exception {
        ListenEndpoint endpoint = new ListenEndpoint(uri, this);
        endpoint.setChannel(remaining.substring(remaining.lastIndexOf('/') + 1));
        setProperties(endpoint, parameters);
        return endpoint;
    }
}
