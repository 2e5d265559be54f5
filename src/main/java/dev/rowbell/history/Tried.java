package dev.rowbell.history;

import java.util.List;

/**
 * What became of alerts that went to a sink together.
 *
 * @param alertIds of the alerts
 * @param outcome {@code delivered}, {@code failed} or {@code dead}
 * @param attempt which try it was, from 1; null where nothing was tried
 * @param answer of the receiver; null where it gave none
 * @param error in one line, without secrets; null where it succeeded
 * @param at when, by System.nanoTime
 */
public record Tried(List<String> alertIds, String outcome, Integer attempt, Answer answer, String error, long at) {

    /**
     * What a receiver answered.
     *
     * @param status a number of its protocol; null where it has none
     * @param text without secrets, cut; null where it said nothing
     */
    public record Answer(Integer status, String text) {}
}
