package dev.rowbell.outbox;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.error.Errors;
import dev.rowbell.error.Printable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * What one database transaction files. Alerts are collected while they are routed and written just before the commit, so that a batch costs one
 * round trip however many sinks it goes to. After the commit, sinks of this process are handed their deliveries. For one thread.
 */
final class OutboxTransaction implements TransactionSynchronization {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxTransaction.class);

    /** A row holds fewer alerts than a batch of its sink where they are large: it has to fit into memory several times. */
    private static final int CHARACTERS_AT_MOST = 1 << 20;

    /**
     * An alert for a sink.
     *
     * @param origin the alert as it was taken, the very same object for all that is filed of it
     */
    private record Alert(String sink, String id, String document, Object origin) {}

    private final OutboxComponent outbox;
    private final List<Alert> alerts = new ArrayList<>();
    private final List<NewDeadLetter> deadLetters = new ArrayList<>();
    private final Map<OutboxConsumer, List<NewDelivery>> reserved = new HashMap<>();
    /** Whether an alert that PostgreSQL refuses has been found. */
    private boolean refused;
    /** How many of the alerts were there just before the commit, and are filed with it. */
    private int written;

    private OutboxTransaction(OutboxComponent outbox) {
        this.outbox = outbox;
    }

    /** The one of the thread's transaction. */
    static OutboxTransaction current(OutboxComponent outbox) {
        if (TransactionSynchronizationManager.getResource(outbox) instanceof OutboxTransaction current) {
            return current;
        }
        OutboxTransaction started = new OutboxTransaction(outbox);
        TransactionSynchronizationManager.bindResource(outbox, started);
        TransactionSynchronizationManager.registerSynchronization(started);
        return started;
    }

    /** For which sinks each alert is filed, by the alert as it was taken. */
    Map<Object, List<String>> sinks() {
        Map<Object, List<String>> sinks = new IdentityHashMap<>();
        alerts.forEach(alert -> {
            List<String> own = sinks.computeIfAbsent(alert.origin(), origin -> new ArrayList<>(2));
            if (!own.contains(alert.sink())) {
                own.add(alert.sink());
            }
        });
        return sinks;
    }

    void add(String sink, String alertId, String document, Object origin) {
        alerts.add(new Alert(sink, alertId, document, origin));
    }

    boolean has(String sink, Object origin) {
        return alerts.stream()
                .anyMatch(alert -> alert.origin() == origin && alert.sink().equals(sink));
    }

    /** The alert could not be routed: no sink gets it, also none that it was filed for before it failed. */
    void addDeadLetter(String alertId, String document, String error, Object origin) {
        alerts.removeIf(alert -> alert.origin() == origin);
        deadLetters.add(new NewDeadLetter(null, null, alertId, document, error));
    }

    @Override
    public void beforeCommit(boolean readOnly) {
        written = alerts.size();
        if (outbox.isCareful()) {
            fileOneByOne();
        } else if (!alerts.isEmpty()) {
            try {
                outbox.insert(deliveries());
            } catch (DataAccessException e) {
                if (OutboxComponent.isRefusal(e)) {
                    outbox.startCareful();
                }
                throw e;
            }
        }
        if (!deadLetters.isEmpty()) {
            outbox.insertDead(deadLetters);
        }
    }

    private List<NewDelivery> deliveries() {
        Map<String, List<String>> documents = new LinkedHashMap<>();
        alerts.forEach(alert -> documents
                .computeIfAbsent(alert.sink(), sink -> new ArrayList<>())
                .add(alert.document()));
        List<NewDelivery> deliveries = new ArrayList<>();
        documents.forEach((sink, all) -> {
            OutboxConsumer consumer = outbox.consumer(sink);
            boolean leased = consumer != null && consumer.reserve(all);
            Lease lease = leased ? consumer.newLease() : null;
            List<NewDelivery> own = new ArrayList<>();
            batches(all, consumer == null ? 1 : consumer.batch())
                    .forEach(batch -> own.add(new NewDelivery(UUID.randomUUID(), sink, batch, lease)));
            if (leased) {
                reserved.put(consumer, own);
            }
            deliveries.addAll(own);
        });
        return deliveries;
    }

    private static List<List<String>> batches(List<String> documents, int most) {
        List<List<String>> batches = new ArrayList<>();
        int from = 0;
        int characters = 0;
        for (int i = 0; i < documents.size(); i++) {
            characters += documents.get(i).length();
            if (i > from && (i - from == most || characters > CHARACTERS_AT_MOST)) {
                batches.add(documents.subList(from, i));
                from = i;
                characters = documents.get(i).length();
            }
        }
        batches.add(documents.subList(from, documents.size()));
        return batches;
    }

    /** An alert that PostgreSQL refuses becomes a dead letter, its document as text in the payload; the others are filed. */
    private void fileOneByOne() {
        for (Alert alert : alerts) {
            try {
                outbox.withSavepoint(() -> outbox.insert(
                        List.of(new NewDelivery(UUID.randomUUID(), alert.sink(), List.of(alert.document()), null))));
            } catch (DataAccessException e) {
                if (!OutboxComponent.isRefusal(e)) {
                    throw e;
                }
                refused = true;
                outbox.watchdog()
                        .failures()
                        .failed("filing")
                        .ifPresent(since -> LOG.error(
                                "PostgreSQL refuses to file alert {}, a dead letter now ({}): {}. \"deliveries show\" shows it",
                                Printable.line(alert.id()),
                                since,
                                Errors.inWords(e)));
                String text = alert.document().replace("\\u0000", "");
                deadLetters.add(new NewDeadLetter(
                        null,
                        alert.sink(),
                        alert.id(),
                        AlertJson.write(Map.of("payload", text)),
                        "PostgreSQL refused the document"));
            }
        }
    }

    @Override
    public void suspend() {
        TransactionSynchronizationManager.unbindResourceIfPossible(outbox);
    }

    @Override
    public void resume() {
        TransactionSynchronizationManager.bindResource(outbox, this);
    }

    /** Where the database did not confirm the commit, nothing is handed to a sink. */
    @Override
    public void afterCompletion(int status) {
        TransactionSynchronizationManager.unbindResourceIfPossible(outbox);
        boolean committed = status == STATUS_COMMITTED;
        reserved.forEach((consumer, deliveries) -> {
            List<Delivery> leased = deliveries.stream().map(NewDelivery::leased).toList();
            if (committed) {
                consumer.offer(leased);
            } else {
                consumer.cancel(leased);
            }
        });
        if (committed && written < alerts.size()) {
            // they came later: from what the application does after its commit
            outbox.file(transaction -> transaction.alerts.addAll(alerts.subList(written, alerts.size())));
        }
        if (committed && refused) {
            outbox.endCareful();
        }
        if (committed) {
            alerts.stream()
                    .map(Alert::sink)
                    .distinct()
                    .map(outbox::consumer)
                    .filter(consumer -> consumer != null && !reserved.containsKey(consumer))
                    .forEach(OutboxConsumer::wake);
        }
    }
}
