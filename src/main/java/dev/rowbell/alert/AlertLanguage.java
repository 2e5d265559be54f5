package dev.rowbell.alert;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
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

    /** Routes have few paths; one that is put together anew for each alert shall not fill the memory. */
    private static final int MOST = 1000;

    private final Map<String, Keys> paths = new ConcurrentHashMap<>();

    /**
     * What a path asks for.
     *
     * @param first null where it asks for more than keys
     * @param second null where it asks for one
     */
    private record Keys(String first, String second) {

        static Keys of(String path) {
            Matcher keys = KEYS.matcher(path);
            return keys.matches() ? new Keys(keys.group(1), keys.group(2)) : new Keys(null, null);
        }
    }

    /** @param properties bean, its type, or what the bean is; see {@link BeanLanguage} */
    @Override
    public Expression createExpression(String expression, Object[] properties) {
        if (expression == null
                && properties.length == 3
                && properties[1] instanceof UnreadAlert alert
                && properties[2] instanceof String path) {
            Keys keys = keys(path);
            if (keys.first() != null) {
                Object value = alert.get(keys.first());
                if (keys.second() == null) {
                    return new Known(value);
                } else if (value instanceof Map<?, ?> row) {
                    return new Known(row.get(keys.second()));
                }
            }
        }
        return super.createExpression(expression, properties);
    }

    private Keys keys(String path) {
        Keys known = paths.get(path);
        if (known != null) {
            return known;
        }
        Keys keys = Keys.of(path);
        if (paths.size() < MOST) {
            paths.put(path, keys);
        }
        return keys;
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
