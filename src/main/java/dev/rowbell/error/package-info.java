/** Errors in one line without secrets ({@link dev.rowbell.error.Errors}), and the wait before another try ({@link dev.rowbell.error.Backoff}). */
package dev.rowbell.error;
