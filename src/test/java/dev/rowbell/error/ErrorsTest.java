package dev.rowbell.error;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class ErrorsTest {

    @Test
    void theInnermostCauseIsSaid() {
        assertEquals(
                "IOException: disk full",
                Errors.inWords(new RuntimeException("outer", new RuntimeException(new IOException("disk full")))));
        assertEquals("NullPointerException", Errors.inWords(new RuntimeException("outer", new NullPointerException())));
    }

    @Test
    void aSettingThatIsWrongIsSaidAloneWhereverItStandsInTheCauses() {
        Exception wrong = new SettingsException("rowbell.jdbc.url: cannot connect", new IOException("refused"));
        assertEquals("rowbell.jdbc.url: cannot connect", Errors.forUser(new RuntimeException(wrong)));
        assertEquals("IOException: refused", Errors.forUser(new RuntimeException(new IOException("refused"))));
    }

    /** The address of a webhook is often its only secret. */
    @Test
    void anAddressIsCutBehindItsHostAndLosesItsLogin() {
        assertEquals(
                "IOException: cannot POST to https://hooks.example.org/… (no route)",
                Errors.inWords(new IOException(
                        "cannot POST to https://bob:s3cret@hooks.example.org/T00/B00?token=s3cret (no route)")));
        assertEquals(
                "IOException: http://10.0.0.1:8080/… failed",
                Errors.inWords(new IOException("http://10.0.0.1:8080/s3cret#s3cret failed")));
    }

    @Test
    void anErrorIsOneLineOfAtMostAThousandCharacters() {
        assertEquals("IOException: one two three", Errors.inWords(new IOException("one\r\n two\n\n\tthree\n")));
        String words = Errors.inWords(new IOException("x".repeat(5000)));
        assertEquals(1000, words.length());
        assertTrue(words.endsWith("x…"));
    }
}
