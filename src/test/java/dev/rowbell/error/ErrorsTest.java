package dev.rowbell.error;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.settings.SettingsException;
import java.io.EOFException;
import java.io.IOException;
import java.net.ConnectException;
import java.sql.SQLException;
import org.eclipse.angus.mail.util.MailConnectException;
import org.eclipse.angus.mail.util.SocketConnectException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ErrorsTest {

    @Test
    void theInnermostCauseIsSaid() {
        assertEquals(
                "IOException: disk full",
                Errors.inWords(new RuntimeException("outer", new RuntimeException(new IOException("disk full")))));
        assertEquals("NullPointerException", Errors.inWords(new RuntimeException(new NullPointerException())));
    }

    /** As the driver's, whose cause is an EOFException without a word. */
    @Test
    void aCauseWithoutAMessageIsSaidByTheOneAroundIt() {
        assertEquals(
                "EOFException: An I/O error occurred while sending to the backend",
                Errors.inWords(new RuntimeException(
                        "outer",
                        new SQLException("An I/O error occurred while sending to the backend.", new EOFException()))));
    }

    @Test
    void aSettingThatIsWrongIsSaidAloneWhereverItStandsInTheCauses() {
        Exception wrong = new SettingsException("rowbell.jdbc.url: cannot connect", new IOException("refused"));
        assertEquals("rowbell.jdbc.url: cannot connect", Errors.forUser(new RuntimeException(wrong)));
        assertEquals("IOException: refused", Errors.forUser(new RuntimeException(new IOException("refused"))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"08001", "08006", "08P01", "53300", "57P01", "57P02", "57P03", "57P05", "25006"})
    void aServerThatMayTakeItLaterIsAway(String state) {
        assertTrue(Errors.isDatabaseAway(new RuntimeException(new SQLException("no", state))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"08004", "28P01", "3D000", "42501", "57014", "57P04", "40001", "23505"})
    void aServerThatRefusesIsNotAway(String state) {
        assertFalse(Errors.isDatabaseAway(new SQLException("no", state)));
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

    @Test
    void aMailServerThatCannotBeReachedIsNamed() {
        assertEquals(
                "mail.example.org:26: ConnectException: Connection refused",
                Errors.inWords(new MailConnectException(new SocketConnectException(
                        "refused", new ConnectException("Connection refused"), "mail.example.org", 26, 1000))));
    }
}
