package dev.rowbell.feedback;

import dev.rowbell.error.Errors;
import dev.rowbell.health.Watchdog;
import org.apache.camel.Exchange;
import org.apache.camel.spi.ExceptionHandler;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs a failed poll of the feedback table in one line now and then, instead of a stack trace every second. */
public final class PollErrors implements ExceptionHandler {

    private static final Logger LOG = LoggerFactory.getLogger(PollErrors.class);

    private final Watchdog watchdog;

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
    public void handleException(String message, Exchange exchange, Throwable exception) {
        watchdog.caught(exception);
        if (!watchdog.failures().isDatabaseAway(exception)) {
            watchdog.failing(Watchdog.POLL, exception);
            watchdog.failures()
                    .failed(Watchdog.POLL)
                    .ifPresent(since -> LOG.warn(
                            "alerts cannot be taken from the feedback table {}: {}. Nothing is lost, and they are taken when the"
                                    + " cause is gone; see routes/sources.camel.yaml and rowbell.feedback.table",
                            since,
                            Errors.inWords(exception)));
        }
        LOG.debug("taking alerts failed", exception);
    }
}
