/**
 * The outbox between routing and the sinks. {@code OutboxTransaction} files deliveries together with the transaction that routes their alerts;
 * {@code OutboxWorker} leases them, runs the route of the sink and acknowledges them. {@code DeliveryRepository} has the SQL, {@code HandoffQueue}
 * the short way from the one to the other, {@code RetryPolicy}, {@code Circuit} and {@code Failure} decide what follows a failed try.
 */
package dev.rowbell.outbox;
