package dev.rowbell.health;

import java.time.Duration;

/**
 * One of the queues in the database, at one moment.
 *
 * @param name {@code feedback}, {@code dead_letter}, or {@code outbox:} and the sink
 * @param rows counted up to {@link QueueTables#COUNTED}
 * @param oldest how long its oldest row has been waiting; zero where it is empty
 */
public record Queue(String name, long rows, Duration oldest) {}
