package dev.rowbell.command;

import dev.rowbell.outbox.DeadLetterRepository;
import java.sql.SQLException;
import picocli.CommandLine.Command;

/** Throws some of them away. */
@Command(name = "discard", mixinStandardHelpOptions = true, description = "Throw deliveries away that were given up.")
final class DiscardDeliveries extends SomeDeliveries {

    @Override
    boolean one(DeadLetterRepository letters, long number) throws SQLException {
        return letters.discard(number);
    }

    @Override
    long some(DeadLetterRepository letters, DeadLetterRepository.Filter filter) throws SQLException {
        return letters.discard(filter);
    }

    @Override
    String done() {
        return "thrown away";
    }
}
