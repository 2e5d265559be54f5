package dev.rowbell.web;

import dev.rowbell.error.Printable;
import java.util.regex.Pattern;

/** A text that somebody reads: cut, without characters that are not seen or change its direction, and without logins in addresses. */
final class ShownText {

    private static final Pattern LOGIN = Pattern.compile("(?<=://)[^/@\\s]{1,500}@");

    private ShownText() {}

    /** A text that is shown at length: one of several lines, or an address. */
    record Lines(String text) {}

    static String shown(String text, int most) {
        String cut = text.length() <= most
                ? text
                : "%s… (the first %,d of %,d characters)".formatted(text.substring(0, most), most, text.length());
        return LOGIN.matcher(Printable.text(cut)).replaceAll("…@");
    }
}
