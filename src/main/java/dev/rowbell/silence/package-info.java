/**
 * Decides whether an alert is delivered: silences that people set, and the cooldown of its rule. {@link dev.rowbell.silence.Silences} is what
 * routing asks; the tables are behind {@code SilenceRepository}.
 */
package dev.rowbell.silence;
