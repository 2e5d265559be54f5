package dev.rowbell.feedback;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.sql.Timestamp;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TakenTest {

    private static Timestamp at(int micros) {
        return Timestamp.from(Instant.parse("2026-11-23T08:00:00Z").plusNanos(micros * 1000L));
    }

    private static Taken taken(Object... times) {
        Taken taken = new Taken();
        Arrays.stream(times).forEach(time -> taken.add(time, Map.of("time", String.valueOf(time))));
        return taken;
    }

    private static List<String> times(Object... times) {
        return Arrays.stream(times).map(String::valueOf).toList();
    }

    private static List<String> routed(Taken taken) {
        return taken.documents().stream()
                .map(document -> (String) document.get("time"))
                .toList();
    }

    /** All of one second, in which a Timestamp is after no other if it is asked as a Date. */
    @Test
    void microsecondsCount() {
        Taken taken = taken(at(3), at(900_001), at(2), at(900_000));
        assertEquals(false, taken.isOrdered());
        assertEquals(times(at(2), at(3), at(900_000), at(900_001)), routed(taken));
        assertEquals(at(900_001), taken.newest());
        assertEquals(true, taken(at(2), at(2), at(3)).isOrdered());
    }

    @Test
    void whatHasNoTimeIsFirst() {
        Taken taken = taken(at(2), null, at(1));
        assertEquals(times(null, at(1), at(2)), routed(taken));
        assertEquals(at(2), taken.newest());
        assertNull(taken(null, null).newest());
    }

    /** The newest is then the last, of which the next look makes what it can. */
    @Test
    void timesOfWhichNoOrderIsKnownStayAsTheyCame() {
        Taken taken = taken("b", "a");
        assertEquals(true, taken.isOrdered());
        assertEquals("a", taken.newest());
    }
}
