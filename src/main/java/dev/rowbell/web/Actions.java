package dev.rowbell.web;

import dev.rowbell.alert.AlertId;
import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.AlertReader;
import dev.rowbell.database.Transactions;
import dev.rowbell.error.Errors;
import dev.rowbell.error.Printable;
import dev.rowbell.firing.FiringRepository;
import dev.rowbell.outbox.DeadLetterRepository;
import dev.rowbell.outbox.SinkRepository;
import dev.rowbell.outbox.SinkSwitches;
import dev.rowbell.rules.RuleEditor;
import dev.rowbell.rules.RuleMeter;
import dev.rowbell.rules.RuleRepository;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.silence.SilenceRepository;
import dev.rowbell.silence.Span;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongPredicate;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.model.ModelCamelContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * What an operator does in the web console, by the functions that the commands use. Each action is one transaction, which also adds it to
 * {@code rowbell.audit}: nothing is done that does not stand there. Safe for many threads.
 */
public final class Actions {

    private static final Logger LOG = LoggerFactory.getLogger(Actions.class);

    /** Long enough to send 200,000 dead letters again. */
    private static final Duration LIMIT = Duration.ofSeconds(60);

    /** In characters, of what is done and of what was done: notes, conditions and causes may be long, and the audit has more of them. */
    private static final int LOGGED = 1000;
    /** Of the things that an action is about. */
    private static final int NAMED = 3;

    private static final String LETTERS = "/dead-letters";
    private static final String SINKS = "/sinks";

    private static final Map<String, Maker> ACTIONS = Map.ofEntries(
            Map.entry("/firing/acknowledge", (all, form, user) -> all.acknowledge(form)),
            Map.entry("/firing/unacknowledge", (all, form, user) -> all.unacknowledge(form)),
            Map.entry("/silences/add", (all, form, user) -> all.silence(form, user)),
            Map.entry("/silences/end", (all, form, user) -> all.endSilence(form)),
            Map.entry(
                    "/dead-letters/retry",
                    (all, form, user) -> letter("retry", form, all.letters::retry, "1 is sent again.")),
            Map.entry(
                    "/dead-letters/discard",
                    (all, form, user) -> letter("discard", form, all.letters::discard, "1 was deleted.")),
            Map.entry(
                    "/dead-letters/retry-all",
                    (all, form, user) -> letters("retry", form, all.letters::retry, " are sent again.")),
            Map.entry(
                    "/dead-letters/discard-all",
                    (all, form, user) -> letters("discard", form, all.letters::discard, " were deleted.")),
            Map.entry("/sinks/pause", (all, form, user) -> all.pause(form)),
            Map.entry("/sinks/resume", (all, form, user) -> all.resume(form)),
            Map.entry("/rules/measure", (all, form, user) -> all.measure()),
            Map.entry("/explain/look", (all, form, user) -> all.look(form)),
            Map.entry("/sinks/test", (all, form, user) -> all.test(form.text("sink"), user)),
            Map.entry("/rules/disable", (all, form, user) -> all.disable(form, user)),
            Map.entry(
                    "/rules/enable",
                    (all, form, user) ->
                            rule("enable rule", form, all.rules::enable, "It is enabled.", "It was enabled already.")),
            Map.entry(
                    "/rules/pause",
                    (all, form, user) -> rule(
                            "pause rule",
                            form,
                            all.rules::pause,
                            "Its time stands still.",
                            "This rule waits for nothing.")),
            Map.entry(
                    "/rules/resume",
                    (all, form, user) -> rule(
                            "resume rule", form, all.rules::resume, "Its time goes on.", "This rule was not paused.")));

    static final Set<String> PATHS =
            Stream.concat(ACTIONS.keySet().stream(), RuleForm.PATHS.stream()).collect(Collectors.toUnmodifiableSet());

    private final CamelContext context;
    private final AlertReader alerts;
    private final Clock clock;
    private final JdbcClient jdbc;
    private final TransactionTemplate transaction;
    private final FiringRepository firing;
    private final SilenceRepository silences;
    private final DeadLetterRepository letters;
    private final SinkRepository sinks;
    private final RuleRepository rules;
    private final RuleEditor editor;
    private final RuleMeter meter;
    private final AuditRepository audit;

