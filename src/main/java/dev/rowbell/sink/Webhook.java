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
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.camel.Exchange;
import org.apache.camel.Message;

/**
 * The headers by which a receiver knows an alert and can trust it: those of CloudEvents 1.0 in binary mode, and of Standard Webhooks 1.0.
 * Safe for many threads.
 */
public final class Webhook {

    private static final String PREFIX = "whsec_";
    private static final String TYPE = "dev.rowbell.alert.";
    private static final String ALGORITHM = "HmacSHA256";
    /** Of a key, by Standard Webhooks. */
    private static final int LEAST = 24;

    private static final int MOST = 64;

    private final Supplier<String> secrets;
    private final Clock clock;

    /** @param secrets rowbell.http.secret, asked for each request; empty where nothing is signed */
    public Webhook(Supplier<String> secrets, Clock clock) {
        this.secrets = secrets;
        this.clock = clock;
    }

    /**
     * The keys of rowbell.http.secret.
     *
     * @throws SettingsException where one is not written as {@code whsec_} and base64 of 24 to 64 bytes; it does not show it
     */
    public static List<byte[]> keys(String secrets) {
        List<byte[]> keys = new ArrayList<>();
        for (String secret : secrets.isBlank() ? new String[0] : secrets.split(",")) {
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

    /** The body is the alert: its ce- headers. Or a list of alerts, which becomes a batch of events in the JSON format of CloudEvents. */
    @SuppressWarnings("unchecked")
    public void describe(Exchange exchange) {
        Message message = exchange.getMessage();
        if (message.getBody() instanceof List<?> alerts) {
            message.setBody(
                    alerts.stream().map(alert -> event((Map<?, ?>) alert)).toList());
            String id = Digest.id((List<Map<String, Object>>) alerts);
            header(message, "Idempotency-Key", id);
            header(message, "webhook-id", id);
            message.setHeader(Exchange.CONTENT_TYPE, "application/cloudevents-batch+json");
            return;
        }
        message.setHeader(Exchange.CONTENT_TYPE, "application/json");
        Map<?, ?> alert = message.getBody(Map.class);
        header(message, "ce-specversion", "1.0");
        header(message, "ce-id", alert.get("id"));
        header(message, "ce-source", alert.get("source"));
        header(message, "ce-type", TYPE + alert.get("status"));
        header(message, "ce-subject", alert.get("rule"));
        header(message, "ce-time", alert.get("time"));
        header(message, "Idempotency-Key", alert.get("id"));
        header(message, "webhook-id", alert.get("id"));
    }

    /** Sections 2 and 4.3 of the JSON format of CloudEvents 1.0. */
    private static Map<String, Object> event(Map<?, ?> alert) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("specversion", "1.0");
        event.put("id", alert.get("id"));
        event.put("source", alert.get("source"));
        event.put("type", TYPE + alert.get("status"));
        event.put("subject", alert.get("rule"));
        event.put("time", alert.get("time"));
        event.put("datacontenttype", "application/json");
        event.put("data", alert);
        event.values().removeIf(value -> value == null || value.equals(""));
        return event;
    }

    /**
     * What {@link #describe} left becomes JSON, as the bytes that will be sent; what a route has made text of already stays as it is. Then the signature
     * over it, where there is a secret.
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
     * As the HTTP binding of CloudEvents 1.0 has it (section 3.1.3.2): what is not printable ASCII, the blank, the quote and the percent sign
     * become percent and the hexadecimal of their UTF-8. So nothing that a row holds can end a header.
     */
    private static String encoded(String value) {
        return isPlain(value)
                ? value
                : value.codePoints()
                        .mapToObj(c -> isPlain(c)
                                ? Character.toString(c)
                                : percent(Character.toString(c).getBytes(StandardCharsets.UTF_8)))
                        .collect(Collectors.joining());
    }

    /** As nearly every value is. */
    private static boolean isPlain(String value) {
        for (int i = 0; i < value.length(); i++) {
            if (!isPlain(value.charAt(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean isPlain(int c) {
        return c > ' ' && c < 0x7f && c != '"' && c != '%';
    }

    private static String percent(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) {
            text.append("%%%02X".formatted(b));
        }
        return text.toString();
    }
}
