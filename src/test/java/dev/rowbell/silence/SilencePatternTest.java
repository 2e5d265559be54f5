package dev.rowbell.silence;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which alerts a silence covers. */
class SilencePatternTest {

    @Test
    void aStarStandsForAnything() {
        for (String[] fits : new String[][] {
            {"*", ""},
            {"*", "a\nb"},
            {"a*", "a"},
            {"*a", "ba"},
            {"a*b*c", "abc"},
            {"a*b*c", "axbbxc"},
            {"**", "x"},
            {"a", "a"},
            {"*ab*", "aab"}
        }) {
            assertTrue(Silence.of(1, null, null, fits[0]).covers("r", "f", fits[1]), fits[0] + " " + fits[1]);
        }
        for (String[] not : new String[][] {
            {"", "a"},
            {"a", "ab"},
            {"a*", "ba"},
            {"ab*ba", "aba"},
            {"a*b*a", "ba"},
            {"*b*", "a"},
            {"a.", "ab"},
            {"*ab*b", "ab"}
        }) {
            assertFalse(Silence.of(1, null, null, not[0]).covers("r", "f", not[1]), not[0] + " " + not[1]);
        }
    }

    @Test
    void aFeedIsWrittenAsAlertsShowItOrAsSqlDoes() {
        for (String pattern : List.of(
                "Lager.Artikel-Bestand",
                "\"Lager\".\"Artikel-Bestand\"",
                "\"Lager\".*",
                "Lager.\"Artikel-*\"",
                "*.\"Artikel-Bestand\"")) {
            assertTrue(Silence.of(1, null, pattern, null).covers("r", "Lager.Artikel-Bestand", "k"), pattern);
        }
        for (String table : List.of("public.a\"b", "public.\"a\"", "public.a\"\"b")) {
            assertTrue(Silence.of(1, null, table, null).covers("r", table, "k"), table);
        }
        assertTrue(Silence.of(1, null, "public.\"a\"\"b\"", null).covers("r", "public.a\"b", "k"));
        assertFalse(Silence.of(1, null, "\"Lager\".\"Artikel\"", null).covers("r", "Lager.Artikel-Bestand", "k"));
    }

    /** Anyone can notify: a key of some kB must not hold up routing. */
    @Test
    void aLongKeyIsComparedWithManyStarsAtOnce() {
        Silence silence = Silence.of(1, null, null, "*a*a*a*a*a*b");
        String key = "a".repeat(1_000_000);
        assertFalse(assertTimeoutPreemptively(Duration.ofMinutes(1), () -> silence.covers("r", "f", key)));
        assertTrue(assertTimeoutPreemptively(Duration.ofMinutes(1), () -> silence.covers("r", "f", key + "b")));
    }
}
