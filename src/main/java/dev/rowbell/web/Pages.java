package dev.rowbell.web;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertText;
import dev.rowbell.alert.AlertTime;
import dev.rowbell.database.Checkup.Finding;
import dev.rowbell.database.Transactions;
import dev.rowbell.error.Errors;
import dev.rowbell.error.Printable;
import dev.rowbell.firing.FiringRepository;
import dev.rowbell.health.Queue;
import dev.rowbell.health.QueueMonitor;
import dev.rowbell.history.HistoryRepository;
import dev.rowbell.outbox.DeadLetterRepository;
import dev.rowbell.outbox.DeadLetterRepository.Letter;
import dev.rowbell.outbox.SinkRepository;
import dev.rowbell.outbox.SinkSwitches;
import dev.rowbell.rules.Explanation;
import dev.rowbell.rules.RuleEditor;
import dev.rowbell.rules.RuleMeter;
import dev.rowbell.rules.RuleMeter.Cost;
import dev.rowbell.rules.RuleRepository;
import dev.rowbell.rules.RuleState;
import dev.rowbell.rules.Rules;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.silence.SilenceRepository;
import dev.rowbell.silence.Span;
import dev.rowbell.web.WebSessions.Session;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.apache.camel.model.ModelCamelContext;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * What the pages show. Each part of a page is read in a transaction that can change nothing and whose statements end after two seconds; a part that
 * cannot be read says why in its place. Everything is bounded, whatever waits in the database. Safe for many threads.
 */
public final class Pages {

    private static final Duration LIMIT = Duration.ofSeconds(2);
    private static final String CANCELED = "57014";
    /** Dead letters that are looked at, the newest. */
    private static final int LETTERS = 10_000;
    /** Dead letters of a group that are counted. */
    private static final int GROUP = 100_000;
    /** Timers of a feed that are counted. */
    private static final int TIMERS = 10_000;
    /** Things that fire and are counted. */
    private static final int FIRING = 100_000;
    /** Things that fire and that a new silence is compared with. */
    private static final int COVERED = 10_000;
    /** Of these, those that are named. */
    private static final int SHOWN = 20;
    /** The most lines of a table. */
    private static final int LINES = 200;
    /** Rules that a browser offers while one types. */
    private static final int NAMES = 1000;

    private final CamelContext context;
    private final Rules rules;
    private final Rates rates;
    private final RuleMeter meter;
    private final Supplier<QueueMonitor> monitor;
    private final Supplier<Map<String, Optional<String>>> circuits;
    private final Clock clock;
    private final JdbcClient jdbc;
    private final TransactionTemplate readOnly;
    private final RuleRepository ruleRepository;
    private final DeadLetterRepository letters;
    private final SinkRepository sinks;
    private final SilenceRepository silences;
    private final FiringRepository firing;
    private final HistoryRepository history;
    private final boolean hasHistory;
    private final AuditRepository audit;

    /**
     * @param monitor gives null while the database is closed
     * @param circuits the sinks of this process, each with the error that keeps its circuit open
     * @param hasHistory false where none is kept
     */
    public Pages(
            CamelContext context,
            DataSource dataSource,
            Rules rules,
            Rates rates,
            RuleMeter meter,
            Supplier<QueueMonitor> monitor,
            Supplier<Map<String, Optional<String>>> circuits,
            boolean hasHistory,
            Clock clock) {
        this.context = context;
        this.rules = rules;
        this.rates = rates;
        this.meter = meter;
        this.monitor = monitor;
        this.circuits = circuits;
        this.clock = clock;
        jdbc = JdbcClient.create(dataSource);
        readOnly = new TransactionTemplate(new Transactions(dataSource));
        readOnly.setReadOnly(true);
        ruleRepository = new RuleRepository(dataSource);
        letters = new DeadLetterRepository(dataSource);
        sinks = new SinkRepository(dataSource);
        silences = new SilenceRepository(dataSource);
        firing = new FiringRepository(dataSource);
        history = new HistoryRepository(dataSource);
        this.hasHistory = hasHistory;
        audit = new AuditRepository(dataSource);
    }

    /**
     * @param template without its ending
     * @param refused whether a part is missing since what was asked for cannot be
     */
    record Page(String template, Map<String, Object> model, boolean refused) {}

