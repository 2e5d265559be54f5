package dev.rowbell.command;

import dev.rowbell.command.Commands.Limit;
import dev.rowbell.error.Printable;
import dev.rowbell.rules.RuleRepository;
import dev.rowbell.rules.RuleState;
import dev.rowbell.rules.Rules;
import dev.rowbell.settings.Misspelled;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.time.QueryRunner;
import java.io.IOException;
import java.io.PrintWriter;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** The commands about rules, each a method. */
@Command(
        name = "rules",
        description = "Show the rules, their problems and the rows that they would find; disable and enable them.")
final class RulesCommands {

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Command(
            description = "Show the problems of a file of rules, and change nothing.",
            footer = "Exit code 0: no problem, 1: there are problems, 2: a setting or an argument is wrong.")
    int check(
            @Parameters(
                            arity = "0..1",
                            paramLabel = "FILE",
                            description = "The file; if there is none, that of rowbell.rules.file.")
                    String file)
            throws IOException {
        try (CommandContext context = program.open()) {
            Rules.Checked checked = new Rules(context.camel(), context.settings())
                    .check(file, () -> new RuleRepository(context.dataSource()));
            checked.problems().forEach(out()::println);
            if (!checked.problems().isEmpty()) {
                return Commands.WRONG;
            }
            out().println(
                            switch (checked.rules()) {
                                case 0 -> "the file has no rules";
                                case 1 -> "1 rule, all right";
                                default -> checked.rules() + " rules, all right";
                            });
            return 0;
        }
    }

    @Command(description = "Show each rule with its feed, where it comes from, its hits and last failure.")
    int list() {
        try (CommandContext context = program.open()) {
            List<RuleState> rules = new RuleRepository(context.dataSource()).list();
            TextTable table = new TextTable(
                    List.of(
                            "rule",
                            "feed",
                            "severity",
                            "fires",
                            "delivery",
                            "from",
                            "state",
                            "hits",
                            "last hit",
                            "last failure"),
                    rules.stream().map(RulesCommands::row).toList());
            out().println(rules.isEmpty() ? "no rules" : table);
            return 0;
        }
    }

    private static List<String> row(RuleState rule) {
        String state = rule.broken() != null ? "broken" : "on";
        String failure = rule.failure() == null
                ? ""
                : rule.failed() == null ? rule.failure() : rule.failed() + " " + rule.failure();
        return List.of(
                rule.name(),
                rule.feed(),
                rule.severity(),
                rule.fires(),
                rule.delivery(),
                rule.origin(),
                rule.enabled() ? state : ("off " + rule.disabled()).strip(),
                String.valueOf(rule.hits()),
                rule.lastHit() == null ? "" : rule.lastHit(),
                rule.broken() != null ? rule.broken() : failure);
    }

    @Command(
            description = "Disable a rule until it is enabled again, whatever rules.yaml says.",
            footer = "Exit code 0: done, 1: it is disabled already, 2: there is no such rule.")
    int disable(
            @Parameters(paramLabel = "NAME", description = "The name of the rule.") String name,
            @Option(names = "--note", paramLabel = "TEXT", description = "Why.") String note) {
        try (CommandContext context = program.open()) {
            boolean done = new RuleRepository(context.dataSource()).disable(name, note, null);
            out().println(done ? "disabled until it is enabled again" : "it is disabled already");
            return done ? 0 : Commands.WRONG;
        }
    }

    @Command(
            description = "Enable a rule again.",
            footer = "Exit code 0: done, 1: it is enabled already, 2: its file disables it, or there is no such rule.")
    int enable(@Parameters(paramLabel = "NAME", description = "The name of the rule.") String name) {
        try (CommandContext context = program.open()) {
            boolean done = new RuleRepository(context.dataSource()).enable(name);
            out().println(done ? "enabled" : "it is enabled already");
            return done ? 0 : Commands.WRONG;
        }
    }

    @Command(description = "Show who changed which rule when, from what to what, the last change first.")
    int history(
            @Parameters(
                            arity = "0..1",
                            paramLabel = "NAME",
                            description = "The name of the rule; if there is none, all.")
                    String name,
            @Option(
                            names = "--limit",
                            paramLabel = "N",
                            defaultValue = "100",
                            description = "The most changes; default ${DEFAULT-VALUE}.")
                    Limit limit) {
        try (CommandContext context = program.open()) {
            List<List<String>> changes = new RuleRepository(context.dataSource()).history(name, limit.rows());
            out().println(
                            changes.isEmpty()
                                    ? "no changes"
                                    : new TextTable(List.of("at", "by", "application", "rule", "change"), changes));
            return 0;
        }
    }

    @Command(
            description =
                    "Show the rows of the feed that meet the condition of a rule now, or the result of its query, one as JSON a line.")
    int test(
            @Parameters(paramLabel = "NAME", description = "The name of the rule.") String name,
            @Option(
                            names = "--limit",
                            paramLabel = "N",
                            defaultValue = "100",
                            description = "The most rows; default ${DEFAULT-VALUE}.")
                    Limit limit) {
        try (CommandContext context = program.open()) {
            RuleRepository rules = new RuleRepository(context.dataSource());
            List<String> names = rules.list().stream().map(RuleState::name).toList();
            requireRule(name, names);
            Optional<RuleRepository.Query> query = rules.queryOf(name);
            int rows = query.isPresent()
                    ? result(context, query.get(), limit.rows())
                    : rules.test(name, limit.rows(), row -> out().println(Printable.json(row)));
            out().println("%d %s%s"
                    .formatted(
                            rows,
                            rows == 1 ? "row" : "rows",
                            rows == limit.rows() ? " shown, there may be more: --limit" : ""));
            return 0;
        }
    }

    /** @throws SettingsException where no rule has this name, with the one that may have been meant */
    static void requireRule(String name, List<String> names) {
        if (!names.contains(name)) {
            String others = names.isEmpty() ? "there are no rules" : "there are " + String.join(", ", names);
            throw new SettingsException("there is no rule \"%s\"; %s"
                    .formatted(
                            name,
                            new Misspelled(name)
                                    .nearest(names)
                                    .map("did you mean %s?"::formatted)
                                    .orElse(others)));
        }
    }

    /** Prints the rows as the running Rowbell would get them, and returns how many there are. */
    private int result(CommandContext context, RuleRepository.Query query, int limit) {
        try (QueryRunner runner = QueryRunner.of(context.database(), context.settings())) {
            List<String> rows = runner.rows(query.query(), limit, query.settings());
            rows.forEach(row -> out().println(Printable.json(row.replaceAll("[\\r\\n]+", " "))));
            return rows.size();
        } catch (SQLException e) {
            throw new SettingsException("the query failed: " + QueryRunner.inWords(e), e);
        }
    }

    private PrintWriter out() {
        return spec.commandLine().getOut();
    }
}
