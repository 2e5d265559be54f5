package dev.rowbell.feedback;

import javax.sql.DataSource;

import org.apache.camel.Consumer;
import org.apache.camel.Endpoint;
import org.apache.camel.spi.PollingConsumerPollStrategy;
import org.apache.camel.support.ScheduledPollConsumer;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * One poll of the feedback table, or one handful of notifications, is one database transaction: taking the alerts and filing their
 * deliveries commit together. Bound to the thread; safe for many threads.
 */
public final class FeedbackTransaction implements PollingConsumerPollStrategy {

    private final DataSourceTransactionManager manager;
    private final TransactionTemplate template;
    private final ThreadLocal<TransactionStatus> current = new ThreadLocal<>();

    public FeedbackTransaction(DataSource dataSource) {
        manager = new DataSourceTransactionManager(dataSource);
        template = new TransactionTemplate(manager);
    }

    /** Runs the work in a transaction that commits when it returns and rolls back when it throws. */
    public void run(Runnable work) {
        template.executeWithoutResult(status -> work.run());
    }

    @Override
    public boolean begin(Consumer consumer, Endpoint endpoint) {
        current.set(manager.getTransaction(template));
        return true;
    }

    @Override
    public void commit(Consumer consumer, Endpoint endpoint, int polledMessages) {
        TransactionStatus status = current.get();
        if (((ScheduledPollConsumer) consumer).isRunAllowed()) {
            current.remove();
            manager.commit(status);
        } else {
            // a stop that ran out of patience skips the rest of a batch, whose rows the statement has deleted: it never happened
            rollback();
        }
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
