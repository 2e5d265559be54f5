package dev.rowbell;

import dev.rowbell.command.Commands;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.sink.JsonLines;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.support.LifecycleStrategySupport;
import org.slf4j.LoggerFactory;

/**
 * The program. It reads {@code application.properties}, {@code rules.yaml} and {@code routes/} of the current directory, or else those in
 * the jar. With arguments it runs one command. Exit code 2: a setting is wrong, and one line names it. Exit code 3: no memory is left, as with
 * {@code -XX:+ExitOnOutOfMemoryError}, which a jar cannot set.
 */
public final class Main {

    private static final int WRONG_SETTING = 2;
    private static final int NO_MEMORY = 3;
    /** The exit code of a process that SIGTERM has ended. */
    private static final int SIGTERM = 128 + 15;
    /** How long a stop may take after the time that Camel gives to the routes. */
    private static final Duration STOP = Duration.ofSeconds(6);

    private final Application camel = new Application();
    private final CountDownLatch stopped = new CountDownLatch(1);

    private Main() {}

    public static void main(String[] args) throws InterruptedException {
        if (args.length > 0) {
            configureLogging("logback-command.xml");
            int exit = Commands.run(Application::new, args);
            if (exit != 0) {
                System.exit(exit);
            }
            return;
        }
        configureLogging("logback.xml");
        Main main = new Main();
        try {
            main.start();
        } catch (Exception e) {
            RouteErrors.lines(main.camel.getCamelContext(), e).forEach(line -> System.err.println("rowbell: " + line));
            LoggerFactory.getLogger(Main.class).debug("not started", e);
            main.stop();
            System.exit(WRONG_SETTING);
        }
        main.stopped.await();
    }

    /** To be called before the first logger. A configuration that the user names takes precedence. */
    private static void configureLogging(String file) {
        if (System.getProperty("logback.configurationFile") == null) {
            System.setProperty("logback.configurationFile", "dev/rowbell/" + file);
        }
    }

    private void start() throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(this::stopInTime, "stop"));
        camel.configure()
                .withRoutesIncludePattern(
                        Files.isDirectory(Path.of("routes"))
                                ? "file:routes/*.camel.yaml"
                                : "classpath:dev/rowbell/routes/*.camel.yaml");
        camel.init();
        CamelContext context = camel.getCamelContext();
        Rowbell rowbell = Rowbell.of(context);
        rowbell.watchdog.onOutOfMemory(Main::endWithoutMemory);
        rowbell.rehearseRoutes();
        Thread.setDefaultUncaughtExceptionHandler((thread, failure) -> {
            rowbell.watchdog.caught(failure);
            LoggerFactory.getLogger(Main.class).error("thread {} has ended", thread.getName(), failure);
        });
        // a value that is neither true nor false is told with the others
        if (rowbell.settings.text("rowbell.api.enabled").equals("true")) {
            throw new SettingsException(
                    "rowbell.api.enabled=true: the program has the JSON interface at /api by itself: leave this setting to applications");
        }
        if (rowbell.settings.isSet("rowbell.file.dir")) {
            context.getRegistry()
                    .lookupByNameAndType("rowbellFile", JsonLines.class)
                    .check();
        }
        removeOddMetrics(context);
        boolean demo = Demo.isWanted(rowbell.settings);
        if (demo) {
            Demo.addTo(context);
        }
        // before Camel starts, which would report a wrong setting in many lines instead of one
        rowbell.database();
        if (rowbell.settings.flag("rowbell.health.enabled")) {
            requireFreePort(rowbell.settings);
        }
        String banner = Banner.of(context, demo);
        context.addLifecycleStrategy(new LifecycleStrategySupport() {
            @Override
            public void onContextStarted(CamelContext started) {
                rowbell.serveWebConsole();
                // before the first alert is taken, of a backlog too
                System.out.println(banner);
            }
        });
        camel.start();
    }

    /** Those of the JVM whose names the checks of Prometheus refuse. */
    private static void removeOddMetrics(CamelContext context) {
        for (MeterRegistry registry : context.getRegistry().findByType(MeterRegistry.class)) {
            registry.getMeters().stream()
                    .filter(meter -> meter.getId().getName().matches("process\\.cpu\\.time|system\\.cpu\\.count"))
                    .forEach(registry::remove);
        }
    }

    /** At once: a thread that was refused memory may have left anything behind half done. What was not delivered is after the next start. */
    private static void endWithoutMemory() {
        try {
            System.err.println(
                    "rowbell: no memory is left: give Java more by -Xmx, or find out by a heap dump where it went");
        } finally {
            Runtime.getRuntime().halt(NO_MEMORY);
        }
    }

    /** Camel would report a port in use by a stack trace. */
    private static void requireFreePort(Settings settings) {
        String host = settings.text("rowbell.health.host");
        int port = settings.number("rowbell.health.port", 1);
        try (ServerSocket free = new ServerSocket(port, 1, InetAddress.getByName(host))) {
            LoggerFactory.getLogger(Main.class).debug("health and metrics at {}:{}", host, free.getLocalPort());
        } catch (IOException e) {
            throw new SettingsException(
                    "rowbell.health.port=%d: %s cannot listen there (%s): give another port, or set rowbell.health.enabled=false"
                            .formatted(port, host, e.getMessage()),
                    e);
        }
    }

    /** A kill at any moment loses nothing, so a stop that hangs ends by one. Not with an embedded server, which must end in order. */
    private void stopInTime() {
        Thread stopping = new Thread(this::stop, "rowbell stop");
        stopping.setDaemon(true);
        stopping.start();
        CamelContext context = camel.getCamelContext();
        try {
            stopping.join(
                    context == null
                            ? STOP.toMillis()
                            : STOP.plusSeconds(context.getShutdownStrategy().getTimeout())
                                    .toMillis());
            if (stopping.isAlive()
                    && context != null
                    && Rowbell.of(context).settings.isSet("rowbell.jdbc.url")) {
                LoggerFactory.getLogger(Main.class)
                        .warn(
                                "the stop gives up waiting and ends the process; nothing is lost. It waits at {}",
                                where(stopping));
                Runtime.getRuntime().halt(SIGTERM);
            }
            stopping.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The innermost calls, of which one is most likely the database or a component of Camel's. */
    private static String where(Thread thread) {
        return Arrays.stream(thread.getStackTrace())
                .limit(12)
                .map(StackTraceElement::toString)
                .collect(Collectors.joining(" < "));
    }

    private synchronized void stop() {
        camel.stop();
        if (camel.getCamelContext() != null) {
            // a context that never started does not stop its services
            Rowbell.of(camel.getCamelContext()).stop();
        }
        stopped.countDown();
    }
}
