package dev.rowbell.outbox;

import com.fasterxml.jackson.core.JacksonException;
import dev.rowbell.error.Errors;
import dev.rowbell.history.Tried;
import jakarta.mail.MessagingException;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.camel.http.base.HttpOperationFailedException;
import org.apache.hc.client5.http.utils.DateUtils;
import org.eclipse.angus.mail.smtp.SMTPAddressFailedException;
import org.eclipse.angus.mail.smtp.SMTPSendFailedException;
import org.eclipse.angus.mail.smtp.SMTPSenderFailedException;
import org.springframework.util.ClassUtils;

/**
 * What a failed try says about the next one.
 *
 * @param error in one line, without secrets
 * @param refused whether the receiver has looked at this delivery and will never take it; nothing is wrong with the sink then
 * @param aboutSink whether it says nothing about what was to be delivered, but that the sink is away
 * @param notBefore the least wait that the receiver asked for; zero where it asked for none
 * @param answer of the receiver; null where it gave none
 */
record Failure(String error, boolean refused, boolean aboutSink, Duration notBefore, Tried.Answer answer) {

    /** 4xx that are about the moment and not about the request: RFC 9110 (408), RFC 8470 (425), RFC 6585 (429). */
    private static final Set<Integer> LATER = Set.of(408, 425, 429);

    /** Replies about who sends, not about what is sent, RFC 4954: mended by a setting, and then all is delivered. */
    private static final Set<Integer> LOGIN = Set.of(530, 534, 535, 538);

    private static final Pattern SECONDS = Pattern.compile("\\d{1,9}(\\.\\d*)?");

    /** An application that embeds the jar may lack either, and then nothing throws such an error. */
    private static final boolean HTTP = isPresent("org.apache.camel.http.base.HttpOperationFailedException");

    private static final boolean MAIL = isPresent("org.eclipse.angus.mail.smtp.SMTPSendFailedException");

    private static boolean isPresent(String type) {
        return ClassUtils.isPresent(type, Failure.class.getClassLoader());
    }

    static Failure of(Throwable thrown, Clock clock) {
        String error = Errors.inWords(thrown);
        // a mail's failure has one for each recipient behind it, chained by next and not by cause
        Deque<Throwable> causes = new ArrayDeque<>();
        causes.add(thrown);
        boolean refused = false;
        boolean away = false;
        int lastReply = 0;
        while (!causes.isEmpty()) {
            Throwable cause = causes.poll();
            if (HTTP && cause instanceof HttpOperationFailedException http) {
                return ofHttp(http, error, clock);
            } else if (cause instanceof DeliveryRefused) {
                return new Failure(error, true, false, Duration.ZERO, null);
            }
            int reply = MAIL ? smtpReply(cause) : 0;
            if (reply >= 400 && reply < 500) {
                // one recipient that is to be tried again is reason enough
                return new Failure(error, false, true, Duration.ZERO, Answers.of(reply, null));
            }
            // of Jackson's what cannot be written is an IOException too
            away |= cause instanceof IOException && !(cause instanceof JacksonException)
                    || MAIL && cause instanceof MessagingException;
            refused |= reply >= 500 && !LOGIN.contains(reply);
            lastReply = reply > 0 ? reply : lastReply;
            if (cause.getCause() != null) {
                causes.add(cause.getCause());
            }
            if (MAIL
                    && cause instanceof MessagingException mail
                    && mail.getNextException() != null
                    && mail.getNextException() != mail.getCause()) {
                causes.add(mail.getNextException());
            }
        }
        return new Failure(
                error, refused, away && !refused, Duration.ZERO, lastReply > 0 ? Answers.of(lastReply, null) : null);
    }

    private static Failure ofHttp(HttpOperationFailedException http, String error, Clock clock) {
        int status = http.getStatusCode();
        boolean refused = status < 500 && !LATER.contains(status);
        return new Failure(
                error,
                refused,
                !refused,
                refused ? Duration.ZERO : retryAfter(http.getResponseHeaders(), clock),
                Answers.of(status, http.getResponseBody()));
    }

    /** Seconds or a date in one of three forms, RFC 9110 section 10.2.3; what cannot be read asks for nothing. */
    private static Duration retryAfter(Map<String, String> headers, Clock clock) {
        String value = headers == null
                ? null
                : headers.entrySet().stream()
                        .filter(header -> header.getKey().equalsIgnoreCase("Retry-After"))
                        .map(Map.Entry::getValue)
                        .findFirst()
                        .orElse(null);
        if (value == null) {
            return Duration.ZERO;
        } else if (SECONDS.matcher(value.strip()).matches()) {
            // some send fractions
            return Duration.ofMillis((long) Math.ceil(1000 * Double.parseDouble(value)));
        }
        DateTimeFormatter[] forms = Stream.of(DateUtils.STANDARD_PATTERNS)
                .map(form -> form.withZone(ZoneOffset.UTC))
                .toArray(DateTimeFormatter[]::new);
        Instant date = DateUtils.parseDate(value.strip().replaceAll(" +", " "), forms);
        Duration wait = date == null ? Duration.ZERO : Duration.between(clock.instant(), date);
        return wait.isNegative() ? Duration.ZERO : wait;
    }

    private static int smtpReply(Throwable cause) {
        if (cause instanceof SMTPSendFailedException failed) {
            return failed.getReturnCode();
        } else if (cause instanceof SMTPAddressFailedException failed) {
            return failed.getReturnCode();
        }
        return cause instanceof SMTPSenderFailedException failed ? failed.getReturnCode() : 0;
    }
}
