package dev.rowbell.command;

import dev.rowbell.rules.RuleState;
import dev.rowbell.rules.RuleTable;
import dev.rowbell.settings.Misspelled;
import dev.rowbell.settings.SettingsException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Shows which rows a rule would find. */
@Command(
        name = "test",
        mixinStandardHelpOptions = true,
        description = "Show which rows of the table as it stands now meet the condition of a rule, one as JSON a line.")
final class TestRule implements Callable<Integer> {

    @Parameters(paramLabel = "NAME", description = "The name of the rule.")
    private String name;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "100",
            description = "Rows at most; ${DEFAULT-VALUE} if it is not said.")
    private int limit;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        if (limit < 1) {
            throw new ParameterException(spec.commandLine(), "--limit: give a whole number of at least 1");
        }
        PrintWriter out = spec.commandLine().getOut();
        try (Visit visit = new Visit()) {
            RuleTable rules = new RuleTable(visit.database().pool());
            List<String> names = rules.list().stream().map(RuleState::name).toList();
            if (!names.contains(name)) {
                throw new SettingsException("there is no rule \"%s\"; %s"
                        .formatted(
                                name,
                                new Misspelled(name)
                                        .nearest(names)
                                        .map("did you mean %s?"::formatted)
                                        .orElse(
                                                names.isEmpty()
                                                        ? "there are no rules"
                                                        : "there are " + String.join(", ", names))));
            }
            int rows = rules.test(name, limit, out::println);
            out.println("%d %s%s"
                    .formatted(
                            rows,
                            rows == 1 ? "row" : "rows",
                            rows == limit ? " shown, there may be more: --limit" : ""));
            return 0;
        }
    }
}
