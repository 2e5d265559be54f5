package dev.rowbell.command;

import dev.rowbell.database.Checkup.Finding;
import dev.rowbell.error.Printable;
import dev.rowbell.rules.Explanation;
import dev.rowbell.rules.RuleRepository;
import dev.rowbell.rules.RuleState;
import dev.rowbell.rules.Rules;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Says why a rule fires for a row, or does not, and what became of an alert. */
@Command(
        name = "explain",
        description = "Say why a rule fires for a row, or does not, and what became of an alert.",
        footer = "Exit code 0: nothing is wrong, 1: something is, 2: an argument is wrong.")
final class ExplainCommand implements Callable<Integer> {

    /** As the ids of the alerts that Rowbell makes. */
    private static final String UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";

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
    public Integer call() throws IOException {
        try (CommandContext context = program.open()) {
            RuleRepository rules = new RuleRepository(context.dataSource());
            List<String> names = rules.list().stream().map(RuleState::name).toList();
            List<Finding> findings = new ArrayList<>(refused(context, rules));
            Explanation explanation = new Explanation("", List.of());
            if (names.contains(name)) {
                explanation = rules.explain(name, key);
            } else if (findings.isEmpty()) {
                explanation = key == null ? rules.explainAlert(name) : explanation;
                if (explanation.isEmpty() && key == null && name.matches(UUID)) {
                    explanation = Explanation.NOWHERE;
                } else if (explanation.isEmpty()) {
                    RulesCommands.requireRule(name, names);
                }
            }
            PrintWriter out = spec.commandLine().getOut();
            if (findings.isEmpty()) {
                // else the file is the cause
                out.printf("%s%n", Printable.line(explanation.summary()));
            }
            explanation.details().forEach(detail -> findings.add(new Finding(detail.level(), detail.sentence())));
            return DoctorCommand.print(findings, out);
        }
    }

    /** What is wrong with the rule in the file, so that the one of before runs, or none. */
    private List<Finding> refused(CommandContext context, RuleRepository rules) throws IOException {
        Rules file = new Rules(context.camel(), context.settings());
        return file.isThere()
                ? file.check(null, () -> rules).problems().stream()
                        .filter(problem -> name.equals(problem.rule()))
                        .map(problem -> new Finding("wrong", "it is refused as it stands in " + problem))
                        .toList()
                : List.of();
    }
}
