package dev.rowbell.health;

import java.util.List;

/**
 * What the monitor saw at one moment.
 *
 * @param away why the database does not answer, for a person; empty where it does, and only then the others are known
 * @param brokenRules the rules that are left out, and why, for a person
 * @param notificationQueue how full the server's queue of notifications is, from 0 to 1
 */
public record Snapshot(String away, List<Queue> queues, List<String> brokenRules, double notificationQueue) {

    boolean isUp() {
        return away.isEmpty();
    }
}
