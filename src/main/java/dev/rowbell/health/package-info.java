/**
 * What an operator sees: {@link dev.rowbell.health.Metrics} counts and measures, {@link dev.rowbell.health.QueueMonitor} looks at the queues in
 * the database, {@link dev.rowbell.health.ReadyCheck} is a readiness check of Camel's.
 */
package dev.rowbell.health;
