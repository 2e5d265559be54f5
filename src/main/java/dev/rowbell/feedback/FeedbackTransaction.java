package dev.rowbell.feedback;

import dev.rowbell.database.Database;
import dev.rowbell.database.PollCursor;
import dev.rowbell.database.Transactions;
import dev.rowbell.error.Errors;
import dev.rowbell.error.Printable;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import javax.sql.DataSource;
import org.apache.camel.Endpoint;
import org.apache.camel.Exchange;
import org.apache.camel.Route;
import org.apache.camel.spi.PollingConsumerPollStrategy;
import org.apache.camel.support.RoutePolicySupport;
import org.apache.camel.support.ScheduledPollConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionSynchronizationManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * One poll of the feedback table, or one group of notifications, is one database transaction: taking the alerts and filing their deliveries commit
 * together. As the route's policy it counts the alerts that were routed, and commits a poll only where that is all of them: a consumer that is being
 * stopped skips the rest of its batch without a word. In a backlog three threads poll, so that one batch is taken while another is routed and a third
 * commits; no batch overtakes another. Safe for many threads; a poll belongs to the thread that began it.
 */
public final class FeedbackTransaction extends RoutePolicySupport implements PollingConsumerPollStrategy {

    private static final Logger LOG = LoggerFactory.getLogger(FeedbackTransaction.class);
    /** Of an exchange: the batch of its poll. */
    private static final String BATCH = "RowbellBatch";

    private static final int CONNECTIONS_TO_OVERLAP = 5;
    /** A transaction that is idle for 30 seconds ends, see {@link dev.rowbell.database.Sessions}. */
    private static final Duration QUICK = Duration.ofSeconds(2);

    private final DataSource dataSource;
    private final Transactions manager;
    private final TransactionTemplate template;
    private final JdbcClient jdbc;
    private final Doorbell doorbell;
    private final DoorbellLease lease;
    private final String table;
    private final int batchSize;
    private final BiConsumer<String, Batch> routed;
    private final BiConsumer<String, Batch> committed;
    private final Runnable whenIdle;
    private final PollCursor cursor = new PollCursor();
    /** A poll holds one of the three locks, and lets go of it when it holds the next: so polls follow each other. */
    private final ReentrantLock taking = new ReentrantLock(true);

    private final ReentrantLock routing = new ReentrantLock(true);
    private final ReentrantLock committing = new ReentrantLock(true);
    /** Whether the pool has connections for polls that overlap: each holds one, and routing at times needs one more. */
    private final boolean mayOverlap;
    /** The last poll took a full batch. Guarded by {@link #taking}. */
    private boolean backlog;
    /** The last batch was routed so quickly that the next one may wait for it, its transaction being idle. */
    private volatile boolean quick;

    /** A poll under way, bound to its thread as its transaction is. */
    private static final class Poll {

        private final PollCursor.Scan scan;
        private final TransactionStatus transaction;
        private final Batch batch = new Batch();
        private Savepoints savepoints;
        private int taken;
        private Object newest;
        private long routedAt;

        private Poll(PollCursor.Scan scan, TransactionStatus transaction) {
            this.scan = scan;
            this.transaction = transaction;
        }

        private void endSavepoints() {
            if (savepoints != null) {
                savepoints.end();
            }
        }
    }

    /**
     * @param table the feedback table, as SQL names it
     * @param batchSize how many alerts a poll takes at most
     * @param routed told of each batch that was routed, after {@code durable} or {@code notify}, before the commit and in its transaction
     * @param committed told of each batch that was committed, after {@code durable} or {@code notify}
     * @param whenIdle work that alerts would have to wait for, called when none waits
     */
    public FeedbackTransaction(
            DataSource dataSource,
            Doorbell doorbell,
            String table,
            int batchSize,
            BiConsumer<String, Batch> routed,
            BiConsumer<String, Batch> committed,
            Runnable whenIdle) {
        this.dataSource = dataSource;
        this.doorbell = doorbell;
        this.table = table;
        this.batchSize = batchSize;
        this.routed = routed;
        this.committed = committed;
        this.whenIdle = whenIdle;
        lease = doorbell.lease();
        mayOverlap = Database.connections(dataSource) >= CONNECTIONS_TO_OVERLAP;
        doorbell.whenAThreadEnds(this::rollback);
        jdbc = JdbcClient.create(dataSource);
        manager = new Transactions(dataSource);
        template = new TransactionTemplate(manager);
    }

    /**
     * Runs the work in a transaction that commits when it returns and rolls back when it throws.
     *
     * @param work adds the alerts that it routes to the batch
     */
    public void run(Consumer<Batch> work) {
        Batch batch = new Batch();
        template.executeWithoutResult(status -> {
            Savepoints savepoints = Savepoints.begin(dataSource);
            try {
                work.accept(batch);
            } finally {
                savepoints.end();
            }
            routed.accept("notify", batch);
        });
        committed.accept("notify", batch);
    }

    /** For statements in the transaction of the thread. */
    public JdbcClient jdbc() {
        return jdbc;
    }

    /** From where the poll of this thread scans; for its query. Null: the last two seconds. */
    Timestamp since() {
        return poll().scan.since();
    }