    /** A line of a table, which has links. */
    interface Linked {

        Object shown();
    }

    /**
     * @param asked the parameters of the address
     * @param session of the user; empty where there is none
     */
    Page page(String path, Map<String, String> asked, Optional<Session> session) {
        return forUser(content(path, asked, session.isPresent() && session.get().isOperator()), session);
    }

    private static Page forUser(Page page, Optional<Session> session) {
        page.model().put("user", session.map(Session::user).orElse(""));
        page.model().put("form", session.map(Session::formToken).orElse(""));
        page.model().put("said", session.map(Session::takeSaid).orElse(""));
        return page;
    }

    /** The same for no session. */
    Page content(String path, Map<String, String> asked, boolean operator) {
        Model model = new Model();
        String template = switch (path) {
            case "/" -> overview(model);
            case "/firing" -> firing(model, asked);
            case "/alerts" -> alerts(model, asked);
            case "/rules" -> rules(model, asked.getOrDefault("q", ""), "cost".equals(asked.get("by")));
            case "/rules/show" -> rule(model, asked.getOrDefault("name", ""), operator);
            case "/rules/edit" -> edit(model, asked.getOrDefault("name", ""));
            case "/explain" -> explain(model, asked, operator);
            case "/sinks" -> {
                sinks(model);
                yield "sinks";
            }
            case "/dead-letters" -> letters(model, asked);
            case "/dead-letters/show" -> letter(model, asked.getOrDefault("number", ""));
            case "/dead-letters/all" -> group(model, asked);
            case "/silences/new" -> newSilence(model, asked);
            case "/login" -> {
                model.put("refusal", asked.getOrDefault("refusal", ""));
                yield "login";
            }
            case "/tail" -> "tail";
            case "/audit" -> audit(model, operator);
            case "/silences" -> {
                model.read("silences", () -> silences.list(LINES));
                yield "silences";
            }
            case "/feeds" -> {
                model.read("feeds", () -> ruleRepository.feedStates(TIMERS, LINES));
                model.put("timers", TIMERS);
                model.put("silent", rules.silentTriggers().stream().limit(LINES).toList());
                yield "feeds";
            }
            default -> "missing";
        };
        return page(path, template, model, operator);
    }

    private Page page(String path, String template, Model model, boolean operator) {
        model.put("operator", operator);
        model.put("page", path);
        model.put("lines", LINES);
        model.put("problems", model.problems);
        model.put("time", LocalTime.now(clock).truncatedTo(ChronoUnit.SECONDS).toString());
        return new Page(template, model, model.refused);
    }

    /** The form of a rule, with its result. */
    Page edited(RuleForm form, Actions.Edited edited, Optional<Session> session) {
        Model model = new Model();
        String template = form(model, form.name(), form.fields(), form.began());
        model.problems.addAll(edited.problems());
        Page page = forUser(page("/rules/edit", template, model, true), session);
        model.put("said", edited.said());
        model.put("rows", edited.rows().stream().map(ShownText.Lines::new).toList());
        return page;
    }

    private String edit(Model model, String name) {
        if (name.isEmpty()) {
            return form(model, name, RuleEditor.blank(), null);
        }
        Optional<Optional<RuleRepository.Editable>> found = model.read("found", () -> ruleRepository.editable(name));
        model.remove("found");
        if (found.isEmpty() || found.get().isEmpty()) {
            return found.isEmpty() ? form(model, name, RuleEditor.blank(), null) : "missing";
        }
        RuleRepository.Editable rule = found.get().get();
        form(model, name, rule.fields(), rule.version());
        model.put("origin", rule.origin());
        model.put("hidden", !rule.fields().values().stream().allMatch(RuleForm::isShown));
        return "edit";
    }

    /** @param began null for a new rule */
    private String form(Model model, String name, Map<String, String> fields, String began) {
        Map<String, Object> shown = new LinkedHashMap<>();
        fields.forEach((field, value) -> shown.put(field, new ShownText.Lines(value)));
        model.put("fields", shown);
        model.put("name", name);
        model.put("show", href(name));
        model.put("began", began);
        model.read("right", () -> ruleRepository.missingRight().orElse(null));
        return "edit";
    }

