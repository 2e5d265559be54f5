package dev.rowbell.sink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.settings.SettingsException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.camel.Exchange;
import org.apache.camel.Message;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.DefaultExchange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The headers and the signature of a request; that others can check it is in DeliveryTest. */
class WebhookTest {

    /** Of the test vector in the specification of Standard Webhooks. */
    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static final Clock CLOCK = Clock.fixed(Instant.ofEpochSecond(1614265330), ZoneOffset.UTC);

    private static String secret(int bytes) {
        return "whsec_" + Base64.getEncoder().encodeToString(new byte[bytes]);
    }

    private static Message message(Object body) {
        Exchange exchange = new DefaultExchange(new DefaultCamelContext());
        exchange.getMessage().setBody(body);
        return exchange.getMessage();
    }

    private static Map<String, Object> alert(String id, String rule) {
        Map<String, Object> alert = new LinkedHashMap<>();
        alert.put("id", id);
        alert.put("rule", rule);
        alert.put("status", "firing");
        alert.put("source", "orders-db");
        alert.put("time", "2026-11-23T08:00:00.123456Z");
        return alert;
    }

    private static Message described(Object body) {
        Message message = message(body);
        new Webhook(() -> "", CLOCK).describe(message.getExchange());
        return message;
    }

    private static Message signed(String secrets, String body) throws Exception {
        Message message = message(body);
        message.setHeader("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        new Webhook(() -> secrets, CLOCK).sign(message.getExchange());
        return message;
    }

    @Test
    void theSignatureIsThatOfTheSpecification() throws Exception {
        Message message = signed(SECRET, "{\"test\": 2432232314}");
        assertEquals("1614265330", message.getHeader("webhook-timestamp"));
        assertEquals("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", message.getHeader("webhook-signature"));
        assertArrayEquals("{\"test\": 2432232314}".getBytes(StandardCharsets.UTF_8), (byte[]) message.getBody());
    }

    @Test
    void everySecretSignsWhileTheyChange() throws Exception {
        String both = (String) signed(SECRET + " , " + secret(24), "x").getHeader("webhook-signature");
        assertEquals(
                List.of(
                        signed(SECRET, "x").getHeader("webhook-signature"),
                        signed(secret(24), "x").getHeader("webhook-signature")),
                List.of(both.split(" ")));
    }

    @Test
    void withoutASecretNothingIsSigned() throws Exception {
        Message message = signed(" ", "x");
        assertNull(message.getHeader("webhook-signature"));
        assertNull(message.getHeader("webhook-timestamp"));
    }

    @Test
    void aSecretHas24To64Bytes() {
        assertEquals(2, Webhook.keys(secret(24) + "," + secret(64)).size());
        assertEquals(List.of(), Webhook.keys(""));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "whsec_",
                "whsec_c2hvcnQ=",
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "whsec_not base64 at all!",
                ",",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,",
                ",whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            })
    void aSecretThatIsNoneIsRefusedAndNotShown(String secrets) {
        SettingsException refused = assertThrows(SettingsException.class, () -> Webhook.keys(secrets));
        assertTrue(refused.getMessage().startsWith("rowbell.http.secret: "), refused.getMessage());
        assertFalse(secrets.length() > 6 && refused.getMessage().contains(secrets), refused.getMessage());
    }

    @Test
    void anAlertIsACloudEvent() {
        Message message = described(alert("a1", "c2-overflow"));
        assertEquals("1.0", message.getHeader("ce-specversion"));
        assertEquals("a1", message.getHeader("ce-id"));
        assertEquals("orders-db", message.getHeader("ce-source"));
        assertEquals("dev.rowbell.alert.firing", message.getHeader("ce-type"));
        assertEquals("c2-overflow", message.getHeader("ce-subject"));
        assertEquals("2026-11-23T08:00:00.123456Z", message.getHeader("ce-time"));
        assertEquals("a1", message.getHeader("webhook-id"));
        assertEquals("a1", message.getHeader("Idempotency-Key"));
        assertEquals("application/json", message.getHeader(Exchange.CONTENT_TYPE));
    }

    /** Section 3.1.3.2 of the HTTP binding of CloudEvents 1.0. */
    @Test
    void nothingInARowCanEndAHeader() {
        Message message = described(alert("a\r\nX-Evil: 1", "50% \"über\" 🚨"));
        assertEquals("a%0D%0AX-Evil:%201", message.getHeader("ce-id"));
        assertEquals("50%25%20%22%C3%BCber%22%20%F0%9F%9A%A8", message.getHeader("ce-subject"));
    }

    @Test
    void anAlertWithoutARuleHasNoSubject() {
        assertNull(described(alert("a1", null)).getHeader("ce-subject"));
        assertNull(described(alert("a1", "")).getHeader("ce-subject"));
    }

    @Test
    void severalAlertsAreABatchOfEventsWithOneIdWhateverTheirOrder() {
        Map<String, Object> one = alert("a1", "r"), other = alert("a2", null);
        Message message = described(List.of(one, other));
        assertEquals("application/cloudevents-batch+json", message.getHeader(Exchange.CONTENT_TYPE));
        assertEquals(described(List.of(other, one)).getHeader("webhook-id"), message.getHeader("webhook-id"));
        List<?> events = message.getBody(List.class);
        assertEquals(
                List.of("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"),
                List.copyOf(((Map<?, ?>) events.get(0)).keySet()));
        assertFalse(((Map<?, ?>) events.get(1)).containsKey("subject"));
        assertEquals(one, ((Map<?, ?>) events.get(0)).get("data"));
    }
}
