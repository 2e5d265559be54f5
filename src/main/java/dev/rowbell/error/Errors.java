package dev.rowbell.error;

import dev.rowbell.settings.SettingsException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.postgresql.util.PSQLException;

/** Describes an error in one line, without secrets. */
public final class Errors {

    private static final int LENGTH = 1000;
    private static final int READ = 10 * LENGTH;
    /** The path of an address may be a secret: that of a webhook often is. */
    private static final Pattern ADDRESS = Pattern.compile("(https?:(?:\\\\?/){2})(?:[^/@\\s]*@)?([^/?#\\s\\\\]+)\\S*");
    /** Camel's words for an answer that sends elsewhere. A login's page is told where to go on: at the address of the request. */
    private static final Pattern REDIRECT = Pattern.compile("(redirectLocation: )(?!https?:)\\S+");

    /**
     * What a server answers that may take the same later, by SQLSTATE (appendix A of PostgreSQL's manual): no connection, also where the host has
     * no address yet (class 08 but 08004: it has no TLS, or wants a password and there is none), no connection free (53300), an administrator's or a
     * crash's end of the session (57P01, 57P02), a server that starts or stops (57P03), an idle session's end (57P05), a standby (25006).
     */
    private static final Pattern AWAY = Pattern.compile("08(?!004)...|53300|57P0[1235]|25006");

    /** The message of Angus Mail's MailConnectException. */
    private static final Pattern MAIL_SERVER = Pattern.compile("Couldn't connect to host, port: ([^, ]+), (\\d+);");

    private static final String LOST = "08006";
    private static final String FORBIDDEN = "42501";

    private Errors() {}

    /** Whether the database is away for now, so that the same may succeed later. */
    public static boolean isDatabaseAway(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLTransientConnectionException
                    || cause instanceof SQLException sql
                            && AWAY.matcher(String.valueOf(sql.getSQLState())).matches()) {
                return !isWrongTls(cause);
            }
        }
        return false;
    }

    /** A certificate or a key that does not fit, a file of one that is missing: no wait mends that. The driver says it as it says a lost connection. */
    private static boolean isWrongTls(Throwable failure) {
        if (!(failure instanceof PSQLException driver) || driver.getServerErrorMessage() != null) {
            return false;
        }
        Throwable innermost = failure;
        while (innermost.getCause() != null) {
            innermost = innermost.getCause();
        }
        boolean network = innermost instanceof IOException
                && !(innermost instanceof SSLException)
                && !(innermost instanceof FileNotFoundException);
        return LOST.equals(driver.getSQLState()) && (!network || isCausedBy(failure, GeneralSecurityException.class))
                || String.valueOf(driver.getMessage()).contains("sslmode");
    }

    /** The message of the {@link SettingsException} among the causes; without one, {@link #inWords}. */
    public static String forUser(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SettingsException) {
                return cause.getMessage();
            }
        }
        return inWords(failure);
    }

    /**
     * The message of the innermost cause; where it has none, its class and the message of the cause around it that has one. One line of at most 1000
     * characters. Where PostgreSQL refuses something for want of a right, it says what to grant.
     */
    public static String inWords(Throwable failure) {
        Throwable innermost = failure;
        Throwable said = failure;
        while (innermost.getCause() != null && innermost.getCause() != innermost) {
            innermost = innermost.getCause();
            // one that was made of its cause has no message of its own
            boolean own =
                    innermost.getMessage() != null && !innermost.getMessage().isBlank();
            said = own ? innermost : said;
        }
        if (innermost instanceof SQLException refused && FORBIDDEN.equals(refused.getSQLState())) {
            return forbidden(refused);
        }
        String name = innermost.getClass().getSimpleName();
        boolean silent = said.getMessage() == null
                || said != innermost && said.getMessage().equals(innermost.toString());
        String place = Stream.of(place(failure), mailServer(failure))
                .filter(part -> !part.isEmpty())
                .collect(Collectors.joining(": "));
        return limited((place.isEmpty() ? "" : place + ": ") + (silent ? name : name + ": " + withoutRow(said)));
    }

    /** The detail of PostgreSQL's has the row. Rowbell's own pool asks for none, and that of an application may. */
    private static String withoutRow(Throwable said) {
        String detail = said instanceof PSQLException refused && refused.getServerErrorMessage() != null
                ? refused.getServerErrorMessage().getDetail()
                : null;
        return detail == null ? said.getMessage() : said.getMessage().replace(detail, "…");
    }

    /** Of a mail server that cannot be reached, whose name Jakarta Mail says in an outer exception: {@code mail.example.org:25}; empty for none. */
    private static String mailServer(Throwable failure) {
        return Stream.iterate(failure, Objects::nonNull, Throwable::getCause)
                .map(cause -> MAIL_SERVER.matcher(String.valueOf(cause.getMessage())))
                .filter(Matcher::lookingAt)
                .map(found -> found.group(1) + ":" + found.group(2))
                .findFirst()
                .orElse("");
    }

    /** With what to grant: Rowbell's pool has chained it. */
    private static String forbidden(SQLException refused) {
        String grant = refused.getNextException() == null
                ? "grant rowbell_consumer to the role of this connection (rowbell.listen.user or rowbell.jdbc.user)"
                : refused.getNextException().getMessage();
        // without ERROR in the language of the server
        String what = refused.getMessage().lines().findFirst().orElse("").replaceFirst("^\\S+: +", "");
        return limited(what + ": " + grant);
    }

    private static String limited(String text) {
        String line = withoutSecrets(text).replaceFirst("\\.$", "");
        return line.length() <= LENGTH ? line : line.substring(0, LENGTH - 1) + "…";
    }

    /**
     * Says where an error arose, so that {@link #inWords} begins with it. The place is suppressed by the error, whose type and causes stay as they are.
     *
     * @param place not asked for where one is known, which is nearer; empty where none is to be shown
     */
    public static void locate(Throwable failure, Supplier<String> place) {
        if (places(failure).findAny().isEmpty()) {
            failure.addSuppressed(new Place(place.get()));
        }
    }

    private static String place(Throwable failure) {
        return places(failure).findFirst().map(Throwable::getMessage).orElse("");
    }

    private static Stream<Throwable> places(Throwable failure) {
        return Stream.iterate(failure, Objects::nonNull, Throwable::getCause)
                .flatMap(cause -> Arrays.stream(cause.getSuppressed()))
                .filter(Place.class::isInstance);
    }

    private static final class Place extends Exception {

        private static final long serialVersionUID = 1L;

        Place(String place) {
            super(place, null, false, false);
        }
    }

    /** Whether one of this class is among the failure and its causes. */
    public static boolean isCausedBy(Throwable failure, Class<? extends Throwable> type) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (type.isInstance(cause)) {
                return true;
            }
        }
        return false;
    }

    /** The text on one line, each address in it cut to its host. */
    public static String withoutSecrets(String text) {
        // no more than can be shown: a receiver may answer at any length
        String line =
                Printable.line(text.substring(0, Math.min(text.length(), READ))).strip();
        return REDIRECT.matcher(ADDRESS.matcher(line).replaceAll("$1$2/…")).replaceAll("$1…");
    }
}
