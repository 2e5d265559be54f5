package dev.rowbell;

import java.time.Clock;

import javax.sql.DataSource;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.alert.AlertText;
import dev.rowbell.database.Database;
import dev.rowbell.feedback.Doorbell;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.feedback.PollErrors;
import dev.rowbell.listen.ListenComponent;
import dev.rowbell.outbox.DeadLetter;
import dev.rowbell.sink.JsonLines;
import dev.rowbell.sink.MailLogin;
import org.apache.camel.CamelContext;
import org.apache.camel.spi.Registry;
import org.apache.camel.support.CamelContextHelper;
import org.apache.camel.support.service.ServiceSupport;

/**
 * What the routes of one CamelContext share, bound in its registry under the names that routes use. Everything is made when it is first
 * used: a context that has the jar and none of its routes opens no connection. A bean of the same name that is bound before the context is
 * built stays, {@code rowbell} among them: an application's own DataSource.
 */
public final class Rowbell extends ServiceSupport {

    /** The pooled DataSource that everything but listening uses. */
    public static final String DATA_SOURCE = "rowbell";
    /** The exchange variable that has the alert as it was taken, whatever a route makes of the body. */
    public static final String ALERT_VARIABLE = "alert";

    private final CamelContext context;
    private final Settings settings;
    private final Doorbell doorbell = new Doorbell();
    private final AlertReader alerts;
    private Database database;

    private Rowbell(CamelContext context) {
        this.context = context;
        settings = new Settings(context);
        alerts = new AlertReader(this::source, Clock.systemUTC());
    }

    public static Rowbell of(CamelContext context) {
        return context.getCamelContextExtension().getContextPlugin(Rowbell.class);
    }

    /** Called once while a context is built. */
    static void join(CamelContext context) throws Exception {
        Rowbell rowbell = new Rowbell(context);
        context.getCamelContextExtension().addContextPlugin(Rowbell.class, rowbell);
        context.getPropertiesComponent().addPropertiesSource(Settings.defaults());
        context.getPropertiesComponent().addPropertiesFunction(new ConfiguredFunction(rowbell.settings));
        context.getPropertiesComponent().addPropertiesFunction(new MillisFunction(rowbell.settings));
        context.addService(rowbell);
        rowbell.bind();
    }

    private void bind() {
        bind("pgevent", new ListenComponent());
        bind("rowbellDoorbell", doorbell);
        bind("rowbellAlerts", alerts);
        bind("rowbellText", new AlertText());
        bind("rowbellDeadLetter", new DeadLetter());
        bind("rowbellPollErrors", new PollErrors());
        bind("rowbellFile", new JsonLines(() -> settings.text("rowbell.file.dir"), Clock.systemDefaultZone()));
        bind("rowbellMailLogin", new MailLogin(settings));
        Registry registry = context.getRegistry();
        if (registry.lookupByName(DATA_SOURCE) == null) {
            registry.bind(DATA_SOURCE, DataSource.class, () -> database().pool());
        }
        registry.bind("rowbellListen", DataSource.class, () -> database().listening());
        registry.bind("rowbellTransaction", FeedbackTransaction.class,
                () -> new FeedbackTransaction(CamelContextHelper.mandatoryLookup(context, DATA_SOURCE, DataSource.class)));
    }

    private void bind(String name, Object bean) {
        if (context.getRegistry().lookupByName(name) == null) {
            context.getRegistry().bind(name, bean);
        }
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
        if (database == null) {
            settings.check();
            database = Database.open(settings);
        }
        return database;
    }

    private String source() {
        String source = settings.text("rowbell.source");
        return source.isEmpty() ? database().name() : source;
    }

    @Override
    protected synchronized void doStop() {
        if (database != null) {
            database.close();
            database = null;
        }
    }
}
