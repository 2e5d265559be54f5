package dev.rowbell.command;

import dev.rowbell.rules.RuleRepository;
import dev.rowbell.rules.RuleState;
import dev.rowbell.settings.Misspelled;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Says why a rule fires for a row, or does not, and where an alert waits. */
@Command(
        name = "explain",
        description = "Say why a rule fires for a row, or does not, and where an alert waits.",
        footer = "Exit code 0: nothing is wrong, 1: something is, 2: an argument is wrong.")
final class ExplainCommand implements Callable<Integer> {

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "NAME", description = "The name of a rule, or the id of an alert.")
    private String name;

    @Parameters(
            index = "1",
            arity = "0..1",
            paramLabel = "KEY",
            description =
                    "The key of a row, such as 2, id=2 or shop=1,item=7; without it, the rule alone is explained.")
    private String key;

    @Override
    public Integer call() {
        try (CommandContext context = program.open()) {
            RuleRepository rules = new RuleRepository(context.dataSource());
            List<String> names = rules.list().stream().map(RuleState::name).toList();
            boolean isAlert = key == null
                    && !names.contains(name)
                    && new Misspelled(name).nearest(names).isEmpty();
            if (!isAlert) {
                RulesCommands.requireRule(name, names);
            }
            return DoctorCommand.print(
                    isAlert ? rules.explainAlert(name) : rules.explain(name, key),
                    spec.commandLine().getOut());
        }
    }
}
