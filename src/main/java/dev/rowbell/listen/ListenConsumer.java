package dev.rowbell.listen;

import dev.rowbell.alert.AlertId;
import dev.rowbell.error.Backoff;
import dev.rowbell.error.Errors;
import dev.rowbell.feedback.Batch;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.settings.Settings;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.component.pgevent.PgEventConstants;
import org.apache.camel.support.DefaultConsumer;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Listens on one connection with one thread, and connects again for ever: after 0.2 s, then ever later up to 10 s. After each connect it rings
 * the doorbell, for alerts that were written meanwhile. It waits outside of a transaction.
 */
final class ListenConsumer extends DefaultConsumer {

    private static final Logger LOG = LoggerFactory.getLogger(ListenConsumer.class);

    /** The id of the alert that a notification becomes, unless its payload brings one. */
    private static final String ID_HEADER = "alertId";
    /** How long one wait for notifications is, and so how soon a stop is seen. */
    private static final Duration SLICE = Duration.ofMillis(250);

    /** The server notices too when this end is gone, and releases what only one process may hold. */
    private static final String KEEPALIVE =
            "set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3";

    private final ListenEndpoint endpoint;
    private final Backoff backoff = new Backoff(Duration.ofMillis(200), Duration.ofSeconds(10));
    private ExecutorService thread;
    private volatile boolean running;
    /** When the last connection was lost, by nanoTime; 0 while there has been none. */
    private long lostAt;

    private boolean listening;

    ListenConsumer(ListenEndpoint endpoint, Processor processor) {
        super(endpoint, processor);
        this.endpoint = endpoint;
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        running = true;
        listeners().gone(channels());
        thread = endpoint.getCamelContext()
                .getExecutorServiceManager()
                .newSingleThreadExecutor(this, "listen:" + endpoint.getChannel());
        thread.execute(this::listenForEver);
    }

    @Override
    protected void doStop() throws Exception {
        running = false;
        if (thread != null) {
            long patience = TimeUnit.SECONDS.toMillis(
                    endpoint.getCamelContext().getShutdownStrategy().getTimeout());
            endpoint.getCamelContext().getExecutorServiceManager().shutdownGraceful(thread, patience);
        }
        listeners().stopped(channels());
        super.doStop();
    }

    private Listeners listeners() {
        return endpoint.component().listeners();
    }

    private String channels() {
        return String.join(",", endpoint.channels());
    }

    private void listenForEver() {
        int failures = 0;
        while (running) {
            Connection connection = null;
            try {
                connection = endpoint.connect();
                // a half-open socket answers the heartbeat with silence
                connection.setNetworkTimeout(Runnable::run, (int) heartbeat().toMillis());
                execute(connection, KEEPALIVE);
                if (await(connection)) {
                    listen(connection);
                    failures = 0;
                    hear(connection);
                }
            } catch (SQLException e) {
                lost(e, failures);
                rest(backoff.after(++failures));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            } catch (Throwable e) {
                // without this thread the process would never listen again
                LOG.error("listening to {} failed, trying again", endpoint.channels(), e);
                rest(backoff.after(++failures));
            } finally {
                close(connection);
            }
        }
    }

    private static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private Duration heartbeat() {
        return new Settings(endpoint.getCamelContext()).duration("rowbell.listen.heartbeat");
    }