    /**
     * @param alerts completes a test alert
     * @param clock in the time zone in which users write times
     */
    public Actions(
            CamelContext context,
            DataSource dataSource,
            RuleEditor editor,
            RuleMeter meter,
            AlertReader alerts,
            Clock clock) {
        this.editor = editor;
        this.meter = meter;
        this.context = context;
        this.alerts = alerts;
        this.clock = clock;
        jdbc = JdbcClient.create(dataSource);
        transaction = new TransactionTemplate(new Transactions(dataSource));
        firing = new FiringRepository(dataSource);
        silences = new SilenceRepository(dataSource);
        letters = new DeadLetterRepository(dataSource);
        sinks = new SinkRepository(dataSource);
        rules = new RuleRepository(dataSource);
        audit = new AuditRepository(dataSource);
    }

    /**
     * An action that is about to be done.
     *
     * @param name of the action in the audit, as {@code retry}
     * @param what the rules, sinks or letters that the action changes, as the audit has it
     * @param logged the same for the log, with the first few of many
     * @param next the page that the browser shows afterwards
     */
    private record Action(String name, String what, String logged, String next, Supplier<Done> work) {

        Action(String name, String what, String next, Supplier<Done> work) {
            this(name, what, what, next, work);
        }

        Action(String name, String what, String next, Work work) {
            this(name, what, what, next, work);
        }

        Action(String name, String what, String logged, String next, Work work) {
            this(name, what, logged, next, () -> {
                String said = work.run();
                return new Done(said, said);
            });
        }
    }

    /**
     * The result of an action, in words.
     *
     * @param said to the operator
     * @param noted in the log and the audit, which keep it for longer than the history keeps a row
     */
    private record Done(String said, String noted) {}

    /** Makes an action of a form. */
    private interface Maker {

        /** @throws SettingsException where the form says what cannot be */
        Action make(Actions all, Form form, String user);
    }

    /** What is done, within a transaction. */
    private interface Work {

        /** @return what was done, in words */
        String run();
    }

    /**
     * How an action went.
     *
     * @param status of HTTP: 200, 400 where something cannot be, 503 where the database fails
     * @param said what was done, in words, or why nothing was
     * @param next the page that a browser shows afterwards
     */
    record Result(int status, String said, String next) {}

    /**
     * Does it.
     *
     * @param from the address of the user
     * @return empty where there is no such action
     */
    Optional<Result> perform(String path, Form form, String user, String from) {
        Maker maker = ACTIONS.get(path);
        if (maker == null) {
            return Optional.empty();
        }
        try {
            return Optional.of(perform(maker.make(this, form, user), user, from));
        } catch (SettingsException e) {
            return Optional.of(
                    new Result(400, "Nothing was done: " + e.getMessage(), path.substring(0, path.indexOf('/', 1))));
        }
    }

    /**
     * The result of a form of a rule.
     *
     * @param status of HTTP, as that of a {@link Result}
     * @param problems all that is wrong with the rule
     * @param rows that it finds, where it was tested
     * @param next where it was written, the page that a browser shows afterwards; else null
     */
    record Edited(int status, String said, List<String> problems, List<String> rows, String next) {

        static Edited refused(int status, String said) {
            return new Edited(status, "", List.of(said), List.of(), null);
        }
    }

