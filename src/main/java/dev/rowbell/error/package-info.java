/**
 * Errors in one line without secrets ({@link dev.rowbell.error.Errors}), when a failure that goes on is logged ({@link
 * dev.rowbell.error.FailureLog}), and the wait before another try ({@link dev.rowbell.error.Backoff}).
 */
package dev.rowbell.error;
