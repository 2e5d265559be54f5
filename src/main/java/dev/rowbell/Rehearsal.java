package dev.rowbell;

import dev.rowbell.alert.AlertId;
import dev.rowbell.alert.AlertReader;
import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.feedback.Doorbell;
import dev.rowbell.history.Routed;
import dev.rowbell.history.RoutingNotes;
import dev.rowbell.outbox.OutboxComponent;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.support.DefaultExchange;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the code that alerts go through after a start, since Java is slow in code that it has not run some hundred times: real polls, which find nothing,
 * and an alert of its own that is read, routed, filed, noted and acknowledged in a transaction that rolls back. No route of the
 * application, no sink and no other session sees that alert, and it is counted nowhere. In a thread of its own, with pauses; a real alert meets a poll
 * under way at most.
 */
final class Rehearsal implements Runnable {

    private static final Logger LOG = LoggerFactory.getLogger(Rehearsal.class);

    /** The start itself comes first. */
    private static final Duration AFTER_START = Duration.ofSeconds(1);

    private static final Duration PAUSE = Duration.ofMillis(3);

    private static final String DOCUMENT = """
            {"id":"%s","rule":"rehearsal","reason":"rehearsal","severity":"warning","status":"firing","table":"rowbell.rehearsal",\
            "operation":"UPDATE","time":"%s","old":{"id":1,"c1":"a","c2":9999},"new":{"id":1,"c1":"a","c2":10000},\
            "channel":"channel_1","key":["id"]}""";

    private final int rounds;
    private final boolean routed;
    private final CamelContext context;
    private final Doorbell doorbell;
    private final AlertReader alerts;
    private final OutboxComponent outbox;
    private final RoutingNotes notes;
    private final Clock clock;
    private final CountDownLatch stop = new CountDownLatch(1);

    /**
     * @param rounds how many alerts are rehearsed
     * @param routed whether they go through {@link RehearsalRoutes}
     */
    Rehearsal(
            int rounds,
            boolean routed,
            CamelContext context,
            Doorbell doorbell,
            AlertReader alerts,
            OutboxComponent outbox,
            RoutingNotes notes,
            Clock clock) {
        this.rounds = rounds;
        this.routed = routed;
        this.context = context;
        this.doorbell = doorbell;
        this.alerts = alerts;
        this.outbox = outbox;
        this.notes = notes;
        this.clock = clock;
    }

    /** Returns at once. */
    void start() {
        Thread thread = new Thread(this, "rowbell rehearsal");
        thread.setDaemon(true);
        thread.start();
    }

    void stop() {
        stop.countDown();
    }

    @Override
    public void run() {
        try {
            if (!stop.await(AFTER_START.toMillis(), TimeUnit.MILLISECONDS)) {
                rehearse();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (Exception e) {
            // the alerts themselves meet the same trouble, and tell it
            LOG.debug("the rehearsal ended early", e);
        }
    }

    private void rehearse() throws Exception {
        if (routed) {
            try (RehearsalRoutes routes =
                    new RehearsalRoutes(context.getApplicationContextClassLoader(), doorbell, outbox::fileRehearsed)) {
                rehearse(routes::ring, routes::route);
            }
        } else {
            rehearse(doorbell::ring, this::file);
        }
    }

    private void rehearse(Runnable bell, Consumer<Map<String, Object>> routing) throws InterruptedException {
        boolean stopped = false;
        for (int round = 0; round < rounds && !stopped; round++) {
            bell.run();
            Map<String, Object> alert = alerts.fromTrigger(DOCUMENT.formatted(AlertId.next(clock), clock.instant()));
            outbox.rehearse(alert, () -> {
                routing.accept(alert);
                notes.note("durable", List.of(new Routed(alert, null, List.of("rehearsal"))));
            });
            stopped = stop.await(PAUSE.toMillis(), TimeUnit.MILLISECONDS);
        }
    }

    private void file(Map<String, Object> alert) {
        Exchange exchange = new DefaultExchange(context);
        exchange.getIn().setBody(alert);
        OriginalAlert.set(exchange, alert);
        outbox.fileRehearsed(exchange);
    }
}
