package dev.rowbell.web;

import freemarker.template.Configuration;
import freemarker.template.DefaultObjectWrapper;
import freemarker.template.SimpleScalar;
import freemarker.template.TemplateModel;
import freemarker.template.TemplateModelException;

/** Makes a {@link ShownText} of every text that a template gets. */
final class TemplateText extends DefaultObjectWrapper {

    private static final int LENGTH = 1000;
    private static final int LONG = 50_000;

    TemplateText() {
        super(Configuration.VERSION_2_3_34);
    }

    @Override
    public TemplateModel wrap(Object object) throws TemplateModelException {
        if (object instanceof ShownText.Lines lines) {
            return new SimpleScalar(ShownText.shown(lines.text(), LONG));
        }
        return object instanceof CharSequence text
                ? new SimpleScalar(ShownText.shown(text.toString(), LENGTH))
                : super.wrap(object);
    }
}
