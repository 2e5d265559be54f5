package dev.rowbell.outbox;

/**
 * One alert on its way to one sink.
 *
 * @param id the row in {@code rowbell.delivery}; 0 while it is in a bundle
 * @param bundle the row in {@code rowbell.bundle} that it shares with others; 0 where it has one of its own
 * @param alertId the {@code id} of the alert, the same on every try
 * @param alert the alert document as JSON
 * @param time the {@code time} of the alert; null where nobody has looked yet
 * @param attempts tries that failed so far
 */
record Delivery(long id, long bundle, String alertId, String alert, String time, int attempts) {

    boolean isBundled() {
        return bundle != 0;
    }
}
