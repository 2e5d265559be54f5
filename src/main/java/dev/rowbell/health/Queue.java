package dev.rowbell.health;

import java.time.Duration;

/**
 * One of the queues in the database, at one moment.
 *
 * @param name {@code feedback}, {@code dead_letter}, or {@code outbox:} and the sink
 * @param rows the alerts that wait, counted up to {@link QueueRepository#COUNTED}
 * @param oldest how long the oldest has waited; zero where the queue is empty
 */
public record Queue(String name, long rows, Duration oldest) {

    private static final String OUTBOX = "outbox:";

    public static String nameOf(String sink) {
        return OUTBOX + sink;
    }

    public boolean isOfSink() {
        return name.startsWith(OUTBOX);
    }

    /** Of a queue of a sink, which. */
    public String sink() {
        return name.substring(OUTBOX.length());
    }

    /** Whether there may be more than {@code rows}. */
    public boolean isCountedInPart() {
        return rows >= QueueRepository.COUNTED;
    }
}
