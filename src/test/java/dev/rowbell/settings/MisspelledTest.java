package dev.rowbell.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class MisspelledTest {

    private static final List<String> KEYS = List.of("name", "feed", "condition", "reason", "severity", "resolved");

    private static Optional<String> nearest(String word) {
        return new Misspelled(word).nearest(KEYS);
    }

    @Test
    void theWordThatWasMeantIsFound() {
        assertEquals(Optional.of("condition"), nearest("conditon"));
        assertEquals(Optional.of("severity"), nearest("severty"));
        assertEquals(Optional.of("resolved"), nearest("resolve"));
        assertEquals(Optional.of("reason"), nearest("REASONS"));
        assertEquals(Optional.of("feed"), nearest("fed"));
    }

    @Test
    void aWordThatResemblesNoneIsNoMisspelling() {
        assertEquals(Optional.empty(), nearest("colour"));
        assertEquals(Optional.empty(), nearest("x"));
        assertEquals(Optional.empty(), nearest(""));
        assertEquals(Optional.empty(), new Misspelled("name").nearest(List.of()));
    }
}
