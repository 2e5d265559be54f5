package dev.rowbell.command;

import dev.rowbell.firing.FiringRepository;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Acknowledges what a rule fires for. */
@Command(
        name = "acknowledge",
        description =
                "Say that someone takes care of what a rule fires for: its alerts are not sent again until it has ended.",
        footer = "Exit code 0: done, 1: the rule does not fire for that, 2: an argument is wrong.")
final class AcknowledgeCommand implements Callable<Integer> {

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "RULE", description = "The name of the rule.")
    private String rule;

    @Parameters(
            index = "1",
            arity = "0..1",
            paramLabel = "KEY",
            description = "As the command firing shows it, such as id=2; without it, all that the rule fires for.")
    private String key;

    @Option(names = "--note", paramLabel = "TEXT", description = "What is known or done.")
    private String note;

    @Option(names = "--assignee", paramLabel = "NAME", description = "Who takes care of it.")
    private String assignee;

    @Option(names = "--undo", description = "Have its alerts be sent again.")
    private boolean undo;

    @Override
    public Integer call() {
        try (CommandContext context = program.open()) {
            FiringRepository firing = new FiringRepository(context.dataSource());
            long count = undo ? firing.unacknowledge(rule, key) : firing.acknowledge(rule, key, note, assignee);
            spec.commandLine().getOut().println(count + (undo ? " not acknowledged any more" : " acknowledged"));
            return count == 0 ? Commands.WRONG : 0;
        }
    }
}
