package dev.rowbell.command;

import dev.rowbell.outbox.DeadLetterRepository;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Shows what was given up. */
@Command(
        name = "list",
        mixinStandardHelpOptions = true,
        description = "Show the deliveries that were given up, oldest first.")
final class ListDeliveries implements Callable<Integer> {

    @Mixin
    private Which which;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "100",
            description = "At most so many; ${DEFAULT-VALUE} if it is not said.")
    private int limit;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        try (Visit visit = new Visit()) {
            List<DeadLetterRepository.Letter> letters =
                    new DeadLetterRepository(visit.database().pool()).list(which.filter(), limit);
            Table table = new Table(
                    List.of("number", "sink", "rule", "alert", "attempts", "given up", "last error"),
                    letters.stream().map(ListDeliveries::row).toList());
            spec.commandLine().getOut().println(letters.isEmpty() ? "no dead letters" : table);
            return 0;
        }
    }

    private static List<String> row(DeadLetterRepository.Letter letter) {
        return List.of(
                String.valueOf(letter.id()),
                letter.sink() == null ? "(routing)" : letter.sink(),
                letter.rule() == null ? "" : letter.rule(),
                letter.alertId(),
                String.valueOf(letter.attempts()),
                letter.died(),
                letter.lastError());
    }
}
