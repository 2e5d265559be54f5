package dev.rowbell.command;

import dev.rowbell.command.Commands.Limit;
import dev.rowbell.error.Printable;
import dev.rowbell.outbox.DeadLetterRepository;
import dev.rowbell.outbox.DeadLetterRepository.Filter;
import dev.rowbell.outbox.DeadLetterRepository.Letter;
import dev.rowbell.outbox.SinkRepository;
import dev.rowbell.settings.Misspelled;
import java.util.List;
import java.util.Optional;
import java.util.function.BiPredicate;
import java.util.function.ToLongBiFunction;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** The commands about dead letters and sinks, each a method. */
@Command(
        name = "deliveries",
        description = "Show the deliveries that were given up, send them again or delete them; pause a sink.")
final class DeliveriesCommands {

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Command(description = "Show the deliveries that were given up, oldest first, and the sinks that are paused.")
    int list(
            @Mixin DeadLetterFilter filter,
            @Option(
                            names = "--limit",
                            paramLabel = "N",
                            defaultValue = "100",
                            description = "The most deliveries; default ${DEFAULT-VALUE}.")
                    Limit limit) {
        try (CommandContext context = program.open()) {
            List<Letter> letters = new DeadLetterRepository(context.dataSource()).list(filter.filter(), limit.rows());
            TextTable table = new TextTable(
                    List.of("number", "sink", "rule", "alert", "attempts", "given up", "last error"),
                    letters.stream().map(DeliveriesCommands::row).toList());
            spec.commandLine().getOut().println(letters.isEmpty() ? "no dead letters" : table);
            paused(new SinkRepository(context.dataSource()));
            return 0;
        }
    }

    private static List<String> row(Letter letter) {
        return List.of(
                String.valueOf(letter.id()),
                sink(letter),
                letter.rule() == null ? "" : letter.rule(),
                letter.alertId(),
                String.valueOf(letter.attempts()),
                letter.died(),
                letter.lastError());
    }

    private static String sink(Letter letter) {
        return letter.sink() == null ? "(routing)" : letter.sink();
    }

    @Command(description = "Show one delivery that was given up, with its alert.")
    int show(@Parameters(paramLabel = "NUMBER", description = "As deliveries list shows it.") long number) {
        try (CommandContext context = program.open()) {
            DeadLetterRepository letters = new DeadLetterRepository(context.dataSource());
            Optional<Letter> found = letters.find(number);
            if (found.isEmpty()) {
                return missing(number);
            }
            Letter letter = found.get();
            spec.commandLine()
                    .getOut()
                    .printf(
                            "sink        %s%ngiven up    %s, after %d %s%nlast error  %s%n%s%s%n",
                            Printable.line(sink(letter)),
                            letter.died(),
                            letter.attempts(),
                            letter.attempts() == 1 ? "attempt" : "attempts",
                            Printable.line(letter.lastError()),
                            letters.answer(letter)
                                    .map(answer -> "answer      %s%n".formatted(Printable.line(answer)))
                                    .orElse(""),
                            Printable.json(letter.alert()));
            return 0;
        }
    }

    /** The dead letters that a command changes: those of the numbers, or those that the options select. */
    static final class Selection {

        @Parameters(arity = "0..*", paramLabel = "NUMBER", description = "As deliveries list shows them.")
        private List<Long> numbers = List.of();

        @Mixin
        private DeadLetterFilter filter;

        @Option(names = "--all", description = "All of them.")
        private boolean all;

        /** Why it selects nothing; null where it selects something. */
        private String problem() {
            if (numbers.isEmpty() && filter.isEmpty() && !all) {
                return "say which: numbers, or some of --sink, --rule and --older-than, or --all";
            }
            return Stream.of(!numbers.isEmpty(), !filter.isEmpty(), all)
                                    .filter(given -> given)
                                    .count()
                            > 1
                    ? "numbers, --all, and some of --sink, --rule and --older-than exclude each other: give one of these"
                    : null;
        }
    }

    @Command(description = "Send deliveries that were given up again, with their ids and only to the sink that failed.")
    int retry(@Mixin Selection selection) {
        return change("retry", selection, DeadLetterRepository::retry, DeadLetterRepository::retry, "sent again");
    }

