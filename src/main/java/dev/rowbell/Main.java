package dev.rowbell;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

import dev.rowbell.sink.JsonLines;
import org.apache.camel.CamelContext;
import org.slf4j.LoggerFactory;

/**
 * The program. It reads {@code application.properties} and {@code routes/} of the current directory, and those in the jar where there are
 * none. Exit code 2: a setting is wrong, and one line says which.
 */
public final class Main {

    private static final int WRONG_SETTING = 2;

    private final org.apache.camel.main.Main camel = new org.apache.camel.main.Main() {
        @Override
        protected CamelContext createCamelContext() {
            CamelContext context = super.createCamelContext();
            // where plugins are looked for; Maven's exec:java has them in a class loader of its own
            context.setApplicationContextClassLoader(Main.class.getClassLoader());
            return context;
        }
    };
    private final CountDownLatch stopped = new CountDownLatch(1);

    private Main() {
    }

    public static void main(String[] args) throws InterruptedException {
        // named so that an application which embeds the jar keeps its own logback.xml
        System.getProperties().putIfAbsent("logback.configurationFile", "dev/rowbell/logback.xml");
        Main main = new Main();
        try {
            main.start();
        } catch (Exception e) {
            System.err.println("rowbell: " + inWords(e));
            LoggerFactory.getLogger(Main.class).debug("not started", e);
            main.stop();
            System.exit(WRONG_SETTING);
        }
        main.stopped.await();
    }

    private void start() throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(this::stop, "stop"));
        camel.setPropertyPlaceholderLocations("file:application.properties;optional=true,classpath:dev/rowbell/application.properties");
        camel.configure().withRoutesIncludePattern(Files.isDirectory(Path.of("routes"))
                ? "file:routes/*.camel.yaml" : "classpath:dev/rowbell/routes/*.camel.yaml");
        camel.init();
        CamelContext context = camel.getCamelContext();
        if (Rowbell.of(context).settings().isSet("rowbell.file.dir")) {
            context.getRegistry().lookupByNameAndType("rowbellFile", JsonLines.class).check();
        }
        boolean demo = Demo.isWanted(Rowbell.of(context));
        if (demo) {
            Demo.addTo(context);
        }
        camel.start();
        System.out.println(Banner.of(context, demo));
    }

    private synchronized void stop() {
        camel.stop();
        if (camel.getCamelContext() != null) {
            // where the context never started, its services have not been stopped with it
            Rowbell.of(camel.getCamelContext()).stop();
        }
        stopped.countDown();
    }

    private static String inWords(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SettingsException) {
                return cause.getMessage();
            }
        }
        return Errors.inWords(failure);
    }
}
