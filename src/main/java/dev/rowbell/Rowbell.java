package dev.rowbell;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertReader;
import dev.rowbell.database.Database;
import dev.rowbell.feedback.Batch;
import dev.rowbell.feedback.Doorbell;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.firing.Firing;
import dev.rowbell.health.GuardedVertx;
import dev.rowbell.health.Metrics;
import dev.rowbell.health.QueueMonitor;
import dev.rowbell.health.Watchdog;
import dev.rowbell.history.History;
import dev.rowbell.history.Redaction;
import dev.rowbell.history.Routed;
import dev.rowbell.history.RoutingNotes;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.listen.Listeners;
import dev.rowbell.outbox.DeadLetterRepository;
import dev.rowbell.outbox.OutboxComponent;
import dev.rowbell.outbox.SinkRepository.Pause;
import dev.rowbell.rules.RuleEditor;
import dev.rowbell.rules.RuleMeter;
import dev.rowbell.rules.RuleRepository;
import dev.rowbell.rules.Rules;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.silence.Silences;
import dev.rowbell.sink.JsonLines;
import dev.rowbell.sink.Webhook;
import dev.rowbell.time.QueryLoop;
import dev.rowbell.time.QueryRepository;
import dev.rowbell.time.QueryRunner;
import dev.rowbell.time.Timers;
import dev.rowbell.web.Access;
import dev.rowbell.web.Actions;
import dev.rowbell.web.ApiRoute;
import dev.rowbell.web.Pages;
import dev.rowbell.web.Rates;
import dev.rowbell.web.Tail;
import dev.rowbell.web.WebConsole;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.Route;
import org.apache.camel.Service;
import org.apache.camel.health.HealthCheckRegistry;
import org.apache.camel.support.CamelContextHelper;
import org.apache.camel.support.LifecycleStrategySupport;
import org.apache.camel.support.service.ServiceSupport;
import org.postgresql.ds.PGSimpleDataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.BadSqlGrammarException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * The parts of Rowbell that the routes of one CamelContext share, and how they fit together. A context that has the jar and none of its
 * routes opens no connection. Safe for many threads.
 */
public final class Rowbell extends ServiceSupport {

    /** The pooled DataSource that everything but listening uses. */
    public static final String DATA_SOURCE = "rowbell";

    /** Alerts of a batch that end a rehearsal. */
    private static final int MANY = 50;

    private static final Logger LOG = LoggerFactory.getLogger(Rowbell.class);
    /** The most rows that one statement removes, so that it is short. */
    private static final int EXPIRED_AT_ONCE = 1000;
    /** Between two runs of a task of housekeeping. */
    private static final Duration INTERVAL = Duration.ofSeconds(10);
    /** How long a stop waits for the database after the time that Camel gives to the routes. */
    private static final Duration LAST_STATEMENTS = Duration.ofSeconds(1);

    private final CamelContext context;
    final Settings settings;
    final Watchdog watchdog = new Watchdog();
    final Doorbell doorbell = new Doorbell(watchdog);
    final AlertReader alerts;
    final Rules rules;
    final Housekeeping housekeeping = new Housekeeping(watchdog);
    final Silences silences = new Silences();
    final Firing firing = new Firing();
    final History history = new History();
    final Listeners listeners = new Listeners();
    final Metrics metrics;
    private final Tail tail = new Tail();
    private final LazyDatabase database;
    private volatile Consumer<Database> preparation = opened -> {};
    private volatile AlertReader.Source source;
    /** Whose triggers know how long an alert may be. */
    private volatile Database toldMaxSize;

    private volatile QueueMonitor monitor;
    /** Null where there was none. */
    private volatile Rehearsal rehearsal;

    private boolean rehearsesRoutes;

    /** Null where no route takes alerts. */
    private volatile RoutingNotes notes;
    /** Null while the database is closed. */
    private volatile QueryLoop queries;
    /** Null until it is asked for. */
    private Access webAccess;

    Rowbell(CamelContext context) {
        this.context = context;
        settings = new Settings(context);
        alerts = new AlertReader(this::source, Clock.systemUTC());
        rules = new Rules(context, settings);
        metrics = new Metrics(context, Clock.systemUTC());
        database = new LazyDatabase(settings, this::host, this::checkSettings, this::opened);
    }

    public static Rowbell of(CamelContext context) {
        return context.getCamelContextExtension().getContextPlugin(Rowbell.class);
    }

    public Rules rules() {
        return rules;
    }

    /** Runs in the database when it was opened, before the rules are applied. */
    void prepare(Consumer<Database> preparation) {
        this.preparation = preparation;
    }

    /**
     * The database, opened and brought to the current schema by the first call, which also applies the rules. Wrong rules are logged and
     * do not prevent the start.
     *
     * @throws SettingsException where that is not possible
     */
    public Database database() {
        Database opened = database.ifOpen();
        return opened == null ? database.get() : opened;
    }

