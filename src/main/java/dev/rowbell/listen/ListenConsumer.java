package dev.rowbell.listen;

import dev.rowbell.database.Sessions;
import dev.rowbell.error.Backoff;
import dev.rowbell.error.Errors;
import dev.rowbell.feedback.Batch;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.health.Watchdog;
import dev.rowbell.settings.Settings;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.component.pgevent.PgEventConstants;
import org.apache.camel.support.DefaultConsumer;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/**
 * Listens on one connection with one thread, and connects again for ever: after 0.2 s, then ever later up to 10 s. After each connect it rings
 * the doorbell, for alerts that were written meanwhile. It waits outside of a transaction.
 */
final class ListenConsumer extends DefaultConsumer {

    private static final Logger LOG = LoggerFactory.getLogger(ListenConsumer.class);

    /** The id of the alert that a notification becomes, unless its payload brings one. */
    private static final String ID_HEADER = "alertId";
    /** When a notification arrived, by which the time in it is judged. */
    private static final String ARRIVED_HEADER = "alertArrived";

    /** Carries no alerts. */
    private static final String DOORBELL = "rowbell_doorbell";
    /** How long one wait for notifications is, and so how soon a stop is seen. */
    private static final Duration SLICE = Duration.ofMillis(250);

    /** What fails, for the log. */
    private static final String STORED = "notifications of before a stop";

    private static final Duration START = Duration.ofSeconds(2);
    /** How long the listener may take to store notifications after Camel's timeout for the stop. */
    private static final Duration LAST = Duration.ofSeconds(2);

    private static final Duration STANDBY = Duration.ofMillis(500);

    /** Asks by a notification to this listener itself, unless the server's queue is nearly full, where sending would fail. */
    private static final String ECHO =
            "case when pg_notification_queue_usage() < 0.9 then pg_notify(:echo, '')::text end is not null as sent";

    private static final String NO_ECHO =
            "a notification to itself did not come back, so something in between loses them:"
                    + " set rowbell.listen.url to a connection that leads to the server itself";

    /** The connection is there, and hears nothing. */
    private static final class NotHeardException extends SQLException {

        private static final long serialVersionUID = 1L;

        NotHeardException(String why) {
            super(why);
        }
    }

    private final ListenEndpoint endpoint;
    private final String channels;
    /** The channel on which this listener sends to itself. */
    private final String echo = "rowbell_echo_" + UUID.randomUUID();

    private final Backoff backoff = new Backoff(Duration.ofMillis(200), Duration.ofSeconds(10));
    private ExecutorService thread;
    /** Down while stopped. */
    private volatile CountDownLatch stop = new CountDownLatch(0);
    /** Down when it listens for the first time after a start, or waits for that. */
    private volatile CountDownLatch started = new CountDownLatch(0);
    /** When the last connection was lost, by nanoTime; 0 while there has been none. */
    private long lostAt;

    private boolean listening;
    /** A notification to itself is under way. */
    private boolean awaitingEcho;

    private int failures;

    ListenConsumer(ListenEndpoint endpoint, Processor processor) {
        super(endpoint, processor);
        this.endpoint = endpoint;
        channels = String.join(",", endpoint.channels());
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        stop = new CountDownLatch(1);
        started = new CountDownLatch(1);
        listeners().gone(channels, "");
        thread = endpoint.getCamelContext()
                .getExecutorServiceManager()
                .newSingleThreadExecutor(this, "listen:" + endpoint.getChannel());
        watchdog().start("the listener of " + channels, thread, this::connectForEver);
        // as with Camel's own, what is sent after the start is heard; a database that is away holds up no start
        CountDownLatch first = started;
        endpoint.getCamelContext()
                .addStartupListener((context, running) -> first.await(START.toMillis(), TimeUnit.MILLISECONDS));
    }

    @Override
    protected void doStop() throws Exception {
        stop.countDown();
        if (thread != null) {
            thread.shutdown();
            if (!hasEnded(Duration.ofSeconds(
                    endpoint.getCamelContext().getShutdownStrategy().getTimeout()))) {
                // the interrupted listener stores the notifications that it has received
                thread.shutdownNow();
                hasEnded(LAST);
            }
        }
        listeners().stopped(channels);
        super.doStop();
    }

