package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertReader;
import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.database.Transactions;
import dev.rowbell.error.Printable;
import dev.rowbell.health.Metrics;
import dev.rowbell.health.Watchdog;
import dev.rowbell.history.History;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.outbox.SinkRepository.Pause;
import dev.rowbell.settings.Settings;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.apache.camel.Endpoint;
import org.apache.camel.Exchange;
import org.apache.camel.spi.annotations.Component;
import org.apache.camel.support.DefaultComponent;
import org.apache.camel.support.PatternHelper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.datasource.DelegatingDataSource;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionSynchronizationManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * {@code outbox:NAME}: as a producer it files an alert for the sink NAME in the current transaction; as a consumer it delivers what is due. The
 * table between the two is {@code rowbell.delivery}.
 */
@Component("outbox")
public class OutboxComponent extends DefaultComponent {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxComponent.class);

    /** The name of transactions that file what was sent in none. */
    private static final String OWN = "rowbell outbox";

    /** A sink that no route has. */
    private static final String REHEARSAL = "rehearsal";

    private static final Duration KEEP = Duration.ofSeconds(10);
    /** How soon a process notices that a sink was paused or goes on. */
    static final Duration LOOK = Duration.ofSeconds(1);
    /** A batch that was refused comes again within this time. */
    private static final Duration CAREFUL = Duration.ofSeconds(30);

    /** Classes of SQLSTATE that blame the data: data exception, integrity constraint, program limit (appendix A of PostgreSQL's manual). */
    private static final List<String> REFUSALS = List.of("22", "23", "54");

    /** The database, once it is open. */
    private record Tables(
            DeliveryRepository deliveries,
            DeadLetterRepository deadLetters,
            SinkRepository sinks,
            TransactionTemplate transaction,
            TransactionTemplate savepoint) {

        static Tables of(DataSource dataSource, History history) {
            Transactions manager = new Transactions(dataSource);
            TransactionTemplate savepoint = new TransactionTemplate(manager);
            savepoint.setPropagationBehavior(TransactionDefinition.PROPAGATION_NESTED);
            DeadLetterRepository deadLetters = new DeadLetterRepository(dataSource);
            TransactionTemplate transaction = new TransactionTemplate(manager);
            // a transaction that has just ended is still that of the thread while it calls what waited for its end
            transaction.setPropagationBehavior(TransactionDefinition.PROPAGATION_REQUIRES_NEW);
            transaction.setName(OWN);
            return new Tables(
                    new DeliveryRepository(dataSource, deadLetters, history),
                    deadLetters,
                    new SinkRepository(dataSource),
                    transaction,
                    savepoint);
        }
    }

    /** By sink, those of this process. */
    private final Map<String, OutboxConsumer> consumers = new ConcurrentHashMap<>();
    /** By sink of this process, the rules that it asks for. */
    private final Map<String, String[]> subscriptions = new ConcurrentHashMap<>();
    /** Those of them whose sink had no route when that was looked at last. */
    private Map<String, String[]> routeless = Map.of();
    /** By which other processes know this one. */
    private final UUID process = UUID.randomUUID();

    private final AlertReader alerts;
    private final Metrics metrics;
    private final Watchdog watchdog;
    private final Housekeeping housekeeping;
    private final History history;
    private final Supplier<DataSource> dataSource;
    private final BooleanSupplier connected;
    private Tables tables;
    /** On the DataSource of the application, for what is filed in a transaction of its own; null where it has none. */
    private Tables tablesOfHost;

    private DataSource host;
    private SinkSwitches switches;
    /** By sink, those that are paused, as it was seen last; null until it is known. */
    private volatile Map<String, Pause> pauses;
    /** As other processes were told. */
    private volatile Map<String, Integer> announcedFailures = Map.of();
    /** Since when transactions file each alert by itself, by System.nanoTime; null where they do not. */
    private volatile Long carefulSince;

    /**
     * @param dataSource opens the database and brings its schema up to date, when the first route needs it
     * @param connected whether the database is there now
     */
    public OutboxComponent(
            AlertReader alerts,
            Metrics metrics,
            Watchdog watchdog,
            Housekeeping housekeeping,
            History history,
            Supplier<DataSource> dataSource,
            BooleanSupplier connected) {
        this.alerts = alerts;
        this.metrics = metrics;
        this.watchdog = watchdog;
        this.housekeeping = housekeeping;
        this.history = history;
        this.dataSource = dataSource;
        this.connected = connected;
    }

    AlertReader alerts() {
        return alerts;
    }

    Metrics metrics() {
        return metrics;
    }

    Watchdog watchdog() {
        return watchdog;
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

    private synchronized Tables tables() {
        if (tables == null) {
            DataSource opened = dataSource.get();
            tables = Tables.of(opened, history);
            if (opened instanceof DelegatingDataSource borrowed) {
                host = borrowed.getTargetDataSource();
                tablesOfHost = Tables.of(host, history);
            }
        }
        return tables;
    }

    /** Those of the transaction of the thread: one of Rowbell's own, which may begin before one of the application has wholly ended, comes first. */
    private synchronized Tables tablesOfTransaction() {
        Tables own = tables();
        boolean isOfHost = host != null
                && TransactionSynchronizationManager.hasResource(host)
                && !OWN.equals(TransactionSynchronizationManager.getCurrentTransactionName());
        return isOfHost ? tablesOfHost : own;
    }

    void insert(List<NewDelivery> deliveries) {
        tablesOfTransaction().deliveries().insert(deliveries);
    }

    void insertDead(List<NewDeadLetter> letters) {
        tablesOfTransaction().deadLetters().insert(letters);
        tablesOfTransaction().deliveries().noteDead(letters);
    }

    DeliveryRepository deliveries() {
        return tables().deliveries();
    }

    DeadLetterRepository deadLetters() {
        return tables().deadLetters();
    }

    /**
     * Files something in the transaction of the thread, which may be one that the application began on its DataSource; where it has none, in one of
     * its own.
     */
    void file(Consumer<OutboxTransaction> work) {
        if (TransactionSynchronizationManager.isSynchronizationActive()) {
            work.accept(OutboxTransaction.current(this));
            return;
        }
        try {
            tables().transaction().executeWithoutResult(status -> work.accept(OutboxTransaction.current(this)));
        } catch (DataAccessException e) {
            if (!isRefusal(e)) {
                throw e;
            }
            // carefully now
            tables().transaction().executeWithoutResult(status -> work.accept(OutboxTransaction.current(this)));
        }
    }

    /** Files the alert in the body for a sink. */
    void file(Exchange exchange, String sink) {
        Object origin = OriginalAlert.of(exchange);
        Map<String, Object> alert = alerts.fromBody(exchange.getIn().getBody(), origin);
        String id = (String) alert.get("id");
        String document = AlertJson.write(alert);
        file(transaction -> transaction.add(sink, id, document, origin));
    }

    /** Where the work fails, the transaction of the thread is as it was before. */
    void withSavepoint(Runnable work) {
        tablesOfTransaction().savepoint().executeWithoutResult(status -> work.run());
    }

    /**
     * Takes the steps of a delivery that leave nothing behind: the alert is read, filed and acknowledged in a transaction that rolls back.
     *
     * @param routing to be done in this transaction; calls {@link #fileRehearsed}
     */
    public void rehearse(Map<String, Object> alert, Runnable routing) {
        String document = AlertJson.write(alert);
        AlertJson.parseLazily(document).get("new");
        Delivery delivery = new Delivery(UUID.randomUUID(), List.of(document), 0, Lease.start(KEEP));
        tables().transaction().executeWithoutResult(status -> {
            routing.run();
            OutboxTransaction.current(this).beforeCommit(false);
            deliveries().acknowledge(REHEARSAL, List.of(Outcome.delivered(delivery, null)));
            status.setRollbackOnly();
        });
    }

    /** Files the alert in the body for a sink that does not exist. In the transaction of {@link #rehearse} alone. */
    public void fileRehearsed(Exchange exchange) {
        file(exchange, REHEARSAL);
    }

    /** Whether PostgreSQL refuses the data, so that another try is of no use. */
    static boolean isRefusal(DataAccessException failure) {
        return failure.getCause() instanceof SQLException sql
                && sql.getSQLState() != null
                && REFUSALS.stream().anyMatch(sql.getSQLState()::startsWith);
    }

    /**
     * PostgreSQL has refused one of several alerts: from now on each is filed by itself, until the one has been found. The batch that has it comes
     * again, but other batches may come before. A savepoint for each alert costs a round trip, so this does not go on for ever.
     */
    void startCareful() {
        carefulSince = System.nanoTime();
    }

    void endCareful() {
        carefulSince = null;
    }

    boolean isCareful() {
        Long since = carefulSince;
        return since != null && System.nanoTime() - since < CAREFUL.toNanos();
    }

    boolean isOff(String sink) {
        return switches().isOff(sink);
    }

    void warnIfRouteless(String sink) {
        switches().warnIfRouteless(sink);
    }

    private synchronized SinkSwitches switches() {
        if (switches == null) {
            switches =
                    new SinkSwitches(getCamelContext(), () -> tables().sinks().elsewhere(process));
        }
        return switches;
    }

    /** @param rules names and patterns, separated by commas; null for none */
    void subscribe(String sink, String rules) {
        if (rules == null) {
            subscriptions.remove(sink);
        } else {
            subscriptions.put(sink, rules.trim().split("\\s*,\\s*"));
        }
    }

    /**
     * Removes the subscriptions of sinks whose route has been gone for a while. That of a route that is replaced, or could not be, stays: its alerts wait,
     * as those that the route alerts sends.
     */
    private void forgetSubscriptions() {
        Map<String, String[]> now = new HashMap<>(subscriptions);
        now.keySet().removeIf(sink -> consumers.containsKey(sink) || switches().hasRoute(sink));
        routeless.forEach((sink, rules) -> {
            if (now.get(sink) == rules) {
                subscriptions.remove(sink, rules);
            }
        });
        routeless = now;
    }

    /** For which sinks the transaction of the thread files each alert, by the alert as it was taken; empty where it has filed none. */
    public Map<Object, List<String>> sinksOfTransaction() {
        return TransactionSynchronizationManager.getResource(this) instanceof OutboxTransaction current
                ? current.sinks()
                : Map.of();
    }

    /** Files an alert that was routed for each sink that has asked for its rule, unless the route has filed it there. */
    public void fileSubscribed(Exchange exchange) {
        if (subscriptions.isEmpty()) {
            return;
        }
        Object origin = OriginalAlert.of(exchange);
        Map<String, Object> alert = alerts.fromBody(origin, origin);
        subscriptions.forEach((sink, rules) -> {
            if (alert.get("rule") instanceof String rule && PatternHelper.matchPatterns(rule, rules) && !isOff(sink)) {
                file(transaction -> {
                    if (!transaction.has(sink, origin)) {
                        transaction.add(sink, (String) alert.get("id"), AlertJson.write(alert), origin);
                    }
                });
            }
        });
    }

    /** The consumer of a sink in this process; null where it has none. */
    OutboxConsumer consumer(String sink) {
        return consumers.get(sink);
    }

    void started(OutboxConsumer consumer) {
        consumers.put(consumer.getEndpoint().getSink(), consumer);
        // its workers may have begun before it was known which sinks are paused, and were not told then
        consumer.wake();
        try {
            announce();
        } catch (DataAccessException e) {
            LOG.debug("announced later", e);
        }
    }

    void stopped(OutboxConsumer consumer) {
        consumers.remove(consumer.getEndpoint().getSink(), consumer);
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        housekeeping.register("look which sinks are paused", LOOK, this::lookForPauses);
        housekeeping.register("look which sinks are on", LOOK, () -> switches().look());
        housekeeping.register("announce the sinks of this process", KEEP, this::announce);
        housekeeping.register("forget what sinks asked for that are gone", KEEP, this::forgetSubscriptions);
        housekeeping.register("announce the circuits of this process", LOOK, this::announceCircuits);
        housekeeping.register("repair due times after the clock was set back", KEEP, this::repairClockSkew);
    }

    @Override
    protected void doStop() throws Exception {
        pauses = null;
        if (tables != null && connected.getAsBoolean()) {
            try {
                tables.sinks().announce(process, Map.of());
            } catch (DataAccessException e) {
                LOG.debug("not retracted, it is forgotten after a minute", e);
            }
        }
        super.doStop();
    }

    /** Tells the other processes which sinks this one delivers for, how fast, and which circuits are open. */
    private void announce() {
        Map<String, Integer> failures = failures();
        Map<String, SinkRepository.Announced> sinks = new TreeMap<>();
        consumers.forEach((sink, consumer) -> sinks.put(sink, consumer.announced()));
        tables().sinks().announce(process, sinks);
        announcedFailures = failures;
    }

    /** Soon: an operator asks why nothing is delivered when a circuit has just opened. */
    private void announceCircuits() {
        if (!failures().equals(announcedFailures)) {
            announce();
        }
    }

    /** By sink whose circuit is open, how many tries in a row have failed. */
    private Map<String, Integer> failures() {
        Map<String, Integer> failures = new TreeMap<>();
        consumers.forEach(
                (sink, consumer) -> consumer.circuit().ifPresent(open -> failures.put(sink, open.failures())));
        return failures;
    }

    private void lookForPauses() {
        Map<String, Pause> before = pauses == null ? Map.of() : pauses;
        boolean first = pauses == null;
        Map<String, Pause> now = new TreeMap<>();
        tables().sinks().pauses().forEach(pause -> now.put(pause.sink(), pause));
        pauses = now;
        now.forEach((sink, pause) -> {
            if (!before.containsKey(sink)) {
                LOG.warn(
                        "{}. \"deliveries resume {}\" has it go on",
                        Printable.line(pause.inWords()),
                        Printable.line(sink));
            }
        });
        before.keySet().stream()
                .filter(sink -> !now.containsKey(sink))
                .forEach(sink -> LOG.info("sink {} is not paused any more", Printable.line(sink)));
        consumers.forEach((sink, consumer) -> {
            if (!now.containsKey(sink) && (first || before.containsKey(sink))) {
                consumer.goOn();
            }
        });
    }

    /** Whether nothing may be delivered to the sink, or that is not known yet. */
    boolean isPaused(String sink) {
        Map<String, Pause> known = pauses;
        return known == null || known.containsKey(sink);
    }

    /** By sink, those that are paused, of this process or not; empty while that is not known. */
    public Map<String, Pause> pauses() {
        Map<String, Pause> known = pauses;
        return known == null ? Map.of() : known;
    }

    /** Makes due the deliveries that the database's clock, when it was set back, left due long after any retry would be. */
    private void repairClockSkew() {
        for (OutboxConsumer consumer : consumers.values()) {
            OutboxEndpoint endpoint = consumer.getEndpoint();
            int waiting = deliveries().makeDue(endpoint.getSink(), Duration.ofMillis(endpoint.getMaxBackoff()));
            if (waiting > 0) {
                LOG.warn(
                        "{} deliveries of sink {} were due long after any retry would be, and are due now: see whether the clock of the database"
                                + " was set back",
                        waiting,
                        endpoint.getSink());
                consumer.wake();
            }
        }
    }

    /** By sink whose route runs in this process, the error that keeps its circuit open; empty where it is not. */
    public Map<String, Optional<String>> circuits() {
        Map<String, Optional<String>> circuits = new TreeMap<>();
        consumers.forEach(
                (sink, consumer) -> circuits.put(sink, consumer.circuit().map(Circuit.Open::error)));
        return circuits;
    }
}
