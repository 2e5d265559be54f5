package dev.rowbell.listen;

import java.util.Map;
import org.apache.camel.Endpoint;
import org.apache.camel.component.pgevent.PgEventComponent;

/**
 * Takes the place of Camel's {@code pgevent}, whose listener does not survive the second loss of its connection. Same URI and options, on
 * pgjdbc instead of pgjdbc-ng.
 */
public final class ListenComponent extends PgEventComponent {

    @Override
    protected Endpoint createEndpoint(String uri, String remaining, Map<String, Object> parameters) throws Exception {
        ListenEndpoint endpoint = new ListenEndpoint(uri, this);
        endpoint.setChannel(remaining.substring(remaining.lastIndexOf('/') + 1));
        setProperties(endpoint, parameters);
        return endpoint;
    }
}
