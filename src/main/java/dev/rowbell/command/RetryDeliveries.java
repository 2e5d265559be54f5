package dev.rowbell.command;

import dev.rowbell.outbox.DeadLetterRepository;
import java.sql.SQLException;
import picocli.CommandLine.Command;

/** Sends some of them again. */
@Command(
        name = "retry",
        mixinStandardHelpOptions = true,
        description = "Send deliveries that were given up again, with their ids and only to the sink that failed.")
final class RetryDeliveries extends SomeDeliveries {

    @Override
    boolean one(DeadLetterRepository letters, long number) throws SQLException {
        return letters.retry(number);
    }

    @Override
    long some(DeadLetterRepository letters, DeadLetterRepository.Filter filter) throws SQLException {
        return letters.retry(filter);
    }

    @Override
    String done() {
        return "sent again";
    }
}