    /** Checks, tests or writes a rule. */
    Edited edit(String path, RuleForm form, String user, String from) {
        try {
            rules.missingRight().ifPresent(grant -> {
                throw new SettingsException("the user of the database may not write rules: " + grant);
            });
            form.requireShown();
            if (form.began() != null) {
                // the form does not have the characters that pages hide, so it would remove them
                rules.editable(form.name())
                        .map(now -> new RuleForm(now.fields(), form.began()))
                        .ifPresent(RuleForm::requireShown);
            }
            if (path.equals(RuleForm.TEST)) {
                return test(form, user, from);
            }
            List<String> problems = editor.check(form.fields(), form.began());
            if (!problems.isEmpty()) {
                return new Edited(400, "", problems, List.of(), null);
            } else if (path.equals(RuleForm.CHECK)) {
                return new Edited(200, "No fault was found.", List.of(), List.of(), null);
            }
            Result written = perform(
                    new Action(
                            form.began() == null ? "make rule" : "change rule",
                            inWords(form),
                            pageOf(form.name()),
                            () -> {
                                editor.write(form.fields(), form.began());
                                return "The rule was written.";
                            }),
                    user,
                    from);
            return written.status() == 200
                    ? new Edited(200, written.said(), List.of(), List.of(), written.next())
                    : Edited.refused(written.status(), written.said());
        } catch (SettingsException e) {
            return Edited.refused(400, e.getMessage());
        } catch (DataAccessException e) {
            String state = e.getRootCause() instanceof SQLException cause ? cause.getSQLState() : "";
            return Edited.refused(
                    503,
                    switch (String.valueOf(state)) {
                        case "57014" -> "It takes longer than 5 seconds.";
                        case "42501" ->
                            Errors.inWords(e)
                                    + ": the role of queries needs the right, see docs/rules.md, What a query may do";
                        default -> Errors.inWords(e);
                    });
        }
    }

    /** A role without rights reads the rows, and the audit names the user. */
    private Edited test(RuleForm form, String user, String from) {
        RuleEditor.Tried tried = editor.test(form.fields(), form.began());
        if (!tried.problems().isEmpty()) {
            return new Edited(400, "", tried.problems(), List.of(), null);
        }
        String said = tried.more()
                ? "More than %,d rows meet it now.".formatted(tried.rows())
                : tried.rows() == 1 ? "1 row meets it now." : "%,d rows meet it now.".formatted(tried.rows());
        audit.add(user, from, "test rule", inWords(form), said);
        return new Edited(200, said, List.of(), tried.shown(), null);
    }

    private static String inWords(RuleForm form) {
        return "rule %s: %s"
                .formatted(
                        form.name(),
                        form.fields().get("condition") + form.fields().get("query"));
    }

    private Result perform(Action action, String user, String from) {
        int outcome = 200;
        Done done;
        try {
            done = transaction.execute(status -> {
                // what the database notes of the session says who it was
                set("application_name", "Rowbell web console: " + user);
                set("statement_timeout", String.valueOf(LIMIT.toMillis()));
                set("lock_timeout", "5s");
                Done worked = action.work().get();
                audit.add(user, from, action.name(), action.what(), worked.noted());
                return worked;
            });
        } catch (SettingsException | DataAccessException e) {
            outcome = e instanceof SettingsException ? 400 : 503;
            String said = "Nothing was done: " + (e instanceof SettingsException ? e.getMessage() : Errors.inWords(e));
            noteFailure(action, user, from, said);
            done = new Done(said, said);
        }
        LOG.info(
                "web console: {} from {}: {}: {}: {}",
                user,
                from,
                action.name(),
                Printable.line(action.logged(), LOGGED),
                Printable.line(done.noted(), LOGGED));
        return new Result(outcome, done.said(), action.next());
    }

    private void set(String setting, String value) {
        jdbc.sql("select set_config(?, ?, true)")
                .params(setting, value)
                .query(String.class)
                .single();
    }

    private void noteFailure(Action action, String user, String from, String failure) {
        try {
            audit.add(user, from, action.name(), action.what(), failure);
        } catch (DataAccessException e) {
            LOG.warn("what {} tried in the web console is not in rowbell.audit: {}", user, Errors.inWords(e));
        }
    }

    private Action acknowledge(Form form) {
        List<Thing> things = things(form);
        String note = form.textOrNull("note");
        String assignee = form.textOrNull("assignee");
        String rest = said(", assignee ", assignee) + said(", note ", note);
        return new Action(
                "acknowledge",
                inWords(things) + rest,
                firstInWords(things) + rest,
                "/firing",
                () -> sum(things, thing -> firing.acknowledge(thing.rule(), thing.key(), note, assignee))
                        + " acknowledged.");
    }

    private Action unacknowledge(Form form) {
        List<Thing> things = things(form);
        return new Action(
                "unacknowledge",
                inWords(things),
                firstInWords(things),
                "/firing",
                () -> sum(things, thing -> firing.unacknowledge(thing.rule(), thing.key()))
                        + " not acknowledged any more.");
    }