    /** Waits until no other poll takes alerts. Returns false where the thread is interrupted meanwhile, as at a stop. */
    @Override
    public boolean begin(org.apache.camel.Consumer consumer, Endpoint endpoint) {
        // an Error may have left one behind
        rollback();
        try {
            taking.lockInterruptibly();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
        lease.listen(jdbc, table, delay(consumer), false);
        PollCursor.Scan scan = cursor.next(backlog);
        TransactionSynchronizationManager.bindResource(this, new Poll(scan, manager.getTransaction(template)));
        return true;
    }

    /** The database has answered the query of the poll. */
    void answered() {
        Poll poll = poll();
        cursor.answered(poll.scan);
        poll.savepoints = Savepoints.begin(dataSource);
    }

    /**
     * @param rows how many rows the query has returned
     * @param newest the time of the last one, as the driver has it; null where it has none
     */
    void taken(int rows, Object newest) {
        Poll poll = poll();
        poll.taken = rows;
        poll.newest = newest;
    }

    @Override
    public void onExchangeBegin(Route route, Exchange exchange) {
        Poll poll = poll();
        if (poll != null) {
            startRouting(poll);
            exchange.setProperty(BATCH, poll.batch);
        }
    }

    /** All rows are read: the next poll may take those behind them. */
    private void startRouting(Poll poll) {
        if (taking.isHeldByCurrentThread()) {
            routing.lock();
            poll.routedAt = System.nanoTime();
            cursor.found(poll.newest, poll.taken == 0);
            backlog = poll.taken >= batchSize;
            doorbell.help(backlog && quick && mayOverlap);
            taking.unlock();
        }
    }

    /** Called by the thread in which the route ended, which need not be the one that polls. */
    @Override
    public void onExchangeDone(Route route, Exchange exchange) {
        if (exchange.getProperty(BATCH) instanceof Batch batch && !exchange.isFailed()) {
            batch.add(exchange);
        }
    }

    /** @throws IllegalStateException where not all that was taken has been routed, unless the context stops; the caller then rolls back */
    @Override
    public void commit(org.apache.camel.Consumer consumer, Endpoint endpoint, int polledMessages) {
        Poll poll = poll();
        if (poll.batch.count() != polledMessages) {
            if (endpoint.getCamelContext().isStopping()) {
                // it refuses alerts before it stops this consumer, whose failures are logged until then
                rollback();
                return;
            }
            throw new IllegalStateException("of %d alerts %d were routed, all of them stay in the feedback table"
                    .formatted(polledMessages, poll.batch.count()));
        }
        boolean idle = polledMessages == 0;
        startRouting(poll);
        quick = System.nanoTime() - poll.routedAt < QUICK.toNanos();
        committing.lock();
        routing.unlock();
        poll.endSavepoints();
        routed.accept("durable", poll.batch);
        manager.commit(poll.transaction);
        // before any work that needs a connection: polls that wait for a lock hold theirs
        end();
        if (idle) {
            lease.listen(jdbc, table, delay(consumer), true);
            whenIdle.run();
        } else {
            lease.count(jdbc, table, polledMessages);
            committed.accept("durable", poll.batch);
        }
        doorbell.pollWithin(untilNextPoll(poll, idle, consumer));
    }

    @Override
    public boolean rollback(org.apache.camel.Consumer consumer, Endpoint endpoint, int retryCounter, Exception cause) {
        rollback();
        cursor.reset();
        lease.reset();
        if (isUnreadable(cause)) {
            putUnreadableAside();
        }
        return false;
    }

    /** PostgreSQL could not send one of the rows: it has bytes that its encoding has no character for. */
    private static boolean isUnreadable(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLException e && Set.of("22P05", "22021").contains(String.valueOf(e.getSQLState()))) {
                return true;
            }
        }
        return false;
    }

    private void putUnreadableAside() {
        try {
            List<String> ids = jdbc.sql("select rowbell.put_unreadable_aside(?::regclass, ?)")
                    .params(table, batchSize)
                    .query(String.class)
                    .list();
            if (!ids.isEmpty()) {
                LOG.error(
                        "{} alerts have bytes that are no text in the encoding of the database, and are dead letters:"
                                + " \"deliveries list\" shows them: {}",
                        ids.size(),
                        Printable.line(ids.toString()));
            }
        } catch (DataAccessException e) {
            LOG.warn("alerts that cannot be read cannot be put aside, trying again: {}", Errors.inWords(e));
        }
    }

    private void rollback() {
        Poll failed = poll();
        try {
            if (failed != null && !failed.transaction.isCompleted()) {
                cursor.reset();
                failed.endSavepoints();
                manager.rollback(failed.transaction);
            }
        } finally {
            end();
        }
    }

    /** The poll of this thread; null where it has none. */
    private Poll poll() {
        return (Poll) TransactionSynchronizationManager.getResource(this);
    }

    /** This thread has no poll any more, and holds up none. */
    private void end() {
        TransactionSynchronizationManager.unbindResourceIfPossible(this);
        for (ReentrantLock lock : List.of(taking, routing, committing)) {
            if (lock.isHeldByCurrentThread()) {
                lock.unlock();
            }
        }
    }

    private Duration untilNextPoll(Poll poll, boolean idle, org.apache.camel.Consumer consumer) {
        if (lease.isSuppressed() || poll.taken >= batchSize) {
            return idle ? Doorbell.IN_STORM : Duration.ZERO;
        }
        return idle ? whenIdle(poll.scan, consumer) : Doorbell.AFTER_FEW;
    }

    /** A row with a time of long ago may have rung for this poll, which did not scan so far back. */
    private Duration whenIdle(PollCursor.Scan scan, org.apache.camel.Consumer consumer) {
        Duration everything = cursor.untilEverything(scan);
        Duration delay = delay(consumer);
        return everything == null || everything.compareTo(delay) > 0 ? delay : everything;
    }

    private static Duration delay(org.apache.camel.Consumer consumer) {
        return Duration.ofMillis(((ScheduledPollConsumer) consumer).getDelay());
    }
}