    private void checkSettings() {
        settings.check(
                this::historySettings,
                () -> Webhook.keys(settings.password("rowbell.http.secret")),
                () -> JsonLines.mode(settings.text("rowbell.file.permissions")));
        settings.misspelled(System.getenv()).forEach(LOG::warn);
    }

    private void opened(Database opened) {
        preparation.accept(opened);
        source = sourceOf(opened);
        monitor = new QueueMonitor(
                opened.pool(),
                settings.text("rowbell.feedback.table"),
                rules::broken,
                watchdog.failures(),
                () -> settings.duration("rowbell.health.max-age"));
        history.start(opened.pool(), historySettings(), housekeeping);
        rules.start(new RuleRepository(opened.pool()), housekeeping);
        queries = new QueryLoop(
                new QueryRepository(opened.pool(), opened.lasting()), QueryRunner.of(opened, settings), watchdog);
        register(opened, monitor);
        housekeeping.start();
        // not before: an application that has the jar and none of its routes has its own checks alone
        HealthCheckRegistry checks = HealthCheckRegistry.get(context);
        if (checks != null) {
            new HealthChecks(watchdog, rules, listeners, () -> monitor, this::circuits, this::pauses).register(checks);
        }
    }

    /** {@code camel export} creates the routes, to see what they use, and starts none: it needs no database. */
    private boolean isExport() {
        return context.getPropertiesComponent()
                .resolveProperty("camel.jbang.export")
                .filter("true"::equals)
                .isPresent();
    }

    /** Null where Rowbell has a pool of its own. */
    private DataSource host() {
        String name = settings.text("rowbell.datasource");
        if (name.isEmpty()) {
            return null;
        } else if (name.equals(DATA_SOURCE)) {
            throw new SettingsException(
                    "rowbell.datasource=rowbell: Rowbell's own pool has that name: rename the bean");
        }
        DataSource host = context.getRegistry().lookupByNameAndType(name, DataSource.class);
        if (host == null) {
            throw new SettingsException("rowbell.datasource=%s: there is no DataSource with that name".formatted(name));
        }
        return host;
    }

    DataSource pool() {
        return isExport() ? new PGSimpleDataSource() : database().pool();
    }

    DataSource listening() {
        return isExport() ? new PGSimpleDataSource() : database().listening();
    }

    /** The application's own where it has one, with the schema brought up to date by the first call. */
    DataSource dataSource() {
        if (!isExport()) {
            database();
        }
        return CamelContextHelper.mandatoryLookup(context, DATA_SOURCE, DataSource.class);
    }

    /** Whether a connection to the database works now. If none does, the next user may have to wait for long. */
    public boolean isConnected() {
        return database.isConnected();
    }

    /** A connection was lost, so the idle ones may be too. Opens no database. */
    void invalidateConnections() {
        doorbell.reset();
        Database opened = database.ifOpen();
        if (opened != null) {
            opened.invalidateConnections();
        }
    }

    private void register(Database opened, QueueMonitor queues) {
        DeadLetterRepository letters = new DeadLetterRepository(opened.pool());
        housekeeping.register(
                "remove old dead letters",
                INTERVAL,
                () -> letters.deleteExpired(settings.duration("rowbell.dead-letter.keep"), EXPIRED_AT_ONCE));
        Timers timers = new Timers(opened.pool());
        housekeeping.register("fire the timers of rules", Timers.LOOK, timers::run);
        housekeeping.register("drop the timers of rules that are gone", INTERVAL, timers::dropOfGoneRules);
        housekeeping.register("look for rules with a query", INTERVAL, queries::look);
        housekeeping.register("tell the triggers how long an alert may be", INTERVAL, () -> tellMaxSize(opened));
        housekeeping.register(
                "measure the queues",
                INTERVAL,
                () -> metrics.seen(queues.snapshot(), circuits(), pauses().keySet(), listeners.state()));
    }

    /** Once: of two processes with different values the one that started last has its way, and the triggers do not change every 10 s. */
    private void tellMaxSize(Database opened) {
        if (opened == toldMaxSize) {
            return;
        }
        JdbcClient.create(opened.pool())
                .sql("""
                        insert into rowbell.setting as s (name, value) values ('alert.max-size', ?)
                        on conflict (name) do update set value = excluded.value where s.value <> excluded.value
                        """)
                .param(String.valueOf(settings.size("rowbell.alert.max-size")))
                .update();
        toldMaxSize = opened;
    }