    /** The values of a page, and why others are missing. */
    private final class Model extends HashMap<String, Object> {

        private static final long serialVersionUID = 1L;

        private final transient List<String> problems = new ArrayList<>();
        private boolean refused;
        /** While the database is away, each part would wait for it as long as the first one did. */
        private boolean away;

        private <T> Optional<T> read(String name, Supplier<T> part) {
            if (away) {
                return Optional.empty();
            }
            try {
                T value = readOnly.execute(transaction -> {
                    // no more than one CPU, and so no plan that sorts all that an index has in order
                    jdbc.sql(
                                    "select set_config('statement_timeout', ?, true), set_config('max_parallel_workers_per_gather', '0', true)")
                            .param(String.valueOf(LIMIT.toMillis()))
                            .query(row -> {});
                    return part.get();
                });
                put(name, value);
                return Optional.ofNullable(value);
            } catch (SettingsException e) {
                refused = true;
                problems.add(e.getMessage());
            } catch (DataAccessException e) {
                away = Errors.isDatabaseAway(e);
                boolean canceled =
                        e.getRootCause() instanceof SQLException cause && CANCELED.equals(cause.getSQLState());
                problems.add(
                        canceled
                                ? "A part of this page is missing: it took longer than %d s"
                                        .formatted(LIMIT.toSeconds())
                                : "A part of this page is missing: " + Errors.inWords(e));
            }
            return Optional.empty();
        }
    }

    private String overview(Model model) {
        Collection<HealthCheck.Result> checks = HealthCheckHelper.invoke(context, "full");
        model.put(
                "wrong",
                checks.stream()
                        .filter(check -> check.getState() == HealthCheck.State.DOWN)
                        .map(check -> new Finding(
                                check.getCheck().getId(),
                                check.getMessage()
                                        .or(() -> check.getError().map(Errors::inWords))
                                        .orElse("is down")))
                        .toList());
        model.put("hour", rates.hour());
        model.read("severities", () -> firing.severities(FIRING))
                .ifPresent(severities -> model.put(
                        "firing",
                        severities.stream()
                                .mapToLong(FiringRepository.Severity::count)
                                .sum()));
        model.put("counted", FIRING);
        List<Queue> queues = queues();
        model.put("feedback", count(queues, "feedback"));
        model.put("timer", count(queues, "timer"));
        model.put("armed", count(queues, "armed"));
        model.put("dead", count(queues, "dead_letter"));
        model.read("rules", ruleRepository::list).ifPresent(all -> {
            model.put(
                    "broken", all.stream().filter(rule -> rule.broken() != null).count());
            model.put(
                    "disabled",
                    all.stream().filter(rule -> rule.disabledBy() != null).count());
        });
        Map<String, SinkRepository.Pause> pauses = sinks(model);
        model.put(
                "notes",
                Stream.concat(rules.dangers().stream(), pauses.values().stream().map(SinkRepository.Pause::inWords))
                        .toList());
        return "overview";
    }

    private List<Queue> queues() {
        QueueMonitor open = monitor.get();
        return open == null ? List.of() : open.snapshot().queues();
    }

    /** A queue, for people. */
    public record Count(long rows, boolean more, String oldest) {}

    private static Count count(List<Queue> queues, String name) {
        return queues.stream()
                .filter(queue -> queue.name().equals(name))
                .map(queue -> new Count(queue.rows(), queue.isCountedInPart(), age(queue.oldest())))
                .findFirst()
                .orElse(new Count(0, false, ""));
    }

    private static String age(Duration age) {
        return age.toSeconds() < 120
                ? age.toSeconds() + " s"
                : age.toMinutes() < 120
                        ? age.toMinutes() + " min"
                        : age.toHours() < 48 ? age.toHours() + " h" : age.toDays() + " days";
    }

    /**
     * A sink, for people.
     *
     * @param state {@code on}, {@code off} or {@code elsewhere}
     * @param circuit why it is open; null where it is closed, or another process's
     * @param paused null where it is not
     */
    public record Sink(
            String name,
            String state,
            Count waiting,
            String circuit,
            SinkRepository.Pause paused,
            SinkRepository.State stored) {}

