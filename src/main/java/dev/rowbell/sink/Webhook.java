package dev.rowbell.sink;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.alert.Digest;
import dev.rowbell.settings.SettingsException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.camel.Exchange;
import org.apache.camel.Message;

/**
 * The headers by which a receiver identifies and verifies an alert: those of CloudEvents 1.0 in binary mode, and those of Standard
 * Webhooks 1.0. Safe for many threads.
 */
public final class Webhook {

    private static final String PREFIX = "whsec_";
    private static final String TYPE = "dev.rowbell.alert.";
    private static final String ALGORITHM = "HmacSHA256";
    /** Bytes of a key, by Standard Webhooks. */
    private static final int LEAST = 24;

    private static final int MOST = 64;

    private final Supplier<String> secrets;
    private final Clock clock;

    /** @param secrets rowbell.http.secret, asked for each request; empty to sign nothing */
    public Webhook(Supplier<String> secrets, Clock clock) {
        this.secrets = secrets;
        this.clock = clock;
    }

    /**
     * The keys of rowbell.http.secret.
     *
     * @throws SettingsException if a key is not {@code whsec_} and base64 of 24 to 64 bytes; the message does not contain the key
     */
    public static List<byte[]> keys(String secrets) {
        List<byte[]> keys = new ArrayList<>();
        for (String secret : secrets.isBlank() ? new String[0] : secrets.split(",", -1)) {
            byte[] key = decoded(secret.strip());
            if (key.length < LEAST || key.length > MOST) {
                throw new SettingsException(
                        "rowbell.http.secret: write each secret as whsec_ and base64 of %d to %d random bytes, with commas between them"
                                .formatted(LEAST, MOST));
            }
            keys.add(key);
        }
        return keys;
    }

    private static byte[] decoded(String secret) {
        try {
            return secret.startsWith(PREFIX)
                    ? Base64.getDecoder().decode(secret.substring(PREFIX.length()))
                    : new byte[0];
        } catch (IllegalArgumentException e) {
            return new byte[0];
        }
    }

    /** Of an alert in the body: its headers. Of a list of alerts: a batch of events in the JSON format of CloudEvents. */
    @SuppressWarnings("unchecked")
    public void describe(Exchange exchange) {
        Message message = exchange.getMessage();
        Object id;
        if (message.getBody() instanceof List<?> alerts) {
            id = Digest.id((List<Map<String, Object>>) alerts);
            message.setBody(
                    alerts.stream().map(alert -> event((Map<?, ?>) alert)).toList());
            message.setHeader(Exchange.CONTENT_TYPE, "application/cloudevents-batch+json");
        } else {
            Map<?, ?> alert = message.getBody(Map.class);
            id = alert.get("id");
            attributes(alert).forEach((name, value) -> header(message, "ce-" + name, value));
            message.setHeader(Exchange.CONTENT_TYPE, "application/json");
        }
        header(message, "Idempotency-Key", id);
        header(message, "webhook-id", id);
    }

    /** The context attributes of CloudEvents 1.0, without those that the alert has no value for. */
    private static Map<String, Object> attributes(Map<?, ?> alert) {
        Map<String, Object> attributes = new LinkedHashMap<>();
        attributes.put("specversion", "1.0");
        attributes.put("id", alert.get("id"));
        attributes.put("source", alert.get("source"));
        attributes.put("type", TYPE + alert.get("status"));
        attributes.put("subject", alert.get("rule"));
        attributes.put("time", alert.get("time"));
        attributes.values().removeIf(value -> value == null || value.equals(""));
        return attributes;
    }

    /** Sections 2 and 4.3 of the JSON format of CloudEvents 1.0. */
    private static Map<String, Object> event(Map<?, ?> alert) {
        Map<String, Object> event = attributes(alert);
        event.put("datacontenttype", "application/json");
        event.put("data", alert);
        return event;
    }

    /**
     * Turns the body into the bytes that will be sent, as JSON unless a route has made text of it, and signs them if there is a secret.
     */
    public void sign(Exchange exchange) throws GeneralSecurityException {
        Message message = exchange.getMessage();
        byte[] body = message.getBody() instanceof Map || message.getBody() instanceof List
                ? AlertJson.write(message.getBody()).getBytes(StandardCharsets.UTF_8)
                : message.getBody(byte[].class);
        message.setBody(body);
        List<byte[]> keys = keys(secrets.get());
        if (keys.isEmpty()) {
            return;
        }
        String id = message.getHeader("webhook-id", String.class);
        long time = clock.instant().getEpochSecond();
        List<String> signatures = new ArrayList<>();
        for (byte[] key : keys) {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(new SecretKeySpec(key, ALGORITHM));
            mac.update("%s.%d.".formatted(id, time).getBytes(StandardCharsets.UTF_8));
            signatures.add("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body)));
        }
        message.setHeader("webhook-timestamp", String.valueOf(time));
        message.setHeader("webhook-signature", String.join(" ", signatures));
    }

    private static void header(Message message, String name, Object value) {
        if (value != null && !value.toString().isEmpty()) {
            message.setHeader(name, encoded(value.toString()));
        }
    }

    /**
     * Percent-encodes all but printable ASCII, and the blank, the quote and the percent sign, as section 3.1.3.2 of the HTTP binding of
     * CloudEvents 1.0 wants it. So no value of a row can end a header.
     */
    private static String encoded(String value) {
        StringBuilder text = new StringBuilder();
        for (byte b : value.getBytes(StandardCharsets.UTF_8)) {
            if (b > ' ' && b < 0x7f && b != '"' && b != '%') {
                text.append((char) b);
            } else {
                text.append("%%%02X".formatted(b));
            }
        }
        return text.toString();
    }
}