    /** Changes each, in an order that is the same for all: two users who selected the same would wait for each other. */
    private static long sum(List<Thing> things, ToLongFunction<Thing> change) {
        return things.stream()
                .sorted(Comparator.comparing(Thing::rule)
                        .thenComparing(Thing::key, Comparator.nullsFirst(Comparator.naturalOrder())))
                .mapToLong(change)
                .sum();
    }

    private Action endSilence(Form form) {
        long number = number(form, "number");
        return new Action(
                "end silence",
                "silence " + number,
                "/silences",
                () -> "Silence %d %s."
                        .formatted(
                                number,
                                silences.end(number)
                                        .map(begun -> begun ? "has ended" : "will not begin")
                                        .orElse("had ended before")));
    }

    private Action disable(Form form, String user) {
        String rule = form.text("name");
        String note = form.textOrNull("note");
        return new Action(
                "disable rule",
                "rule " + rule + said(", note ", note),
                pageOf(rule),
                () -> rules.disable(rule, note, user)
                        ? "It is disabled until somebody enables it again."
                        : "It was disabled already.");
    }

    private static String pageOf(String rule) {
        return "/rules/show?name=" + URLEncoder.encode(rule, StandardCharsets.UTF_8);
    }

    private static Action rule(String name, Form form, Predicate<String> work, String done, String notDone) {
        String rule = form.text("name");
        return new Action(name, "rule " + rule, pageOf(rule), () -> work.test(rule) ? done : notDone);
    }

    private Action look(Form form) {
        Thing thing = things(form).get(0);
        String rule = thing.rule();
        String key = thing.key() == null ? "" : thing.key();
        return new Action(
                "look at row",
                "rule %s, key %s".formatted(rule, key),
                "/explain?rule=%s&key=%s"
                        .formatted(
                                URLEncoder.encode(rule, StandardCharsets.UTF_8),
                                URLEncoder.encode(key, StandardCharsets.UTF_8)),
                () -> {
                    RuleEditor.Looked looked = editor.look(rule, key);
                    return new Done(looked.sentence(), looked.verdict());
                });
    }

    /** Measures before the transaction begins, which has nothing to do with it. */
    private Action measure() {
        RuleMeter.Measured measured = meter.measure();
        return new Action("measure rules", "%d rules".formatted(measured.measured()), "/rules?by=cost", () -> {
            String said = "%d measured.".formatted(measured.measured());
            return measured.left() == 0
                    ? said
                    : said + " There was no time for %d: measure again for these.".formatted(measured.left());
        });
    }

    private static Action letter(String name, Form form, LongPredicate work, String done) {
        long number = number(form, "number");
        return new Action(
                name,
                "dead letter " + number,
                LETTERS,
                () -> work.test(number) ? done : "There was no such dead letter any more.");
    }

    /** Changes all dead letters of a group up to a number, and returns how many. */
    private interface GroupWork {

        long run(String sink, String error, long newest);
    }

    private static Action letters(String name, Form form, GroupWork work, String done) {
        long newest = number(form, "newest");
        return new Action(
                name, group(form), LETTERS, () -> work.run(form.textOrNull("sink"), form.text("error"), newest) + done);
    }

    /**
     * A thing that fires, or a row of a rule.
     *
     * @param key null: all of the rule
     */
    private record Thing(String rule, String key) {

        /** As a page sends it: encoded, since a page shows a text changed where it has characters that are not seen, or a login. */
        static Thing of(String sent) {
            String[] parts = sent.split("&", -1);
            if (parts.length != 2) {
                throw new SettingsException("the form cannot be read");
            }
            String key = decoded(parts[1]);
            return new Thing(decoded(parts[0]), key.isEmpty() ? null : key);
        }

        private static String decoded(String part) {
            try {
                return URLDecoder.decode(part, StandardCharsets.UTF_8).replace("\0", "");
            } catch (IllegalArgumentException e) {
                throw new SettingsException("the form cannot be read", e);
            }
        }
    }

