package dev.rowbell.rules;

import dev.rowbell.error.Errors;
import dev.rowbell.housekeeping.Housekeeping;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.camel.CamelContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The rules of one CamelContext: those of {@code rowbell.rules.file} are applied when its database is opened; all of them are compared with their feeds
 * until it stops. Safe for many threads.
 */
public final class Rules {

    private static final Logger LOG = LoggerFactory.getLogger(Rules.class);
    private static final String INSUFFICIENT_PRIVILEGE = "42501";
    /** Where the rules of the program are unless somebody says otherwise. */
    private static final String SHIPPED = "rules.yaml";

    private static final Duration RELOAD = Duration.ofSeconds(1);
    private static final Duration REFRESH = Duration.ofSeconds(10);
    private static final Duration COUNT = Duration.ofSeconds(1);

    private final CamelContext context;
    private final Settings settings;
    private final Hits hits = new Hits();
    private volatile List<Problem> problems = List.of();
    private volatile String instead = "";
    private volatile RulesLocation location;
    /** What the last refresh reported. */
    private volatile List<String> events = List.of();

    private RuleTable table;
    private boolean started;
    /** The content that was applied last and the one that was seen last; null where there was none, empty where there was no file. */
    private Optional<String> applied;

    private Optional<String> seen;

    public Rules(CamelContext context, Settings settings) {
        this.context = context;
        this.settings = settings;
    }

    /** Reads another resource where rowbell.rules.file is as it is shipped and there is no such file. To be said before the database is opened. */
    public void insteadOfNone(String uri) {
        instead = uri;
    }

    /**
     * Applies the file and registers the tasks that keep rules up to date.
     *
     * @param opened its schema is up to date
     */
    public synchronized void start(RuleTable opened, Housekeeping housekeeping) {
        table = opened;
        started = true;
        problems = List.of();
        events = List.of();
        applied = null;
        seen = null;
        if (settings.isSet("rowbell.rules.file")) {
            try {
                apply(text());
            } catch (SQLException e) {
                LOG.debug("the rules were not applied", e);
            }
            if (settings.flag("rowbell.rules.reload")) {
                housekeeping.register("apply the rules", RELOAD, this::reload);
            }
        }
        housekeeping.register("compare the rules with their feeds", REFRESH, () -> refresh(opened));
        housekeeping.registerAlsoAtStop("count how often rules fired", COUNT, () -> hits.write(opened::addHits));
    }

    /** The database is about to be closed. */
    public synchronized void stop() {
        started = false;
    }

    private void refresh(RuleTable opened) throws SQLException {
        List<String> now = opened.refresh();
        // an event that lasts is logged once
        now.stream().filter(event -> !events.contains(event)).forEach(event -> LOG.warn("{}", event));
        events = now;
    }

    /** What was wrong with the rules when they were applied last; empty where nothing was. */
    public List<Problem> problems() {
        return problems;
    }

    /**
     * Rules that are left out because they broke after they were made, and why. Asks the database; empty before it is opened and after a stop.
     */
    public Map<String, String> broken() throws SQLException {
        RuleTable asked;
        synchronized (this) {
            asked = started ? table : null;
        }
        return asked == null ? Map.of() : asked.broken();
    }

    /** To be told what was hit. */
    public Hits hits() {
        return hits;
    }

    /**
     * What is wrong with a file, by itself and for the database. Changes nothing.
     *
     * @param origin whose rules they would be; empty: that is not looked at
     * @param table asked for when the file is there
     * @throws SettingsException where there is no such file
     */
    public static Checked check(CamelContext context, String uri, String origin, Supplier<RuleTable> table)
            throws IOException, SQLException {
        RulesLocation location = new RulesLocation(context, uri);
        String text = location.text()
                .orElseThrow(() -> new SettingsException("%s: there is no such file".formatted(location.shown())));
        RulesFile file = new RulesReader(location.shown()).read(text);
        return new Checked(
                file.rules().size(), sorted(file.problems(), table.get().check(origin, file)));
    }

