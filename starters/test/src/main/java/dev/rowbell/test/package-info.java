/**
 * Tests of rules: {@link dev.rowbell.test.RowbellTest} gives a test class a PostgreSQL with the rules, {@link dev.rowbell.test.WatchedDatabase} says
 * which alerts a write raises.
 */
package dev.rowbell.test;
