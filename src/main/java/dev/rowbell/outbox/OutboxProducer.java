package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.OriginalAlert;
import java.util.Map;
import org.apache.camel.Exchange;
import org.apache.camel.support.DefaultProducer;

/** Files one delivery of the alert in the body. A sink that is off files nothing. */
final class OutboxProducer extends DefaultProducer {

    OutboxProducer(OutboxEndpoint endpoint) {
        super(endpoint);
    }

    @Override
    public OutboxEndpoint getEndpoint() {
        return (OutboxEndpoint) super.getEndpoint();
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        getEndpoint().getComponent().warnIfRouteless(getEndpoint().getSink());
    }

    @Override
    public void process(Exchange exchange) {
        OutboxComponent component = getEndpoint().getComponent();
        String sink = getEndpoint().getSink();
        if (component.isOff(sink)) {
            return;
        }
        Object origin = OriginalAlert.of(exchange);
        Map<String, Object> alert = component.alerts().fromBody(exchange.getIn().getBody(), origin);
        String id = (String) alert.get("id");
        String document = AlertJson.write(alert);
        component.file(transaction -> transaction.add(sink, id, document, origin));
    }
}
