package dev.rowbell.rules;

import dev.rowbell.database.FeedTurns;
import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.rules.RuleRepository.Compared;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.spi.Resource;
import org.apache.camel.support.PluginHelper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;

/**
 * The rules of one CamelContext. The file {@code rowbell.rules.file} is applied when the database is opened, and again when it changes
 * if {@code rowbell.rules.reload} is true. Safe for many threads.
 */
public final class Rules {

    private static final Logger LOG = LoggerFactory.getLogger(Rules.class);
    private static final String INSUFFICIENT_PRIVILEGE = "42501";
    private static final String DEFAULT_FILE = "rules.yaml";
    /** The hint of {@code rowbell.apply_rules} where other transactions are in the way. */
    private static final String TRIES_AGAIN = "Rowbell tries again every 10 seconds";

    private static final String TOO_LONG =
            "because a function that they call, or one that their table or its types bring along, takes too long";

    private static final Duration RELOAD = Duration.ofSeconds(1);
    private static final Duration REFRESH = Duration.ofSeconds(10);
    private static final Duration COUNT = Duration.ofSeconds(1);

    private final CamelContext context;
    private final Settings settings;
    private final Hits hits = new Hits();
    private volatile List<Problem> problems = List.of();
    private volatile String fallback = "";
    /** Null while the database is closed. */
    private volatile RuleRepository repository;

    private volatile List<String> silentTriggers = List.of();
    private volatile List<String> dangers = List.of();
    private FeedTurns comparing;
    private FeedTurns applying;
    private UnchangedFeeds unchanged;
    /** What the last refresh reported. */
    private List<String> events = List.of();
    /** The content that was read last, and the one that was applied last; null if that failed. */
    private Content seen;

    private Content applied;
    /** Whether the database refused a rule of what was applied last, which it may take later. */
    private boolean again;

    /** @param text null where there is no such file */
    private record Content(String file, String text) {}

    public Rules(CamelContext context, Settings settings) {
        this.context = context;
        this.settings = settings;
    }

    /** Reads this resource if there is no file and rowbell.rules.file has its default. To be called before {@link #start}. */
    public void fallBackTo(String resource) {
        fallback = resource;
    }

    /**
     * Applies the file and registers the tasks that keep the rules up to date.
     *
     * @param opened its schema is up to date
     * @throws DataAccessException where the database is away
     */
    public synchronized void start(RuleRepository opened, Housekeeping housekeeping) {
        repository = opened;
        comparing = new FeedTurns(Clock.systemUTC());
        applying = new FeedTurns(Clock.systemUTC());
        problems = List.of();
        events = List.of();
        unchanged = new UnchangedFeeds(Clock.systemUTC());
        silentTriggers = List.of();
        dangers = List.of();
        applied = null;
        seen = null;
        // the functions of triggers are as this Rowbell compiles them, before the first alert
        atStart("the rules were not compared with their feeds", () -> refresh(opened));
        if (!file().isEmpty()) {
            seen = read();
            atStart("the rules were not applied", () -> apply(seen));
            if (settings.flag("rowbell.rules.reload")) {
                housekeeping.register("reload the rules", RELOAD, this::reload);
            }
            housekeeping.register("apply the rules", REFRESH, this::retry);
        }
        housekeeping.register("compare the rules with their feeds", REFRESH, () -> refresh(opened));
        housekeeping.register("report failures of rules", COUNT, opened::reportFailures);
        housekeeping.register("forget rows that were moved", REFRESH, opened::forgetMoves);
        housekeeping.registerAlsoAtStop("count how often rules fired", COUNT, () -> hits.write(opened::addHits));
    }

    /** The tasks have ended and the database is about to be closed. */
    public void stop() {
        repository = null;
    }

    /** Housekeeping does it again, and says why it fails. */
    private static void atStart(String failure, Runnable work) {
        try {
            work.run();
        } catch (DataAccessException e) {
            if (Errors.isDatabaseAway(e)) {
                throw e;
            }
            LOG.debug(failure, e);
        }
    }

    private void refresh(RuleRepository opened) {
        List<String> now = new ArrayList<>(compare(opened));
        silentTriggers = opened.silentTriggers();
        now.addAll(silentTriggers);
        // the embedded server is for trials, and has but one role
        dangers = settings.isSet("rowbell.jdbc.url")
                ? opened.superusers().stream()
                        .map(
                                "%s is a superuser: who may change rules may do everything on the server; docs/schema.md has the rights that Rowbell needs"
                                        ::formatted)
                        .toList()
                : List.of();
        now.addAll(dangers);
        List<String> channels = channels();
        if (!channels.isEmpty()) {
            now.addAll(opened.notListenedTo(channels));
        }
        // an event that lasts is logged once
        now.stream().filter(event -> !events.contains(event)).forEach(event -> LOG.warn("{}", event));
        events = now;
    }

