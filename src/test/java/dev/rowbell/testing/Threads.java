package dev.rowbell.testing;

/**
 * The threads of this process. One that ends still runs for an instant after its pool says that it has terminated: wait until the count is the one
 * expected.
 */
public final class Threads {

    private Threads() {}

    /** How many have this text in their names. */
    public static long named(String text) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().contains(text))
                .count();
    }
}
