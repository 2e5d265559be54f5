package dev.rowbell.command;

import dev.rowbell.outbox.DeadLetterRepository;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** What is done to some of the dead letters: those that are named, or those that a filter finds. */
abstract class SomeDeliveries implements Callable<Integer> {

    @Parameters(arity = "0..*", paramLabel = "NUMBER", description = "As deliveries list shows them.")
    private List<Long> numbers = new ArrayList<>();

    @Mixin
    private Which which;

    @Option(names = "--all", description = "All of them.")
    private boolean all;

    @Spec
    private CommandSpec spec;

    /** @return false where there is none of this number */
    abstract boolean one(DeadLetterRepository letters, long number) throws SQLException;

    /** @return how many there were */
    abstract long some(DeadLetterRepository letters, DeadLetterRepository.Filter filter) throws SQLException;

    /** As in {@code 3 sent again}. */
    abstract String done();

    @Override
    public Integer call() throws Exception {
        boolean filtered = all || !which.isAny();
        if (numbers.isEmpty() != filtered || all && !which.isAny()) {
            throw new ParameterException(
                    spec.commandLine(), "say which: numbers, or some of --sink, --rule and --older-than, or --all");
        }
        try (Visit visit = new Visit()) {
            DeadLetterRepository letters =
                    new DeadLetterRepository(visit.database().pool());
            long count = 0;
            for (long number : numbers) {
                if (one(letters, number)) {
                    count++;
                } else {
                    spec.commandLine().getErr().println("rowbell: there is no dead letter " + number);
                }
            }
            if (filtered) {
                count = some(letters, which.filter());
            }
            spec.commandLine().getOut().println(count + " " + done());
            return count < numbers.size() ? Commands.WRONG : 0;
        }
    }
}