    private boolean hasEnded(Duration patience) {
        try {
            return thread.awaitTermination(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            // Camel's own patience is at its end; what follows is short and must be done all the same
            return false;
        }
    }

    private boolean isRunning() {
        return stop.getCount() > 0;
    }

    private Listeners listeners() {
        return endpoint.component().listeners();
    }

    private Watchdog watchdog() {
        return endpoint.component().watchdog();
    }

    private void connectForEver() {
        failures = 0;
        while (isRunning()) {
            try (Connection connection = endpoint.connect()) {
                // a half-open socket answers the heartbeat with silence
                connection.setNetworkTimeout(Runnable::run, (int) heartbeat().toMillis());
                JdbcClient jdbc = JdbcClient.create(new SingleConnectionDataSource(connection, true));
                if (Sessions.areShared(connection, endpoint::connect)) {
                    throw new Sessions.SharedException();
                }
                jdbc.sql(Sessions.ALONE).query().listOfRows();
                ReadBudget budget = ReadBudget.of(connection);
                if (awaitTurn(jdbc)) {
                    listen(jdbc);
                    receive(connection.unwrap(PGConnection.class), budget, jdbc);
                }
            } catch (SQLException | DataAccessException e) {
                watchdog().caught(e);
                lost(e);
                pause(backoff.after(++failures));
            } catch (Throwable e) {
                // without this thread the process would never listen again
                watchdog().caught(e);
                watchdog()
                        .failures()
                        .failed("listener of " + channels)
                        .ifPresent(since -> LOG.error(
                                "listening to {} fails {}, trying again. Restart if it goes on, and report the error",
                                channels,
                                since,
                                e));
                pause(backoff.after(++failures));
            }
        }
    }

    private Duration heartbeat() {
        return new Settings(endpoint.getCamelContext()).duration("rowbell.listen.heartbeat");
    }

    /** Whether this process may listen; where only one may, waits until it is this one. False when stopped. */
    private boolean awaitTurn(JdbcClient jdbc) {
        boolean standsBy = false;
        while (isRunning()) {
            Optional<String> holder = endpoint.isExclusive()
                    ? jdbc.sql("select rowbell.claim_channels(?)")
                            .param(endpoint.getChannel())
                            .query(String.class)
                            .optional()
                    : Optional.empty();
            if (holder.isEmpty()) {
                return true;
            }
            listeners().here(channels);
            if (!standsBy) {
                LOG.info("another process listens to {}, this one stands by: {}", channels, holder.get());
                standsBy = true;
            }
            pause(STANDBY);
        }
        return false;
    }

    private void listen(JdbcClient jdbc) {
        listening = false;
        listen(jdbc, echo);
        awaitingEcho = jdbc.sql("select " + ECHO)
                .param("echo", echo)
                .query(Boolean.class)
                .single();
        endpoint.channels().forEach(channel -> listen(jdbc, channel));
        if (!awaitingEcho) {
            heard();
        }
    }

    private static void listen(JdbcClient jdbc, String channel) {
        jdbc.sql("listen \"" + channel.replace("\"", "\"\"") + "\"").update();
    }

    /** The notification to itself came back. */
    private void heard() {
        started.countDown();
        awaitingEcho = false;
        if (listening) {
            return;
        }
        listening = true;
        failures = 0;
        watchdog().failures().databaseAnswers();
        if (lostAt == 0) {
            LOG.debug("listening to {}", channels);
        } else {
            Duration gap = Duration.ofNanos(System.nanoTime() - lostAt);
            if (!channels.equals(DOORBELL)) {
                watchdog()
                        .failures()
                        .failed("gap of " + channels, gap)
                        .ifPresent(since -> LOG.warn(
                                "listening to {} again after a gap of {} s ({}): notifications sent meanwhile are lost, durable alerts"
                                        + " are not",
                                channels,
                                "%d.%d".formatted(gap.toSeconds(), gap.toMillisPart() / 100),
                                since));
            }
            endpoint.component().metrics().gap(gap);
            lostAt = 0;
        }
        listeners().here(channels);
        endpoint.component().doorbell().ring();
        routeStored();
    }

    private void receive(PGConnection connection, ReadBudget budget, JdbcClient jdbc) throws SQLException {
        // not in each turn: to resolve a setting takes as long as all else that a doorbell does here
        long heartbeat = heartbeat().toNanos();
        long heardAt = System.nanoTime();
        long storedAt = heardAt;
        boolean more = false;
        while (isRunning()) {
            budget.begin();
            PGNotification[] received = connection.getNotifications((int) SLICE.toMillis());
            more = budget.end();
            if (received != null && received.length > 0) {
                heardAt = System.nanoTime();
                List<Notification> alerts = Notification.of(received, echo);
                if (alerts.size() < received.length) {
                    heard();
                }
                route(alerts, jdbc);
            } else if (System.nanoTime() - heardAt > heartbeat) {
                beat(jdbc, heardAt);
                heardAt = System.nanoTime();
            }
            // by time: a busy channel is never silent
            if (listening && System.nanoTime() - storedAt > heartbeat) {
                routeStored();
                storedAt = System.nanoTime();
            }
        }
        if (!more && (endpoint.getTransaction() != null || endpoint.isExclusive())) {
            jdbc.sql("unlisten *").update();
            if (endpoint.getTransaction() != null) {
                // what the server sent before it knew
                store(Notification.of(connection.getNotifications(), echo), jdbc);
            }
            if (endpoint.isExclusive()) {
                jdbc.sql("select rowbell.release_channels(?)")
                        .param(endpoint.getChannel())
                        .query()
                        .listOfRows();
            }
        }
    }

    /** Finds out whether the server still answers, as a primary, and knows who listens. */
    private void beat(JdbcClient jdbc, long heardAt) throws SQLException {
        if (awaitingEcho) {
            throw new NotHeardException(NO_ECHO);
        }
        Map<String, Object> answer =
                jdbc.sql("select " + ECHO + """
                        , (select count(*) from pg_listening_channels()) as registered,
                        current_setting('transaction_read_only') = 'on' as read_only
                        """).param("echo", echo).query().singleRow();
        if ((boolean) answer.get("read_only")) {
            throw new SQLException("the server is read only, as a primary that was demoted", "25006");
        } else if ((long) answer.get("registered") <= endpoint.channels().size()) {
            // a discard all, or a pooler in between
            lostAt = heardAt;
            LOG.warn("the server has forgotten that this process listens to {}, listening again", channels);
            if (awaitTurn(jdbc)) {
                listen(jdbc);
            }
        } else {
            awaitingEcho = (boolean) answer.get("sent");
        }
    }

    /**
     * A notification that was received is not lost because the database is away: it is routed until that succeeds, or stored where this process
     * stops before.
     */
    private void route(List<Notification> notifications, JdbcClient jdbc) {
        FeedbackTransaction transaction = endpoint.getTransaction();
        if (notifications.isEmpty()) {
            return;
        } else if (transaction == null) {
            routeAlone(notifications);
            return;
        }
        for (int tries = 1; true; tries++) {
            try {
                transaction.run(batch -> routeTogether(notifications, batch));
                return;
            } catch (Throwable e) {
                // after an Error too the notifications are there nowhere else
                watchdog().caught(e);
                if (!isRunning()) {
                    LOG.debug("not routed before the stop", e);
                    store(notifications, jdbc);
                    return;
                }
                if (tries == 1 && !watchdog().failures().isDatabaseAway(e)) {
                    LOG.warn(
                            "routing {} notifications failed, trying again: {}. They are kept; see routes/alerts.camel.yaml",
                            notifications.size(),
                            Errors.inWords(e));
                }
                pause(backoff.after(tries));
            }
        }
    }

    /** For the next process that listens, or this one after its next start. Over the connection that listens: the pool may be busy or closed. */
    private void store(List<Notification> notifications, JdbcClient jdbc) {
        try {
            NotificationRepository.insert(jdbc, notifications);
        } catch (Throwable e) {
            watchdog().caught(e);
            LOG.error(
                    "{} notifications could neither be routed nor stored before the stop, and are lost: {}. Rules with"
                            + " delivery: durable lose nothing",
                    notifications.size(),
                    Errors.inWords(e));
        }
    }

    /** Routes what a process had received when it stopped. A failure costs nothing: they stay stored until the next try. */
    private void routeStored() {
        FeedbackTransaction transaction = endpoint.getTransaction();
        if (transaction == null) {
            return;
        }
        AtomicBoolean more = new AtomicBoolean(true);
        try {
            while (more.get() && isRunning()) {
                transaction.run(batch -> {
                    List<Notification> taken = NotificationRepository.take(transaction.jdbc(), endpoint.channels());
                    more.set(taken.size() == NotificationRepository.AT_ONCE);
                    routeTogether(taken, batch);
                });
            }
            watchdog()
                    .failures()
                    .succeeded(STORED)
                    .ifPresent(after -> LOG.info("routing {} works again {}", STORED, after));
        } catch (Throwable e) {
            watchdog().caught(e);
            if (!watchdog().failures().isDatabaseAway(e)) {
                watchdog()
                        .failures()
                        .failed(STORED)
                        .ifPresent(since ->
                                LOG.warn("routing {} fails {}, trying again: {}", STORED, since, Errors.inWords(e)));
            }
        }
    }

    private void routeTogether(List<Notification> notifications, Batch batch) {
        for (Notification notification : notifications) {
            Exchange exchange = process(notification);
            try {
                if (exchange.getException() != null) {
                    throw RuntimeCamelException.wrapRuntimeCamelException(exchange.getException());
                }
                batch.add(exchange);
            } finally {
                releaseExchange(exchange, false);
            }
        }
    }

    private void routeAlone(List<Notification> notifications) {
        for (Notification notification : notifications) {
            Exchange exchange = process(notification);
            if (isCutOff(exchange.getException())) {
                LOG.debug("a notification came while the context was stopped by force", exchange.getException());
            } else if (exchange.getException() != null) {
                String message = "a notification on " + notification.channel() + " could not be routed";
                getExceptionHandler().handleException(message, exchange, exchange.getException());
            }
            releaseExchange(exchange, false);
        }
    }

    /** The routes take nothing any more, and this consumer is about to be stopped: as if the notification had come later. */
    private boolean isCutOff(Exception failure) {
        return failure instanceof RejectedExecutionException
                && endpoint.getCamelContext().getShutdownStrategy().isForceShutdown();
    }

    private Exchange process(Notification notification) {
        Exchange exchange = createExchange(false);
        exchange.getIn().setHeader(PgEventConstants.HEADER_CHANNEL, notification.channel());
        exchange.getIn().setHeader(ID_HEADER, notification.id());
        exchange.getIn().setHeader(ARRIVED_HEADER, notification.arrived());
        exchange.getIn().setBody(notification.payload());
        try {
            getProcessor().process(exchange);
        } catch (Throwable e) {
            watchdog().caught(e);
            exchange.setException(e);
        } finally {
            // what the route leaves behind is no stop, and would keep the pool from lending a connection
            Thread.interrupted();
        }
        return exchange;
    }

    private void lost(Exception e) {
        if (!isRunning()) {
            return;
        }
        boolean unheard = e instanceof NotHeardException || e instanceof Sessions.SharedException;
        listeners().gone(channels, unheard ? e.getMessage() : "");
        boolean heard = listening && !unheard;
        if (listening) {
            lostAt = System.nanoTime();
            listening = false;
            endpoint.component().connectionLost();
        }
        if (failures == 0 && (unheard || !watchdog().failures().isDatabaseAway(e))) {
            LOG.warn(
                    heard
                            ? "the connection that listens to {} is gone, connecting again: {}"
                            : "{} cannot be listened to, trying again: {}",
                    channels,
                    unheard ? e.getMessage() : Errors.inWords(e));
        }
    }

    /** Ends early at the stop. */
    private void pause(Duration time) {
        started.countDown();
        try {
            stop.await(time.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            LOG.debug("a pause was cut short", e);
        }
    }
}
