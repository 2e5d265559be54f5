package dev.rowbell.outbox;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.springframework.jdbc.UncategorizedSQLException;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * What one database transaction files. It is collected while the alerts of a batch are routed and written by one statement just before the
 * commit, so that a batch costs one round trip however many sinks it goes to; after it, sinks of this process are handed what is theirs. Where
 * the thread has no transaction, each alert is filed at once, and stays filed whatever becomes of the batch. Bound to its thread.
 */
final class Filing implements TransactionSynchronization {

    private final OutboxComponent outbox;
    private final List<Filed> filed = new ArrayList<>();
    private Map<String, OutboxConsumer> promised = Map.of();
    private long leased;
    private List<Delivery> deliveries = List.of();

    private Filing(OutboxComponent outbox) {
        this.outbox = outbox;
    }

    static void file(OutboxComponent outbox, Filed alert) {
        if (TransactionSynchronizationManager.isSynchronizationActive()) {
            current(outbox).filed.add(alert);
        } else {
            Filing alone = new Filing(outbox);
            alone.filed.add(alert);
            boolean done = false;
            try {
                alone.write();
                done = true;
            } finally {
                alone.end(done);
            }
        }
    }

    /** The alert goes to no sink of this transaction after all: what was filed of it before it failed is taken back. */
    static void withdraw(OutboxComponent outbox, Object origin) {
        if (TransactionSynchronizationManager.getResource(outbox) instanceof Filing filing) {
            filing.filed.removeIf(f -> f.origin() == origin);
        }
    }

    private static Filing current(OutboxComponent outbox) {
        if (TransactionSynchronizationManager.getResource(outbox) instanceof Filing filing) {
            return filing;
        }
        Filing filing = new Filing(outbox);
        TransactionSynchronizationManager.bindResource(outbox, filing);
        TransactionSynchronizationManager.registerSynchronization(filing);
        return filing;
    }

    @Override
    public void beforeCommit(boolean readOnly) {
        if (!filed.isEmpty()) {
            write();
        }
    }

    @Override
    public void afterCompletion(int status) {
        TransactionSynchronizationManager.unbindResourceIfPossible(outbox);
        end(status == STATUS_COMMITTED);
    }

    private void write() {
        Map<String, Integer> sizes = new HashMap<>();
        living().forEach(f -> sizes.merge(f.sink(), 1, Integer::sum));
        promised = outbox.promise(sizes);
        leased = System.nanoTime();
        try {
            Map<String, DeliveryTable.Taker> takers = new HashMap<>();
            promised.forEach((sink, consumer) -> takers.put(sink, consumer.taker()));
            deliveries = outbox.table().file(filed, takers, false);
        } catch (SQLException e) {
            throw new UncategorizedSQLException("filing deliveries", null, e);
        }
    }

    /** Whether nobody has anything more to do in the transaction of this thread. */
    private boolean isLast() {
        List<TransactionSynchronization> all = TransactionSynchronizationManager.getSynchronizations();
        return all.get(all.size() - 1) == this;
    }

    /** Dead letters are no deliveries. */
    private Stream<Filed> living() {
        return filed.stream().filter(f -> f.error() == null);
    }

    /** Where the database has said that it did not commit, or has said nothing, nothing is delivered by hand. */
    private void end(boolean committed) {
        Map<String, List<Delivery>> handed = new HashMap<>();
        Map<String, Integer> sizes = new LinkedHashMap<>();
        int place = 0;
        for (Filed f : living().toList()) {
            sizes.merge(f.sink(), 1, Integer::sum);
            if (!deliveries.isEmpty()) {
                handed.computeIfAbsent(f.sink(), sink -> new ArrayList<>()).add(deliveries.get(place++));
            }
        }
        sizes.forEach((sink, size) -> {
            OutboxConsumer taker = promised.get(sink);
            if (taker != null && committed && handed.containsKey(sink)) {
                taker.give(handed.get(sink), leased);
                return;
            }
            if (taker != null) {
                taker.takeBack(size);
            }
            if (committed) {
                outbox.wake(sink);
            }
        });
    }
}
