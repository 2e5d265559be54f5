package dev.rowbell;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.LayoutBase;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import ch.qos.logback.core.joran.spi.ConsoleTarget;
import ch.qos.logback.core.spi.ContextAwareBase;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Map;

/**
 * What {@link Logging} says, by Logback. In code, because reading the same from XML, patterns and all, takes a fifth of the start. Logback asks it by
 * ServiceLoader before anything logs: it has nothing to say in an application that embeds the jar, nor where {@code -Dlogback.configurationFile} names
 * a file.
 */
public final class LogbackConfigurator extends ContextAwareBase implements Configurator {

    private static final Map<String, Level> LEVELS = Map.of(
            "org.apache.camel", Level.WARN,
            "org.apache.camel.support.RouteWatcherReloadStrategy", Level.INFO,
            "org.flywaydb", Level.WARN,
            // a lost connection is said in one line by who needed it
            "com.zaxxer.hikari", Level.ERROR,
            "org.springframework.jdbc.datasource.DataSourceTransactionManager", Level.OFF,
            "io.zonky", Level.ERROR,
            // a stack trace for a connection that is lost anyway
            "org.apache.camel.component.mail.DefaultJavaMailSender", Level.ERROR);

    @Override
    public ExecutionStatus configure(LoggerContext context) {
        Logging wanted = Logging.wanted();
        if (wanted == Logging.NOTHING || System.getProperty("logback.configurationFile") != null) {
            return ExecutionStatus.INVOKE_NEXT_IF_ANY;
        }
        Logger root = context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        if (wanted == Logging.COMMAND) {
            root.setLevel(level(Level.OFF));
            root.addAppender(console(ConsoleTarget.SystemErr, new Line(true)));
        } else {
            root.setLevel(level(Level.INFO));
            root.addAppender(console(ConsoleTarget.SystemOut, new Line(true)));
            LEVELS.forEach((name, level) -> context.getLogger(name).setLevel(level));
            // one readable line an alert: routes/alerts.camel.yaml
            Logger alerts = context.getLogger("alert");
            alerts.setAdditive(false);
            alerts.addAppender(console(ConsoleTarget.SystemOut, new Line(false)));
        }
        return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
    }

    private static Level level(Level usual) {
        return Level.toLevel(System.getProperty("rowbell.log"), usual);
    }

    private Appender<ILoggingEvent> console(ConsoleTarget target, Line line) {
        line.setContext(getContext());
        line.start();
        LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
        encoder.setContext(getContext());
        encoder.setCharset(StandardCharsets.UTF_8);
        encoder.setLayout(line);
        encoder.start();
        ConsoleAppender<ILoggingEvent> console = new ConsoleAppender<>();
        console.setContext(getContext());
        console.setName("console");
        console.setTarget(target.getName());
        console.setEncoder(encoder);
        console.start();
        return console;
    }

    /** {@code 14:54:05.544 WARN  ListenConsumer  message}, and the stack trace where there is one. */
    private static final class Line extends LayoutBase<ILoggingEvent> {

        private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss.SSS");

        private final ZoneId zone = ZoneId.systemDefault();
        private final boolean saysWho;

        /** @param saysWho whether with level and logger */
        Line(boolean saysWho) {
            this.saysWho = saysWho;
        }

        @Override
        public String doLayout(ILoggingEvent event) {
            StringBuilder line = new StringBuilder(128);
            TIME.formatTo(Instant.ofEpochMilli(event.getTimeStamp()).atZone(zone), line);
            if (saysWho) {
                String level = event.getLevel().toString();
                String logger = event.getLoggerName();
                line.append(' ')
                        .append(level)
                        .append(" ".repeat(Math.max(0, 5 - level.length())))
                        .append(' ')
                        .append(logger, logger.lastIndexOf('.') + 1, logger.length());
            }
            line.append("  ").append(event.getFormattedMessage()).append(System.lineSeparator());
            if (event.getThrowableProxy() != null) {
                line.append(ThrowableProxyUtil.asString(event.getThrowableProxy()));
            }
            return line.toString();
        }
    }
}
