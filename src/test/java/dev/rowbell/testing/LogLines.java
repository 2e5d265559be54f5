package dev.rowbell.testing;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.util.List;
import org.slf4j.LoggerFactory;

/** What an operator reads of one part of Rowbell: {@code WARN the message}. */
public final class LogLines implements AutoCloseable {

    private final Logger logger;
    private final ListAppender<ILoggingEvent> events = new ListAppender<>();

    public LogLines(String name) {
        logger = (Logger) LoggerFactory.getLogger(name);
        events.start();
        logger.addAppender(events);
        // not on the console as well: it is what the test expects
        logger.setAdditive(false);
    }

    public List<String> lines() {
        List<ILoggingEvent> logged;
        // what an appender locks while it adds one
        synchronized (events) {
            logged = List.copyOf(events.list);
        }
        return logged.stream()
                .map(event -> event.getLevel() + " " + event.getFormattedMessage())
                .toList();
    }

    public void clear() {
        synchronized (events) {
            events.list.clear();
        }
    }

    @Override
    public void close() {
        logger.detachAppender(events);
        logger.setAdditive(true);
    }
}
