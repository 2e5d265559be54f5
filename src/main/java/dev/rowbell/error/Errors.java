package dev.rowbell.error;

import dev.rowbell.settings.SettingsException;
import java.util.regex.Pattern;

/** Says a failure in one line and without secrets. */
public final class Errors {

    private static final int LENGTH = 1000;
    /** What follows the host may be a secret: the address of a web hook is often nothing else. */
    private static final Pattern ADDRESS = Pattern.compile("(https?://)(?:[^/@\\s]*@)?([^/?#\\s]+)\\S*");

    private Errors() {}

    /** What the user can change, where that is the cause; else as {@link #inWords}. */
    public static String forUser(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SettingsException) {
                return cause.getMessage();
            }
        }
        return inWords(failure);
    }

    /** The innermost cause's message, or its class where it has none; one line of at most 1000 characters. */
    public static String inWords(Throwable failure) {
        Throwable cause = failure;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        String name = cause.getClass().getSimpleName();
        String words = cause.getMessage() == null ? name : name + ": " + cause.getMessage();
        String line = words.replaceAll("\\s*[\\p{Cntrl}]+\\s*", " ").strip();
        line = ADDRESS.matcher(line).replaceAll("$1$2/…");
        return line.length() <= LENGTH ? line : line.substring(0, LENGTH - 1) + "…";
    }
}