    /** Returns those that are paused, by name. */
    private Map<String, SinkRepository.Pause> sinks(Model model) {
        List<Queue> queues = queues();
        Map<String, String> states = new TreeMap<>();
        queues.stream().filter(Queue::isOfSink).forEach(queue -> states.put(queue.sink(), "elsewhere"));
        model.read("announced", sinks::announced).ifPresent(all -> all.forEach(sink -> states.put(sink, "elsewhere")));
        Map<String, SinkRepository.Pause> pauses = new TreeMap<>();
        model.read("pauses", sinks::pauses).ifPresent(all -> all.forEach(pause -> pauses.put(pause.sink(), pause)));
        pauses.keySet().forEach(sink -> states.put(sink, "elsewhere"));
        ((ModelCamelContext) context).getRouteDefinitions().forEach(route -> {
            String sink = SinkSwitches.sinkOf(context, route);
            if (sink != null) {
                states.put(sink, SinkSwitches.isOn(context, route) ? "on" : "off");
            }
        });
        Map<String, Optional<String>> open = circuits.get();
        model.read(
                "sinks",
                () -> sinks.states(states.keySet()).stream()
                        .map(stored -> new Sink(
                                stored.name(),
                                states.get(stored.name()),
                                count(queues, Queue.nameOf(stored.name())),
                                open.getOrDefault(stored.name(), Optional.empty())
                                        .orElse(null),
                                pauses.get(stored.name()),
                                stored))
                        .toList());
        return pauses;
    }

    /**
     * A thing that fires, in the list.
     *
     * @param which names it in a form; null where it cannot be selected
     */
    public record Fires(
            FiringRepository.Entry entry,
            ShownText.Lines href,
            ShownText.Lines explain,
            ShownText.Lines which,
            ShownText.Lines silence)
            implements Linked {

        @Override
        public Object shown() {
            return entry;
        }
    }

    /** Without the blanks around it; in a key they count, as a value may end with some. Empty where it was not asked for. */
    private static String value(Map<String, String> asked, String name) {
        String given = asked.getOrDefault(name, "");
        return name.equals("key") && !given.isBlank() ? given : given.strip();
    }

    private String firing(Model model, Map<String, String> asked) {
        List<String> names = List.of("rule", "feed", "severity", "text");
        names.forEach(name -> model.put(name, value(asked, name)));
        model.put("filtered", names.stream().anyMatch(name -> !"".equals(model.get(name))));
        FiringRepository.Filter filter = new FiringRepository.Filter(
                (String) model.get("rule"), (String) model.get("feed"), (String) model.get("severity"), (String)
                        model.get("text"));
        model.read("entries", () -> {
            Set<String> rules = ruleRepository.names(Integer.MAX_VALUE);
            return firing.list(filter, LINES).stream()
                    .map(entry -> new Fires(
                            entry,
                            // there is no page of a rule that others raise alerts of
                            rules.contains(entry.rule()) ? href(entry.rule()) : alertsOf(entry, ""),
                            rules.contains(entry.rule())
                                    ? new ShownText.Lines("/explain?rule=" + encoded(entry.rule()) + "&key="
                                            + encoded(String.valueOf(entry.key())))
                                    : alertsOf(entry, "&key=" + encoded(String.valueOf(entry.key()))),
                            whichOf(entry, rules),
                            silenceOf(entry)))
                    .toList();
        });
        return "firing";
    }

    private static ShownText.Lines alertsOf(FiringRepository.Entry entry, String key) {
        return new ShownText.Lines("/alerts?rule=" + encoded(String.valueOf(entry.rule())) + key);
    }

    /** Without a key it is all of a rule that we know; null where it cannot be told apart from others. */
    private static ShownText.Lines whichOf(FiringRepository.Entry entry, Set<String> rules) {
        return entry.rule() == null || entry.key() == null && !rules.contains(entry.rule())
                ? null
                : new ShownText.Lines(encoded(entry.rule()) + "&" + encoded(Objects.toString(entry.key(), "")));
    }

    private static ShownText.Lines silenceOf(FiringRepository.Entry entry) {
        return new ShownText.Lines("/silences/new?for=1h&rule=" + encoded(ShownText.pattern(entry.rule())) + "&feed="
                + encoded(ShownText.pattern(entry.feed())) + "&key=" + encoded(ShownText.pattern(entry.key())));
    }

