package dev.rowbell.feedback;

import dev.rowbell.database.LowWater;
import dev.rowbell.database.Repeatable;
import dev.rowbell.error.Errors;
import dev.rowbell.health.Figures;
import dev.rowbell.rules.Hits;
import dev.rowbell.silence.Silences;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Timestamp;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import javax.sql.DataSource;
import org.apache.camel.Consumer;
import org.apache.camel.Endpoint;
import org.apache.camel.Exchange;
import org.apache.camel.ExchangePropertyKey;
import org.apache.camel.Route;
import org.apache.camel.spi.PollingConsumerPollStrategy;
import org.apache.camel.support.RoutePolicySupport;
import org.apache.camel.support.ScheduledPollConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.UncategorizedSQLException;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.DataSourceUtils;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * One poll of the feedback table, or one handful of notifications, is one database transaction: taking the alerts and filing their
 * deliveries commit together. As the route's policy it counts the alerts that came through, and commits a poll only where that is all of
 * them: a consumer that is being stopped skips the rest of its batch and says nothing of it. What has been committed counts as hits of its
 * rules. Safe for many threads, a transaction being its thread's.
 */
public final class FeedbackTransaction extends RoutePolicySupport implements PollingConsumerPollStrategy {

    private static final Logger LOG = LoggerFactory.getLogger(FeedbackTransaction.class);

    private final DataSourceTransactionManager manager;
    private final TransactionTemplate template;
    private final Hits hits;
    private final Silences silences;
    private final Figures figures;
    private final DataSource dataSource;
    private final Awake awake;
    private final String table;
    /** Rowbell's own table, which a crash of PostgreSQL does not empty. */
    private final boolean own;

    private final int batch;
    private final Doorbell doorbell;
    private final Runnable atLeisure;
    /** Whether writers can be told not to ring, as far as is known. */
    private volatile boolean silenced = true;
    /** Whether writers can be told to ring, as far as is known. */
    private volatile boolean heard = true;

    private final ThreadLocal<Poll> current = new ThreadLocal<>();
    private final LowWater lowWater = new LowWater();
    /** Whether more waited than one poll takes, when somebody looked last. */
    private volatile boolean backlog;

    private final Map<Endpoint, Routed> routed = new ConcurrentHashMap<>();

    /** What this thread's poll is at. */
    private static final class Poll {

        private final Stages stages;
        private final LowWater.Look look;
        private TransactionStatus status;
        private Savepoints savepoints;
        private boolean answered;
        /** How long the look took is known. */
        private boolean timed;

        private boolean found;
        /** What it took is there again where a crash undoes it, and has the same ids then. */
        private boolean repeatable = true;

        private final Taken taken = new Taken();
        /** What is routed instead of what the poll found at its place; null where that is in order. */
        private List<Map<String, Object>> sorted;
        /** Stopped before its alerts could be routed. */
        private boolean interrupted;

        private Poll(Stages stages, LowWater.Look look) {
            this.stages = stages;
            this.look = look;
        }
    }

    /**
     * @param hits to be told of alerts when their transaction has committed, as the next two are
     * @param doorbell to be told how many alerts come
     * @param table the feedback table
     * @param batch how many alerts a poll takes at most
     * @param atLeisure what to do when no alert waits, so that none has to wait for it
     */
    public FeedbackTransaction(
            DataSource dataSource,
            Hits hits,
            Silences silences,
            Figures figures,
            Doorbell doorbell,
            String table,
            int batch,
            Runnable atLeisure) {
        this.dataSource = dataSource;
        this.table = table;
        own = table.equals("rowbell.feedback");
        this.batch = batch;
        this.doorbell = doorbell;
        this.atLeisure = atLeisure;
        awake = doorbell.awake();
        manager = new DataSourceTransactionManager(dataSource);
        template = new TransactionTemplate(manager);
        this.hits = hits;
        this.silences = silences;
        this.figures = figures;
    }

    /**
     * Runs the work in a transaction that commits when it returns and rolls back when it throws. One at a time for each endpoint.
     *
     * @param endpoint where the alerts come from that the work routes
     */
    public void run(Endpoint endpoint, Runnable work) {
        Routed alerts = routed(endpoint);
        alerts.clear();
        template.executeWithoutResult(status -> {
            Savepoints.none(dataSource).restore();
            work.run();
        });
        count("notify", alerts.batch());
    }

    /** Counts an alert that came through. */
    public void routed(Endpoint endpoint, Exchange exchange) {
        routed(endpoint).add(exchange);
    }

    /** From where this poll looks; asked by its query. */
    public Timestamp since() {
        return current.get().look.since();
    }

    /**
     * The database has answered to this thread's poll, and none of its rows has been read.
     *
     * @return to be told of each of them; null where this thread has no poll
     */
    Taken taken() {
        Poll poll = current.get();
        if (poll == null) {
            return null;
        }
        lowWater.answered(poll.look);
        poll.timed = true;
        return poll.taken;
    }

    /**
     * This thread's poll has read an alert that came without an id, and would have another the next time; or one of a table of the user's, which a
     * crash may empty.
     */
    void unrepeatable() {
        Poll poll = current.get();
        if (poll != null) {
            poll.repeatable = false;
        }
    }

