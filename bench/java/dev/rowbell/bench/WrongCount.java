package dev.rowbell.bench;

/** What came out is not what went in: no figure is worth anything then. */
final class WrongCount extends RuntimeException {

    private static final long serialVersionUID = 1L;

    WrongCount(String message) {
        super(message);
    }
}
