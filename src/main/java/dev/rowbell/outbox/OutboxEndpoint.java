package dev.rowbell.outbox;

import org.apache.camel.Category;
import org.apache.camel.Consumer;
import org.apache.camel.Processor;
import org.apache.camel.Producer;
import org.apache.camel.spi.Metadata;
import org.apache.camel.spi.UriEndpoint;
import org.apache.camel.spi.UriParam;
import org.apache.camel.spi.UriPath;
import org.apache.camel.support.DefaultEndpoint;

/**
 * Files alerts for a sink in the current database transaction, and delivers them from there with retries and dead letters.
 */
@UriEndpoint(
        firstVersion = "0.1.0",
        scheme = "outbox",
        title = "Rowbell Outbox",
        syntax = "outbox:sink",
        category = {Category.DATABASE, Category.MESSAGING})
public class OutboxEndpoint extends DefaultEndpoint {

    /** The exchange property by which a sink may acknowledge in a transaction of its own: the argument of {@code rowbell.delivered()}. */
    public static final String DELIVERY = "RowbellDelivery";

    @UriPath(description = "The name of the sink")
    @Metadata(required = true)
    private String sink;

    @UriParam(
            label = "consumer",
            description =
                    "Rules whose alerts come to this sink without a step in the route alerts, separated by commas. A name may end with *")
    private String rules;

    @UriParam(
            label = "consumer",
            defaultValue = "10",
            description =
                    "After how many failed tries a delivery becomes a dead letter. Default: rowbell.outbox.max-attempts")
    private int maxAttempts;

    @UriParam(
            label = "consumer",
            defaultValue = "1000",
            javaType = "java.time.Duration",
            description =
                    "The wait after the first failure, doubled after each further one. Default: rowbell.outbox.backoff")
    private long backoff;

    @UriParam(
            label = "consumer",
            defaultValue = "900000",
            javaType = "java.time.Duration",
            description = "The longest wait between two tries. Default: rowbell.outbox.max-backoff")
    private long maxBackoff;

    @UriParam(
            label = "consumer",
            defaultValue = "5",
            description =
                    "After how many failures in a row the queue waits and only one delivery is tried now and then, until one succeeds."
                            + " Default: rowbell.outbox.circuit")
    private int circuit;

    @UriParam(
            label = "consumer",
            defaultValue = "1",
            description =
                    "How many alerts the route is handed at most as one. 1: the body is one alert, a Map. More: the body is a List of"
                            + " them, which is delivered as a whole")
    private int batch = 1;

    @UriParam(
            label = "consumer",
            defaultValue = "0",
            javaType = "java.time.Duration",
            description =
                    "How long to wait after something was delivered before the route is handed more; what comes meanwhile is collected"
                            + " for the next batch")
    private long every;

    @UriParam(
            label = "consumer",
            defaultValue = "true",
            description =
                    "Whether a batch that fails for another reason than that the sink is away is split up, so that the alert at fault"
                            + " is found and the others go on. False: it fails as a whole")
    private boolean split = true;

    @UriParam(label = "consumer", defaultValue = "1", description = "How many threads deliver at the same time")
    private int parallel = 1;

    @UriParam(
            label = "consumer,advanced",
            defaultValue = "1000",
            javaType = "java.time.Duration",
            description =
                    "How often to look for what another process filed or what is due again. Default: rowbell.outbox.poll")
    private long poll;

    @UriParam(
            label = "consumer,advanced",
            defaultValue = "60000",
            javaType = "java.time.Duration",
            description =
                    "How long a delivery belongs to the process that took it. Longer than one try can last. Default:"
                            + " rowbell.outbox.lease")
    private long lease;

    public OutboxEndpoint(String uri, OutboxComponent component) {
        super(uri, component);
    }

    @Override
    public OutboxComponent getComponent() {
        return (OutboxComponent) super.getComponent();
    }

    @Override
    public Producer createProducer() {
        return new OutboxProducer(this);
    }

    @Override
    public Consumer createConsumer(Processor processor) throws Exception {
        OutboxConsumer consumer = new OutboxConsumer(this, processor);
        configureConsumer(consumer);
        getComponent().subscribe(sink, rules);
        return consumer;
    }

    void validate() {
        if (sink == null || sink.isBlank()) {
            throw new IllegalArgumentException("outbox: needs the name of a sink, as in outbox:mail");
        }
        atLeastOne("maxAttempts", maxAttempts);
        atLeastOne("backoff", backoff);
        atLeastOne("maxBackoff", maxBackoff);
        atLeastOne("circuit", circuit);
        atLeastOne("batch", batch);
        if (every < 0) {
            throw new IllegalArgumentException(
                    "outbox:%s: every is %d and must not be negative".formatted(sink, every));
        }
        atLeastOne("parallel", parallel);
        atLeastOne("poll", poll);
        atLeastOne("lease", lease);
    }

    private void atLeastOne(String option, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(
                    "outbox:%s: %s is %d and must be at least 1".formatted(sink, option, value));
        }
    }

    public String getSink() {
        return sink;
    }

    public void setSink(String sink) {
        this.sink = sink;
    }

    public String getRules() {
        return rules;
    }

    public void setRules(String rules) {
        this.rules = rules;
    }

    public int getMaxAttempts() {
        return maxAttempts;
    }

    public void setMaxAttempts(int maxAttempts) {
        this.maxAttempts = maxAttempts;
    }

    public long getBackoff() {
        return backoff;
    }

    public void setBackoff(long backoff) {
        this.backoff = backoff;
    }

    public long getMaxBackoff() {
        return maxBackoff;
    }

    public void setMaxBackoff(long maxBackoff) {
        this.maxBackoff = maxBackoff;
    }

    public int getCircuit() {
        return circuit;
    }

    public void setCircuit(int circuit) {
        this.circuit = circuit;
    }

    public int getBatch() {
        return batch;
    }

    public void setBatch(int batch) {
        this.batch = batch;
    }

    public long getEvery() {
        return every;
    }

    public void setEvery(long every) {
        this.every = every;
    }

    public boolean isSplit() {
        return split;
    }

    public void setSplit(boolean split) {
        this.split = split;
    }

    public int getParallel() {
        return parallel;
    }

    public void setParallel(int parallel) {
        this.parallel = parallel;
    }

    public long getPoll() {
        return poll;
    }

    public void setPoll(long poll) {
        this.poll = poll;
    }

    public long getLease() {
        return lease;
    }

    public void setLease(long lease) {
        this.lease = lease;
    }
}