    private List<String> compare(RuleRepository opened) {
        List<String> now = new ArrayList<>(opened.followTables());
        unchanged.definedBy(opened.definitions());
        Map<Integer, String> feeds = opened.feeds();
        Map<String, Integer> ids = new HashMap<>();
        feeds.forEach((id, feed) -> ids.put(feed, id));
        unchanged.retain(ids.keySet());
        for (String feed : comparing.inOrder(feeds.values())) {
            if (!unchanged.contains(feed)) {
                Compared compared = comparing.take(
                        feed,
                        limit -> opened.refresh(ids.get(feed), limit),
                        () -> new Compared(
                                false,
                                List.of("feed %s could not be compared with its rules, %s".formatted(feed, TOO_LONG))));
                now.addAll(compared.events());
                if (compared.isAsItShouldBe()) {
                    unchanged.add(feed);
                }
            }
        }
        return now;
    }

    /** The problems of the file when it was read last. */
    public List<Problem> problems() {
        return problems;
    }

    /** The rules that broke after they were made, each with the reason. Empty before the database is opened and after a stop. */
    public Map<String, String> broken() {
        RuleRepository opened = repository;
        return opened == null ? Map.of() : opened.broken();
    }

    /** The triggers that did not fire when they were looked at last, for a person. */
    public List<String> silentTriggers() {
        return silentTriggers;
    }

    /** What works and should not be so, for a person. */
    public List<String> dangers() {
        return dangers;
    }

    /** Counts the alerts of each rule. */
    public Hits hits() {
        return hits;
    }

    /** @param rules the number of readable ones */
    public record Checked(int rules, List<Problem> problems) {}

    /**
     * Checks a file against the database and changes nothing.
     *
     * @param path null for the file of the settings
     * @param database opened only if there is such a file
     * @throws SettingsException where there is no such file
     */
    public Checked check(String path, Supplier<RuleRepository> database) throws IOException {
        if (path == null && file().isEmpty()) {
            throw new SettingsException("rowbell.rules.file is empty: name the file to check");
        }
        Content content = read(path == null ? file() : path);
        if (content.text() == null) {
            throw new SettingsException("%s: there is no such file".formatted(content.file()));
        }
        RulesFile read = new RulesReader(content.file(), channels()).read(content.text());
        RuleRepository opened = database.get();
        RulesFile rules = opened.storable(read);
        return new Checked(rules.rules().size(), rules.problemsWith(opened.check(file(), rules)));
    }

    /** One rule that a person gave in a form, by key; an empty field is left out. */
    RulesFile read(Map<String, String> fields) {
        return new RulesReader("", channels()).read(fields);
    }

    /** Whether the file of the settings exists. */
    public boolean isThere() throws IOException {
        return !file().isEmpty() && read(file()).text() != null;
    }

    /** The tables that the rules of the file watch, and what is wrong with its form. */
    public record Feeds(List<String> feeds, List<Problem> problems) {}

    /**
     * Of the file of the settings, without the database. None where the setting is empty.
     *
     * @throws SettingsException where there is no such file
     */
    public Feeds feeds() throws IOException {
        if (file().isEmpty()) {
            return new Feeds(List.of(), List.of());
        }
        Content content = read(file());
        if (content.text() == null) {
            throw new SettingsException("rowbell.rules.file=%s: there is no such file".formatted(file()));
        }
        RulesFile rules = new RulesReader(content.file(), channels()).read(content.text());
        return new Feeds(rules.feeds().stream().filter(feed -> !feed.isEmpty()).toList(), rules.problems());
    }

    /** How many rules there are and where they come from, for the start. */
    public synchronized String summary() {
        try {
            RuleRepository.Enabled enabled = repository.enabled(file());
            List<String> parts = new ArrayList<>();
            if (!file().isEmpty()) {
                boolean missing = applied != null && applied.text() == null;
                parts.add("%d from %s%s"
                        .formatted(
                                enabled.ofOrigin(),
                                seen == null ? file() : seen.file(),
                                missing ? ", which is not there" : ""));
            }
            if (enabled.others() > 0) {
                parts.add("%d %s".formatted(enabled.others(), file().isEmpty() ? "made by SQL" : "from elsewhere"));
            }
            if (enabled.disabled() > 0) {
                parts.add("%d disabled: rules list says by whom".formatted(enabled.disabled()));
            }
            // a rule with two problems is one wrong rule
            long wrong = problems.stream()
                    .map(problem -> problem.rule() == null ? problem.line() : problem.rule())
                    .distinct()
                    .count();
            if (wrong > 0) {
                parts.add("%d wrong: see above".formatted(wrong));
            }
            return parts.isEmpty()
                    ? "none: set rowbell.rules.file, or write to rowbell.rule"
                    : String.join(", ", parts);
        } catch (DataAccessException e) {
            return "could not be counted: " + Errors.inWords(e);
        }
    }

