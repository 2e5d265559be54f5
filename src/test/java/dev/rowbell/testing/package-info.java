/**
 * What tests run Rowbell against: databases ({@link dev.rowbell.testing.TestDatabase}, {@link
 * dev.rowbell.testing.OwnPostgres}), mail and HTTP servers that misbehave as told, and a network that goes
 * silent; and Rowbell itself, in this JVM ({@link dev.rowbell.testing.RunningRowbell}) or as a process ({@link
 * dev.rowbell.testing.Program}).
 */
package dev.rowbell.testing;
