/**
 * What became of each alert: {@link dev.rowbell.history.History} notes what was routed and what sinks did, in their transactions, and moves it into
 * {@code rowbell.history}.
 */
package dev.rowbell.history;
