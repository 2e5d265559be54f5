package dev.rowbell.outbox;

/**
 * One alert to be filed.
 *
 * @param sink where it goes; null where it could not be routed and is dead from the start
 * @param error why it could not be routed; null where it can be delivered
 */
record Filed(String sink, String alertId, String alert, String error) {
}
