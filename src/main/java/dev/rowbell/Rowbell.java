package dev.rowbell;

import java.time.Clock;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.database.Database;
import dev.rowbell.feedback.Doorbell;
import org.apache.camel.CamelContext;
import org.apache.camel.support.service.ServiceSupport;

/**
 * What the routes of one CamelContext share. Made when it is first used: a context that has the jar and none of its routes opens no
 * connection. Safe for many threads.
 */
public final class Rowbell extends ServiceSupport {

    /** The pooled DataSource that everything but listening uses. */
    public static final String DATA_SOURCE = "rowbell";
    /** The exchange variable that has the alert as it was taken, whatever a route makes of the body. */
    public static final String ALERT_VARIABLE = "alert";

    private final Settings settings;
    private final Doorbell doorbell = new Doorbell();
    private final AlertReader alerts;
    private volatile String source;
    private Database database;
    private boolean closed;

    Rowbell(CamelContext context) {
        settings = new Settings(context);
        alerts = new AlertReader(this::source, Clock.systemUTC());
    }

    public static Rowbell of(CamelContext context) {
        return context.getCamelContextExtension().getContextPlugin(Rowbell.class);
    }

    public Settings settings() {
        return settings;
    }

    public AlertReader alerts() {
        return alerts;
    }

    public Doorbell doorbell() {
        return doorbell;
    }

    /**
     * The database, opened and brought to the current schema by the first call.
     *
     * @throws SettingsException where that is not possible
     */
    public synchronized Database database() {
        if (closed) {
            throw new IllegalStateException("Rowbell has been stopped");
        }
        if (database == null) {
            settings.check();
            database = Database.open(settings);
        }
        return database;
    }

    /** Asked for each alert, and so kept: finding a setting takes as long as routing the alert. */
    private String source() {
        String known = source;
        if (known == null) {
            String set = settings.text("rowbell.source");
            known = set.isEmpty() ? database().name() : set;
            source = known;
        }
        return known;
    }

    @Override
    protected synchronized void doStart() {
        closed = false;
        source = null;
    }

    /** Closes the database for good: what still runs shall not open it again. */
    @Override
    protected synchronized void doStop() {
        closed = true;
        if (database != null) {
            database.close();
            database = null;
        }
    }
}