    private static List<Thing> things(Form form) {
        String rule = form.text("rule");
        List<Thing> things = rule.isEmpty()
                ? form.all("which").stream().map(Thing::of).toList()
                : List.of(new Thing(rule, form.key()));
        if (things.isEmpty()) {
            throw new SettingsException("select what it is about");
        }
        return things;
    }

    private static String inWords(List<Thing> things) {
        return things.stream()
                .map(thing -> thing.rule() + said(" ", thing.key()))
                .collect(Collectors.joining(", "));
    }

    private static String firstInWords(List<Thing> things) {
        return things.size() <= NAMED
                ? inWords(things)
                : inWords(things.subList(0, NAMED)) + " and %d more".formatted(things.size() - NAMED);
    }

    private static String said(String what, String value) {
        return value == null ? "" : what + value;
    }

    private Action silence(Form form, String user) {
        String rule = form.textOrNull("rule");
        String feed = form.textOrNull("feed");
        String key = form.key();
        String why = form.text("why");
        Span span = Span.of(form.text("from"), form.text("until"), form.text("for"), clock);
        if (why.isEmpty()) {
            throw new SettingsException("say why alerts are to be kept back");
        }
        return new Action(
                "silence",
                "rule %s, feed %s, key %s%s%s%s: %s"
                        .formatted(
                                any(rule),
                                any(feed),
                                any(key),
                                said(", from ", form.textOrNull("from")),
                                said(", until ", form.textOrNull("until")),
                                said(", for ", form.textOrNull("for")),
                                why),
                "/silences",
                () -> {
                    SilenceRepository.Added added =
                            silences.add(rule, feed, key, span.from(), span.until(), span.length(), user, why);
                    return (added.planned() ? "Silence %d is planned." : "Silence %d keeps alerts back.")
                            .formatted(added.id());
                });
    }

    private static String any(String pattern) {
        return pattern == null ? "any" : pattern;
    }

    private static String group(Form form) {
        return "all dead letters %s with the error %s, up to number %d"
                .formatted(
                        form.textOrNull("sink") == null ? "of routing" : "of the sink " + form.text("sink"),
                        form.text("error"),
                        number(form, "newest"));
    }

    private static long number(Form form, String name) {
        String number = form.text(name);
        if (!number.matches("\\d{1,18}")) {
            throw new SettingsException(name + ": give a whole number of at most 18 digits");
        }
        return Long.parseLong(number);
    }

    private Action pause(Form form) {
        String sink = form.text("sink");
        String note = form.textOrNull("note");
        return new Action(
                "pause sink",
                "sink " + sink + said(", note ", note),
                SINKS,
                () -> sinks.pause(sink, note)
                        ? "%s is paused: its alerts wait.".formatted(sink)
                        : "%s was paused before.".formatted(sink));
    }

    private Action resume(Form form) {
        String sink = form.text("sink");
        return new Action(
                "resume sink",
                "sink " + sink,
                SINKS,
                () -> sinks.resume(sink) ? "%s goes on.".formatted(sink) : "%s was not paused.".formatted(sink));
    }

    private Action test(String sink, String user) {
        boolean known = ((ModelCamelContext) context)
                .getRouteDefinitions().stream()
                        .anyMatch(route ->
                                sink.equals(SinkSwitches.sinkOf(context, route)) && SinkSwitches.isOn(context, route));
        if (!known) {
            throw new SettingsException("no sink of this name is on here");
        }
        Map<String, Object> alert = new LinkedHashMap<>();
        String id = AlertId.next(clock);
        alert.put("id", id);
        alert.put("rule", "rowbell-test");
        alert.put("reason", "test alert of the web console");
        alert.put("severity", "info");
        alert.put("status", "firing");
        alert.put(
                "time",
                OffsetDateTime.now(clock).withOffsetSameInstant(ZoneOffset.UTC).toString());
        alert.put("new", Map.of("sink", sink, "sent_by", user));
        return new Action("test sink", "sink " + sink, SINKS, () -> {
            sinks.file(sink, AlertJson.write(alerts.fromBody(alert, null)));
            return "A test alert waits for %s: its id is %s.".formatted(sink, id);
        });
    }
}