    /** To which this process listens; none where it leaves that to others. */
    private List<String> channels() {
        return Stream.of(settings.text("rowbell.channels").split(","))
                .map(String::strip)
                .filter(channel -> !channel.isEmpty())
                .toList();
    }

    /** The file of the settings, which is also the origin of its rules in the database. Empty if there is none. */
    private String file() {
        return settings.text("rowbell.rules.file").replaceFirst("^file:", "");
    }

    /** @throws IOException where it cannot be read, or is not UTF-8 */
    private Content read(String path) throws IOException {
        String file = path.replaceFirst("^file:", "");
        Resource resource = PluginHelper.getResourceLoader(context)
                .resolveResource(file.startsWith("classpath:") ? file : "file:" + file);
        if (!resource.exists()) {
            return new Content(file, null);
        }
        try (InputStream in = resource.getInputStream()) {
            ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes());
            return new Content(
                    file, StandardCharsets.UTF_8.newDecoder().decode(bytes).toString());
        } catch (CharacterCodingException e) {
            throw new IOException("it is not UTF-8", e);
        }
    }

    /** The file of the settings, or else the fallback. Null if it cannot be read, which is then a problem. */
    private Content read() {
        try {
            Content content = read(file());
            boolean fallsBack = content.text() == null && !fallback.isEmpty() && file().equals(DEFAULT_FILE);
            return fallsBack ? read(fallback) : content;
        } catch (IOException e) {
            report(List.of(new Problem(file(), 0, null, null, "cannot be read: " + Errors.inWords(e), "")));
            return null;
        }
    }

    /** Applies only a content that stayed the same for a second: a file may be seen while it is half written. */
    private synchronized void reload() {
        Content before = seen;
        seen = read();
        if (seen != null && seen.equals(before) && !seen.equals(applied)) {
            apply(seen);
            if (seen.text() != null) {
                LOG.info("rules: {}", summary());
            }
        }
    }

    private synchronized void retry() {
        if (again) {
            apply(applied);
        }
    }

    /** @param content null: the file cannot be read, and nothing is changed */
    private void apply(Content content) {
        if (content == null) {
            return;
        }
        applied = content;
        again = false;
        if (content.text() == null) {
            LOG.warn(
                    "rowbell.rules.file={}: there is no such file; the rules in the database stay as they are", file());
            problems = List.of();
            return;
        }
        RulesFile read = new RulesReader(content.file(), channels()).read(content.text());
        try {
            RulesFile rules = repository.storable(read);
            List<Problem> found = rules.readable() ? applied(rules) : List.of();
            report(rules.problemsWith(found));
            // a table may be made, a right granted, a lock released
            again = !found.isEmpty();
        } catch (DataAccessException e) {
            again = true;
            boolean forbidden = e.getRootCause() instanceof SQLException cause
                    && INSUFFICIENT_PRIVILEGE.equals(cause.getSQLState());
            String hint = forbidden ? "or set rowbell.rules.file to nothing" : "";
            report(read.problemsWith(List.of(
                    new Problem(content.file(), 0, null, null, "could not be applied: " + Errors.inWords(e), hint))));
            throw e;
        }
    }

    private List<Problem> applied(RulesFile rules) {
        List<Problem> found = new ArrayList<>();
        Set<String> feeds = new LinkedHashSet<>(rules.feeds());
        feeds.addAll(repository.feedsToEmpty(file(), rules));
        for (String feed : applying.inOrder(feeds)) {
            found.addAll(applying.take(
                    feed,
                    // the origin is the setting, so that the rules stay the same when their file replaces the fallback
                    limit -> repository.apply(file(), rules, feed, limit),
                    () -> List.of(rules.problemOf(
                            feed,
                            "the rules %s could not be applied, %s"
                                    .formatted(feed.isEmpty() ? "without a feed" : "of " + feed, TOO_LONG),
                            TRIES_AGAIN))));
        }
        return found;
    }

    /** Logs the new problems only. */
    private void report(List<Problem> found) {
        List<Problem> before = problems;
        problems = found;
        found.stream().filter(problem -> !before.contains(problem)).forEach(problem -> LOG.error("{}", problem));
    }
}
