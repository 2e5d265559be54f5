package dev.rowbell.alert;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.camel.Exchange;
import org.apache.camel.Expression;
import org.apache.camel.Predicate;
import org.apache.camel.support.LanguageSupport;
import org.apache.camel.support.PredicateToExpressionAdapter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The expression language {@code alert}: conditions on the alert in the body, as <code>severity == 'info'</code>. Each of them takes a tenth of the
 * time of <code>${body[severity]}</code> in Camel's {@code simple}, which was 15 % of a drain (docs/adr/0021). It compares texts only; {@code simple}
 * can do everything else. Safe for many threads.
 *
 * <p>A condition is <code>KEY == 'text'</code>, <code>KEY != 'text'</code>, or <code>KEY</code> alone, which holds where the value is there, not
 * empty and not false. KEY is a key of the alert, or a column, as <code>new[c2]</code>. Several are joined by <code>||</code> or by <code>&&</code>, not by both.
 */
public final class AlertLanguage extends LanguageSupport {

    private static final Logger LOG = LoggerFactory.getLogger(AlertLanguage.class);
    private static final Pattern CONDITION =
            Pattern.compile("\\s*(\\w+)(?:\\[([^]]+)])?\\s*(?:([!=]=)\\s*'([^']*)'\\s*)?(\\|\\||&&|$)");

    /**
     * @param column null for the value of the key itself
     * @param operator null where the value is only to be there
     */
    private record Condition(String key, String column, String operator, String text) {

        boolean holds(Map<?, ?> alert) {
            Object value = AlertJson.peek(alert, key);
            if (column != null) {
                value = value instanceof Map<?, ?> row ? row.get(column) : null;
            }
            if (operator == null) {
                return !(value == null
                        || value.equals("")
                        || value.equals(false)
                        || value instanceof Collection<?> list && list.isEmpty()
                        || value instanceof Map<?, ?> row && row.isEmpty());
            }
            return operator.equals("==") == (value != null && value.toString().equals(text));
        }
    }

    /** @throws IllegalArgumentException where the expression is none of this language, with the place */
    @Override
    public Predicate createPredicate(String expression) {
        List<Condition> conditions = new ArrayList<>();
        String joined = "";
        String operator;
        Matcher next = CONDITION.matcher(expression);
        do {
            if (!next.lookingAt() || !joined.isEmpty() && !List.of(joined, "").contains(next.group(5))) {
                throw new IllegalArgumentException(
                        ("'%s' is no condition on an alert, from '%s' on: write KEY, KEY == 'text' or KEY != 'text', joined by || or by &&,"
                                        + " or use the language simple")
                                .formatted(expression, expression.substring(next.regionStart())));
            }
            Condition condition = new Condition(next.group(1), next.group(2), next.group(3), next.group(4));
            warnOfTypo(condition, expression);
            conditions.add(condition);
            operator = next.group(5);
            joined = joined.isEmpty() ? operator : joined;
            next.region(next.end(), expression.length());
        } while (!operator.isEmpty());
        return predicate(conditions, joined.equals("&&"));
    }

    /** A word that no alert has is no error, since a route may have put it there. */
    private static void warnOfTypo(Condition condition, String expression) {
        if (!AlertKeys.suits(condition.key, null)) {
            LOG.warn(
                    "\"{}\" asks for the key {}, which an alert has only where a route adds it; docs/alerts.md lists the keys",
                    expression,
                    condition.key);
        } else if (condition.column == null
                && condition.text != null
                && List.of("severity", "status").contains(condition.key)
                && !AlertKeys.suits(condition.key, condition.text)) {
            LOG.warn(
                    "\"{}\": no alert has the {} '{}'; docs/alerts.md lists those that there are",
                    expression,
                    condition.key,
                    condition.text);
        }
    }

    private static Predicate predicate(List<Condition> conditions, boolean all) {
        return exchange -> {
            Map<?, ?> alert = alert(exchange);
            for (Condition condition : conditions) {
                if (condition.holds(alert) != all) {
                    return !all;
                }
            }
            return all;
        };
    }

    private static Map<?, ?> alert(Exchange exchange) {
        return exchange.getMessage().getBody() instanceof Map<?, ?> alert ? alert : Map.of();
    }

    /** The condition as an expression, which is true or false. */
    @Override
    public Expression createExpression(String expression) {
        return PredicateToExpressionAdapter.toExpression(createPredicate(expression));
    }
}
