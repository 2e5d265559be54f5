package dev.rowbell;

import java.time.Clock;
import java.util.function.Consumer;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.database.Database;
import dev.rowbell.feedback.Doorbell;
import dev.rowbell.outbox.DeadLetters;
import dev.rowbell.rules.RuleTable;
import dev.rowbell.rules.Rules;
import dev.rowbell.rules.RulesHealth;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheckRegistry;
import org.apache.camel.support.service.ServiceSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the routes of one CamelContext share. Made when it is first used: a context that has the jar and none of its routes opens no
 * connection. Safe for many threads.
 */
public final class Rowbell extends ServiceSupport {

    /** The pooled DataSource that everything but listening uses. */
    public static final String DATA_SOURCE = "rowbell";
    /** The exchange variable that has the alert as it was taken, whatever a route makes of the body. */
    public static final String ALERT_VARIABLE = "alert";

    private static final Logger LOG = LoggerFactory.getLogger(Rowbell.class);
    /** Rows that one statement removes at most, so that nobody notices. */
    private static final int EXPIRED_AT_ONCE = 1000;

    private final CamelContext context;
    private final Settings settings;
    private final Doorbell doorbell = new Doorbell();
    private final AlertReader alerts;
    private final Rules rules;
    private Consumer<Database> preparation = opened -> { };
    private volatile String source;
    private Database database;
    private boolean closed;

    Rowbell(CamelContext context) {
        this.context = context;
        settings = new Settings(context);
        alerts = new AlertReader(this::source, Clock.systemUTC());
        rules = new Rules(context, settings);
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

    public Rules rules() {
        return rules;
    }

    /** What to do in the database when it is opened, before the rules are applied. */
    synchronized void prepare(Consumer<Database> preparation) {
        this.preparation = preparation;
    }

    /**
     * The database, opened and brought to the current schema by the first call, which also applies the rules. Rules that are wrong are
     * logged and keep nobody from starting.
     *
     * @throws SettingsException where that is not possible
     */
    public synchronized Database database() {
        if (closed) {
            throw new IllegalStateException("Rowbell has been stopped");
        }
        if (database == null) {
            settings.check();
            settings.misspelled(System.getenv()).forEach(LOG::warn);
            Database opened = Database.open(settings);
            try {
                preparation.accept(opened);
                DeadLetters letters = new DeadLetters(opened.pool());
                rules.start(new RuleTable(opened.pool()), () -> letters.expire(settings.duration("rowbell.dead-letter.keep"), EXPIRED_AT_ONCE));
            } catch (RuntimeException e) {
                opened.close();
                throw e;
            }
            database = opened;
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
        HealthCheckRegistry checks = HealthCheckRegistry.get(context);
        if (checks != null) {
            checks.register(new RulesHealth(rules));
        }
    }

    /** Closes the database for good: what still runs shall not open it again. */
    @Override
    protected synchronized void doStop() {
        closed = true;
        if (database != null) {
            rules.stop();
            database.close();
            database = null;
        }
    }
}
