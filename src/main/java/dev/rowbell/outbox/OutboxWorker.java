package dev.rowbell.outbox;

import dev.rowbell.error.Backoff;
import dev.rowbell.error.Errors;
import dev.rowbell.error.FailureLog;
import dev.rowbell.error.Printable;
import dev.rowbell.health.Watchdog;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/**
 * One thread of a sink. It takes leased deliveries, runs the route with no transaction and no connection held, and acknowledges them. A crash
 * between the last two repeats the deliveries in flight after their lease.
 */
final class OutboxWorker implements Runnable {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxWorker.class);

    /** How often to look whether anything waits while the circuit is open: an operator or another process may have taken it. */
    private static final Duration LOOK = Duration.ofSeconds(5);

    private final OutboxConsumer consumer;
    private final OutboxEndpoint endpoint;
    private final String sink;
    private final Circuit circuit;
    private final Watchdog watchdog;
    private final FailureLog failureLog;
    /** The name of what fails where the worker cannot use the queue. */
    private final String queue;

    private final Backoff database = new Backoff(Duration.ofMillis(200), Duration.ofSeconds(10));

    OutboxWorker(OutboxConsumer consumer) {
        this.consumer = consumer;
        endpoint = consumer.getEndpoint();
        sink = endpoint.getSink();
        circuit = consumer.circuit;
        watchdog = endpoint.getComponent().watchdog();
        failureLog = watchdog.failures();
        queue = "queue of sink " + sink;
    }

    @Override
    public void run() {
        int failures = 0;
        while (isRunning()) {
            try {
                step();
                if (failures > 0) {
                    watchdog.working(queue);
                    failureLog.databaseAnswers();
                    failureLog
                            .succeeded(queue)
                            .ifPresent(after -> LOG.info("sink {} uses its queue again {}", sink, after));
                    failures = 0;
                }
            } catch (DataAccessException e) {
                watchdog.caught(e);
                consumer.fetcher.lookSoon();
                if (isRunning() && !failureLog.isDatabaseAway(e)) {
                    watchdog.failing(queue, e);
                    failureLog
                            .failed(queue)
                            .ifPresent(since -> LOG.warn(
                                    "sink {} cannot use its queue rowbell.delivery {}, its alerts wait: {}",
                                    sink,
                                    since,
                                    Errors.inWords(e)));
                }
                failures++;
                sleep(database.after(failures));
            } catch (Throwable e) {
                // without this thread the sink would stand still
                watchdog.caught(e);
                watchdog.failing(queue, e);
                failures++;
                failureLog
                        .failed("worker of sink " + sink)
                        .ifPresent(since -> LOG.error(
                                "sink {}: unexpected error in worker {}, continuing. Restart if it goes on, and report the error",
                                sink,
                                since,
                                e));
                sleep(database.after(1));
            }
        }
        watchdog.working(queue);
    }

    private void step() {
        long calls = consumer.wakeup.calls();
        consumer.acknowledgements.flush(consumer.queue.isEmpty() || consumer.isResting());
        if (consumer.isPaused()) {
            consumer.release(consumer.queue.takeAll());
            consumer.wakeup.sleep(calls, OutboxComponent.LOOK);
        } else if (!consumer.untilNextBatch().isZero()) {
            sleep(consumer.untilNextBatch());
        } else if (circuit.isOpen()) {
            consumer.release(consumer.queue.takeAll());
            probe();
        } else {
            consumer.fetcher.fetchIfDue();
            List<Delivery> batch = consumer.queue.take(endpoint.getBatch(), endpoint.isSplit());
            if (batch.isEmpty()) {
                consumer.wakeup.sleep(calls, consumer.fetcher.untilNextFetch());
            } else {
                deliver(batch);
            }
        }
    }

    /** Tries one delivery while the circuit is open, if it is time and no other thread does. */
    private void probe() {
        if (consumer.repository.isEmpty(sink)) {
            circuit.halfOpen();
            return;
        }
        Duration away = circuit.away(System.nanoTime());
        if (!away.isZero()) {
            sleep(away.compareTo(LOOK) < 0 ? away : LOOK);
            return;
        }
        try {
            List<Delivery> probe = consumer.fetcher.fetchOne();
            if (probe.isEmpty()) {
                sleep(Duration.ofMillis(endpoint.getPoll()));
            } else {
                deliver(probe);
            }
        } finally {
            circuit.probed();
        }
    }

    /**
     * Tries each delivery once. Where a batch fails though the sink is there, one of its alerts may be at fault: it is split and tried in halves, so
     * that the others go on. Where the sink may be away, the alerts of the batch are tried again one by one, since an answer 500 may be about one of
     * them. Deliveries that are left when the consumer stops, the sink is paused or the circuit opens are released.
     */
    private void deliver(List<Delivery> batch) {
        Deque<List<Delivery>> untried = new ArrayDeque<>(List.of(batch));
        boolean probe = circuit.isOpen();
        try {
            while (!untried.isEmpty() && consumer.isRunning() && !consumer.isPaused() && (probe || !circuit.isOpen())) {
                if (untried.stream()
                        .flatMap(List::stream)
                        .anyMatch(d -> d.lease().isHalfOver())) {
                    untried = renewed(untried);
                    if (untried.isEmpty()) {
                        return;
                    }
                }
                List<Delivery> next = untried.peek();
                OutboxConsumer.Result result = consumer.route(next);
                if (consumer.isAborted()) {
                    return;
                }
                untried.pop();
                if (result.thrown() == null) {
                    succeeded();
                    consumer.acknowledgements.add(next.stream()
                            .map(delivery -> Outcome.delivered(delivery, result.answer()))
                            .toList());
                } else {
                    failed(next, Failure.of(result.thrown(), Clock.systemUTC()), probe, untried);
                }
                consumer.acknowledgements.flush(false);
            }
        } finally {
            consumer.release(untried.stream().flatMap(List::stream).toList());
        }
    }

    private Deque<List<Delivery>> renewed(Deque<List<Delivery>> untried) {
        Deque<List<Delivery>> renewed = new ArrayDeque<>();
        for (List<Delivery> batch : untried) {
            List<Delivery> own = consumer.repository.renew(batch);
            if (!own.isEmpty()) {
                renewed.add(own);
            }
        }
        return renewed;
    }

    private void succeeded() {
        if (circuit.succeeded()) {
            failureLog.succeeded("sink " + sink).ifPresent(after -> LOG.info("sink {} delivers again {}", sink, after));
        }
    }

    private void failed(List<Delivery> deliveries, Failure failure, boolean probe, Deque<List<Delivery>> untried) {
        boolean several = Delivery.alerts(deliveries) > 1 && endpoint.isSplit();
        if (several && !failure.aboutSink()) {
            List<Delivery> single = split(deliveries);
            int half = single.size() / 2;
            push(single.subList(half, single.size()), untried);
            push(single.subList(0, half), untried);
        } else if (failure.refused()) {
            // a receiver that refuses is there
            succeeded();
            giveUp(deliveries, "refused", failure);
        } else {
            // in an outage of the sink, a delivery that was chosen to probe would be given up though nothing is wrong
            // with it
            retry(several ? split(deliveries) : deliveries, failure, !(probe && failure.aboutSink()));
        }
    }

    private static void push(List<Delivery> deliveries, Deque<List<Delivery>> untried) {
        if (!deliveries.isEmpty()) {
            untried.push(deliveries);
        }
    }

    /** The same alerts, each with a delivery of its own, without those that the route acknowledged itself before it failed. */
    private List<Delivery> split(List<Delivery> deliveries) {
        List<Delivery> single = new ArrayList<>();
        List<Delivery> several = new ArrayList<>();
        deliveries.forEach(delivery -> (delivery.size() == 1 ? single : several).add(delivery));
        return Stream.concat(consumer.repository.renew(single).stream(), consumer.repository.split(several).stream())
                .toList();
    }

    private void retry(List<Delivery> deliveries, Failure failure, boolean counted) {
        circuit.failed(
                System.nanoTime(),
                consumer.retryPolicy.limited(failure.notBefore()),
                failure.error(),
                deliveries.stream().map(Delivery::id).toList());
        if (circuit.isOpen()) {
            failureLog
                    .failed("sink " + sink)
                    .ifPresent(since -> LOG.warn(
                            "sink {} fails {}: {}. Its queue waits and one delivery is tried now and then;"
                                    + " see whether the receiver runs and its settings are right",
                            sink,
                            since,
                            failure.error()));
        }
        List<Delivery> dead = new ArrayList<>();
        List<Delivery> waiting = new ArrayList<>();
        deliveries.forEach(d -> (counted && consumer.retryPolicy.isLast(d) ? dead : waiting).add(d));
        if (!dead.isEmpty()) {
            giveUp(dead, "failed for the last time to take", failure);
        }
        if (!waiting.isEmpty()) {
            putOff(waiting, failure, counted);
        }
    }

    private void giveUp(List<Delivery> deliveries, String why, Failure failure) {
        consumer.failed(true, Delivery.alerts(deliveries));
        failureLog
                .failed("dead letters of sink " + sink)
                .ifPresent(since -> LOG.error(
                        "sink {} {} {}, a dead letter now ({}): {}. \"deliveries retry\" sends it again",
                        sink,
                        why,
                        shown(deliveries),
                        since,
                        failure.error()));
        consumer.acknowledgements.add(deliveries.stream()
                .map(delivery -> Outcome.dead(delivery, failure.error(), failure.answer()))
                .toList());
    }

    /** Deliveries that failed together come again together. */
    private void putOff(List<Delivery> deliveries, Failure failure, boolean counted) {
        consumer.failed(false, Delivery.alerts(deliveries));
        int attempts = Math.max(1, deliveries.get(0).attempts() + (counted ? 1 : 0));
        Duration wait = consumer.retryPolicy.waitAfter(attempts, failure.notBefore());
        Duration probe = circuit.untilProbe(System.nanoTime());
        // it is the next probe again only when it is time for one
        Duration putOff = wait.compareTo(probe) > 0 ? wait : probe;
        LOG.debug(
                "sink {} fails, {} waits {} ms for attempt {} of {}: {}",
                sink,
                shown(deliveries),
                putOff.toMillis(),
                attempts + 1,
                endpoint.getMaxAttempts(),
                failure.error());
        consumer.acknowledgements.add(deliveries.stream()
                .map(delivery -> Outcome.retried(delivery, failure, putOff, counted))
                .toList());
    }

    private static String shown(List<Delivery> deliveries) {
        String first = "alert "
                + Printable.line(Delivery.alertId(deliveries.get(0).documents().get(0)));
        int alerts = Delivery.alerts(deliveries);
        return alerts == 1 ? first : "%s and %d more".formatted(first, alerts - 1);
    }

    private boolean isRunning() {
        return consumer.isRunning();
    }

    /** A new delivery does not end it, a stop does. */
    private void sleep(Duration time) {
        long end = System.nanoTime() + time.toNanos();
        long calls = consumer.wakeup.calls();
        while (isRunning() && System.nanoTime() < end) {
            consumer.wakeup.sleep(calls, Duration.ofNanos(end - System.nanoTime()));
            calls = consumer.wakeup.calls();
        }
    }
}
