/**
 * Rules over time: {@link dev.rowbell.time.Timers} has the database fire rules with {@code for}, by {@code R__66_timer.sql};
 * {@link dev.rowbell.time.QueryLoop} runs the queries of rules when they are due, and {@link dev.rowbell.time.Cron} says when that is. What a result
 * means for the alerts, the database decides: {@code R__67_query.sql}.
 */
package dev.rowbell.time;
