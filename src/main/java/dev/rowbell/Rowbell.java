package dev.rowbell;

import dev.rowbell.alert.AlertReader;
import dev.rowbell.database.Compaction;
import dev.rowbell.database.Database;
import dev.rowbell.database.DatabaseAwayException;
import dev.rowbell.feedback.Doorbell;
import dev.rowbell.health.Figures;
import dev.rowbell.health.Lookout;
import dev.rowbell.health.ReadyCheck;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.listen.Listeners;
import dev.rowbell.outbox.DeadLetterRepository;
import dev.rowbell.outbox.OutboxComponent;
import dev.rowbell.rules.Problem;
import dev.rowbell.rules.RuleRepository;
import dev.rowbell.rules.Rules;
import dev.rowbell.settings.Settings;
import dev.rowbell.silence.Silences;
import dev.rowbell.sink.Webhook;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheckRegistry;
import org.apache.camel.support.CamelContextHelper;
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

    private static final Logger LOG = LoggerFactory.getLogger(Rowbell.class);
    /** Rows that one statement removes at most, so that nobody notices. */
    private static final int EXPIRED_AT_ONCE = 1000;
    /** Between two runs of a task of housekeeping. */
    private static final Duration KEEP = Duration.ofSeconds(10);
    /** Between two tries to open the database. */
    private static final Duration RETRY = Duration.ofMillis(500);
    /** Without a listener for less than this is a reconnect. */
    private static final Duration GONE = Duration.ofSeconds(30);

    private final CamelContext context;
    private final Settings settings;
    private final Doorbell doorbell = new Doorbell();
    private final AlertReader alerts;
    private final Rules rules;
    private final Housekeeping housekeeping = new Housekeeping();
    private final Silences silences = new Silences();
    private final Listeners listeners = new Listeners();
    private final Figures figures;
    private Consumer<Database> preparation = opened -> {};
    private volatile String source;
    private volatile Lookout lookout;
    private volatile Database database;
    private boolean closed;

    Rowbell(CamelContext context) {
        this.context = context;
        settings = new Settings(context);
        alerts = new AlertReader(this::source, Clock.systemUTC());
        rules = new Rules(context, settings);
        figures = new Figures(context, Clock.systemUTC());
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

    public Silences silences() {
        return silences;
    }

    Housekeeping housekeeping() {
        return housekeeping;
    }

    public Listeners listeners() {
        return listeners;
    }

    public Figures figures() {
        return figures;
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
            Webhook.keys(settings.text("rowbell.http.secret"));
            settings.misspelled(System.getenv()).forEach(LOG::warn);
            Database opened = open();
            try {
                preparation.accept(opened);
                lookout = new Lookout(
                        opened.pool(),
                        settings.text("rowbell.feedback.table"),
                        rules::broken,
                        () -> settings.duration("rowbell.health.max-age"));
                rules.start(new RuleRepository(opened.pool()), housekeeping);
                register(opened, lookout);
                housekeeping.start();
            } catch (RuntimeException e) {
                opened.close();
                throw e;
            }
            database = opened;
        }
        return database;
    }

    /** The application's own where it has one, with the schema brought up to date by the first call. */
    DataSource dataSource() {
        database();
        return CamelContextHelper.mandatoryLookup(context, DATA_SOURCE, DataSource.class);
    }

    /** Whether there is a connection to the database now: where there is none, who wants one may wait for long. */
    public boolean isConnected() {
        Database opened = database;
        return opened != null && opened.isConnected();
    }

    /** A connection was lost, so those that lie idle may be too. Opens no database. */
    public void distrust() {
        doorbell.forget();
        outbox().ifPresent(OutboxComponent::distrust);
        Database opened = database;
        if (opened != null) {
            opened.distrust();
        }
    }

    /** Waits for a server that is down, with this unlocked, so that a stop ends it. */
    private Database open() {
        long patience =
                System.nanoTime() + settings.duration("rowbell.jdbc.wait").toNanos();
        boolean said = false;
        while (true) {
            try {
                return Database.open(settings);
            } catch (DatabaseAwayException e) {
                if (System.nanoTime() - patience > 0) {
                    throw e;
                }
                if (!said) {
                    LOG.warn(
                            "{}; trying again for {} (rowbell.jdbc.wait)",
                            e.getMessage(),
                            settings.text("rowbell.jdbc.wait"));
                    said = true;
                }
                try {
                    wait(RETRY.toMillis());
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                    throw e;
                }
                if (closed) {
                    throw new IllegalStateException("Rowbell has been stopped", e);
                }
            }
        }
    }

    private void register(Database opened, Lookout looking) {
        DeadLetterRepository letters = new DeadLetterRepository(opened.pool());
        Compaction compaction = new Compaction(opened.pool());
        housekeeping.register(
                "remove old dead letters",
                KEEP,
                () -> letters.deleteExpired(settings.duration("rowbell.dead-letter.keep"), EXPIRED_AT_ONCE));
        housekeeping.register("make empty queues smaller", KEEP, compaction::run);
        housekeeping.register(
                "measure the queues", KEEP, () -> figures.seen(looking.look(), circuits(), listeners.state()));
    }

    /** What alerts would have to wait for, done while none is there. */
    void atLeisure() {
        silences.refreshWhenIdle();
        outbox().ifPresent(OutboxComponent::prepare);
    }

    /** By sink of this process, the error that keeps its circuit open. */
    private Map<String, Optional<String>> circuits() {
        return outbox().map(OutboxComponent::circuits).orElse(Map.of());
    }

    /** Empty while no route has used it. */
    private Optional<OutboxComponent> outbox() {
        return Optional.ofNullable(context.hasComponent("outbox")).map(OutboxComponent.class::cast);
    }

    /** Down is what somebody has to do something about; each with its reasons in words. */
    private void register(HealthCheckRegistry checks) {
        checks.register(new ReadyCheck(
                "rowbell-database", () -> seen(sight -> sight.away().isEmpty() ? List.of() : List.of(sight.away()))));
        checks.register(new ReadyCheck(
                "rowbell-rules",
                () -> Stream.concat(
                                rules.problems().stream().map(Problem::toString),
                                seen(Lookout.Sight::brokenRules).stream())
                        .toList()));
        checks.register(new ReadyCheck("rowbell-queues", () -> {
            Lookout looking = lookout;
            return looking == null ? List.of() : looking.late();
        }));
        checks.register(new ReadyCheck("rowbell-listener", () -> listeners.goneLongerThan(GONE)));
        checks.register(new ReadyCheck(
                "rowbell-sinks",
                () -> circuits().entrySet().stream()
                        .filter(sink -> sink.getValue().isPresent())
                        .map(sink -> "sink %s fails, and its queue waits: %s"
                                .formatted(sink.getKey(), sink.getValue().get()))
                        .toList()));
    }

    /** Before the database is opened, and after a stop, there is nothing to be seen. */
    private List<String> seen(Function<Lookout.Sight, List<String>> asked) {
        Lookout looking = lookout;
        return looking == null ? List.of() : asked.apply(looking.look());
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
            register(checks);
        }
    }

    /** Closes the database for good: what still runs shall not open it again. */
    @Override
    protected synchronized void doStop() {
        closed = true;
        notifyAll();
        if (database != null) {
            housekeeping.stop(isConnected());
            rules.stop();
            lookout = null;
            database.close();
            database = null;
        }
    }
}