    /** An alert of the history, in the list. */
    public record Past(HistoryRepository.Entry entry, ShownText.Lines explain) implements Linked {

        @Override
        public Object shown() {
            return entry;
        }
    }

    private String alerts(Model model, Map<String, String> asked) {
        List<String> names = List.of("id", "rule", "feed", "key", "from", "to", "outcome");
        names.forEach(name -> model.put(name, value(asked, name)));
        String after = asked.getOrDefault("after", "");
        model.put("filtered", names.stream().anyMatch(name -> !"".equals(model.get(name))));
        model.put("first", after.isEmpty());
        model.put("history", hasHistory);
        String filter = names.stream()
                .filter(name -> !"".equals(model.get(name)))
                .map(name -> name + "=" + encoded((String) model.get(name)))
                .collect(Collectors.joining("&"));
        model.put("newest", new ShownText.Lines("/alerts?" + filter));
        if (hasHistory) {
            model.read("found", () -> found(model, after)).ifPresent(found -> {
                model.put(
                        "entries",
                        found.entries().stream()
                                .map(entry ->
                                        new Past(entry, new ShownText.Lines("/explain?id=" + encoded(entry.id()))))
                                .toList());
                if (found.older() != null) {
                    String place = AlertTime.micros(found.older().routed()) + ","
                            + found.older().id();
                    model.put("after", place);
                    model.put("older", new ShownText.Lines("/alerts?" + filter + "&after=" + encoded(place)));
                }
            });
        }
        return "alerts";
    }

    private HistoryRepository.Found found(Model model, String after) {
        HistoryRepository.Filter filter = new HistoryRepository.Filter(
                (String) model.get("id"),
                (String) model.get("rule"),
                (String) model.get("feed"),
                (String) model.get("key"),
                Span.time("from", (String) model.get("from"), clock.getZone()),
                Span.time("to", (String) model.get("to"), clock.getZone()),
                (String) model.get("outcome"));
        return history.search(filter, place(after), LINES);
    }

    /** Null where it is empty. */
    private static HistoryRepository.Place place(String after) {
        if (after.isEmpty()) {
            return null;
        }
        String[] parts = after.split(",", 2);
        if (parts.length < 2 || !parts[0].matches("\\d{1,16}")) {
            throw new SettingsException("there is no such page: begin with the newest alerts");
        }
        return new HistoryRepository.Place(Instant.EPOCH.plus(Long.parseLong(parts[0]), ChronoUnit.MICROS), parts[1]);
    }

    /** @param operator whether the user is one: others see nothing of what operators did */
    private String audit(Model model, boolean operator) {
        if (operator) {
            model.read("entries", () -> audit.list(LINES));
        }
        return "audit";
    }

    /** First asks for what, then says what that is now, and only then can be sent. */
    private String newSilence(Model model, Map<String, String> asked) {
        List<String> names = List.of("rule", "feed", "key", "from", "until", "for", "why");
        names.forEach(name -> model.put(name, value(asked, name)));
        boolean looked = asked.containsKey("look");
        model.put("zone", clock.getZone().getId());
        model.put("problem", looked ? problem(model) : "");
        if (looked && "".equals(model.get("problem"))) {
            model.read(
                            "covered",
                            () -> silences.covered(
                                    patternOf(model, "rule"),
                                    patternOf(model, "feed"),
                                    patternOf(model, "key"),
                                    COVERED))
                    .ifPresent(covered -> {
                        model.put("count", covered.size());
                        model.put("covered", covered.stream().limit(SHOWN).toList());
                    });
            model.put("among", COVERED);
        }
        return "silence";
    }

    /** Empty where a silence can be as it was asked for. */
    private String problem(Map<String, Object> asked) {
        try {
            Span.of((String) asked.get("from"), (String) asked.get("until"), (String) asked.get("for"), clock);
        } catch (SettingsException e) {
            return e.getMessage();
        }
        // a form would send another text than the one that was looked at
        if (!Stream.of("rule", "feed", "key").allMatch(name -> RuleForm.isShown((String) asked.get(name)))) {
            return "write a * in the place of characters that are not seen, and of a login in an address";
        }
        return "".equals(asked.get("why")) ? "say why alerts are to be kept back" : "";
    }

