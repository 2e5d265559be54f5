package dev.rowbell.outbox;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.error.Backoff;
import dev.rowbell.error.Errors;
import dev.rowbell.health.Figures;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.support.DefaultConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Delivers what is due for one sink. Each of its threads takes some deliveries by a short statement, runs the route with no transaction
 * and no connection held, and settles what became of them by another. A crash between the two means that the deliveries in flight are
 * repeated after their lease.
 */
final class OutboxConsumer extends DefaultConsumer {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxConsumer.class);

    /** What was delivered is settled at the latest after this, so that a crash repeats little. */
    private static final Duration SETTLE = Duration.ofMillis(50);
    /** A thread takes as much as keeps it busy about this long, so that other processes get their share. */
    private static final Duration BUSY = Duration.ofMillis(500);
    /** The same of what is handed over, where the next costs nothing: at the end of it no worker has much left while the others have none. */
    private static final Duration BUSY_BY_HAND = Duration.ofMillis(100);

    private static final int TAKE_AT_MOST = 500;
    /** Waiting in memory for a worker; what is more waits in the table alone. */
    private static final int HANDED_AT_MOST = 5000;

    private final DeliveryTable table;
    private final Backoff retry;
    private final Backoff database = new Backoff(Duration.ofMillis(200), Duration.ofSeconds(10));
    private final Wakeup wakeup = new Wakeup();
    private final Circuit circuit;
    private final Hand hand;
    /** What all threads delivered, and what failed of that which was handed over. */
    private final Settling settling = new Settling(SETTLE);

    private ExecutorService workers;
    private volatile boolean running;
    private volatile boolean aborted;
    /** By nanoTime, when the route may be handed something again. */
    private volatile long notBefore;
    /** By nanoTime, when somebody looked into the table last. */
    private final AtomicLong lookedAt = new AtomicLong();
    /** By nanoTime, when somebody looked last for bundles whose taker has died. */
    private volatile long abandonedSoughtAt;
    /** The table may have something for us. */
    private final AtomicBoolean look = new AtomicBoolean(true);

    private static final Hand.Handful NOTHING = new Hand.Handful(List.of(), 0);

    OutboxConsumer(OutboxEndpoint endpoint, Processor processor) {
        super(endpoint, processor);
        table = endpoint.getComponent().table();
        retry = new Backoff(Duration.ofMillis(endpoint.getBackoff()), Duration.ofMillis(endpoint.getMaxBackoff()));
        circuit = new Circuit(endpoint.getCircuit(), retry);
        hand = new Hand(HANDED_AT_MOST);
    }

    @Override
    public OutboxEndpoint getEndpoint() {
        return (OutboxEndpoint) super.getEndpoint();
    }

    Optional<String> openedBy() {
        return circuit.openedBy();
    }

    /** The table has something for this sink. */
    void wake() {
        look.set(true);
        wakeup.call();
    }

    /** By which deliveries are taken that are to be given by hand. */
    DeliveryTable.Taker taker() {
        return new DeliveryTable.Taker(hand.taker(), lease(), getEndpoint().getBatch());
    }

    /** Whether so many may be filed as taken, to be given as soon as they are committed. */
    boolean promise(int deliveries) {
        // what is collected for a while is collected in the table
        return getEndpoint().getEvery() == 0 && !circuit.isOpen() && hand.promise(deliveries);
    }

    void takeBack(int deliveries) {
        hand.takeBack(deliveries);
    }

    /** @param leased when they were filed, by nanoTime */
    void give(List<Delivery> deliveries, long leased) {
        if (hand.give(deliveries, leased)) {
            wakeup.call();
        } else {
            release(deliveries);
        }
    }

    /** Gives what was handed over back to the table, where anybody can take it. */
    private void release(List<Delivery> handed) {
        if (handed.isEmpty()) {
            return;
        }
        try {
            giveBack(handed, hand.taker());
        } catch (SQLException e) {
            LOG.warn(
                    "outbox:{} could not give back {} deliveries, they are due again after their lease: {}",
                    getEndpoint().getSink(),
                    handed.size(),
                    Errors.inWords(e));
        }
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        running = true;
        aborted = false;
        notBefore = System.nanoTime();
        abandonedSoughtAt = System.nanoTime() - poll().toNanos();
        look.set(true);
        hand.reopen();
        int threads = getEndpoint().getParallel();
        workers = getEndpoint()
                .getCamelContext()
                .getExecutorServiceManager()
                .newFixedThreadPool(this, "outbox:" + getEndpoint().getSink(), threads);
        for (int i = 0; i < threads; i++) {
            workers.execute(this::work);
        }
        getEndpoint().getComponent().started(this);
    }

    @Override
    protected void doStop() throws Exception {
        getEndpoint().getComponent().stopped(this);
        running = false;
        hand.close();
        wakeup.call();
        if (workers == null) {
            super.doStop();
            return;
        }
        workers.shutdown();
        // not only once the slowest of them is done
        settleTheLast();
        if (!isDone(patience())) {
            // a delivery that hangs: nobody knows what became of it, so it comes again
            aborted = true;
            workers.shutdownNow();
            isDone(Duration.ofSeconds(1));
        }
        settleTheLast();
        release(hand.takeAll().deliveries());
        super.doStop();
    }

    private void settleTheLast() {
        List<Outcome> last = settling.due(true);
        try {
            settle(last, hand.taker());
        } catch (SQLException e) {
            LOG.warn(
                    "outbox:{} could not settle {} deliveries, they come again after their lease: {}",
                    getEndpoint().getSink(),
                    last.size(),
                    Errors.inWords(e));
        }
    }

    /** Less than the whole stop may take, so that there is time to give back what is not finished. */
    private Duration patience() {
        return Duration.ofSeconds(
                        getEndpoint().getCamelContext().getShutdownStrategy().getTimeout())
                .multipliedBy(2)
                .dividedBy(3);
    }

    private boolean isDone(Duration patience) {
        try {
            return workers.awaitTermination(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            // Camel's own patience is at its end; what follows is short and must be done all the same
            return false;
        }
    }

    private void work() {
        int most = getEndpoint().getBatch();
        int mostByHand = most;
        int databaseFailures = 0;
        while (running) {
            long seen = wakeup.calls();
            try {
                long start = System.nanoTime();
                if (notBefore - start > 0) {
                    rest(Duration.ofNanos(notBefore - start));
                    continue;
                }
                if (circuit.isOpen()) {
                    release(hand.takeAll().deliveries());
                }
                Duration away = circuit.away(start);
                if (!away.isZero()) {
                    rest(away);
                    continue;
                }
                boolean probe = circuit.isOpen();
                // what is handed over does not keep anybody from what waits in the table: retries, and what others
                // filed
                boolean looks = probe || looks(start, poll().multipliedBy(2));
                Hand.Handful handed = looks
                        ? NOTHING
                        : hand.take(
                                mostByHand,
                                getEndpoint().getBatch(),
                                getEndpoint().getParallel());
                // where nothing comes by hand, nobody would settle what came before
                settle(settling.due(handed.deliveries().isEmpty()), hand.taker());
                if (!handed.deliveries().isEmpty()) {
                    try {
                        deliver(handed.deliveries(), hand.taker(), handed.leased(), settling);
                        settle(settling.due(hand.isEmpty() || rests()), hand.taker());
                    } finally {
                        circuit.probed();
                    }
                    mostByHand = share(mostByHand, handed.deliveries().size(), elapsed(start), BUSY_BY_HAND);
                } else if (looks || looks(start, poll())) {
                    most = share(most, look(probe ? 1 : most), elapsed(start), BUSY);
                } else {
                    wakeup.sleep(seen, poll().minusNanos(start - lookedAt.get()));
                }
                if (databaseFailures > 0) {
                    LOG.info(
                            "outbox:{} reaches the database again",
                            getEndpoint().getSink());
                    databaseFailures = 0;
                }
            } catch (SQLException e) {
                look.set(true);
                if (++databaseFailures == 1 && running) {
                    LOG.warn(
                            "outbox:{} waits for the database: {}",
                            getEndpoint().getSink(),
                            Errors.inWords(e));
                }
                rest(database.after(databaseFailures));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            } catch (Throwable e) {
                // without this thread the sink would stand still and nobody know
                LOG.error(
                        "outbox:{} goes on after an error of its own",
                        getEndpoint().getSink(),
                        e);
                rest(database.after(1));
            }
        }
    }

    /** Whether this thread is to look into the table: one does where somebody says that it has something, and one every so often. */
    private boolean looks(long now, Duration every) {
        long last = lookedAt.get();
        return look.getAndSet(false) || now - last >= every.toNanos() && lookedAt.compareAndSet(last, now);
    }

    /** Delivers what is due in the table, and says how many that were. */
    private int look(int most) throws SQLException {
        int found = 0;
        try {
            UUID taker = UUID.randomUUID();
            long leased = System.nanoTime();
            lookedAt.set(leased);
            if (leased - abandonedSoughtAt >= poll().toNanos()) {
                abandonedSoughtAt = leased;
                table.unbundleAbandoned(getEndpoint().getSink(), lease());
            }
            List<Delivery> taken = table.take(getEndpoint().getSink(), most, lease(), taker);
            found = taken.size();
            hand.caughtUp(taken.size() < most);
            if (taken.size() == most) {
                // there may be more, for the other workers too
                wake();
            }
            Settling failed = new Settling(SETTLE);
            deliver(taken, taker, leased, failed);
            settle(failed.due(true), taker);
            // whoever rests settles nothing
            settle(settling.due(rests()), hand.taker());
        } finally {
            circuit.probed();
        }
        if (found > 0) {
            look.set(true);
        }
        return found;
    }

    /** Whether the threads may do nothing for a while after this. */
    private boolean rests() {
        return circuit.isOpen() || getEndpoint().getEvery() > 0;
    }

    private Duration poll() {
        return Duration.ofMillis(getEndpoint().getPoll());
    }

    /** What was delivered keeps the next batch away for a while. */
    private void pace() {
        if (getEndpoint().getEvery() > 0) {
            notBefore = System.nanoTime()
                    + Duration.ofMillis(getEndpoint().getEvery()).toNanos();
        }
    }

    private Duration lease() {
        return Duration.ofMillis(getEndpoint().getLease());
    }

    /** How much a thread takes next; where it got less than it would have taken, the time says nothing of how long more of it takes. */
    private int share(int most, int got, Duration took, Duration busy) {
        if (getEndpoint().getEvery() > 0) {
            return getEndpoint().getBatch();
        }
        if (got >= most && took.compareTo(busy.dividedBy(2)) < 0) {
            return Math.min(most * 2, Math.max(TAKE_AT_MOST, getEndpoint().getBatch()));
        }
        return got > 0 && took.compareTo(busy) > 0
                ? Math.max(most / 2, getEndpoint().getBatch())
                : most;
    }

    private void rest(Duration time) {
        long seen = wakeup.calls();
        long end = System.nanoTime() + time.toNanos();
        try {
            // a new delivery does not make the database come back sooner, but a stop ends the wait
            while (running && System.nanoTime() < end) {
                wakeup.sleep(seen, Duration.ofNanos(end - System.nanoTime()));
                seen = wakeup.calls();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Tries each of them once; what is left when the consumer stops, or when the sink has failed too often in a row, is given back untried.
     * Where a batch fails though the sink is there, something in it is bad: it is tried in halves, so that the others go on.
     *
     * @param since when their lease began, by nanoTime
     * @param failed what failed and is still to be settled with this taker is put there; what was delivered needs none, and is settled by all threads
     *        together
     */
    private void deliver(List<Delivery> taken, UUID taker, long since, Settling failed) throws SQLException {
        Deque<List<Delivery>> untried = new ArrayDeque<>();
        for (int from = 0, to; from < taken.size(); from = to) {
            to = endOfBatch(taken, from);
            untried.add(taken.subList(from, to));
        }
        long leased = since;
        boolean probe = circuit.isOpen();
        while (!untried.isEmpty() && running && (probe || !circuit.isOpen())) {
            if (elapsed(leased).compareTo(lease().dividedBy(2)) > 0) {
                leased = System.nanoTime();
                untried = kept(untried, taker);
                if (untried.isEmpty()) {
                    break;
                }
            }
            List<Delivery> next = untried.peek();
            Throwable thrown = route(next);
            Failure failure = thrown == null ? null : Failure.of(thrown, Clock.systemUTC());
            if (aborted) {
                // the interrupt has done its work, and would keep the pool from handing out a connection
                Thread.interrupted();
                break;
            }
            untried.pop();
            if (failure == null) {
                pace();
                succeeded();
                settling.add(next.stream().map(Outcome::delivered).toList());
            } else {
                next = unbundled(next, taker);
                if (next.size() > 1 && getEndpoint().isSplit() && !failure.aboutSink()) {
                    untried.push(next.subList(next.size() / 2, next.size()));
                    untried.push(next.subList(0, next.size() / 2));
                } else if (!next.isEmpty()) {
                    failed.add(failed(next, failure));
                }
            }
            settle(settling.due(false), hand.taker());
            settle(failed.due(false), taker);
        }
        giveBack(untried.stream().flatMap(List::stream).toList(), taker);
    }

    /** As many as the route is handed at once; a bundle stays together. */
    private int endOfBatch(List<Delivery> taken, int from) {
        int most = getEndpoint().getBatch();
        int end = Math.min(from + most, taken.size());
        if (end < taken.size()
                && taken.get(end).isBundled()
                && taken.get(end).bundle() == taken.get(end - 1).bundle()) {
            long cut = taken.get(end).bundle();
            while (taken.get(end - 1).bundle() == cut) {
                end--;
            }
        }
        return end;
    }

    /** Gives what has not been tried back to the table, where anybody can take it. */
    private void giveBack(List<Delivery> deliveries, UUID taker) throws SQLException {
        if (deliveries.stream().anyMatch(Delivery::isBundled)) {
            table.unbundle(bundles(deliveries), taker, null);
        }
        if (!deliveries.stream().allMatch(Delivery::isBundled)) {
            table.release(getEndpoint().getSink(), deliveries, taker);
        }
    }

    private static Set<Long> bundles(List<Delivery> deliveries) {
        return deliveries.stream()
                .filter(Delivery::isBundled)
                .map(Delivery::bundle)
                .collect(Collectors.toSet());
    }

    /** The same deliveries, each with a row of its own, to be tried again each for itself; those that are still this one's. */
    private List<Delivery> unbundled(List<Delivery> deliveries, UUID taker) throws SQLException {
        Set<Long> bundles = bundles(deliveries);
        if (bundles.isEmpty()) {
            return deliveries;
        }
        List<Delivery> own = untilDone(
                "part",
                deliveries.size(),
                () -> table.unbundle(bundles, taker, new DeliveryTable.Taker(taker, lease(), 1)));
        // where PostgreSQL refused one of them, they all wait in the table
        look.set(true);
        return Stream.concat(deliveries.stream().filter(delivery -> !delivery.isBundled()), own.stream())
                .toList();
    }

    /** Where the database is away nothing is kept: what is untried comes again, and what was delivered is still to be settled. */
    private Deque<List<Delivery>> kept(Deque<List<Delivery>> untried, UUID taker) {
        Deque<List<Delivery>> kept = new ArrayDeque<>();
        try {
            for (List<Delivery> batch : untried) {
                List<Delivery> own = unbundled(batch, taker);
                Set<Long> ids = table.keep(own, lease(), taker);
                own = own.stream()
                        .filter(delivery -> ids.contains(delivery.id()))
                        .toList();
                if (!own.isEmpty()) {
                    kept.add(own);
                }
            }
            return kept;
        } catch (SQLException e) {
            LOG.warn(
                    "outbox:{} could not keep its deliveries, they are due again after their lease: {}",
                    getEndpoint().getSink(),
                    Errors.inWords(e));
            return new ArrayDeque<>();
        }
    }

    private static Duration elapsed(long since) {
        return Duration.ofNanos(System.nanoTime() - since);
    }

    /** Runs the route. Returns what went wrong, null where nothing did. */
    private Throwable route(List<Delivery> deliveries) {
        Exchange exchange = createExchange(false);
        try {
            List<Map<String, Object>> alerts = deliveries.stream()
                    .map(delivery -> AlertReader.unread(delivery.alert()))
                    .toList();
            exchange.getIn().setBody(getEndpoint().getBatch() == 1 ? alerts.get(0) : alerts);
            getProcessor().process(exchange);
            if (exchange.getException() == null && exchange.isRollbackOnly()) {
                return new IllegalStateException("the route marked it for rollback");
            }
            if (exchange.getException() == null) {
                figures().delivered(getEndpoint().getSink(), times(deliveries, alerts));
            }
            return exchange.getException();
        } catch (Exception e) {
            return e;
        } finally {
            releaseExchange(exchange, false);
        }
    }

    private static List<Object> times(List<Delivery> deliveries, List<Map<String, Object>> alerts) {
        List<Object> times = new ArrayList<>(deliveries.size());
        for (int i = 0; i < deliveries.size(); i++) {
            String known = deliveries.get(i).time();
            times.add(known == null ? alerts.get(i).get("time") : known);
        }
        return times;
    }

    private Figures figures() {
        return getEndpoint().getComponent().figures();
    }

    private void succeeded() {
        if (circuit.succeeded()) {
            LOG.info("sink {} delivers again", getEndpoint().getSink());
        }
    }

    private List<Outcome> failed(List<Delivery> deliveries, Failure failure) {
        String sink = getEndpoint().getSink();
        if (failure.refused()) {
            // who refuses is there
            succeeded();
            figures().failed(sink, true, deliveries.size());
            LOG.error("sink {} refused {}, a dead letter now: {}", sink, shown(deliveries), failure.error());
            return deliveries.stream()
                    .map(delivery -> new Outcome(delivery, failure.error(), null))
                    .toList();
        }
        Duration least = failure.notBefore().compareTo(retry.most()) < 0 ? failure.notBefore() : retry.most();
        int failuresInARow = circuit.failed(System.nanoTime(), least, failure.error());
        if (failuresInARow == getEndpoint().getCircuit()) {
            LOG.warn(
                    "sink {} failed {} times in a row: its queue waits, and one delivery is tried now and then: {}",
                    sink,
                    failuresInARow,
                    failure.error());
        }
        int most = getEndpoint().getMaxAttempts();
        List<Delivery> dead = deliveries.stream()
                .filter(delivery -> delivery.attempts() + 1 >= most)
                .toList();
        List<Delivery> waiting = deliveries.stream()
                .filter(delivery -> delivery.attempts() + 1 < most)
                .toList();
        List<Outcome> outcomes = new ArrayList<>();
        if (!dead.isEmpty()) {
            figures().failed(sink, true, dead.size());
            LOG.error(
                    "sink {} gave up {} after {} attempts, a dead letter now: {}",
                    sink,
                    shown(dead),
                    most,
                    failure.error());
            dead.forEach(delivery -> outcomes.add(new Outcome(delivery, failure.error(), null)));
        }
        if (!waiting.isEmpty()) {
            figures().failed(sink, false, waiting.size());
            int attempts = waiting.get(0).attempts() + 1;
            // what failed together comes again together
            Duration backoff = retry.after(attempts);
            Duration wait = backoff.compareTo(least) > 0 ? backoff : least;
            if (failuresInARow == 1) {
                LOG.warn(
                        "sink {} fails, {} waits {} ms for attempt {} of {}: {}",
                        sink,
                        shown(waiting),
                        wait.toMillis(),
                        attempts + 1,
                        most,
                        failure.error());
            } else {
                LOG.debug("sink {} failed {}, attempt {}: {}", sink, shown(waiting), attempts, failure.error());
            }
            waiting.forEach(delivery -> outcomes.add(new Outcome(delivery, failure.error(), wait)));
        }
        return outcomes;
    }

    private static String shown(List<Delivery> deliveries) {
        String first = "alert " + deliveries.get(0).alertId();
        return deliveries.size() == 1 ? first : "%s and %d more".formatted(first, deliveries.size() - 1);
    }

    private void settle(List<Outcome> outcomes, UUID taker) throws SQLException {
        if (outcomes.isEmpty()) {
            return;
        }
        try {
            untilDone("settle", outcomes.size(), () -> {
                table.settle(outcomes, taker);
                return null;
            });
        } catch (SQLException e) {
            if (taker.equals(hand.taker())) {
                // of all threads; whoever stops the consumer tries it once more
                settling.add(outcomes);
            }
            throw e;
        }
    }

    private interface Work<T> {
        T run() throws SQLException;
    }

    /** While this process lives, what became of deliveries is not forgotten because the database was away. */
    private <T> T untilDone(String what, int deliveries, Work<T> work) throws SQLException {
        for (int failures = 0; ; ) {
            try {
                return work.run();
            } catch (SQLException e) {
                if (!running) {
                    throw e;
                }
                if (++failures == 1) {
                    LOG.warn(
                            "outbox:{} waits for the database to {} {} deliveries: {}",
                            getEndpoint().getSink(),
                            what,
                            deliveries,
                            Errors.inWords(e));
                }
                rest(database.after(failures));
            }
        }
    }
}
