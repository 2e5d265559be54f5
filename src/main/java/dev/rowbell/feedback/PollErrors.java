package dev.rowbell.feedback;

import dev.rowbell.error.Errors;
import dev.rowbell.health.Watchdog;
import java.util.concurrent.TimeUnit;
import org.apache.camel.Exchange;
import org.apache.camel.spi.ExceptionHandler;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs a failed poll of the feedback table in one line, once a minute where it stays the same, instead of a stack trace every second. */
public final class PollErrors implements ExceptionHandler {

    private static final Logger LOG = LoggerFactory.getLogger(PollErrors.class);

    private static final long QUIET = TimeUnit.MINUTES.toNanos(1);

    private final Watchdog watchdog;
    private String last = "";
    private long saidAt;

    public PollErrors(Watchdog watchdog) {
        this.watchdog = watchdog;
    }

    @Override
    public void handleException(Throwable exception) {
        handleException(null, null, exception);
    }

    @Override
    public void handleException(String message, Throwable exception) {
        handleException(message, null, exception);
    }

    @Override
    public synchronized void handleException(String message, Exchange exchange, Throwable exception) {
        watchdog.caught(exception);
        String words = Errors.inWords(exception);
        if (!words.equals(last) || System.nanoTime() - saidAt > QUIET) {
            LOG.warn("taking alerts from the feedback table failed, nothing is lost, trying again: {}", words);
            last = words;
            saidAt = System.nanoTime();
        }
        LOG.debug("taking alerts failed", exception);
    }
}
