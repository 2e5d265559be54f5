package dev.rowbell.outbox;

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
        if (!component.isOff(sink)) {
            component.file(exchange, sink);
        }
    }
}
