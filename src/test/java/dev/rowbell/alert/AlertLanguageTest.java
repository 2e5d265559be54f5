package dev.rowbell.alert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.LogLines;
import java.util.List;
import java.util.Map;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.DefaultExchange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The conditions of the shipped routes. */
class AlertLanguageTest {

    private static final Map<String, Object> ALERT = Map.of(
            "truncated",
            true,
            "cut",
            false,
            "severity",
            "info",
            "operation",
            "UPDATE",
            "old",
            Map.of(),
            "new",
            Map.of("c2", 5, "a b", ""),
            "changed",
            List.of());

    private final AlertLanguage language = new AlertLanguage();

    private boolean holds(String condition, Object body) {
        DefaultExchange exchange = new DefaultExchange(new DefaultCamelContext());
        exchange.getIn().setBody(body);
        boolean holds = language.createPredicate(condition).matches(exchange);
        assertEquals(holds, language.createExpression(condition).evaluate(exchange, Boolean.class));
        return holds;
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "severity == 'info', true",
                "severity=='warning', false",
                "severity != 'info', false",
                "severity, true",
                "changed, false",
                "old, false",
                "truncated, true",
                "cut, false",
                "missing, false",
                "missing == '', false",
                "missing != 'x', true",
                "new[c2] == '5', true",
                "new[a b], false",
                "new[a b] == '', true",
                "severity[c2], false",
                "operation != 'UPDATE' || changed, false",
                "operation != 'UPDATE' || changed || severity == 'info', true",
                "operation == 'UPDATE' && severity == 'info', true",
                "operation == 'UPDATE' && changed && severity, false",
                "severity == 'a || b', false",
            })
    void aConditionHoldsOrNot(String condition, boolean holds) {
        assertEquals(holds, holds(condition, ALERT));
    }

    @Test
    void aWordThatNoAlertHasIsSaidWhenTheRouteStarts() {
        try (LogLines log = new LogLines(AlertLanguage.class.getName())) {
            language.createPredicate("operation != 'UPDATE' || changed || new[severty] == 'critcal' || severity");
            assertEquals(List.of(), log.lines());
            language.createPredicate("rule == 'a' && severty == 'info'");
            language.createPredicate("severity == 'critcal'");
            language.createPredicate("status == 'fired'");
            assertEquals(
                    List.of(
                            "WARN \"rule == 'a' && severty == 'info'\" asks for the key severty, which an alert has only where"
                                    + " a route adds it; docs/alerts.md lists the keys",
                            "WARN \"severity == 'critcal'\": no alert has the severity 'critcal'; docs/alerts.md lists those that there are",
                            "WARN \"status == 'fired'\": no alert has the status 'fired'; docs/alerts.md lists those that there are"),
                    log.lines());
        }
    }

    @Test
    void aBodyThatIsNoAlertHasNoValues() {
        assertEquals(false, holds("severity", "text"));
        assertEquals(true, holds("severity != 'info'", null));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "severity == info",
                "severity > '5'",
                "a && b || c",
                "a ||",
                "|| a",
                "${body[severity]} == 'info'"
            })
    void whatIsNoConditionIsRefusedWithTheFormThatIs(String condition) {
        String message = assertThrows(IllegalArgumentException.class, () -> language.createPredicate(condition))
                .getMessage();
        assertTrue(
                message.startsWith("'" + condition + "' is no condition on an alert")
                        && message.contains("KEY == 'text'"),
                message);
    }
}
