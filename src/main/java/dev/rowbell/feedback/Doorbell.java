package dev.rowbell.feedback;

import dev.rowbell.health.Watchdog;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.camel.CamelContext;
import org.apache.camel.Consumer;
import org.apache.camel.spi.ScheduledPollConsumerScheduler;
import org.apache.camel.support.ScheduledPollConsumer;
import org.apache.camel.support.service.ServiceSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Polls the feedback table when it is rung, and otherwise after {@code delay} of its consumer; after a second where the last poll failed, and all
 * the time in a storm, while writers do not ring. However often it is rung while a poll runs, one more poll follows. One poll at a time. Safe for
 * many threads.
 */
public final class Doorbell extends ServiceSupport implements ScheduledPollConsumerScheduler {

    static final Duration IN_STORM = Duration.ofMillis(5);

    private static final Logger LOG = LoggerFactory.getLogger(Doorbell.class);
    private static final Duration RETRY = Duration.ofSeconds(1);

    private final Watchdog watchdog;
    private final Semaphore rings = new Semaphore(0);
    private final DoorbellLease lease = new DoorbellLease();
    /** Held by the thread that polls: one that hangs in a route when it is stopped ends its poll before another begins one. */
    private final ReentrantLock polling = new ReentrantLock();

    private CamelContext context;
    private ScheduledPollConsumer consumer;
    private Runnable poll;
    /** Null while stopped. */
    private volatile ExecutorService thread;

    private volatile Duration wait;

    public Doorbell(Watchdog watchdog) {
        this.watchdog = watchdog;
    }

    /** The table may have alerts. */
    public void ring() {
        // one permit is enough: a poll takes all there is
        if (rings.availablePermits() == 0) {
            rings.release();
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
        if (thread == null) {
            ExecutorService started = context.getExecutorServiceManager().newSingleThreadExecutor(this, "feedback");
            thread = started;
            ScheduledPollConsumer polled = consumer;
            Runnable task = poll;
            watchdog.start("the poll of the feedback table", started, () -> run(started, polled, task));
        }
    }

    private void run(ExecutorService own, ScheduledPollConsumer polled, Runnable task) {
        try {
            awaitStarted(own, polled);
            polling.lockInterruptibly();
            try {
                while (thread == own) {
                    wait = RETRY;
                    poll(task);
                    // an interrupt that a route left behind is no stop
                    Thread.interrupted();
                    rings.tryAcquire(Math.min(wait.toMillis(), polled.getDelay()), TimeUnit.MILLISECONDS);
                    rings.drainPermits();
                }
            } finally {
                polling.unlock();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * The consumer starts its scheduler before its query is ready, and, while all of Camel starts, before the routes that alerts go to: alerts that
     * are taken then come again, after those of the next batch.
     */
    private void awaitStarted(ExecutorService own, ScheduledPollConsumer polled) throws InterruptedException {
        while (thread == own && (polled.isStarting() || context.isStarting())) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    private void poll(Runnable task) {
        try {
            task.run();
        } catch (Throwable e) {
            // Camel lets Errors through; without this thread no alert would be taken again
            watchdog.caught(e);
            LOG.error("polling the feedback table failed, trying again", e);
        }
    }

    @Override
    public synchronized boolean isSchedulerStarted() {
        return thread != null;
    }

    /** Waits for the poll that runs, for as long as Camel gives a stop. */
    @Override
    protected synchronized void doStop() {
        ExecutorService ending = thread;
        if (ending != null) {
            thread = null;
            ring();
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