    @Override
    public void onExchangeBegin(Route route, Exchange exchange) {
        Poll poll = current.get();
        if (poll != null && !poll.answered) {
            answered(poll, route.getEndpoint(), exchange.getProperty(ExchangePropertyKey.BATCH_SIZE, 0, Integer.class));
        }
        if (poll != null && poll.sorted != null) {
            // a route may take all of them as one
            boolean all = exchange.getIn().getBody() instanceof List;
            Object alert = all
                    ? poll.sorted
                    : poll.sorted.get(exchange.getProperty(ExchangePropertyKey.BATCH_INDEX, Integer.class));
            exchange.getIn().setBody(alert);
            if (exchange.getContext().isAllowUseOriginalMessage()) {
                // which has been copied already
                exchange.getUnitOfWork().getOriginalInMessage().setBody(alert);
            }
        }
    }

    /** What was taken is known, and none of it has been routed. */
    private void answered(Poll poll, Endpoint endpoint, int alerts) {
        poll.answered = true;
        if (!poll.timed) {
            lowWater.answered(poll.look);
        }
        Object newest = poll.taken.newest();
        if (newest != null) {
            // before it is committed: who looks meanwhile would only find that it is locked
            lowWater.found(newest, false);
            poll.found = true;
        }
        poll.savepoints.restore();
        if (own && poll.repeatable && newest != null) {
            // before anything is filed, as Filing is to be the last
            Repeatable.mark();
        }
        backlog = alerts >= batch;
        if (backlog) {
            doorbell.help();
        }
        try {
            poll.stages.enter(Stages.Stage.ROUTING);
            routed(endpoint).clear();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            poll.interrupted = true;
        }
        // at the very end, and so for all of them or for none
        if (!poll.taken.isOrdered()) {
            poll.sorted = poll.taken.documents();
        }
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
        if (doorbell.isHelping() && !backlog) {
            return false;
        }
        Stages stages = doorbell.stages();
        try {
            stages.enter(Stages.Stage.TAKING);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
        listen(consumer, false);
        Poll poll = new Poll(stages, lowWater.next(backlog));
        current.set(poll);
        poll.status = manager.getTransaction(template);
        poll.savepoints = Savepoints.none(dataSource);
        return true;
    }

    /** @throws IllegalStateException where not all that was taken has been routed; the caller then rolls back */
    @Override
    public void commit(Consumer consumer, Endpoint endpoint, int polledMessages) {
        Poll poll = current.get();
        Routed.Batch alerts = Routed.Batch.NONE;
        if (polledMessages > 0) {
            alerts = routed(endpoint).batch();
            // where the consumer was stopped before the first of them, what is counted is of the poll before
            int count = poll.answered ? alerts.count() : 0;
            if (count != polledMessages || poll.interrupted) {
                throw new IllegalStateException("of %d alerts %d were routed, all of them stay in the feedback table"
                        .formatted(polledMessages, count));
            }
            enterFiling(poll);
            tell(polledMessages);
        } else {
            backlog = false;
            lowWater.answered(poll.look);
        }
        current.remove();
        try {
            manager.commit(poll.status);
        } finally {
            poll.stages.leave();
        }
        if (!poll.found) {
            lowWater.found(poll.taken.newest(), polledMessages == 0);
        }
        count("durable", alerts);
        if (polledMessages == 0) {
            listen(consumer, true);
            atLeisure.run();
        }
    }

    private static void enterFiling(Poll poll) {
        try {
            poll.stages.enter(Stages.Stage.FILING);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(
                    "stopped before the alerts were filed, all of them stay in the feedback table", e);
        }
    }

    private void count(String path, Routed.Batch batch) {
        hits.count(batch.alerts());
        figures.routed(path, batch.alerts());
        figures.silenced(batch.silenced());
        silences.count(batch.silences());
    }

    /** Where nobody can be told to ring, the next poll finds what was written. */
    private void listen(Consumer consumer, boolean idle) {
        if (!awake.isListeningToBeSaid(idle)) {
            return;
        }
        Duration poll =
                consumer instanceof ScheduledPollConsumer polled ? Duration.ofMillis(polled.getDelay()) : Duration.ZERO;
        // by itself: it must be committed before the table is looked at
        try (Connection connection = dataSource.getConnection()) {
            awake.listen(connection, table, poll);
            heard = true;
        } catch (SQLException e) {
            if (heard) {
                LOG.warn("writers cannot be told to ring, so alerts wait for the next poll: {}", Errors.inWords(e));
                heard = false;
            }
        }
    }

    /** A doorbell that cannot be silenced is no reason to keep alerts waiting. */
    private void tell(int alerts) {
        if (!awake.isToBeTold(alerts)) {
            return;
        }
        // takes part in the transaction, and gives nothing back before its end
        Connection connection = DataSourceUtils.getConnection(dataSource);
        try {
            Savepoint before = connection.setSavepoint();
            try {
                awake.tell(connection, table);
                connection.releaseSavepoint(before);
            } catch (SQLException e) {
                connection.rollback(before);
                if (silenced) {
                    LOG.warn("writers ring for each alert in a storm, which slows them down: {}", Errors.inWords(e));
                    silenced = false;
                }
            }
        } catch (SQLException e) {
            throw new UncategorizedSQLException("telling writers not to ring", null, e);
        } finally {
            DataSourceUtils.releaseConnection(connection, dataSource);
        }
    }

    @Override
    public boolean rollback(Consumer consumer, Endpoint endpoint, int retryCounter, Exception cause) {
        rollback();
        awake.forget();
        lowWater.forget();
        doorbell.failed();
        return false;
    }

    private void rollback() {
        Poll poll = current.get();
        current.remove();
        try {
            if (poll != null && poll.status != null && !poll.status.isCompleted()) {
                manager.rollback(poll.status);
            }
        } finally {
            if (poll != null) {
                lowWater.forget();
                poll.stages.leave();
            }
        }
    }
}
