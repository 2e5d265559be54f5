package dev.rowbell.rules;

import java.math.BigDecimal;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * The feeds whose triggers were as they should be, since when nothing in the database has changed that could make a difference. To compare a feed again
 * compiles all of its rules. For one thread.
 */
final class UnchangedFeeds {

    /** For changes that the definitions do not show. */
    private static final Duration COMPARE_AGAIN = Duration.ofMinutes(10);

    private final Clock clock;
    /** When each was compared. */
    private final Map<String, Instant> compared = new HashMap<>();

    private BigDecimal definitions;

    UnchangedFeeds(Clock clock) {
        this.clock = clock;
    }

    /**
     * Forgets all feeds if the definitions have changed, and else the one that was compared longest ago, if that was ten minutes ago: all of them at a time
     * would take the processor from writers.
     *
     * @param now as {@code rowbell.definitions()} returns them
     */
    void definedBy(BigDecimal now) {
        if (!now.equals(definitions)) {
            compared.clear();
            definitions = now;
        }
        Instant early = clock.instant().minus(COMPARE_AGAIN);
        compared.entrySet().stream()
                .min(Map.Entry.comparingByValue())
                .filter(longest -> !longest.getValue().isAfter(early))
                .ifPresent(longest -> compared.remove(longest.getKey()));
    }

    /** Forgets the feeds that are gone, so that one which is made again is compared. */
    void retain(Set<String> feeds) {
        compared.keySet().retainAll(feeds);
    }

    boolean contains(String feed) {
        return compared.containsKey(feed);
    }

    void add(String feed) {
        compared.put(feed, clock.instant());
    }
}
