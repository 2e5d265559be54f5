package dev.rowbell.outbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonMappingException;
import jakarta.mail.MessagingException;
import jakarta.mail.SendFailedException;
import jakarta.mail.internet.InternetAddress;
import java.io.IOException;
import java.net.ConnectException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;
import org.apache.camel.CamelExecutionException;
import org.apache.camel.http.base.HttpOperationFailedException;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.DefaultExchange;
import org.eclipse.angus.mail.smtp.SMTPAddressFailedException;
import org.eclipse.angus.mail.smtp.SMTPSendFailedException;
import org.eclipse.angus.mail.smtp.SMTPSenderFailedException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which failures are the delivery's, and which the sink's. */
class FailureTest {

    private static final Clock NOON = Clock.fixed(Instant.parse("2026-11-23T12:00:00Z"), ZoneOffset.UTC);

    private static Failure of(Throwable thrown) {
        // as Camel wraps what a route throws
        return Failure.of(
                new CamelExecutionException("failed", new DefaultExchange(new DefaultCamelContext()), thrown), NOON);
    }

    private static Failure ofHttp(int status, Map<String, String> headers) {
        return of(new HttpOperationFailedException("https://example.org/s3cret", status, "", null, headers, ""));
    }

    private static SMTPAddressFailedException recipient(String address, int reply) throws Exception {
        return new SMTPAddressFailedException(new InternetAddress(address), "RCPT TO", reply, reply + " no");
    }

    private static MessagingException recipients(SMTPAddressFailedException... failed) {
        SendFailedException all = new SendFailedException("Invalid Addresses");
        for (SMTPAddressFailedException one : failed) {
            all.setNextException(one);
        }
        return new MessagingException("sending failed", all);
    }

    private static void assertRefused(Failure failure) {
        assertTrue(failure.refused(), failure.toString());
        assertFalse(failure.aboutSink(), failure.toString());
    }

    private static void assertSinkIsAway(Failure failure) {
        assertTrue(failure.aboutSink(), failure.toString());
        assertFalse(failure.refused(), failure.toString());
    }

    @ParameterizedTest
    @ValueSource(ints = {301, 400, 401, 404, 410, 413, 422})
    void aRequestThatTheReceiverWillNeverTakeIsRefused(int status) {
        assertRefused(ofHttp(status, Map.of("Retry-After", "60")));
        assertEquals(Duration.ZERO, ofHttp(status, Map.of("Retry-After", "60")).notBefore());
    }

    @ParameterizedTest
    @ValueSource(ints = {408, 425, 429, 500, 502, 503, 504})
    void aReceiverInTroubleOrTooBusyIsTriedAgain(int status) {
        assertSinkIsAway(ofHttp(status, Map.of()));
        assertEquals(Duration.ZERO, ofHttp(status, Map.of()).notBefore());
        assertEquals(Duration.ZERO, ofHttp(status, null).notBefore());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "120                           | PT2M",
                "4.0                           | PT4S",
                "0.25                          | PT0.25S",
                "1.                            | PT1S",
                "' 0 '                         | PT0S",
                "Mon, 23 Nov 2026 12:05:00 GMT | PT5M",
                "Mon, 23 Nov 2026 11:55:00 GMT | PT0S",
                "Monday, 23-Nov-26 12:05:00 GMT | PT5M",
                "Mon Nov 23 12:05:00 2026      | PT5M",
                "Tue Dec  1 12:00:00 2026      | PT192H",
                "-5                            | PT0S",
                "4.0.0                         | PT0S",
                "1e9                           | PT0S",
                "soon                          | PT0S",
                "99999999999999                | PT0S"
            })
    void aReceiverSaysWhenToComeAgain(String retryAfter, Duration wait) {
        assertEquals(wait, ofHttp(503, Map.of("retry-after", retryAfter)).notBefore());
    }

    @Test
    void theErrorNamesTheStatusAndShowsNoSecret() {
        String error = ofHttp(503, Map.of()).error();
        assertTrue(error.contains("503") && !error.contains("s3cret"), error);
    }

    @Test
    void aMailThatTheServerWillNeverTakeIsRefused() throws Exception {
        assertRefused(of(new SMTPSendFailedException("DATA", 552, "552 too big", null, null, null, null)));
        assertRefused(of(new SMTPSenderFailedException(new InternetAddress("a@example.org"), "MAIL FROM", 550, "no")));
        assertRefused(of(recipients(recipient("nobody@example.org", 550))));
    }

    @Test
    void aMailServerThatSaysLaterIsTriedAgain() throws Exception {
        assertSinkIsAway(of(new SMTPSendFailedException("DATA", 451, "451 greylisted", null, null, null, null)));
        assertSinkIsAway(of(recipients(recipient("ops@example.org", 450))));
    }

    @Test
    void oneRecipientThatIsToBeTriedAgainIsReasonEnough() throws Exception {
        assertSinkIsAway(of(recipients(recipient("nobody@example.org", 550), recipient("ops@example.org", 450))));
        assertSinkIsAway(of(recipients(recipient("ops@example.org", 450), recipient("nobody@example.org", 550))));
    }

    /** A setting mends it, and then everything is delivered. */
    @ParameterizedTest
    @ValueSource(ints = {530, 534, 535, 538})
    void aLoginThatIsRefusedIsAboutTheSinkAndNotAboutTheMail(int reply) {
        assertSinkIsAway(of(new SMTPSendFailedException("MAIL", reply, reply + " log in", null, null, null, null)));
    }

    @Test
    void aConnectionThatFailsIsAboutTheSink() {
        assertSinkIsAway(of(new ConnectException("refused")));
        assertSinkIsAway(of(new IOException("disk full")));
        assertSinkIsAway(of(new MessagingException("no answer")));
    }

    @Test
    void aMistakeInARouteOrAnAlertThatCannotBeWrittenIsNeither() {
        for (Exception mistake : new Exception[] {
            new IllegalStateException("bad template"), new JsonMappingException(null, "cannot be written")
        }) {
            Failure failure = of(mistake);
            assertFalse(failure.refused() || failure.aboutSink(), failure.toString());
        }
    }

    @Test
    void aRouteMayRefuseADelivery() {
        assertRefused(of(new DeliveryRefused("no such customer")));
    }
}
