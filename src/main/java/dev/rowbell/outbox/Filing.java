package dev.rowbell.outbox;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;

import org.springframework.jdbc.UncategorizedSQLException;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * What one database transaction files. It is collected while the alerts of a batch are routed and written by one statement just before the
 * commit, so that a batch costs one round trip however many sinks it goes to. Where the thread has no transaction, each alert is filed at
 * once, and stays filed whatever becomes of the batch. Bound to its thread.
 */
final class Filing implements TransactionSynchronization {

    private final DeliveryTable table;
    private final Consumer<String> wake;
    private final List<Filed> filed = new ArrayList<>();

    private Filing(DeliveryTable table, Consumer<String> wake) {
        this.table = table;
        this.wake = wake;
    }

    /** @param wake called with the name of each sink that has something to do, after the commit */
    static void file(DeliveryTable table, Consumer<String> wake, Filed alert) {
        if (TransactionSynchronizationManager.isSynchronizationActive()) {
            current(table, wake).filed.add(alert);
        } else {
            write(table, List.of(alert));
            wake(wake, List.of(alert));
        }
    }

    /** The alert goes to no sink of this transaction after all: what was filed of it before it failed is taken back. */
    static void withdraw(DeliveryTable table, Object origin) {
        if (TransactionSynchronizationManager.getResource(table) instanceof Filing filing) {
            filing.filed.removeIf(f -> f.origin() == origin);
        }
    }

    private static Filing current(DeliveryTable table, Consumer<String> wake) {
        if (TransactionSynchronizationManager.getResource(table) instanceof Filing filing) {
            return filing;
        }
        Filing filing = new Filing(table, wake);
        TransactionSynchronizationManager.bindResource(table, filing);
        TransactionSynchronizationManager.registerSynchronization(filing);
        return filing;
    }

    @Override
    public void beforeCommit(boolean readOnly) {
        if (!filed.isEmpty()) {
            write(table, filed);
        }
    }

    @Override
    public void afterCompletion(int status) {
        TransactionSynchronizationManager.unbindResourceIfPossible(table);
        if (status == STATUS_COMMITTED) {
            wake(wake, filed);
        }
    }

    private static void write(DeliveryTable table, List<Filed> filed) {
        try {
            table.file(filed);
        } catch (SQLException e) {
            throw new UncategorizedSQLException("filing deliveries", null, e);
        }
    }

    private static void wake(Consumer<String> wake, List<Filed> filed) {
        filed.stream().map(Filed::sink).filter(Objects::nonNull).distinct().forEach(wake);
    }
}
