package dev.rowbell.error;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Nothing from a row or a receiver steers what a person reads it with. */
class PrintableTest {

    /** C0, DEL, C1, line and paragraph separator. */
    @ParameterizedTest
    @ValueSource(ints = {0, 7, 9, 0x0a, 0x0d, 0x1b, 0x7f, 0x80, 0x85, 0x90, 0x9b, 0x9d, 0x9f, 0x2028, 0x2029})
    void whatBreaksALineOrSteersATerminalIsABlank(int c) {
        String bad = Character.toString(c);
        assertEquals("a b", Printable.line("a" + bad + "b"));
        assertEquals("a b", Printable.line(bad + "a " + bad + bad + " b" + bad));
    }

    /** Directions, marks and isolates of text; no width; soft hyphen; byte order mark; annotations; a tag. */
    @ParameterizedTest
    @ValueSource(
            ints = {
                0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0x200e, 0x200f, 0x061c, 0x200b,
                0x200c, 0x200d, 0x2060, 0x2064, 0xfeff, 0x00ad, 0x180e, 0xfff9, 0xe0041
            })
    void whatIsNotSeenIsLeftOut(int c) {
        String bad = Character.toString(c);
        assertEquals("ab c", Printable.line("a" + bad + "b c" + bad));
        assertEquals("a\nb", Printable.text("a" + bad + "\nb"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " a  b ", "Größe 订单 🚨 ž שלום é", "a\u00a0b"})
    void textOfAnyLanguageStays(String text) {
        assertEquals(text, Printable.line(text));
        assertEquals(text, Printable.text(text));
        assertEquals(text, Printable.json(text));
    }

    @Test
    void aTextOfSeveralLinesKeepsThem() {
        assertEquals("a\n\tb\nc d", Printable.text("a\r\n\tb\nc\u009bd"));
    }

    @Test
    void aJsonDocumentStaysTheSameDocument() {
        assertEquals(
                "{\n\"a\": \"\\u009b2J\\u202e\\udb40\\udc41 é\"}",
                Printable.json("{\n\"a\": \"\u009b2J\u202e\udb40\udc41 é\"}"));
    }

    @ParameterizedTest
    @CsvSource({"' '", "x", "'a '"})
    void anErrorOfAnyLengthIsShownAtOnce(String text) {
        String endless = text.repeat(1_000_000);
        assertTimeoutPreemptively(
                Duration.ofSeconds(20),
                () -> assertTrue(Errors.inWords(new IOException(endless)).length() <= 1000));
    }
}