    private static String patternOf(Map<String, Object> asked, String name) {
        String pattern = (String) asked.get(name);
        return pattern.isEmpty() ? null : pattern;
    }

    /** A rule in the list. The address is made of the name as it is, which is cleaned where it is shown. */
    public record Line(RuleState rule, ShownText.Lines href) implements Linked {

        @Override
        public Object shown() {
            return rule;
        }
    }

    /** @param byCost whether the most expensive come first, and not in the order of their names */
    private String rules(Model model, String part, boolean byCost) {
        Map<String, Cost> costs = meter.costs();
        model.put("q", part);
        model.put("byCost", byCost);
        model.put("costs", costs);
        model.put(
                "refused",
                rules.problems().stream().limit(LINES).map(Object::toString).toList());
        model.read("all", ruleRepository::list).ifPresent(all -> {
            String sought = part.strip().toLowerCase(Locale.ROOT);
            List<Line> found = all.stream()
                    .filter(rule -> (rule.name() + " " + rule.feed())
                            .toLowerCase(Locale.ROOT)
                            .contains(sought))
                    .sorted(
                            byCost
                                    ? Comparator.comparing(rule -> -microsOf(costs.get(rule.name())))
                                    : (one, other) -> 0)
                    .map(rule -> new Line(rule, href(rule.name())))
                    .toList();
            model.put("found", found.size());
            model.put("rules", found.subList(0, Math.min(LINES, found.size())));
        });
        return "rules";
    }

    private static double microsOf(Cost cost) {
        return cost == null || cost.micros() == null ? -1 : cost.micros();
    }

    private static ShownText.Lines href(String rule) {
        return new ShownText.Lines("/rules/show?name=" + encoded(rule));
    }

