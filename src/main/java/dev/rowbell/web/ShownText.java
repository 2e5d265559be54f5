package dev.rowbell.web;

import dev.rowbell.error.Printable;
import freemarker.template.Configuration;
import freemarker.template.DefaultObjectWrapper;
import freemarker.template.SimpleScalar;
import freemarker.template.TemplateModel;
import freemarker.template.TemplateModelException;
import java.util.regex.Pattern;

/** Every text that a template gets: cut, without characters that are not seen or change its direction, and without logins in addresses. */
final class ShownText extends DefaultObjectWrapper {

    private static final int LENGTH = 1000;
    private static final int LONG = 50_000;
    private static final Pattern LOGIN = Pattern.compile("(?<=://)[^/@\\s]{1,500}@");

    /** A text that is shown at length: one of several lines, or an address. */
    record Lines(String text) {}

    ShownText() {
        super(Configuration.VERSION_2_3_34);
    }

    @Override
    public TemplateModel wrap(Object object) throws TemplateModelException {
        if (object instanceof Lines lines) {
            return new SimpleScalar(shown(lines.text(), LONG));
        }
        return object instanceof CharSequence text
                ? new SimpleScalar(shown(text.toString(), LENGTH))
                : super.wrap(object);
    }

    static String shown(String text, int most) {
        String cut = text.length() <= most
                ? text
                : "%s… (the first %,d of %,d characters)".formatted(text.substring(0, most), most, text.length());
        return LOGIN.matcher(Printable.text(cut)).replaceAll("…@");
    }
}
