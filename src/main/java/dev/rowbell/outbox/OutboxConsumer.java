package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.error.Backoff;
import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import dev.rowbell.health.Metrics;
import dev.rowbell.history.Tried;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.support.DefaultConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/**
 * The consumer of one sink: starts and stops its workers, takes what this process files for it, and runs its route. Safe for many threads.
 */
final class OutboxConsumer extends DefaultConsumer {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxConsumer.class);

    /** Alerts handed off that wait in memory; more than that wait in the table. */
    private static final int HANDED_OFF_AT_MOST = 5000;

    final DeliveryRepository repository;
    final HandoffQueue queue = new HandoffQueue(HANDED_OFF_AT_MOST);
    final Fetcher fetcher;
    final Acknowledgements acknowledgements;
    final RetryPolicy retryPolicy;
    final Circuit circuit;
    final Wakeup wakeup = new Wakeup();
    private final Throughput throughput = new Throughput(System.nanoTime());

    /** Acknowledges while a route runs, which may take long. */
    private ScheduledExecutorService acknowledger;

    private final AtomicBoolean acknowledging = new AtomicBoolean();
    private ExecutorService workers;
    private volatile boolean running;
    private volatile boolean aborted;
    /** By nanoTime, when the route may be given the next batch. */
    private volatile long notBefore;

    OutboxConsumer(OutboxEndpoint endpoint, Processor processor) {
        super(endpoint, processor);
        repository = endpoint.getComponent().deliveries();
        acknowledgements = new Acknowledgements(endpoint.getSink(), repository);
        fetcher = new Fetcher(endpoint, repository, queue, this::readable, wakeup::call);
        Backoff backoff =
                new Backoff(Duration.ofMillis(endpoint.getBackoff()), Duration.ofMillis(endpoint.getMaxBackoff()));
        retryPolicy = new RetryPolicy(endpoint.getMaxAttempts(), backoff);
        circuit = new Circuit(endpoint.getCircuit(), backoff);
    }

    @Override
    public OutboxEndpoint getEndpoint() {
        return (OutboxEndpoint) super.getEndpoint();
    }

    private Metrics metrics() {
        return getEndpoint().getComponent().metrics();
    }

    /** Counts alerts whose delivery failed. They are tried again unless they are dead. */
    void failed(boolean dead, int alerts) {
        throughput.failed(alerts);
        metrics().failed(getEndpoint().getSink(), dead, alerts);
    }

    SinkRepository.Announced announced() {
        return new SinkRepository.Announced(throughput.rate(System.nanoTime()), circuit());
    }

    /** Empty where it is not open. */
    Optional<Circuit.Open> circuit() {
        return circuit.open(System.nanoTime());
    }

    /** The table has deliveries for this sink. */
    void wake() {
        queue.bypass();
        fetcher.lookSoon();
        wakeup.call();
    }

    boolean isPaused() {
        return getEndpoint().getComponent().isPaused(getEndpoint().getSink());
    }

    /** The sink was paused: what waits for it is in the table, and whether its receiver is there is not known. */
    void goOn() {
        queue.bypass();
        circuit.halfOpen();
        fetcher.rewind();
        wakeup.call();
    }

    /** How many alerts a row may have. */
    int batch() {
        return getEndpoint().getBatch();
    }

    Lease newLease() {
        return Lease.start(Duration.ofMillis(getEndpoint().getLease()));
    }

    /** Whether alerts may be filed as leased, to be offered as soon as they are committed. A digest is collected in the table. */
    boolean reserve(List<String> documents) {
        if (getEndpoint().getEvery() > 0 || isPaused() || circuit.isOpen()) {
            queue.bypass();
            return false;
        }
        return queue.reserve(documents);
    }

    void cancel(List<Delivery> deliveries) {
        queue.cancel(deliveries);
    }

    /** @param deliveries that were reserved and are committed */
    void offer(List<Delivery> deliveries) {
        if (queue.offer(deliveries)) {
            wakeup.call();
        } else {
            release(deliveries);
        }
    }

    /** Releases leases; where that fails, they end by themselves. */
    void release(List<Delivery> deliveries) {
        if (deliveries.isEmpty()) {
            return;
        }
        try {
            repository.release(deliveries);
            fetcher.rewind();
        } catch (DataAccessException e) {
            notTold(deliveries.size(), e);
        }
    }

    /** Those that a route can read. An alert of the others that is no JSON becomes a dead letter by itself. */
    private List<Delivery> readable(List<Delivery> fetched) {
        if (fetched.stream().allMatch(Delivery::isReadable)) {
            return fetched;
        }
        List<Delivery> readable = new ArrayList<>();
        List<Delivery> torn = new ArrayList<>();
        List<Delivery> several = new ArrayList<>();
        fetched.forEach(d -> (d.isReadable() ? readable : d.size() > 1 ? several : torn).add(d));
        repository.split(several).forEach(d -> (d.isReadable() ? readable : torn).add(d));
        LOG.error(
                "sink {}: {} alerts in rowbell.delivery are no JSON and dead letters now: \"deliveries show\" shows them",
                getEndpoint().getSink(),
                torn.size());
        failed(true, torn.size());
        acknowledgements.add(torn.stream()
                .map(delivery -> Outcome.dead(delivery, "the document is no JSON object", null))
                .toList());
        return readable;
    }

    boolean isRunning() {
        return running;
    }

    /** Whether routes are interrupted, so that what becomes of their deliveries is not known. */
    boolean isAborted() {
        return aborted;
    }

    /** How long the route is given nothing, because a batch is being collected for it. */
    Duration untilNextBatch() {
        return Duration.ofNanos(Math.max(0, notBefore - System.nanoTime()));
    }

    /** Whether the workers may do nothing for a while after this. */
    boolean isResting() {
        return circuit.isOpen() || getEndpoint().getEvery() > 0 || isPaused();
    }

    /**
     * What a run of the route came to.
     *
     * @param thrown null where it succeeded
     * @param answer of the receiver, where it succeeded; null where there was none
     */
    record Result(Throwable thrown, Tried.Answer answer) {}

    /** What is still to be acknowledged does not wait for the end of a route. */
    private void acknowledgeMeanwhile() {
        if (acknowledgements.size() > 0 && acknowledging.compareAndSet(false, true)) {
            acknowledger.schedule(
                    () -> {
                        acknowledging.set(false);
                        try {
                            acknowledgements.flush(false);
                            acknowledgeMeanwhile();
                        } catch (RuntimeException e) {
                            LOG.debug("the worker will try again, and tell it", e);
                        }
                    },
                    Acknowledgements.INTERVAL.toMillis(),
                    TimeUnit.MILLISECONDS);
        }
    }

    /** Runs the route. */
    Result route(List<Delivery> deliveries) {
        acknowledgeMeanwhile();
        Exchange exchange = createExchange(false);
        try {
            List<Map<String, Object>> alerts = deliveries.stream()
                    .flatMap(delivery -> delivery.documents().stream())
                    .map(AlertJson::parseLazily)
                    .toList();
            exchange.getIn().setBody(batch() == 1 ? alerts.get(0) : alerts);
            exchange.setProperty(OutboxEndpoint.DELIVERY, held(deliveries));
            getProcessor().process(exchange);
            if (exchange.getException() == null && exchange.isRollbackOnly()) {
                return new Result(new IllegalStateException("the route marked it for rollback"), null);
            }
            if (exchange.getException() == null) {
                notBefore = System.nanoTime()
                        + Duration.ofMillis(getEndpoint().getEvery()).toNanos();
                throughput.delivered(alerts.size());
                metrics()
                        .delivered(
                                getEndpoint().getSink(),
                                deliveries.stream()
                                        .flatMap(delivery -> delivery.documents().stream())
                                        .map(AlertJson::time)
                                        .toList());
                return new Result(null, Answers.of(exchange));
            }
            return new Result(exchange.getException(), null);
        } catch (Throwable e) {
            // an Error too: it counts as a try, or the alert at fault would be tried for ever and keep the others
            // waiting
            return new Result(e, null);
        } finally {
            // what the route leaves behind is no stop, and would keep the pool from lending a connection
            Thread.interrupted();
            releaseExchange(exchange, false);
        }
    }

    /** As {@code rowbell.delivered()} reads it. */
    private static String held(List<Delivery> deliveries) {
        return deliveries.stream()
                .map(delivery -> delivery.id() + "/" + delivery.lease().id())
                .collect(Collectors.joining(" "));
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        running = true;
        aborted = false;
        notBefore = System.nanoTime();
        queue.reopen();
        fetcher.rewind();
        acknowledger = getEndpoint()
                .getCamelContext()
                .getExecutorServiceManager()
                .newSingleThreadScheduledExecutor(
                        this, "outbox:" + getEndpoint().getSink() + " acknowledge");
        int threads = getEndpoint().getParallel();
        workers = getEndpoint()
                .getCamelContext()
                .getExecutorServiceManager()
                .newFixedThreadPool(this, "outbox:" + getEndpoint().getSink(), threads);
        for (int i = 0; i < threads; i++) {
            getEndpoint()
                    .getComponent()
                    .watchdog()
                    .start("a worker of sink " + getEndpoint().getSink(), workers, new OutboxWorker(this));
        }
        getEndpoint().getComponent().started(this);
    }

    @Override
    protected void doStop() throws Exception {
        getEndpoint().getComponent().stopped(this);
        running = false;
        queue.close();
        wakeup.call();
        if (workers != null) {
            workers.shutdown();
            // not only once the slowest worker is done
            acknowledgeLast();
            if (!isDone(workers, patience())) {
                // what becomes of a delivery that hangs is not known, so it is repeated
                aborted = true;
                workers.shutdownNow();
                isDone(workers, Duration.ofSeconds(1));
            }
            acknowledger.shutdown();
            isDone(acknowledger, Duration.ofSeconds(1));
            acknowledgeLast();
            release(queue.takeAll());
        }
        super.doStop();
    }

    private void acknowledgeLast() {
        try {
            acknowledgements.flush(true);
        } catch (DataAccessException e) {
            notTold(acknowledgements.size(), e);
        }
    }

    private void notTold(int deliveries, DataAccessException e) {
        FailureLog failures = getEndpoint().getComponent().watchdog().failures();
        if (!failures.isDatabaseAway(e)) {
            failures.failed("leases of sink " + getEndpoint().getSink())
                    .ifPresent(since -> LOG.warn(
                            "sink {} cannot acknowledge or release {} deliveries {}, they come again after their lease: {}",
                            getEndpoint().getSink(),
                            deliveries,
                            since,
                            Errors.inWords(e)));
        }
    }

    /** Less than the whole stop may take, so that there is time to release what is not finished. */
    private Duration patience() {
        return Duration.ofSeconds(
                        getEndpoint().getCamelContext().getShutdownStrategy().getTimeout())
                .multipliedBy(2)
                .dividedBy(3);
    }

    private static boolean isDone(ExecutorService threads, Duration patience) {
        try {
            return threads.awaitTermination(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            // Camel's own patience is at its end; what follows is short and must be done all the same
            return false;
        }
    }
}