    /** Whether this process may listen; where only one may, waits until it is this one. False when stopped. */
    private boolean await(Connection connection) throws SQLException, InterruptedException {
        if (!endpoint.isExclusive()) {
            return running;
        }
        boolean said = false;
        while (running) {
            try (PreparedStatement statement = connection.prepareStatement(
                    "select pg_try_advisory_lock(hashtext('rowbell listen'), hashtext(?))")) {
                statement.setString(1, endpoint.getChannel());
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    if (row.getBoolean(1)) {
                        return true;
                    }
                }
            }
            listeners().here(channels());
            if (!said) {
                LOG.info("another process listens to {}, this one stands by", endpoint.channels());
                said = true;
            }
            TimeUnit.MILLISECONDS.sleep(SLICE.toMillis() * 2);
        }
        return false;
    }

    private void listen(Connection connection) throws SQLException {
        for (String channel : endpoint.channels()) {
            execute(connection, "listen \"" + channel.replace("\"", "\"\"") + "\"");
        }
        listening = true;
        if (lostAt == 0) {
            LOG.debug("listening to {}", endpoint.channels());
        } else {
            Duration gap = Duration.ofNanos(System.nanoTime() - lostAt);
            LOG.warn(
                    "listening to {} again after a gap of {} s: notifications sent meanwhile are lost, durable alerts are not",
                    endpoint.channels(),
                    "%d.%d".formatted(gap.toSeconds(), gap.toMillisPart() / 100));
            endpoint.component().metrics().gap(gap);
            lostAt = 0;
        }
        listeners().here(channels());
        endpoint.component().doorbell().ring();
    }

    private void hear(Connection connection) throws SQLException {
        PGConnection notified = connection.unwrap(PGConnection.class);
        long heard = System.nanoTime();
        while (running) {
            PGNotification[] notifications = notified.getNotifications((int) SLICE.toMillis());
            if (notifications != null && notifications.length > 0) {
                heard = System.nanoTime();
                route(notifications);
            } else if (System.nanoTime() - heard > heartbeat().toNanos()) {
                if (!isRegistered(connection)) {
                    // a pooler in between, or a discard all
                    lostAt = heard;
                    LOG.warn(
                            "the server has forgotten that this process listens to {}, listening again",
                            endpoint.channels());
                    listen(connection);
                }
                heard = System.nanoTime();
            }
        }
    }

    /** Also whether the server still answers. */
    private boolean isRegistered(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select count(*) from pg_listening_channels()")) {
            row.next();
            return row.getInt(1) >= endpoint.channels().size();
        }
    }

    /** A notification that was received is not lost because the database is away: it is routed until that succeeds. */
    private void route(PGNotification[] notifications) {
        // made once, so that a notification which is routed again is the same alert
        List<String> ids = Arrays.stream(notifications)
                .map(notification -> AlertId.next(Clock.systemUTC()))
                .toList();
        FeedbackTransaction transaction = endpoint.getTransaction();
        if (transaction == null) {
            routeAlone(notifications, ids);
            return;
        }
        for (int failures = 0; true; ) {
            try {
                transaction.run(batch -> routeTogether(notifications, ids, batch));
                return;
            } catch (RuntimeException e) {
                if (!running) {
                    LOG.error(
                            "{} notifications could not be routed before the stop: {}",
                            notifications.length,
                            Errors.inWords(e));
                    return;
                }
                if (++failures == 1) {
                    LOG.warn(
                            "routing {} notifications failed, trying again: {}",
                            notifications.length,
                            Errors.inWords(e));
                }
                rest(backoff.after(failures));
            }
        }
    }

    private void routeTogether(PGNotification[] notifications, List<String> ids, Batch batch) {
        for (int i = 0; i < notifications.length; i++) {
            Exchange exchange = process(notifications[i], ids.get(i));
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

    private void routeAlone(PGNotification[] notifications, List<String> ids) {
        for (int i = 0; i < notifications.length; i++) {
            Exchange exchange = process(notifications[i], ids.get(i));
            if (exchange.getException() != null) {
                String message = "a notification on " + notifications[i].getName() + " could not be routed";
                getExceptionHandler().handleException(message, exchange, exchange.getException());
            }
            releaseExchange(exchange, false);
        }
    }

    private Exchange process(PGNotification notification, String id) {
        Exchange exchange = createExchange(false);
        exchange.getIn().setHeader(PgEventConstants.HEADER_CHANNEL, notification.getName());
        exchange.getIn().setHeader(ID_HEADER, id);
        exchange.getIn().setBody(notification.getParameter());
        try {
            getProcessor().process(exchange);
        } catch (Exception e) {
            exchange.setException(e);
        }
        return exchange;
    }

    private void lost(SQLException e, int failures) {
        if (!running) {
            return;
        }
        listeners().gone(channels());
        if (listening) {
            lostAt = System.nanoTime();
            listening = false;
            endpoint.component().connectionLost();
        }
        if (failures == 0) {
            LOG.warn(
                    "the connection that listens to {} is gone, connecting again: {}",
                    endpoint.channels(),
                    Errors.inWords(e));
        }
    }

    private void rest(Duration time) {
        long end = System.nanoTime() + time.toNanos();
        try {
            while (running && System.nanoTime() < end) {
                TimeUnit.NANOSECONDS.sleep(Math.min(SLICE.toNanos(), Math.max(1, end - System.nanoTime())));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void close(Connection connection) {
        if (connection != null) {
            try {
                connection.close();
            } catch (SQLException e) {
                LOG.debug("closing a connection that was lost", e);
            }
        }
    }
}
