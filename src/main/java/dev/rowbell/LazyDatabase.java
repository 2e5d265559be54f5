package dev.rowbell;

import dev.rowbell.database.Database;
import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The database of one CamelContext: its first user opens it, and a stop closes it until the next start. Safe for many threads. */
final class LazyDatabase {

    private static final Logger LOG = LoggerFactory.getLogger(LazyDatabase.class);
    /** Between two attempts to open it. */
    private static final Duration RETRY = Duration.ofMillis(500);

    private final Settings settings;
    private final Supplier<DataSource> host;
    private final Runnable beforeOpen;
    private final Consumer<Database> onOpen;
    private volatile Database open;
    private boolean stopped;

    /**
     * @param host gives the application's own DataSource, null for none
     * @param beforeOpen called before the database is opened
     * @param onOpen called with the opened database before any user has it; if that fails, the database is closed again, and where it was away,
     *     all is tried once more
     */
    LazyDatabase(Settings settings, Supplier<DataSource> host, Runnable beforeOpen, Consumer<Database> onOpen) {
        this.settings = settings;
        this.host = host;
        this.beforeOpen = beforeOpen;
        this.onOpen = onOpen;
    }

    /**
     * Opens the database at the first call and brings its schema up to date.
     *
     * @throws SettingsException where that is not possible
     * @throws IllegalStateException after a stop: work that still runs must not open it again
     */
    synchronized Database get() {
        requireStarted();
        if (open == null) {
            beforeOpen.run();
            open = awaitServer();
        }
        return open;
    }

    /** Null while it is closed. Opens nothing. */
    Database ifOpen() {
        return open;
    }

    /** Whether a connection works now. If none does, the next user may have to wait for long. */
    boolean isConnected() {
        Database opened = open;
        return opened != null && opened.isConnected();
    }

    private Database tryToOpen() {
        Database opened = Database.open(settings, host.get());
        try {
            onOpen.accept(opened);
        } catch (RuntimeException e) {
            opened.close();
            throw e;
        }
        return opened;
    }

    /** Waits for a server that is away. A stop ends the wait, since waiting releases the lock. */
    private Database awaitServer() {
        long deadline =
                System.nanoTime() + settings.duration("rowbell.jdbc.wait").toNanos();
        boolean logged = false;
        while (true) {
            try {
                return tryToOpen();
            } catch (RuntimeException e) {
                if (!Errors.isDatabaseAway(e) || System.nanoTime() - deadline > 0) {
                    throw e;
                }
                if (!logged) {
                    logged = true;
                    LOG.warn(
                            "{}; trying again for {} (rowbell.jdbc.wait)",
                            Errors.forUser(e),
                            settings.text("rowbell.jdbc.wait"));
                }
                try {
                    wait(RETRY.toMillis());
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                    throw e;
                }
                requireStarted();
            }
        }
    }

    private void requireStarted() {
        if (stopped) {
            throw new IllegalStateException("Rowbell has been stopped");
        }
    }

    synchronized void start() {
        stopped = false;
    }

    /** @param beforeClose called if it is open, while it still is */
    synchronized void stop(Runnable beforeClose) {
        stopped = true;
        notifyAll();
        if (open != null) {
            beforeClose.run();
            open.close();
            open = null;
        }
    }
}
