/**
 * Rules over time. Open first: {@link dev.rowbell.timer.Timers}; the work is done by {@code R__66_timer.sql}.
 */
package dev.rowbell.timer;
