package dev.rowbell.listen;

import dev.rowbell.alert.AlertId;
import java.time.Clock;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import org.postgresql.PGNotification;

/**
 * A notification that was received.
 *
 * @param id of its alert, unless the payload brings one: made once, so that one that is routed again is the same alert
 */
record Notification(String id, String channel, String payload, Instant arrived) {

    /**
     * @param received just now; null for none, as the driver has it
     * @param echo a channel to leave out
     */
    static List<Notification> of(PGNotification[] received, String echo) {
        Instant now = Instant.now();
        return received == null
                ? List.of()
                : Arrays.stream(received)
                        .filter(one -> !one.getName().equals(echo))
                        .map(one -> new Notification(
                                AlertId.next(Clock.systemUTC()), one.getName(), one.getParameter(), now))
                        .toList();
    }
}