    FeedbackTransaction feedbackTransaction() {
        DataSource dataSource = dataSource();
        notes = new RoutingNotes(dataSource, history, firing, Clock.systemUTC());
        String table = settings.text("rowbell.feedback.table");
        silences.start(dataSource, housekeeping);
        firing.start(
                dataSource,
                table,
                () -> source().beginning(),
                settings.flag("rowbell.firing.enabled") ? settings.duration("rowbell.firing.keep") : Duration.ZERO,
                housekeeping);
        return new FeedbackTransaction(
                dataSource,
                doorbell,
                table,
                settings.number("rowbell.feedback.batch", 1),
                this::note,
                (path, batch) -> {
                    if (path.equals("durable")) {
                        polled();
                    }
                    count(path, batch);
                },
                () -> {
                    polled();
                    silences.refreshWhenIdle();
                    firing.refreshWhenIdle();
                });
    }

    private History.Settings historySettings() {
        return new History.Settings(
                settings.durationOrZero("rowbell.history.keep"),
                Redaction.of(settings.text("rowbell.history.redact")),
                settings.flag("rowbell.history.answers"));
    }

    private void note(String path, Batch batch) {
        if (notes.isOn()) {
            Map<Object, List<String>> sinks =
                    outbox().map(OutboxComponent::sinksOfTransaction).orElse(Map.of());
            List<Map<String, Object>> alerts = batch.alerts();
            List<Long> silences = batch.silences();
            List<Routed> routed = new ArrayList<>();
            for (int i = 0; i < alerts.size(); i++) {
                Map<String, Object> alert = alerts.get(i);
                List<String> own = sinks.get(alert);
                routed.add(new Routed(AlertJson.taken(alert), silences.get(i), own == null ? List.of() : own));
            }
            notes.note(path, routed);
        }
    }

    private void polled() {
        watchdog.working(Watchdog.POLL);
        watchdog.failures().succeeded(Watchdog.POLL).ifPresent(after -> LOG.info("alerts are taken again {}", after));
    }

    /** Counts a batch of alerts that was committed: never throws, since the batch would be routed again. */
    private void count(String path, Batch batch) {
        try {
            rules.hits().count(batch.alerts());
            metrics.routed(path, batch.alerts());
            metrics.silenced(batch.silenced());
            tail.routed(batch.alerts());
            if (rehearsal != null && batch.alerts().size() >= MANY) {
                // real ones warm up better, and need the CPU
                rehearsal.stop();
            }
        } catch (RuntimeException e) {
            LOG.error(
                    "{} alerts were routed and could not be counted: the metrics lack them",
                    batch.alerts().size(),
                    e);
        }
    }

    /** To be called when Camel's server of health has started. Of the program alone: an application has pages of its own. */
    void serveWebConsole() {
        Rates rates = new Rates(context);
        housekeeping.register("count for the web console", Rates.INTERVAL, rates::sample);
        RuleMeter meter = meter();
        WebConsole.serve(context, settings, pages(rates, meter), actions(meter), webAccess(), tail);
    }

    /** Of an application that has the route of it; the program has the web console. */
    ApiRoute api() {
        ApiRoute.requireServer(context);
        RuleMeter meter = meter();
        return new ApiRoute(settings, pages(new Rates(context), meter), actions(meter), Clock.systemUTC());
    }

    private Pages pages(Rates rates, RuleMeter meter) {
        return new Pages(
                context,
                pool(),
                rules,
                rates,
                meter,
                () -> monitor,
                this::circuits,
                !historySettings().keep().isZero(),
                Clock.systemDefaultZone());
    }

    private RuleMeter meter() {
        return new RuleMeter(pool(), sessions());
    }

    /** For code of strangers, which may not run in a session of the pool. */
    private DataSource sessions() {
        return isExport() ? pool() : database().lasting();
    }

    private Actions actions(RuleMeter meter) {
        return new Actions(
                context, pool(), new RuleEditor(rules, pool(), sessions()), meter, alerts, Clock.systemDefaultZone());
    }

    /** The address of the web console, with the token of an operator where there is one; empty where no pages are served. */
    String webAddress() {
        return WebConsole.address(settings, webAccess());
    }

    /**
     * Made when it is needed, since an application that embeds the jar has no pages.
     *
     * @throws SettingsException where the users cannot be read
     */
    private synchronized Access webAccess() {
        if (webAccess == null) {
            webAccess = new Access(settings, Clock.systemUTC());
        }
        return webAccess;
    }

    /** By sink of this process, the error that keeps its circuit open. */
    private Map<String, Optional<String>> circuits() {
        return outbox().map(OutboxComponent::circuits).orElse(Map.of());
    }

    /** By sink, those that are paused. */
    private Map<String, Pause> pauses() {
        return outbox().map(OutboxComponent::pauses).orElse(Map.of());
    }

    /** Empty while no route has used it. */
    private Optional<OutboxComponent> outbox() {
        return Optional.ofNullable(context.hasComponent("outbox")).map(OutboxComponent.class::cast);
    }

