package dev.rowbell.bench;

/** Other alerts came out than went in, so no figure means anything. */
final class WrongCount extends RuntimeException {

    private static final long serialVersionUID = 1L;

    WrongCount(String message) {
        super(message);
    }
}
