package dev.rowbell.command;

import dev.rowbell.outbox.DeadLetterRepository;
import java.time.Duration;
import picocli.CommandLine.Option;

/** The options that select dead letters. */
final class DeadLetterFilter {

    @Option(names = "--sink", paramLabel = "NAME", description = "Of this sink.")
    private String sink;

    @Option(names = "--rule", paramLabel = "NAME", description = "Of this rule.")
    private String rule;

    @Option(
            names = "--older-than",
            paramLabel = "DURATION",
            description = "Given up longer ago than this: 30m, 12h, 7d.")
    private Duration olderThan;

    DeadLetterRepository.Filter filter() {
        return new DeadLetterRepository.Filter(sink, rule, olderThan);
    }

    /** Whether no option is given. */
    boolean isEmpty() {
        return sink == null && rule == null && olderThan == null;
    }
}