    /** Read once, because each alert needs it and resolving a setting takes as long as routing an alert. */
    private AlertReader.Source source() {
        if (source == null) {
            database();
        }
        return source;
    }

    /**
     * Two databases may have the same name, on two servers. Unless rowbell.source tells them apart, fingerprints also have a hash of the server and the
     * number of the database, which a standby that takes over keeps.
     */
    private AlertReader.Source sourceOf(Database opened) {
        String set = settings.text("rowbell.source");
        if (!set.isEmpty()) {
            return new AlertReader.Source(set, set);
        }
        try {
            return JdbcClient.create(opened.pool())
                    .sql("""
                            select substr(encode(sha256(convert_to(s.system_identifier || '/' || d.oid, 'UTF8')), 'hex'), 1, 8)
                            from pg_control_system() s
                            cross join pg_database d
                            where d.datname = current_database()
                            """)
                    .query((row, number) ->
                            new AlertReader.Source(opened.name(), opened.name() + "@" + row.getString(1)))
                    .single();
        } catch (BadSqlGrammarException e) {
            LOG.warn(
                    "{} may not ask for the identity of the server: set rowbell.source, so that fingerprints of alerts are of this database alone",
                    opened.name());
            return new AlertReader.Source(opened.name(), opened.name());
        }
    }

    /** To be called before Camel starts, by the program alone. */
    void rehearseRoutes() {
        rehearsesRoutes = true;
    }

    /** Where the routes use the database. */
    private void rehearse() {
        int rounds = settings.number("rowbell.rehearsal", 0);
        if (database.ifOpen() != null && notes != null && rounds > 0) {
            outbox().ifPresent(outbox -> {
                rehearsal = new Rehearsal(
                        rounds, rehearsesRoutes, context, doorbell, alerts, outbox, notes, Clock.systemUTC());
                rehearsal.start();
            });
        }
    }

    /** A statement on a connection that died silently, or one that waits for a lock, must not hold up the stop. */
    private void closeConnectionsLater() {
        Database opened = database.ifOpen();
        long seconds = context.getShutdownStrategy().getTimeout() + LAST_STATEMENTS.toSeconds();
        CompletableFuture.delayedExecutor(seconds, TimeUnit.SECONDS).execute(() -> {
            if (opened != null && opened == database.ifOpen()) {
                LOG.warn(
                        "the stop has waited {} s for answers of the database and closes its connections:"
                                + " nothing is lost, unacknowledged deliveries come again after their lease",
                        seconds);
                watchdog.failures().setQuiet(true);
                opened.closeConnections();
            }
        });
    }

    /** An application gets those of mail and HTTP only where it asks for them. */
    private void requireLibrary(String key, String name, String library) {
        if (settings.isSet(key) && context.getClassResolver().resolveClass(name) == null) {
            throw new SettingsException(
                    "%s is set, and %s is not on the class path: add it to the dependencies".formatted(key, library));
        }
    }

    @Override
    protected void doInit() {
        context.addLifecycleStrategy(new LifecycleStrategySupport() {
            @Override
            public void onServiceAdd(CamelContext to, Service service, Route route) {
                // by name: an application may have no such class
                if (service.getClass().getSimpleName().equals("ManagementHttpServer")) {
                    GuardedVertx.bind(to, service, settings);
                }
            }

            @Override
            public void onContextInitializing(CamelContext initializing) {
                String camel = "org.apache.camel.component.";
                requireLibrary("rowbell.http.url", camel + "http.HttpComponent", "org.apache.camel:camel-http");
                requireLibrary("rowbell.mail.host", camel + "mail.MailComponent", "org.apache.camel:camel-mail");
                requireLibrary(
                        "rowbell.mail.host",
                        camel + "freemarker.FreemarkerComponent",
                        "org.apache.camel:camel-freemarker");
                if (settings.flag("rowbell.api.enabled")) {
                    requireLibrary(
                            "rowbell.api.enabled",
                            camel + "platform.http.PlatformHttpComponent",
                            "org.apache.camel:camel-platform-http-main, or camel-platform-http-starter with Spring Boot,");
                    requireLibrary("rowbell.web.users", "at.favre.lib.crypto.bcrypt.BCrypt", "at.favre.lib:bcrypt");
                }
            }

            @Override
            public void onContextStarted(CamelContext started) {
                rehearse();
            }

            @Override
            public void onContextStopping(CamelContext stopping) {
                closeConnectionsLater();
            }
        });
    }

    @Override
    protected void doStart() {
        watchdog.failures().setQuiet(false);
        database.start();
    }

    @Override
    protected void doStop() {
        if (rehearsal != null) {
            rehearsal.stop();
        }
        database.stop(() -> {
            queries.stop();
            housekeeping.stop(isConnected());
            rules.stop();
            monitor = null;
        });
    }
}
