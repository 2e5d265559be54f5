package dev.rowbell.outbox;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.health.Figures;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.settings.Settings;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.Endpoint;
import org.apache.camel.model.FromDefinition;
import org.apache.camel.model.ModelCamelContext;
import org.apache.camel.model.RouteDefinition;
import org.apache.camel.spi.annotations.Component;
import org.apache.camel.support.DefaultComponent;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code outbox:NAME}: as a producer it files a delivery for the sink NAME in the current transaction; as a consumer it delivers what is
 * due. The table between the two is {@code rowbell.delivery}.
 */
@Component("outbox")
public class OutboxComponent extends DefaultComponent {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxComponent.class);

    private static final Duration KEEP = Duration.ofSeconds(10);
    private static final Duration LOOK_AGAIN = Duration.ofSeconds(1);

    private record Switch(boolean off, long seenAt) {}

    /** Consumers of this process by sink, woken when something is filed for them. */
    private final Map<String, OutboxConsumer> consumers = new ConcurrentHashMap<>();

    private final Map<String, Switch> switches = new ConcurrentHashMap<>();
    /** Sinks of which it has been said that they have no route here. */
    private final Set<String> routeless = ConcurrentHashMap.newKeySet();
    /** By which the others know this process. */
    private final UUID process = UUID.randomUUID();

    private final AlertReader alerts;
    private final Figures figures;
    private final Housekeeping housekeeping;
    private final Supplier<DataSource> dataSource;
    private final BooleanSupplier connected;
    private DeliveryTable table;

    /**
     * @param dataSource opens the database and brings its schema up to date, when the first route needs it
     * @param connected whether the database is there now
     */
    public OutboxComponent(
            AlertReader alerts,
            Figures figures,
            Housekeeping housekeeping,
            Supplier<DataSource> dataSource,
            BooleanSupplier connected) {
        this.alerts = alerts;
        this.figures = figures;
        this.housekeeping = housekeeping;
        this.dataSource = dataSource;
        this.connected = connected;
    }

    AlertReader alerts() {
        return alerts;
    }

    Figures figures() {
        return figures;
    }

    @Override
    protected Endpoint createEndpoint(String uri, String remaining, Map<String, Object> parameters) throws Exception {
        Settings settings = new Settings(getCamelContext());
        OutboxEndpoint endpoint = new OutboxEndpoint(uri, this);
        endpoint.setSink(remaining);
        endpoint.setMaxAttempts(settings.number("rowbell.outbox.max-attempts", 1));
        endpoint.setBackoff(settings.duration("rowbell.outbox.backoff").toMillis());
        endpoint.setMaxBackoff(settings.duration("rowbell.outbox.max-backoff").toMillis());
        endpoint.setCircuit(settings.number("rowbell.outbox.circuit", 1));
        endpoint.setPoll(settings.duration("rowbell.outbox.poll").toMillis());
        endpoint.setLease(settings.duration("rowbell.outbox.lease").toMillis());
        setProperties(endpoint, parameters);
        endpoint.validate();
        return endpoint;
    }

    synchronized DeliveryTable table() {
        if (table == null) {
            table = new DeliveryTable(dataSource.get());
        }
        return table;
    }

    void started(OutboxConsumer consumer) {
        consumers.put(consumer.getEndpoint().getSink(), consumer);
        try {
            announce();
        } catch (SQLException e) {
            LOG.debug("announced later", e);
        }
    }

    void stopped(OutboxConsumer consumer) {
        consumers.remove(consumer.getEndpoint().getSink(), consumer);
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        housekeeping.register("announce the sinks of this process", KEEP, this::announce);
        housekeeping.register("repair due times after the clock was set back", KEEP, this::repairClockSkew);
    }

    @Override
    protected void doStop() throws Exception {
        if (table != null && connected.getAsBoolean()) {
            try {
                table.announce(process, List.of());
            } catch (SQLException e) {
                // forgotten by itself, a little later
                LOG.debug("not retracted", e);
            }
        }
        super.doStop();
    }

    /** Tells the other processes which sinks this one delivers for. */
    private void announce() throws SQLException {
        table().announce(process, consumers.keySet());
    }

    /** To be called when there is nothing to do. */
    public void prepare() {
        table().reserve();
    }

    /** A connection was lost: who answers from now on may know less than who did. */
    public void distrust() {
        DeliveryTable known;
        synchronized (this) {
            known = table;
        }
        if (known != null) {
            known.distrust();
        }
    }

    void wake(String sink) {
        OutboxConsumer consumer = consumers.get(sink);
        if (consumer != null) {
            consumer.wake();
        }
    }

    /**
     * Asks the sinks of this process whether they take by hand what is about to be filed; who says yes is to be given it, or released.
     *
     * @param sizes by sink, how many it will be
     */
    Map<String, OutboxConsumer> promise(Map<String, Integer> sizes) {
        Map<String, OutboxConsumer> takers = new HashMap<>();
        sizes.forEach((sink, size) -> {
            OutboxConsumer consumer = consumers.get(sink);
            if (consumer != null && consumer.promise(size)) {
                takers.put(sink, consumer);
            }
        });
        return takers;
    }

    /** Makes due what the database's clock, when it was set back, left due long after any retry would be. */
    private void repairClockSkew() throws SQLException {
        for (OutboxConsumer consumer : consumers.values()) {
            OutboxEndpoint endpoint = consumer.getEndpoint();
            int waiting = table().makeDue(endpoint.getSink(), Duration.ofMillis(endpoint.getMaxBackoff()));
            if (waiting > 0) {
                LOG.warn(
                        "{} deliveries of sink {} were due long after any retry would be: was the clock set back? They are due now",
                        waiting,
                        endpoint.getSink());
                consumer.wake();
            }
        }
    }

    /** By sink whose route runs in this process, the error that keeps its circuit open; empty where it is not. */
    public Map<String, Optional<String>> circuits() {
        Map<String, Optional<String>> circuits = new TreeMap<>();
        consumers.forEach((sink, consumer) -> circuits.put(sink, consumer.openedBy()));
        return circuits;
    }

    /**
     * Whether a sink is off: its route is here and says {@code autoStartup: false}, and no other process has it on. A sink without a route here
     * may be another process's, so it is not off and its deliveries wait. What was reloaded, or is new elsewhere, counts a second later.
     */
    boolean isOff(String sink) {
        Switch known = switches.get(sink);
        if (known == null || System.nanoTime() - known.seenAt() > LOOK_AGAIN.toNanos()) {
            known = new Switch(isSwitchedOff(sink), System.nanoTime());
            switches.put(sink, known);
        }
        return known.off();
    }

    private boolean isSwitchedOff(String sink) {
        List<RouteDefinition> routes = ((ModelCamelContext) getCamelContext())
                .getRouteDefinitions().stream()
                        .filter(route -> sink.equals(sinkOf(getCamelContext(), route)))
                        .toList();
        if (routes.isEmpty() && routeless.add(sink)) {
            LOG.warn(
                    "alerts are sent to outbox:{}, and no route here is from outbox:{}: they wait until a process has one",
                    sink,
                    sink);
        }
        return routes.stream().anyMatch(route -> !isOn(getCamelContext(), route)) && !isElsewhere(sink);
    }

    private boolean isElsewhere(String sink) {
        try {
            return table().isElsewhere(process, sink);
        } catch (SQLException e) {
            // by another connection than the alert's: that one will fail as well, or nobody else has told
            LOG.debug("not known who else has {}", sink, e);
            return false;
        }
    }

    /** Whether a route starts by itself. */
    public static boolean isOn(CamelContext context, RouteDefinition route) {
        return route.getAutoStartup() == null
                || !"false".equals(context.resolvePropertyPlaceholders(route.getAutoStartup()));
    }

    /** The sink whose route this is; null where it is none. */
    public static String sinkOf(CamelContext context, RouteDefinition route) {
        FromDefinition input = route.getInput();
        if (input == null) {
            return null;
        }
        String uri = context.resolvePropertyPlaceholders(input.getEndpointUri());
        if (!uri.startsWith("outbox:")) {
            return null;
        }
        String path = uri.substring("outbox:".length()).replaceFirst("^//", "");
        int query = path.indexOf('?');
        return query < 0 ? path : path.substring(0, query);
    }
}
