package dev.rowbell.outbox;

/**
 * A sink's route throws it to say that trying again is of no use: the delivery becomes a dead letter at once. From YAML:
 * {@code - throwException: {exceptionType: dev.rowbell.outbox.DeliveryRefused, message: ...}}.
 */
public final class DeliveryRefused extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** @param message why, in one line and without secrets */
    public DeliveryRefused(String message) {
        super(message);
    }
}
