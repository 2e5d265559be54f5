package dev.rowbell.alert;

import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.camel.Exchange;
import org.apache.camel.Expression;
import org.apache.camel.language.bean.BeanLanguage;
import org.apache.camel.support.ExpressionAdapter;

/**
 * Camel's bean language, which Simple asks anew each time that it evaluates a <code>${body[...]}</code>, with the body and what stands behind its name. Of an
 * alert, <code>[severity]</code> and <code>[new][c2]</code> are looked up here: the two conditions of the shipped route took a quarter of an alert's way through
 * the routes before, and take a tenth of it so. Everything else is Camel's. Safe for many threads.
 */
public final class AlertLanguage extends BeanLanguage {

    /** One or two names that mean to Camel nothing but themselves. */
    private static final Pattern KEYS = Pattern.compile("\\[([A-Za-z_]\\w*)](?:\\[([A-Za-z_]\\w*)])?");

    /** @param properties bean, its type, or what the bean is; see {@link BeanLanguage} */
    @Override
    public Expression createExpression(String expression, Object[] properties) {
        if (expression == null && properties.length == 3 && properties[1] instanceof UnreadAlert alert && properties[2] instanceof String path) {
            Matcher keys = KEYS.matcher(path);
            if (keys.matches()) {
                Object value = alert.get(keys.group(1));
                if (keys.group(2) == null) {
                    return new Known(value);
                } else if (value instanceof Map<?, ?> row) {
                    return new Known(row.get(keys.group(2)));
                }
            }
        }
        return super.createExpression(expression, properties);
    }

    private static final class Known extends ExpressionAdapter {

        private final Object value;

        private Known(Object value) {
            this.value = value;
        }

        @Override
        public Object evaluate(Exchange exchange) {
            return value;
        }
    }
}
