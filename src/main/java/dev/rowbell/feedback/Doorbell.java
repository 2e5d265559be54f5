package dev.rowbell.feedback;

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
 * Polls the feedback table when somebody rings, and otherwise every {@code delay} of its consumer as a backstop, or after a second where the
 * last poll failed; in a storm, when nobody rings, all the time. However often it is rung while a poll runs, one more poll follows. Where more
 * waits than one poll takes, a second thread polls too, one stage behind the first. Safe for many threads.
 */
public final class Doorbell extends ServiceSupport implements ScheduledPollConsumerScheduler {

    private static final Logger LOG = LoggerFactory.getLogger(Doorbell.class);

    private static final Duration RETRY = Duration.ofSeconds(1);

    /** Between two polls while nobody rings. */
    private static final Duration AWAKE = Duration.ofMillis(5);

    private final Semaphore rung = new Semaphore(0);
    private final Semaphore wanted = new Semaphore(0);
    private final Awake awake = new Awake();
    private volatile Stages stages = new Stages();
    private CamelContext context;
    private ScheduledPollConsumer consumer;
    private Runnable poll;
    private ExecutorService threads;
    private volatile Thread helper;
    private volatile boolean running;
    private volatile boolean failed;

    /** Look at the table now. */
    public void ring() {
        // one permit is enough: a poll takes all there is
        if (rung.availablePermits() == 0) {
            rung.release();
        }
    }

    /** Somebody else shall poll too. */
    void help() {
        if (wanted.availablePermits() == 0) {
            wanted.release();
        }
    }

    /** This thread's poll failed, and what it took is in the table again; who rang for it does not ring again. */
    void failed() {
        failed = true;
        if (isHelping()) {
            ring();
        }
    }

    /** Whether this thread polls only where there is enough for two. */
    boolean isHelping() {
        return Thread.currentThread() == helper;
    }

    /** The database was away: what writers were told may be gone. */
    public void forget() {
        awake.forget();
    }

    Awake awake() {
        return awake;
    }

    /** Others than before where polling was stopped meanwhile: a thread that hangs in a route keeps nobody up who comes after it. */
    Stages stages() {
        return stages;
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
            running = true;
            stages = new Stages();
            threads = context.getExecutorServiceManager().newFixedThreadPool(this, "feedback", 2);
            ScheduledPollConsumer polled = consumer;
            Runnable task = poll;
            threads.execute(() -> run(polled, task));
            threads.execute(() -> help(polled, task));
        }
    }

    private void run(ScheduledPollConsumer polled, Runnable task) {
        try {
            awaitStarted(polled);
            while (running) {
                failed = false;
                poll(task);
                rung.tryAcquire(wait(polled).toMillis(), TimeUnit.MILLISECONDS);
                rung.drainPermits();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * The consumer starts its scheduler before it has made its query ready; and before the routes that alerts go to are there, where all of Camel is
     * starting: what is taken then comes again, and the next batch before it.
     */
    private void awaitStarted(ScheduledPollConsumer polled) throws InterruptedException {
        while (running && (polled.isStarting() || context.isStarting())) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    private void help(ScheduledPollConsumer polled, Runnable task) {
        helper = Thread.currentThread();
        try {
            awaitStarted(polled);
            while (running) {
                // also where nobody asks: an Error may have left a transaction behind, which the next poll ends
                wanted.tryAcquire(polled.getDelay(), TimeUnit.MILLISECONDS);
                wanted.drainPermits();
                if (running) {
                    poll(task);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Duration wait(ScheduledPollConsumer polled) {
        Duration delay = Duration.ofMillis(polled.getDelay());
        Duration longest = failed || polled.getErrorCounter() > 0 ? RETRY : awake.isAwake() ? AWAKE : delay;
        return longest.compareTo(delay) < 0 ? longest : delay;
    }

    private void poll(Runnable task) {
        Stages own = stages;
        try {
            task.run();
        } catch (Throwable e) {
            // Camel lets Errors through; without this thread no alert would ever be taken again
            LOG.error("polling the feedback table failed, trying again", e);
        } finally {
            own.leave();
        }
    }

    @Override
    public synchronized boolean isSchedulerStarted() {
        return threads != null;
    }

    /** Waits for the polls that run. */
    @Override
    protected synchronized void doStop() {
        if (threads != null) {
            running = false;
            ring();
            help();
            context.getExecutorServiceManager()
                    .shutdownGraceful(
                            threads,
                            TimeUnit.SECONDS.toMillis(
                                    context.getShutdownStrategy().getTimeout()));
            threads = null;
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
