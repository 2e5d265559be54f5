package dev.rowbell.outbox;

/**
 * One alert on its way to one sink.
 *
 * @param id the row in {@code rowbell.delivery}
 * @param alertId the {@code id} of the alert, the same on every try
 * @param alert the alert document as JSON
 * @param attempts tries that failed so far
 */
record Delivery(long id, String alertId, String alert, int attempts) {
}
