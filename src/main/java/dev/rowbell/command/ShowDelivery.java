package dev.rowbell.command;

import dev.rowbell.outbox.DeadLetterRepository;
import java.io.PrintWriter;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Shows one of them whole. */
@Command(
        name = "show",
        mixinStandardHelpOptions = true,
        description = "Show one delivery that was given up, with its alert.")
final class ShowDelivery implements Callable<Integer> {

    @Parameters(paramLabel = "NUMBER", description = "As deliveries list shows it.")
    private long number;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws Exception {
        PrintWriter out = spec.commandLine().getOut();
        try (Visit visit = new Visit()) {
            Optional<DeadLetterRepository.Letter> found =
                    new DeadLetterRepository(visit.database().pool()).find(number);
            if (found.isEmpty()) {
                spec.commandLine().getErr().println("rowbell: there is no dead letter " + number);
                return Commands.WRONG;
            }
            DeadLetterRepository.Letter letter = found.get();
            out.println("sink        " + (letter.sink() == null ? "(routing)" : letter.sink()));
            out.println("given up    %s, after %d attempts".formatted(letter.died(), letter.attempts()));
            out.println("last error  " + letter.lastError());
            out.println(letter.alert());
            return 0;
        }
    }
}
