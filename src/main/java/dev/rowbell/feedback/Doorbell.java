package dev.rowbell.feedback;

import dev.rowbell.health.Watchdog;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.camel.CamelContext;
import org.apache.camel.Consumer;
import org.apache.camel.spi.ScheduledPollConsumerScheduler;
import org.apache.camel.support.ScheduledPollConsumer;
import org.apache.camel.support.service.ServiceSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Polls the feedback table when it is rung, and otherwise after {@code delay} of its consumer; after a second where the last poll failed, and all
 * the time in a storm, while writers do not ring. However often it is rung while a poll runs, one more poll follows. In a backlog more threads poll,
 * one for each step of a {@link FeedbackTransaction}. Safe for many threads.
 */
public final class Doorbell extends ServiceSupport implements ScheduledPollConsumerScheduler {

    static final Duration IN_STORM = Duration.ofMillis(5);
    /** After a batch that was not full: a poll at once, most likely empty, would take the CPU from the sinks. */
    static final Duration AFTER_FEW = Duration.ofMillis(2);

    private static final Logger LOG = LoggerFactory.getLogger(Doorbell.class);
    private static final String LOOP = "the poll of the feedback table";
    private static final int POLLS_AT_ONCE = 3;
    private static final Duration RETRY = Duration.ofSeconds(1);

    private final Watchdog watchdog;
    private final Semaphore rings = new Semaphore(0);
    /** Has a permit for each poll that a thread beside the first is to begin. */
    private final Semaphore backlog = new Semaphore(0);

    private final DoorbellLease lease;

    private CamelContext context;
    private ScheduledPollConsumer consumer;
    private Runnable poll;
    /** Null while stopped. */
    private volatile ExecutorService threads;

    private volatile Duration wait;
    private volatile Runnable end = () -> {};

    public Doorbell(Watchdog watchdog) {
        this.watchdog = watchdog;
        lease = new DoorbellLease(watchdog.failures());
    }

    /** The table may have alerts. */
    public void ring() {
        // one permit is enough: a poll takes all there is
        release(rings, 1);
    }

    /** @param overlap whether a poll may begin beside the one under way, because more alerts wait than that has taken */
    void help(boolean overlap) {
        if (overlap) {
            release(backlog, POLLS_AT_ONCE - 1);
        } else {
            backlog.drainPermits();
        }
    }

    /** @param end called by each thread that polls no more */
    void whenAThreadEnds(Runnable end) {
        this.end = end;
    }

    private static void release(Semaphore permits, int most) {
        if (permits.availablePermits() < most) {
            permits.release();
        }
    }

    /** The database was away: writers may not know that this process listens. */
    public void reset() {
        lease.reset();
    }

    DoorbellLease lease() {
        return lease;
    }

    /** The poll under way succeeded; the next one is to begin after this time at the latest. */
    void pollWithin(Duration time) {
        wait = time;
    }

    @Override
    public void onInit(Consumer consumer) {
        this.consumer = (ScheduledPollConsumer) consumer;
    }

    @Override
    public void scheduleTask(Runnable task) {
        poll = task;
    }

    @Override
    public void unscheduleTask() {
        stop();
    }

    @Override
    public synchronized void startScheduler() {
        if (threads == null) {
            ExecutorService started =
                    context.getExecutorServiceManager().newFixedThreadPool(this, "feedback", POLLS_AT_ONCE);
            threads = started;
            backlog.drainPermits();
            ScheduledPollConsumer polled = consumer;
            Runnable task = poll;
            watchdog.start(LOOP, started, () -> run(started, polled, task));
            for (int i = 1; i < POLLS_AT_ONCE; i++) {
                watchdog.start(LOOP, started, () -> runInBacklog(started, polled, task));
            }
        }
    }

    private void run(ExecutorService own, ScheduledPollConsumer polled, Runnable task) {
        try {
            awaitStarted(own, polled);
            while (threads == own) {
                wait = RETRY;
                poll(task);
                // an interrupt that a route left behind is no stop
                Thread.interrupted();
                rings.tryAcquire(Math.min(wait.toMillis(), polled.getDelay()), TimeUnit.MILLISECONDS);
                rings.drainPermits();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            end.run();
        }
    }

    private void runInBacklog(ExecutorService own, ScheduledPollConsumer polled, Runnable task) {
        try {
            awaitStarted(own, polled);
            backlog.acquire();
            while (threads == own) {
                boolean ended = poll(task);
                Thread.interrupted();
                if (ended) {
                    backlog.acquire();
                } else {
                    // by the same thread: only that one can roll back the poll that the Error ended
                    TimeUnit.NANOSECONDS.sleep(RETRY.toNanos());
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            end.run();
        }
    }

    /**
     * The consumer starts its scheduler before its query is ready, and, while all of Camel starts, before the routes that alerts go to: alerts that
     * are taken then come again, after those of the next batch.
     */
    private void awaitStarted(ExecutorService own, ScheduledPollConsumer polled) throws InterruptedException {
        while (threads == own && (polled.isStarting() || context.isStarting())) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    /** Returns false where an Error ended the poll: Camel lets it through, and without this thread no alert would be taken again. */
    private boolean poll(Runnable task) {
        try {
            task.run();
            return true;
        } catch (Throwable e) {
            watchdog.caught(e);
            watchdog.failing(Watchdog.POLL, e);
            watchdog.failures()
                    .failed("error of the poll")
                    .ifPresent(since -> LOG.error(
                            "the feedback table cannot be polled {}, trying again; nothing is lost. Restart if it goes on, and report"
                                    + " the error",
                            since,
                            e));
            return false;
        }
    }

    @Override
    public synchronized boolean isSchedulerStarted() {
        return threads != null;
    }

    /** Waits for the polls that run, for as long as Camel gives a stop. */
    @Override
    protected synchronized void doStop() {
        ExecutorService ending = threads;
        if (ending != null) {
            threads = null;
            ring();
            backlog.release(POLLS_AT_ONCE);
            context.getExecutorServiceManager()
                    .shutdownGraceful(
                            ending,
                            TimeUnit.SECONDS.toMillis(
                                    context.getShutdownStrategy().getTimeout()));
        }
    }

    @Override
    public void setCamelContext(CamelContext context) {
        this.context = context;
    }

    @Override
    public CamelContext getCamelContext() {
        return context;
    }
}
