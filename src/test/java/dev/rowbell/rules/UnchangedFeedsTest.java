package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.ManualClock;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class UnchangedFeedsTest {

    private final ManualClock clock = new ManualClock("2026-11-23T08:00:00Z");
    private final UnchangedFeeds feeds = new UnchangedFeeds(clock);

    private List<String> unchanged() {
        return Stream.of("a", "b", "c").filter(feeds::contains).toList();
    }

    private void compareAll() {
        feeds.definedBy(BigDecimal.ONE);
        for (String feed : List.of("a", "b", "c")) {
            feeds.add(feed);
            clock.move(Duration.ofSeconds(1));
        }
    }

    @Test
    void aChangeOfTheDefinitionsHasAllComparedAgain() {
        compareAll();
        feeds.definedBy(BigDecimal.ONE);
        assertEquals(List.of("a", "b", "c"), unchanged());
        feeds.definedBy(BigDecimal.TEN);
        assertEquals(List.of(), unchanged());
    }

    @Test
    void afterTenMinutesTheyAreComparedOneAfterTheOther() {
        compareAll();
        clock.move(Duration.ofMinutes(10).minusSeconds(4));
        feeds.definedBy(BigDecimal.ONE);
        assertEquals(List.of("a", "b", "c"), unchanged());
        clock.move(Duration.ofHours(1));
        feeds.definedBy(BigDecimal.ONE);
        assertEquals(List.of("b", "c"), unchanged());
        feeds.add("a");
        feeds.definedBy(BigDecimal.ONE);
        assertEquals(List.of("a", "c"), unchanged());
    }

    @Test
    void aFeedThatIsGoneIsForgotten() {
        compareAll();
        feeds.retain(Set.of("b"));
        assertEquals(List.of("b"), unchanged());
    }
}
