/**
 * Work that is done now and then in the database: each package registers its tasks with {@link dev.rowbell.housekeeping.Housekeeping}. {@link
 * dev.rowbell.housekeeping.FailureLog} logs a failure once, however often its task is tried again.
 */
package dev.rowbell.housekeeping;
