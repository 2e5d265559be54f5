package dev.rowbell.command;

import dev.rowbell.command.Commands.Limit;
import dev.rowbell.settings.Misspelled;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.silence.SilenceRepository;
import dev.rowbell.silence.SilenceRepository.Added;
import dev.rowbell.silence.SilenceRepository.Shown;
import dev.rowbell.silence.Span;
import java.time.Clock;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** The commands about silences, each a method. */
@Command(name = "silences", description = "Show the silences, add one, now or for later, and end one.")
final class SilencesCommands {

    /** Things that fire and that a new silence is compared with. */
    private static final int COVERED = 10_000;

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Command(
            description =
                    "Show the silences: those in force, then those that are planned, then those that are over; and how many alerts each kept back.")
    int list(
            @Option(
                            names = "--limit",
                            paramLabel = "N",
                            defaultValue = "100",
                            description = "The most silences; default ${DEFAULT-VALUE}.")
                    Limit limit) {
        try (CommandContext context = program.open()) {
            List<Shown> silences = new SilenceRepository(context.dataSource()).list(limit.rows());
            TextTable table = new TextTable(
                    List.of("number", "state", "rule", "feed", "key", "since", "until", "by", "kept back", "why"),
                    silences.stream().map(SilencesCommands::row).toList());
            spec.commandLine().getOut().println(silences.isEmpty() ? "no silences" : table);
            return 0;
        }
    }

    private static List<String> row(Shown silence) {
        return List.of(
                String.valueOf(silence.id()),
                silence.state(),
                Objects.toString(silence.rule(), "any"),
                Objects.toString(silence.feed(), "any"),
                Objects.toString(silence.key(), "any"),
                silence.since(),
                silence.until(),
                silence.who(),
                String.valueOf(silence.silenced()),
                silence.why());
    }

    /** The alerts that a silence covers. */
    static final class Patterns {

        @Option(names = "--rule", paramLabel = "PATTERN", description = "Of these rules; * stands for anything.")
        private String rule;

        @Option(names = "--feed", paramLabel = "PATTERN", description = "Of these feeds.")
        private String feed;

        @Option(names = "--key", paramLabel = "PATTERN", description = "Of these rows, such as id=2.")
        private String key;

        @Option(names = "--all", description = "All alerts.")
        private boolean all;

        /** Why it covers nothing; null where it covers something. */
        private String problem() {
            if (all != Stream.of(rule, feed, key).anyMatch(Objects::nonNull)) {
                return null;
            }
            return all
                    ? "--all excludes --rule, --feed and --key: leave it out"
                    : "say which: some of --rule, --feed and --key, or --all";
        }
    }

    @Command(
            description = "Keep alerts back for a while: they are counted, and not sent then or later.",
            footer = "Exit code 0: done, 2: an argument is wrong.")
    int add(
            @Mixin Patterns patterns,
            @Option(
                            names = "--from",
                            paramLabel = "TIME",
                            defaultValue = "",
                            description =
                                    "When it begins, such as 2026-11-23T08:00, in the time zone of this machine, or 2026-11-23T08:00:00Z; if it is left out, now.")
                    String from,
            @Option(
                            names = "--for",
                            paramLabel = "DURATION",
                            defaultValue = "",
                            description = "How long it lasts, such as 30m, 12h or 7d.")
                    String length,
            @Option(
                            names = "--until",
                            paramLabel = "TIME",
                            defaultValue = "",
                            description = "When it ends, instead of --for.")
                    String until,
            @Option(names = "--why", paramLabel = "TEXT", required = true, description = "Why.") String why) {
        if (patterns.problem() != null) {
            throw new ParameterException(spec.subcommands().get("add"), patterns.problem());
        } else if (why.isBlank()) {
            throw new SettingsException("say why alerts are to be kept back");
        }
        Span span = Span.of(from, until, length, Clock.systemDefaultZone());
        try (CommandContext context = program.open()) {
            SilenceRepository silences = new SilenceRepository(context.dataSource());
            Added added = silences.add(
                    patterns.rule, patterns.feed, patterns.key, span.from(), span.until(), span.length(), null, why);
            int covered = silences.covered(patterns.rule, patterns.feed, patterns.key, COVERED)
                    .size();
            spec.commandLine()
                    .getOut()
                    .println((added.planned()
                                    ? "silence %d is planned; of what fires now it would cover %d%s"
                                    : "silence %d keeps alerts back; of what fires now it covers %d%s")
                            .formatted(added.id(), covered, covered == COVERED ? " or more" : ""));
            // others raise alerts too, of rules that are not here
            if (covered == 0) {
                warnOfUnknown("has this name", patterns.rule, silences.rules());
                warnOfUnknown("is of this feed", patterns.feed, silences.feeds());
            }
            return 0;
        }
    }

    private void warnOfUnknown(String has, String pattern, Set<String> known) {
        if (pattern != null && !SilenceRepository.coversAny(pattern, known)) {
            spec.commandLine()
                    .getErr()
                    .println("rowbell: no rule %s now%s"
                            .formatted(
                                    has,
                                    new Misspelled(pattern)
                                            .nearest(known)
                                            .map("; did you mean %s?"::formatted)
                                            .orElse("")));
        }
    }

    @Command(
            description = "End a silence that is in force, or remove one that is planned.",
            footer = "Exit code 0: done, 1: no silence of this number is in force or planned.")
    int end(@Parameters(paramLabel = "NUMBER", description = "As silences list shows it.") long number) {
        try (CommandContext context = program.open()) {
            Optional<Boolean> begun = new SilenceRepository(context.dataSource()).end(number);
            if (begun.isEmpty()) {
                spec.commandLine().getErr().println("rowbell: no silence " + number + " is in force or planned");
                return Commands.WRONG;
            }
            spec.commandLine()
                    .getOut()
                    .println("silence %d %s".formatted(number, begun.get() ? "has ended" : "will not begin"));
            return 0;
        }
    }
}
