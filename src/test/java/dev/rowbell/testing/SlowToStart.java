package dev.rowbell.testing;

import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.camel.Consumer;
import org.apache.camel.Endpoint;
import org.apache.camel.Processor;
import org.apache.camel.Producer;
import org.apache.camel.support.DefaultComponent;
import org.apache.camel.support.DefaultConsumer;
import org.apache.camel.support.DefaultEndpoint;

/**
 * A component whose route starts slowly, as one that connects to a server: it takes as long as {@link
 * #ON_START} runs.
 */
public final class SlowToStart extends DefaultComponent {

    public static final AtomicReference<Runnable> ON_START = new AtomicReference<>();

    @Override
    protected Endpoint createEndpoint(String uri, String remaining, Map<String, Object> parameters) {
        return new DefaultEndpoint(uri, this) {

            @Override
            public Producer createProducer() {
                throw new UnsupportedOperationException();
            }

            @Override
            public Consumer createConsumer(Processor processor) {
                return new DefaultConsumer(this, processor) {

                    @Override
                    protected void doStart() throws Exception {
                        super.doStart();
                        ON_START.get().run();
                    }
                };
            }
        };
    }
}
