package dev.rowbell.command;

import dev.rowbell.command.Commands.Limit;
import dev.rowbell.firing.FiringRepository;
import dev.rowbell.firing.FiringRepository.Entry;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Shows what fires now. */
@Command(
        name = "firing",
        description = "Show what fires now, since when and who takes care of it; what began last first.")
final class FiringCommand implements Callable<Integer> {

    @ParentCommand
    private Commands program;

    @Spec
    private CommandSpec spec;

    @Option(names = "--rule", paramLabel = "NAME", defaultValue = "", description = "Of this rule.")
    private String rule;

    @Option(
            names = "--severity",
            paramLabel = "SEVERITY",
            defaultValue = "",
            description = "Of this severity: info, warning or critical.")
    private String severity;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "100",
            description = "The most rows; default ${DEFAULT-VALUE}.")
    private Limit limit;

    @Override
    public Integer call() {
        try (CommandContext context = program.open()) {
            List<Entry> entries = new FiringRepository(context.dataSource())
                    .list(new FiringRepository.Filter(rule, "", severity, ""), limit.rows());
            TextTable table = new TextTable(
                    List.of(
                            "rule",
                            "table",
                            "key",
                            "severity",
                            "since",
                            "last",
                            "times",
                            "acknowledged by",
                            "assignee",
                            "note"),
                    entries.stream().map(FiringCommand::row).toList());
            spec.commandLine().getOut().println(entries.isEmpty() ? "nothing fires" : table);
            return 0;
        }
    }

    private static List<String> row(Entry entry) {
        return List.of(
                Objects.toString(entry.rule(), ""),
                Objects.toString(entry.feed(), ""),
                Objects.toString(entry.key(), ""),
                entry.severity(),
                entry.since(),
                entry.last(),
                String.valueOf(entry.times()),
                Objects.toString(entry.acknowledgedBy(), ""),
                Objects.toString(entry.assignee(), ""),
                Objects.toString(entry.note(), ""));
    }
}
