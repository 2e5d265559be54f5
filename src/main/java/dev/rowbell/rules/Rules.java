package dev.rowbell.rules;

import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
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
    /** What the last refresh reported. */
    private List<String> events = List.of();
    /** The content that was read last and the one that was applied last; null if that failed. */
    private Content seen;

    private Content applied;

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
        problems = List.of();
        events = List.of();
        silentTriggers = List.of();
        dangers = List.of();
        applied = null;
        seen = null;
        if (!file().isEmpty()) {
            seen = read();
            try {
                apply(seen);
            } catch (DataAccessException e) {
                if (Errors.isDatabaseAway(e)) {
                    throw e;
                }
                LOG.debug("the rules were not applied", e);
            }
            boolean reloads = settings.flag("rowbell.rules.reload");
            housekeeping.register("apply the rules", reloads ? RELOAD : REFRESH, reloads ? this::reload : this::retry);
        }
        housekeeping.register("compare the rules with their feeds", REFRESH, () -> refresh(opened));
        housekeeping.register("report failures of rules", COUNT, opened::reportFailures);
        housekeeping.registerAlsoAtStop("count how often rules fired", COUNT, () -> hits.write(opened::addHits));
    }

    /** The tasks have ended and the database is about to be closed. */
    public void stop() {
        repository = null;
    }

    private void refresh(RuleRepository opened) {
        List<String> now = new ArrayList<>(opened.refresh());
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
        // an event that lasts is logged once
        now.stream().filter(event -> !events.contains(event)).forEach(event -> LOG.warn("{}", event));
        events = now;
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
        RulesFile rules = new RulesReader(content.file()).read(content.text());
        return new Checked(
                rules.rules().size(), rules.problemsWith(database.get().check(file(), rules)));
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

    /** Applies again what could not be applied because of other transactions. */
    private synchronized void retry() {
        if (seen != null && !seen.equals(applied)) {
            apply(seen);
        }
    }

    /** @param content null: the file cannot be read, and nothing is changed */
    private void apply(Content content) {
        if (content == null) {
            return;
        } else if (content.text() == null) {
            LOG.warn(
                    "rowbell.rules.file={}: there is no such file; the rules in the database stay as they are", file());
            problems = List.of();
        } else {
            RulesFile rules = new RulesReader(content.file()).read(content.text());
            try {
                // the origin is the setting, so that the rules stay the same when their file replaces the fallback
                report(rules.problemsWith(rules.readable() ? repository.apply(file(), rules) : List.of()));
            } catch (DataAccessException e) {
                boolean forbidden = e.getRootCause() instanceof SQLException cause
                        && INSUFFICIENT_PRIVILEGE.equals(cause.getSQLState());
                String hint = forbidden
                        ? "grant rowbell_admin to rowbell.jdbc.user, or set rowbell.rules.file to nothing"
                        : "";
                report(rules.problemsWith(List.of(new Problem(
                        content.file(), 0, null, null, "could not be applied: " + Errors.inWords(e), hint))));
                throw e;
            }
        }
        applied = problems.stream().anyMatch(problem -> problem.hint().equals(TRIES_AGAIN)) ? null : content;
    }

    /** Logs the new problems only. */
    private void report(List<Problem> found) {
        List<Problem> before = problems;
        problems = found;
        found.stream().filter(problem -> !before.contains(problem)).forEach(problem -> LOG.error("{}", problem));
    }
}