    private static String encoded(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8);
    }

    private String rule(Model model, String name, boolean operator) {
        model.put("name", name);
        model.put(
                "refused",
                rules.problems().stream()
                        .filter(problem -> name.equals(problem.rule()))
                        .map(Object::toString)
                        .toList());
        Optional<Map<String, String>> written = model.read("written", () -> ruleRepository.written(name));
        if (written.isPresent() && written.get().isEmpty()) {
            return "missing";
        }
        written.ifPresent(columns -> {
            Map<String, Object> lines = new LinkedHashMap<>();
            columns.forEach((column, value) -> lines.put(column, new ShownText.Lines(value)));
            model.put("written", lines);
        });
        explained(model, operator, () -> ruleRepository.explainToAnyone(name, null));
        model.put(
                "enabled",
                written.map(columns -> "true".equals(columns.get("enabled"))).orElse(false));
        model.put("exists", written.isPresent());
        model.put("edit", new ShownText.Lines("/rules/edit?name=" + encoded(name)));
        model.put(
                "waits",
                written.isPresent() && Stream.of("for", "within", "absent").anyMatch(written.get()::containsKey));
        model.read("paused", () -> ruleRepository.isPaused(name));
        model.read("changes", () -> ruleRepository.history(name, LINES));
        model.read(
                "functions",
                () -> ruleRepository.functionsFor(name).stream()
                        .map(ShownText.Lines::new)
                        .toList());
        return "rule";
    }

    /** A finding, and links to its rule, feed, silence, sink, dead letter or alert. */
    public record Found(Explanation.Detail detail, List<Link> links) implements Linked {

        @Override
        public Object shown() {
            return detail;
        }
    }

    /** @param href without the base path */
    public record Link(ShownText.Lines href, String text) {

        private Link(String href, String text) {
            this(new ShownText.Lines(href), text);
        }
    }

    private static List<Link> links(Explanation.Detail detail, boolean operator) {
        String name = String.valueOf(detail.name());
        return switch (String.valueOf(detail.about())) {
            case "rule" ->
                operator
                        ? List.of(
                                new Link("/rules/show?name=" + encoded(name), "Rule"),
                                new Link("/rules/edit?name=" + encoded(name), "Edit"))
                        : List.of(new Link("/rules/show?name=" + encoded(name), "Rule"));
            case "feed" -> List.of(new Link("/feeds", "Feeds"));
            case "silence" -> List.of(new Link("/silences#silence-" + encoded(name), "Silence " + name));
            case "sink" -> List.of(new Link("/sinks#sink-" + encoded(name).replace("+", "%20"), "Sink " + name));
            case "dead letter" ->
                List.of(new Link("/dead-letters/show?number=" + encoded(name), "Dead letter " + name));
            case "alert" -> List.of(new Link("/explain?id=" + encoded(name), "Alert"));
            default -> List.of();
        };
    }

    /** @return false where it cannot be read */
    private boolean explained(Model model, boolean operator, Supplier<Explanation> explanation) {
        return model.read("explanation", explanation)
                .map(found -> {
                    model.remove("explanation");
                    model.put("summary", new ShownText.Lines(found.summary()));
                    model.put(
                            "findings",
                            found.details().stream()
                                    .map(detail -> new Found(detail, links(detail, operator)))
                                    .toList());
                    return found;
                })
                .isPresent();
    }

    private String explain(Model model, Map<String, String> asked, boolean operator) {
        String rule = value(asked, "rule");
        String key = value(asked, "key");
        String id = value(asked, "id");
        model.put("rule", rule);
        model.put("key", key);
        model.put("id", id);
        model.put("href", href(rule));
        model.put("which", new ShownText.Lines(encoded(rule) + "&" + encoded(key)));
        model.put("history", hasHistory);
        model.read("names", () -> ruleRepository.names(NAMES));
        if (!rule.isEmpty()) {
            explained(model, operator, () -> ruleRepository.explainToAnyone(rule, key.isEmpty() ? null : key));
        } else if (!id.isEmpty()) {
            boolean explained = explained(model, operator, () -> {
                Explanation found = ruleRepository.explainAlert(id);
                return found.isEmpty() ? Explanation.NOWHERE : found;
            });
            if (!explained) {
                explained(model, operator, () -> ruleRepository.alertTimeline(id));
            }
            model.read("kept", () -> history.document(id))
                    .flatMap(document -> document)
                    .ifPresent(document -> showDocument(model, document));
        }
        return "explain";
    }

    private String letters(Model model, Map<String, String> asked) {
        model.put("dead", count(queues(), "dead_letter"));
        model.put("among", LETTERS);
        String hash = asked.get("error");
        if (hash == null) {
            model.read("groups", () -> letters.groups(LETTERS, LINES));
        } else {
            String sink = asked.getOrDefault("sink", "");
            model.put("sink", sink);
            model.put("error", hash);
            model.read("letters", () -> letters.newest(sink.isEmpty() ? null : sink, hash, LETTERS, LINES));
        }
        return "dead-letters";
    }

    /** Asks before all of a group are sent again or deleted. */
    private String group(Model model, Map<String, String> asked) {
        boolean retry = "retry".equals(asked.get("do"));
        String sink = asked.getOrDefault("sink", "");
        String hash = asked.getOrDefault("error", "");
        if (!retry && !"discard".equals(asked.get("do"))) {
            return "missing";
        }
        model.put("retry", retry);
        model.put("sink", sink);
        model.put("error", hash);
        model.read("whole", () -> letters.whole(sink.isEmpty() ? null : sink, hash, GROUP));
        model.put("counted", GROUP);
        return "dead-letters-all";
    }

    private String letter(Model model, String number) {
        if (!number.matches("\\d{1,18}")) {
            return "missing";
        }
        Optional<Optional<Letter>> found = model.read("letter", () -> letters.find(Long.parseLong(number)));
        if (found.isPresent() && found.get().isEmpty()) {
            return "missing";
        }
        found.flatMap(letter -> letter).ifPresent(letter -> {
            model.put("letter", letter);
            model.put("explain", new ShownText.Lines("/explain?id=" + encoded(letter.alertId())));
            showDocument(model, letter.alert());
        });
        return "dead-letter";
    }

    private static void showDocument(Model model, String alert) {
        model.put("document", new ShownText.Lines(Printable.json(alert)));
        model.put("view", view(alert));
    }

    /** As a mail shows it; empty for a document that is too long for a table. */
    private static Map<String, Object> view(String alert) {
        try {
            return alert.length() > 100_000 ? Map.of() : new AlertText().view(AlertJson.parse(alert));
        } catch (RuntimeException e) {
            return Map.of();
        }
    }
}
