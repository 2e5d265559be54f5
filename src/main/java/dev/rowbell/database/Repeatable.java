package dev.rowbell.database;

import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * Marks the transaction of a thread as one that loses nothing where a crash of PostgreSQL undoes it though it was committed: what it took is
 * then there again, and is taken again, under the same ids. Such a transaction need not wait for the disk.
 */
public final class Repeatable implements TransactionSynchronization {

    private Repeatable() {}

    /** The transaction of this thread is one. */
    public static void mark() {
        TransactionSynchronizationManager.registerSynchronization(new Repeatable());
    }

    /** Whether the transaction of this thread is one; false where it has none. */
    public static boolean isMarked() {
        return TransactionSynchronizationManager.isSynchronizationActive()
                && TransactionSynchronizationManager.getSynchronizations().stream()
                        .anyMatch(Repeatable.class::isInstance);
    }
}
