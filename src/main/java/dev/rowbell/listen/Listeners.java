package dev.rowbell.listen;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Which of this process's listeners have their connection, and since when the others have none. Safe for many threads. */
public final class Listeners {

    /** By channels: by nanoTime, since when it has no connection; empty where it has one. */
    private final Map<String, Optional<Long>> since = new TreeMap<>();

    synchronized void gone(String channels) {
        Optional<Long> before = since.get(channels);
        if (before == null || before.isEmpty()) {
            since.put(channels, Optional.of(System.nanoTime()));
        }
    }

    /** It listens, or stands by while another process does. */
    synchronized void here(String channels) {
        since.put(channels, Optional.empty());
    }

    synchronized void stopped(String channels) {
        since.remove(channels);
    }

    /** By channels, whether it is here. */
    public synchronized Map<String, Boolean> state() {
        Map<String, Boolean> state = new TreeMap<>();
        since.forEach((channels, gone) -> state.put(channels, gone.isEmpty()));
        return state;
    }

    /** Those that have been gone for longer, in words. */
    public synchronized List<String> goneLongerThan(Duration limit) {
        List<String> words = new ArrayList<>();
        since.forEach((channels, gone) -> gone.map(at -> Duration.ofNanos(System.nanoTime() - at))
                .filter(time -> time.compareTo(limit) > 0)
                .ifPresent(
                        time -> words.add("nobody has listened to %s for %d s".formatted(channels, time.toSeconds()))));
        return words;
    }
}
