package dev.rowbell.feedback;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Date;
import java.util.List;
import java.util.Map;

/**
 * What a poll has taken. PostgreSQL gives out rows that it deletes in the order in which they lie in the table, which is nearly always that of their times;
 * to sort them there takes a quarter of the CPU of the whole statement. For one thread.
 */
final class Taken {

    private static final Comparator<Alert> OLDEST_FIRST =
            Comparator.comparing(Alert::moment, Comparator.nullsFirst(Comparator.naturalOrder()));

    private final List<Alert> alerts = new ArrayList<>();
    private Object newest;
    private boolean ordered = true;

    private record Alert(Object time, Map<String, Object> document) {

        /** Null also where a query of the user's makes of the time what no order is known of: those stay as they came. */
        Date moment() {
            return time instanceof Date date ? date : null;
        }
    }

    /** @param time as the driver has it; null where the row has none */
    void add(Object time, Map<String, Object> document) {
        Alert alert = new Alert(time, document);
        ordered &= alerts.isEmpty() || OLDEST_FIRST.compare(alerts.get(alerts.size() - 1), alert) <= 0;
        alerts.add(alert);
        // not after(), which of a Timestamp knows the second
        if (time != null
                && !(newest instanceof Date known && alert.moment() != null && known.compareTo(alert.moment()) > 0)) {
            newest = time;
        }
    }

    /** Whether they came with the oldest first. */
    boolean isOrdered() {
        return ordered;
    }

    /** The time of the newest, as the driver has it; null where none has one. */
    Object newest() {
        return newest;
    }

    /** The documents, the oldest first, to be changed at will. Those of the same time are in the order in which they came. */
    List<Map<String, Object>> documents() {
        List<Map<String, Object>> documents = new ArrayList<>(alerts.size());
        alerts.stream().sorted(OLDEST_FIRST).forEach(alert -> documents.add(alert.document()));
        return documents;
    }
}