    @Command(description = "Throw deliveries away that were given up, or those that wait for a sink.")
    int discard(
            @Mixin Selection selection,
            @Option(
                            names = "--waiting",
                            description =
                                    "Those that wait for the sink of --sink, such as one whose name was mistyped, and none that was given up.")
                    boolean waiting) {
        if (waiting) {
            return discardWaiting(selection);
        }
        return change(
                "discard", selection, DeadLetterRepository::discard, DeadLetterRepository::discard, "thrown away");
    }

    private int discardWaiting(Selection selection) {
        Filter filter = selection.filter.filter();
        if (!selection.numbers.isEmpty()
                || selection.all
                || filter.sink() == null
                || filter.rule() != null
                || filter.olderThan() != null) {
            throw new ParameterException(
                    spec.subcommands().get("discard"), "--waiting goes with --sink, and with nothing else");
        }
        try (CommandContext context = program.open()) {
            long alerts = new SinkRepository(context.dataSource()).discardWaiting(filter.sink());
            spec.commandLine().getOut().println(alerts + " thrown away");
            return 0;
        }
    }

    private int change(
            String command,
            Selection selection,
            BiPredicate<DeadLetterRepository, Long> changeOne,
            ToLongBiFunction<DeadLetterRepository, Filter> changeSelected,
            String done) {
        if (selection.problem() != null) {
            throw new ParameterException(spec.subcommands().get(command), selection.problem());
        }
        try (CommandContext context = program.open()) {
            DeadLetterRepository letters = new DeadLetterRepository(context.dataSource());
            long count = 0;
            for (long number : selection.numbers) {
                if (changeOne.test(letters, number)) {
                    count++;
                } else {
                    missing(number);
                }
            }
            if (selection.numbers.isEmpty()) {
                count = changeSelected.applyAsLong(letters, selection.filter.filter());
            }
            String sink = selection.filter.filter().sink();
            if (count == 0 && sink != null) {
                warnOfUnknown(sink, new SinkRepository(context.dataSource()).announced());
            }
            spec.commandLine().getOut().println(count + " " + done);
            return count < selection.numbers.size() ? Commands.WRONG : 0;
        }
    }

    @Command(
            description = "Keep all processes from delivering to a sink until it is resumed: its alerts wait.",
            footer = "Exit code 0: it is paused, 1: it was paused before, 2: there is no such sink.")
    int pause(
            @Parameters(paramLabel = "NAME", description = "The name of the sink, as http of outbox:http.") String sink,
            @Option(names = "--note", paramLabel = "TEXT", description = "Why.") String note) {
        try (CommandContext context = program.open()) {
            boolean paused = new SinkRepository(context.dataSource()).pause(sink, note);
            spec.commandLine()
                    .getOut()
                    .println(Printable.line(sink) + (paused ? " is paused: its alerts wait" : " was paused before"));
            return paused ? 0 : Commands.WRONG;
        }
    }

    @Command(
            description = "Have a sink that is paused go on.",
            footer = "Exit code 0: it goes on, 1: it was not paused.")
    int resume(@Parameters(paramLabel = "NAME", description = "The name of the sink.") String sink) {
        try (CommandContext context = program.open()) {
            SinkRepository sinks = new SinkRepository(context.dataSource());
            boolean resumed = sinks.resume(sink);
            spec.commandLine().getOut().println(Printable.line(sink) + (resumed ? " goes on" : " was not paused"));
            if (!resumed) {
                paused(sinks);
            }
            return resumed ? 0 : Commands.WRONG;
        }
    }

    private void paused(SinkRepository sinks) {
        sinks.pauses().forEach(pause -> spec.commandLine().getOut().println(Printable.line(pause.inWords())));
    }

    private void warnOfUnknown(String sink, List<String> known) {
        if (!known.contains(sink)) {
            spec.commandLine()
                    .getErr()
                    .println("rowbell: no running process has a sink %s%s"
                            .formatted(
                                    Printable.line(sink),
                                    new Misspelled(sink)
                                            .nearest(known)
                                            .map("; did you mean %s?"::formatted)
                                            .orElse("")));
        }
    }

    private int missing(long number) {
        spec.commandLine().getErr().println("rowbell: there is no dead letter " + number);
        return Commands.WRONG;
    }
}
