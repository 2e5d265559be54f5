package dev.rowbell.feedback;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import javax.sql.DataSource;

import dev.rowbell.rules.Hits;
import org.apache.camel.Consumer;
import org.apache.camel.Endpoint;
import org.apache.camel.Exchange;
import org.apache.camel.Route;
import org.apache.camel.spi.PollingConsumerPollStrategy;
import org.apache.camel.support.RoutePolicySupport;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * One poll of the feedback table, or one handful of notifications, is one database transaction: taking the alerts and filing their
 * deliveries commit together. As the route's policy it counts the alerts that came through, and commits a poll only where that is all of
 * them: a consumer that is being stopped skips the rest of its batch and says nothing of it. What has been committed counts as hits of its
 * rules. Safe for many threads, a transaction being its thread's.
 */
public final class FeedbackTransaction extends RoutePolicySupport implements PollingConsumerPollStrategy {

    private final DataSourceTransactionManager manager;
    private final TransactionTemplate template;
    private final Hits hits;
    private final ThreadLocal<TransactionStatus> current = new ThreadLocal<>();
    private final Map<Endpoint, Routed> routed = new ConcurrentHashMap<>();

    public FeedbackTransaction(DataSource dataSource, Hits hits) {
        manager = new DataSourceTransactionManager(dataSource);
        template = new TransactionTemplate(manager);
        this.hits = hits;
    }

    /**
     * Runs the work in a transaction that commits when it returns and rolls back when it throws. One at a time for each endpoint.
     *
     * @param endpoint where the alerts come from that the work routes
     */
    public void run(Endpoint endpoint, Runnable work) {
        Routed alerts = routed(endpoint);
        alerts.clear();
        template.executeWithoutResult(status -> work.run());
        hits.add(alerts.hits());
    }

    /** Counts an alert that came through. */
    public void routed(Endpoint endpoint, Exchange exchange) {
        routed(endpoint).add(exchange);
    }

    @Override
    public void onExchangeDone(Route route, Exchange exchange) {
        if (!exchange.isFailed()) {
            routed(route.getEndpoint(), exchange);
        }
    }

    private Routed routed(Endpoint endpoint) {
        return routed.computeIfAbsent(endpoint, e -> new Routed());
    }

    @Override
    public boolean begin(Consumer consumer, Endpoint endpoint) {
        // what an Error left behind
        rollback();
        routed(endpoint).clear();
        current.set(manager.getTransaction(template));
        return true;
    }

    /** @throws IllegalStateException where not all that was taken has been routed; the caller then rolls back */
    @Override
    public void commit(Consumer consumer, Endpoint endpoint, int polledMessages) {
        Routed alerts = routed(endpoint);
        if (alerts.count() != polledMessages) {
            throw new IllegalStateException("of %d alerts %d were routed, all of them stay in the feedback table"
                    .formatted(polledMessages, alerts.count()));
        }
        TransactionStatus status = current.get();
        current.remove();
        manager.commit(status);
        hits.add(alerts.hits());
    }

    @Override
    public boolean rollback(Consumer consumer, Endpoint endpoint, int retryCounter, Exception cause) {
        rollback();
        return false;
    }

    private void rollback() {
        TransactionStatus status = current.get();
        current.remove();
        if (status != null && !status.isCompleted()) {
            manager.rollback(status);
        }
    }
}
