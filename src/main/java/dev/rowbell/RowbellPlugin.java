package dev.rowbell;

import dev.rowbell.alert.AlertText;
import dev.rowbell.alert.Digest;
import dev.rowbell.feedback.AlertRows;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.feedback.PollErrors;
import dev.rowbell.feedback.Routing;
import dev.rowbell.listen.ListenComponent;
import dev.rowbell.outbox.DeadLetter;
import dev.rowbell.outbox.OutboxComponent;
import dev.rowbell.settings.Settings;
import dev.rowbell.sink.Deadline;
import dev.rowbell.sink.JsonLines;
import dev.rowbell.sink.MailLogin;
import dev.rowbell.sink.Webhook;
import java.time.Clock;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.spi.ContextServicePlugin;
import org.apache.camel.spi.PropertiesComponent;
import org.apache.camel.spi.Registry;
import org.apache.camel.support.CamelContextHelper;
import org.apache.camel.util.function.Suppliers;

/**
 * Sets up Rowbell in a CamelContext that has the jar on its class path; ServiceLoader finds it. It binds the beans that routes refer to by
 * name. A bean of the application with the same name stays: {@code rowbell} may be its own DataSource.
 */
public final class RowbellPlugin implements ContextServicePlugin {

    /** {@code {{configured:KEY}}} is true if the value of the key is not empty. */
    static final String CONFIGURED = "configured";

    @Override
    public void load(CamelContext context) {
        Rowbell rowbell = new Rowbell(context);
        context.getCamelContextExtension().addContextPlugin(Rowbell.class, rowbell);
        PropertiesComponent properties = context.getPropertiesComponent();
        properties.addPropertiesSource(Settings.defaults());
        addFunctions(properties, rowbell.settings());
        try {
            context.addService(rowbell);
        } catch (Exception e) {
            throw RuntimeCamelException.wrapRuntimeCamelException(e);
        }
        bind(context, rowbell);
    }

    private static void addFunctions(PropertiesComponent properties, Settings settings) {
        // a sink is off while its key is empty
        properties.addPropertiesFunction(new SettingFunction(CONFIGURED, key -> String.valueOf(settings.isSet(key))));
        // for endpoint options that accept milliseconds only
        properties.addPropertiesFunction(new SettingFunction(
                "millis", key -> String.valueOf(settings.duration(key).toMillis())));
        // of a row "taken" of this table, in the query of the route feedback: of Rowbell's own its column, of any other
        // the whole row, whatever its
        // columns are. To make JSON of each row of the first as well takes the query a fifth longer
        properties.addPropertiesFunction(new SettingFunction(
                "document",
                key -> settings.text(key).equals("rowbell.feedback") ? "alert" : "row_to_json(taken) as feedback"));
    }

    private static void bind(CamelContext context, Rowbell rowbell) {
        Registry registry = context.getRegistry();
        bind(
                registry,
                "outbox",
                new OutboxComponent(
                        rowbell.alerts(),
                        rowbell.figures(),
                        rowbell.housekeeping(),
                        rowbell::dataSource,
                        rowbell::isConnected));
        bind(
                registry,
                "pgevent",
                new ListenComponent(
                        rowbell.listeners(), rowbell.figures(), rowbell.doorbell(), rowbell::invalidateConnections));
        bind(registry, "rowbellDoorbell", rowbell.doorbell());
        bind(registry, "rowbellAlerts", rowbell.alerts());
        bind(registry, "rowbellText", new AlertText());
        bind(registry, "rowbellDigest", new Digest());
        Routing routing = new Routing(rowbell.silences(), new DeadLetter());
        routing.setCamelContext(context);
        bind(registry, "rowbellRouting", routing);
        bind(registry, "rowbellPollErrors", new PollErrors());
        // properties may still be added, so not now; and once, since to resolve one for each delivery takes a tenth of
        // the CPU of its route
        bind(
                registry,
                "rowbellFile",
                new JsonLines(
                        Suppliers.memorize(() -> rowbell.settings().text("rowbell.file.dir")),
                        Clock.systemDefaultZone()));
        bind(registry, "rowbellMailLogin", new MailLogin(rowbell.settings()));
        bind(
                registry,
                "rowbellHttpDeadline",
                new Deadline(Suppliers.memorize(() -> rowbell.settings().duration("rowbell.http.response-timeout"))));
        bind(
                registry,
                "rowbellWebhook",
                new Webhook(
                        Suppliers.memorize(() -> rowbell.settings().text("rowbell.http.secret")), Clock.systemUTC()));
        if (registry.lookupByName(Rowbell.DATA_SOURCE) == null) {
            registry.bind(
                    Rowbell.DATA_SOURCE,
                    DataSource.class,
                    () -> rowbell.database().pool());
        }
        registry.bind(
                "rowbellListen", DataSource.class, () -> rowbell.database().listening());
        registry.bind("rowbellTransaction", FeedbackTransaction.class, () -> {
            DataSource dataSource = rowbell.dataSource();
            rowbell.silences().start(dataSource, rowbell.housekeeping());
            return new FeedbackTransaction(
                    dataSource,
                    rowbell.doorbell(),
                    rowbell.settings().text("rowbell.feedback.table"),
                    rowbell.settings().number("rowbell.feedback.batch", 1),
                    rowbell::count,
                    rowbell::whenIdle);
        });
        registry.bind(
                "rowbellRows",
                AlertRows.class,
                () -> new AlertRows(
                        rowbell.alerts(),
                        CamelContextHelper.mandatoryLookup(context, "rowbellTransaction", FeedbackTransaction.class)));
    }

    private static void bind(Registry registry, String name, Object bean) {
        if (registry.lookupByName(name) == null) {
            registry.bind(name, bean);
        }
    }
}
