package dev.rowbell.listen;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Which listeners of this process have a connection, and since when the others have none. Safe for many threads. */
public final class Listeners {

    /** By channels: empty where the listener has a connection. */
    private final Map<String, Optional<Gone>> gone = new TreeMap<>();

    /**
     * @param since by nanoTime
     * @param why it will not come back by itself; empty where it may
     */
    private record Gone(long since, String why) {}

    synchronized void gone(String channels, String why) {
        Optional<Gone> before = gone.getOrDefault(channels, Optional.empty());
        gone.put(channels, Optional.of(new Gone(before.map(Gone::since).orElseGet(System::nanoTime), why)));
    }

    /** It listens, or stands by while another process does. */
    synchronized void here(String channels) {
        gone.put(channels, Optional.empty());
    }

    synchronized void stopped(String channels) {
        gone.remove(channels);
    }

    /** By channels, whether the listener has a connection. */
    public synchronized Map<String, Boolean> state() {
        return gone.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, listener -> listener.getValue().isEmpty()));
    }

    /** The listeners without a connection for longer than this, and those that need help at once, for a person. */
    public synchronized List<String> goneLongerThan(Duration limit) {
        long now = System.nanoTime();
        return gone.entrySet().stream()
                .flatMap(listener -> listener
                        .getValue()
                        .filter(state -> !state.why().isEmpty() || now - state.since() > limit.toNanos())
                        .map(state -> state.why().isEmpty()
                                ? "the listener of %s has had no connection for %d s"
                                        .formatted(
                                                listener.getKey(),
                                                Duration.ofNanos(now - state.since())
                                                        .toSeconds())
                                : "the listener of %s hears nothing: %s".formatted(listener.getKey(), state.why()))
                        .stream())
                .toList();
    }
}
