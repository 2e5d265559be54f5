package dev.rowbell;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertText;
import dev.rowbell.alert.Digest;
import dev.rowbell.feedback.AlertRows;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.feedback.PollErrors;
import dev.rowbell.feedback.PollQuery;
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
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Route;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.Service;
import org.apache.camel.spi.PropertiesComponent;
import org.apache.camel.spi.PropertiesFunction;
import org.apache.camel.spi.Registry;
import org.apache.camel.spi.TypeConverterRegistry;
import org.apache.camel.support.LifecycleStrategySupport;
import org.apache.camel.util.function.Suppliers;

/**
 * Binds the beans that routes refer to by name. A bean of the application with the same name stays: {@code rowbell} may be its own DataSource.
 */
final class RowbellSetup {

    /** {@code {{configured:KEY}}} is true if the value of the key is not empty. */
    static final String CONFIGURED = "configured";

    private RowbellSetup() {}

    /** @param registry is not yet that of the context where the converters are still being loaded */
    static void in(CamelContext context, TypeConverterRegistry registry) {
        AlertJson.addConverter(registry);
        Rowbell rowbell = new Rowbell(context);
        context.getCamelContextExtension().addContextPlugin(Rowbell.class, rowbell);
        addProperties(context.getPropertiesComponent(), rowbell.settings);
        context.addLifecycleStrategy(new LifecycleStrategySupport() {
            @Override
            public void onServiceAdd(CamelContext to, Service service, Route route) {
                // in place of the one before, as with Spring Boot
                if (service instanceof PropertiesComponent properties) {
                    addProperties(properties, rowbell.settings);
                }
            }
        });
        try {
            context.addService(rowbell);
        } catch (Exception e) {
            throw RuntimeCamelException.wrapRuntimeCamelException(e);
        }
        beans(context, rowbell).forEach((name, bean) -> {
            CamelContextAware.trySetCamelContext(bean, context);
            bind(context.getRegistry(), name, () -> bean);
        });
        bindLazily(context, rowbell);
    }

    private static void addProperties(PropertiesComponent properties, Settings settings) {
        Settings.addDefaults(properties);
        // a sink is off while its key is empty
        properties.addPropertiesFunction(new SettingFunction(CONFIGURED, key -> String.valueOf(settings.isSet(key))));
        // for endpoint options that accept milliseconds only
        properties.addPropertiesFunction(new SettingFunction(
                "millis", key -> String.valueOf(settings.duration(key).toMillis())));
        // the alert of a row "taken" in the query of the route feedback: a column of Rowbell's own table, and the whole
        // row of any other.
        // The whole row of Rowbell's own takes the query a fifth longer
        properties.addPropertiesFunction(new SettingFunction(
                "document", key -> isOwnTable(settings, key) ? "alert" : "row_to_json(taken) as feedback"));
        // the bytes of a row "queued" there. The alerts of Rowbell's own table are stored as they are, so that the size
        // of one takes no look at it
        properties.addPropertiesFunction(new SettingFunction(
                "size",
                key -> isOwnTable(settings, key) ? "pg_column_size(alert)" : "octet_length(cast(queued as text))"));
    }

    private static boolean isOwnTable(Settings settings, String key) {
        return settings.text(key).equals("rowbell.feedback");
    }

    /** {@code {{NAME:KEY}}} in a route; the value is a function of the key. */
    private record SettingFunction(String name, UnaryOperator<String> value) implements PropertiesFunction {

        @Override
        public String getName() {
            return name;
        }

        @Override
        public String apply(String key) {
            return value.apply(key);
        }
    }

    private static Map<String, Object> beans(CamelContext context, Rowbell rowbell) {
        Settings settings = rowbell.settings;
        OutboxComponent outbox = new OutboxComponent(
                rowbell.alerts,
                rowbell.metrics,
                rowbell.watchdog,
                rowbell.housekeeping,
                rowbell.history,
                rowbell::dataSource,
                rowbell::isConnected);
        Routing routing = new Routing(rowbell.silences, rowbell.firing::isAcknowledged, new DeadLetter(), outbox);
        routing.setCamelContext(context);
        Map<String, Object> beans = new HashMap<>();
        beans.put("outbox", outbox);
        beans.put(
                "pgevent",
                new ListenComponent(
                        rowbell.listeners,
                        rowbell.metrics,
                        rowbell.watchdog,
                        rowbell.doorbell,
                        rowbell::invalidateConnections));
        beans.put("rowbellDoorbell", rowbell.doorbell);
        beans.put("rowbellAlerts", rowbell.alerts);
        beans.put("rowbellText", new AlertText());
        beans.put("rowbellDigest", new Digest());
        beans.put("rowbellRouting", routing);
        beans.put("rowbellPollErrors", new PollErrors(rowbell.watchdog));
        // read later, since properties may still be added, and once, since that takes a tenth of the CPU of a delivery
        Supplier<String> directory = Suppliers.memorize(() -> settings.text("rowbell.file.dir"));
        Supplier<String> permissions = Suppliers.memorize(() -> settings.text("rowbell.file.permissions"));
        Supplier<String> secret = Suppliers.memorize(() -> settings.password("rowbell.http.secret"));
        beans.put("rowbellFile", new JsonLines(directory, permissions, Clock.systemDefaultZone()));
        beans.put("rowbellWebhook", new Webhook(secret, Clock.systemUTC()));
        return beans;
    }

    /** The beans that open the database or need libraries that an application may lack, made when a route uses them. */
    private static void bindLazily(CamelContext context, Rowbell rowbell) {
        Registry registry = context.getRegistry();
        Settings settings = rowbell.settings;
        bind(registry, "rowbellMailLogin", () -> new MailLogin(settings));
        Supplier<Duration> timeout = Suppliers.memorize(() -> settings.duration("rowbell.http.response-timeout"));
        bind(registry, "rowbellHttpDeadline", () -> new Deadline(context, timeout));
        bind(registry, Rowbell.DATA_SOURCE, rowbell::pool);
        bind(registry, "rowbellListen", rowbell::listening);
        bind(registry, "rowbellApi", rowbell::api);
        bind(registry, "rowbellTransaction", rowbell::feedbackTransaction);
        bind(registry, "rowbellQuery", () -> new PollQuery(transaction(registry)));
        bind(registry, "rowbellRows", () -> new AlertRows(rowbell.alerts, transaction(registry)));
    }

    private static FeedbackTransaction transaction(Registry registry) {
        return registry.lookupByNameAndType("rowbellTransaction", FeedbackTransaction.class);
    }

    /**
     * By name alone, unless the application has bound that name: Camel gives its components the only bean of a type, so a bean of a known type would
     * change routes of the application, or take from them the one that they had.
     */
    private static void bind(Registry registry, String name, Supplier<Object> bean) {
        if (registry.lookupByName(name) == null) {
            registry.bind(name, Object.class, bean);
        }
    }
}
