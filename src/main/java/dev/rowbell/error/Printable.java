package dev.rowbell.error;

import java.util.function.IntPredicate;

/**
 * Text from elsewhere as a person may read it: without characters that steer a terminal, a log or a mail reader, or that are not seen. These are
 * control characters (also U+0080 to U+009F), line separators, and format characters: those that change the direction of text, have no width, or
 * are tags.
 */
public final class Printable {

    private Printable() {}

    /** On one line: control characters and line ends, with the blanks around them, are one blank; all others are left out. */
    public static String line(String text) {
        return clean(text, c -> false);
    }

    /** The same, cut to so many characters. */
    public static String line(String text, int length) {
        String line = line(text);
        return line.codePointCount(0, line.length()) <= length
                ? line
                : line.substring(0, line.offsetByCodePoints(0, length - 1)) + "…";
    }

    /** As {@link #line(String)}, for a text of several lines, whose line feeds and tabs stay. */
    public static String text(String text) {
        return clean(text.replace("\r\n", "\n"), c -> c == '\n' || c == '\t');
    }

    /** A JSON document, in which they are escaped: it stays the same document. */
    public static String json(String document) {
        if (document.codePoints().allMatch(Printable::isPrintable)) {
            return document;
        }
        StringBuilder printable = new StringBuilder(document.length() + 64);
        document.codePoints().forEach(c -> {
            if (isPrintable(c) || c == '\n' || c == '\r' || c == '\t') {
                printable.appendCodePoint(c);
            } else {
                for (char unit : Character.toChars(c)) {
                    printable.append("\\u%04x".formatted((int) unit));
                }
            }
        });
        return printable.toString();
    }

    private static String clean(String text, IntPredicate kept) {
        if (text.codePoints().allMatch(c -> isPrintable(c) || kept.test(c))) {
            return text;
        }
        StringBuilder clean = new StringBuilder(text.length());
        boolean broken = false;
        for (int at = 0; at < text.length(); ) {
            int c = text.codePointAt(at);
            at += Character.charCount(c);
            if (isPrintable(c) || kept.test(c)) {
                if (broken && c == ' ') {
                    continue;
                } else if (broken && !clean.isEmpty()) {
                    clean.setLength(lengthWithoutBlanks(clean));
                    clean.append(' ');
                }
                broken = false;
                clean.appendCodePoint(c);
            } else {
                broken |= Character.getType(c) != Character.FORMAT;
            }
        }
        return clean.toString();
    }

    private static int lengthWithoutBlanks(StringBuilder text) {
        int length = text.length();
        while (length > 0 && text.charAt(length - 1) == ' ') {
            length--;
        }
        return length;
    }

    private static boolean isPrintable(int c) {
        if (c < 0x7f) {
            return c >= ' ';
        }
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SURROGATE -> false;
            default -> true;
        };
    }
}
