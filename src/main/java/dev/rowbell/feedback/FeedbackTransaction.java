package dev.rowbell.feedback;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

import javax.sql.DataSource;

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
 * them: a consumer that is being stopped skips the rest of its batch and says nothing of it. Safe for many threads, a transaction being its
 * thread's.
 */
public final class FeedbackTransaction extends RoutePolicySupport implements PollingConsumerPollStrategy {

    private final DataSourceTransactionManager manager;
    private final TransactionTemplate template;
    private final ThreadLocal<TransactionStatus> current = new ThreadLocal<>();
    private final Map<Endpoint, AtomicInteger> routed = new ConcurrentHashMap<>();

    public FeedbackTransaction(DataSource dataSource) {
        manager = new DataSourceTransactionManager(dataSource);
        template = new TransactionTemplate(manager);
    }

    /** Runs the work in a transaction that commits when it returns and rolls back when it throws. */
    public void run(Runnable work) {
        template.executeWithoutResult(status -> work.run());
    }

    @Override
    public void onExchangeDone(Route route, Exchange exchange) {
        if (!exchange.isFailed()) {
            counter(route.getEndpoint()).incrementAndGet();
        }
    }

    private AtomicInteger counter(Endpoint endpoint) {
        return routed.computeIfAbsent(endpoint, e -> new AtomicInteger());
    }

    @Override
    public boolean begin(Consumer consumer, Endpoint endpoint) {
        // what an Error left behind
        rollback();
        counter(endpoint).set(0);
        current.set(manager.getTransaction(template));
        return true;
    }

    /** @throws IllegalStateException where not all that was taken has been routed; the caller then rolls back */
    @Override
    public void commit(Consumer consumer, Endpoint endpoint, int polledMessages) {
        int through = counter(endpoint).get();
        if (through != polledMessages) {
            throw new IllegalStateException("of %d alerts %d were routed, all of them stay in the feedback table".formatted(polledMessages, through));
        }
        TransactionStatus status = current.get();
        current.remove();
        manager.commit(status);
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
