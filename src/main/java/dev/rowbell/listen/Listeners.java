package dev.rowbell.listen;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Which listeners of this process have a connection, and since when the others have none. Safe for many threads. */
public final class Listeners {

    /** By channels: since when the listener has no connection, by nanoTime; empty where it has one. */
    private final Map<String, Optional<Long>> goneSince = new TreeMap<>();

    synchronized void gone(String channels) {
        goneSince.merge(channels, Optional.of(System.nanoTime()), (before, now) -> before.isPresent() ? before : now);
    }

    /** It listens, or stands by while another process does. */
    synchronized void here(String channels) {
        goneSince.put(channels, Optional.empty());
    }

    synchronized void stopped(String channels) {
        goneSince.remove(channels);
    }

    /** By channels, whether the listener has a connection. */
    public synchronized Map<String, Boolean> state() {
        return goneSince.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, listener -> listener.getValue().isEmpty()));
    }

    /** The listeners without a connection for longer than this, for a person. */
    public synchronized List<String> goneLongerThan(Duration limit) {
        long now = System.nanoTime();
        return goneSince.entrySet().stream()
                .filter(listener -> listener.getValue().isPresent()
                        && now - listener.getValue().get() > limit.toNanos())
                .map(listener -> "the listener of %s has had no connection for %d s"
                        .formatted(
                                listener.getKey(),
                                Duration.ofNanos(now - listener.getValue().get())
                                        .toSeconds()))
                .toList();
    }
}
