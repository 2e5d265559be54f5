package dev.rowbell.history;

import java.util.List;
import java.util.Map;

/**
 * An alert that was routed.
 *
 * @param silence what kept it from being sent, as {@link dev.rowbell.silence.Silences} has it; null: nothing
 * @param sinks for which it was filed
 */
public record Routed(Map<String, Object> alert, Long silence, List<String> sinks) {}
