package dev.rowbell.listen;

import dev.rowbell.alert.AlertId;
import dev.rowbell.error.Backoff;
import dev.rowbell.error.Errors;
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
 * Listens on one connection with one thread, and comes back for ever: after 0.2 s, then ever later up to 10 s. After each connect it rings
 * the doorbell, for what was written while nobody listened. Never inside a transaction while it waits.
 */
final class ListenConsumer extends DefaultConsumer {

    private static final Logger LOG = LoggerFactory.getLogger(ListenConsumer.class);

    /** The id of the alert that a notification becomes, unless its payload brings one. */
    private static final String ID_HEADER = "alertId";
    /** How long one wait for notifications is, and so how soon a stop is seen. */
    private static final Duration SLICE = Duration.ofMillis(250);

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
                // a socket that went half-open answers the heartbeat with silence: give up on it instead of waiting for
                // ever
                connection.setNetworkTimeout(Runnable::run, (int) heartbeat().toMillis());
                prepare(connection);
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
                // without this thread nobody would ever listen again
                LOG.error("listening to {} failed, trying again", endpoint.channels(), e);
                rest(backoff.after(++failures));
            } finally {
                close(connection);
            }
        }
    }

    /** The server shall notice too when this end is gone, and let go of what only one may hold. */
    private static void prepare(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("set tcp_keepalives_idle = 10");
            statement.execute("set tcp_keepalives_interval = 5");
            statement.execute("set tcp_keepalives_count = 3");
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
        try (Statement statement = connection.createStatement()) {
            for (String channel : endpoint.channels()) {
                statement.execute("listen \"" + channel.replace("\"", "\"\"") + "\"");
            }
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
            endpoint.component().figures().gap(gap);
            lostAt = 0;
        }
        listeners().here(channels());
        endpoint.component().doorbell().ring();
    }

    private void hear(Connection connection) throws SQLException, InterruptedException {
        PGConnection notified = connection.unwrap(PGConnection.class);
        long heard = System.nanoTime();
        while (running) {
            PGNotification[] notifications = notified.getNotifications((int) SLICE.toMillis());
            if (notifications != null && notifications.length > 0) {
                heard = System.nanoTime();
                route(notifications);
            } else if (System.nanoTime() - heard > heartbeat().toNanos()) {
                if (!isRegistered(connection)) {
                    // a pooler between, or somebody's discard all
                    lostAt = heard;
                    LOG.warn("the server has forgotten that somebody listens to {}", endpoint.channels());
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

    /** What has been received is not lost because the database is away: it is routed until that succeeds. */
    private void route(PGNotification[] notifications) throws InterruptedException {
        // made once, so that a notification which is routed again is the same alert
        List<String> ids = Arrays.stream(notifications)
                .map(notification -> AlertId.next(Clock.systemUTC()))
                .toList();
        if (endpoint.getTransaction() == null) {
            routeEach(notifications, ids);
            return;
        }
        int failures = 0;
        while (true) {
            try {
                endpoint.getTransaction().run(endpoint, () -> routeEach(notifications, ids));
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

    private void routeEach(PGNotification[] notifications, List<String> ids) {
        for (int i = 0; i < notifications.length; i++) {
            PGNotification notification = notifications[i];
            Exchange exchange = createExchange(false);
            try {
                exchange.getIn().setHeader(PgEventConstants.HEADER_CHANNEL, notification.getName());
                exchange.getIn().setHeader(ID_HEADER, ids.get(i));
                exchange.getIn().setBody(notification.getParameter());
                getProcessor().process(exchange);
            } catch (Exception e) {
                exchange.setException(e);
            }
            Exception failure = exchange.getException();
            if (failure != null && endpoint.getTransaction() != null) {
                releaseExchange(exchange, false);
                throw RuntimeCamelException.wrapRuntimeCamelException(failure);
            } else if (failure != null) {
                getExceptionHandler()
                        .handleException(
                                "a notification on " + notification.getName() + " could not be routed",
                                exchange,
                                failure);
            } else if (endpoint.getTransaction() != null) {
                endpoint.getTransaction().routed(endpoint, exchange);
            }
            releaseExchange(exchange, false);
        }
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
