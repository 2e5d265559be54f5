package dev.rowbell.web;

import dev.rowbell.error.Printable;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

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

    /** What silences compare with a text, in a form that is shown as it is: with a star in the place of all that is not shown. Null is empty. */
    static String pattern(String text) {
        return LOGIN.matcher(Objects.toString(text, ""))
                .replaceAll("*")
                .codePoints()
                .mapToObj(Character::toString)
                .map(one -> Printable.line(one).equals(one) ? one : "*")
                .collect(Collectors.joining());
    }
}