    /** @param rules how many could be read */
    public record Checked(int rules, List<Problem> problems) {}

    /** How many rules there are and where they are from, in the words of the start. */
    public synchronized String summary() {
        try {
            String origin = origin();
            RuleTable.Enabled enabled = table.enabled(origin);
            List<String> parts = new ArrayList<>();
            if (!origin.isEmpty()) {
                boolean missing = applied != null && applied.isEmpty();
                parts.add("%d from %s%s".formatted(enabled.ofOrigin(), shown(), missing ? ", which is not there" : ""));
            }
            if (enabled.others() > 0) {
                parts.add("%d %s".formatted(enabled.others(), origin.isEmpty() ? "made by SQL" : "from elsewhere"));
            }
            List<Problem> wrong = problems;
            if (!wrong.isEmpty()) {
                // a rule with two mistakes is one wrong rule
                parts.add("%d wrong: see above"
                        .formatted(wrong.stream()
                                .map(p -> p.rule() == null ? p.line() : p.rule())
                                .distinct()
                                .count()));
            }
            return parts.isEmpty()
                    ? "none: set rowbell.rules.file, or write to rowbell.rule"
                    : String.join(", ", parts);
        } catch (SQLException e) {
            return "could not be counted: " + Errors.inWords(e);
        }
    }

    /** The file as people write it; the database has the rules that it made under this name. Empty where there is none. */
    private String origin() {
        return settings.text("rowbell.rules.file").replaceFirst("^file:", "");
    }

    private String shown() {
        return location == null ? "" : location.shown();
    }

    /** Empty where there is no such file; what cannot be read is a problem, and null. */
    private Optional<String> text() {
        String setting = origin();
        try {
            location = new RulesLocation(context, setting);
            Optional<String> text = location.text();
            if (text.isEmpty() && !instead.isEmpty() && setting.equals(SHIPPED)) {
                location = new RulesLocation(context, instead);
                text = location.text();
            }
            return text;
        } catch (IOException e) {
            report(List.of(new Problem(shown(), 0, null, null, "cannot be read: " + Errors.inWords(e), "")));
            return null;
        }
    }

    /** Only what has stayed the same for a second is applied: a file may be seen while it is half written. */
    private synchronized void reload() throws SQLException {
        Optional<String> now = text();
        if (now == null || now.equals(applied)) {
            seen = now;
        } else if (!now.equals(seen)) {
            seen = now;
        } else {
            apply(now);
            if (now.isPresent()) {
                LOG.info("rules: {}", summary());
            }
        }
    }

    private void apply(Optional<String> text) throws SQLException {
        String origin = origin();
        if (text == null) {
            return;
        }
        if (text.isEmpty()) {
            applied = text;
            LOG.warn(
                    "rowbell.rules.file={}: there is no such file; the rules in the database stay as they are", origin);
            problems = List.of();
            return;
        }
        RulesFile file = new RulesReader(shown()).read(text.get());
        try {
            // where the file moved from the jar to the directory, its rules stay the same
            report(sorted(file.problems(), file.readable() ? table.apply(origin, file) : List.of()));
            applied = text;
        } catch (SQLException e) {
            List<Problem> unapplied = new ArrayList<>(file.problems());
            unapplied.add(new Problem(
                    shown(),
                    0,
                    null,
                    null,
                    "could not be applied: " + Errors.inWords(e),
                    INSUFFICIENT_PRIVILEGE.equals(e.getSQLState())
                            ? "grant rowbell_admin to rowbell.jdbc.user, or set rowbell.rules.file to nothing"
                            : ""));
            report(unapplied);
            throw e;
        }
    }

    private void report(List<Problem> found) {
        List<Problem> before = problems;
        problems = found;
        found.stream().filter(problem -> !before.contains(problem)).forEach(problem -> LOG.error("{}", problem));
    }

    private static List<Problem> sorted(List<Problem> some, List<Problem> others) {
        List<Problem> all = new ArrayList<>(some);
        all.addAll(others);
        all.sort(Comparator.comparingInt(Problem::line));
        return List.copyOf(all);
    }
}
