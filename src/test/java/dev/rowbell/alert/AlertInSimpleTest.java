package dev.rowbell.alert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.Predicate;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.language.bean.BeanLanguage;
import org.apache.camel.support.DefaultExchange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Simple says of an alert what it says of any Map. */
class AlertInSimpleTest {

    private static final String DOCUMENT = """
            {"id":"019","rule":"r","severity":"info","status":"firing","source":"db","table":"t","operation":"UPDATE","time":"2026-11-23T08:00:00Z",\
            "old":{"c2":1,"a b":[4,{"x":5}],"j":{"k":5},"last":7},"new":{"c2":30,"a b":[4,{"x":5}],"j":{"k":6},"last":null,"small":0.0000001,"e":1e2},"channel":"channel_1"}""";
    private final AlertReader reader = new AlertReader(
            () -> new AlertReader.Source("db", "db"),
            Clock.fixed(Instant.parse("2026-11-23T08:00:00Z"), ZoneOffset.UTC));

    private static Exchange exchange(CamelContext context, Map<String, Object> body) {
        Exchange exchange = new DefaultExchange(context);
        exchange.getIn().setBody(body);
        return exchange;
    }

    private static String evaluated(CamelContext context, String simple, Map<String, Object> alert) {
        try {
            Object value = context.resolveLanguage("simple")
                    .createExpression(simple)
                    .evaluate(exchange(context, alert), Object.class);
            return value instanceof Number || value instanceof String
                    ? value + " " + value.getClass()
                    : String.valueOf(value);
        } catch (RuntimeException e) {
            return e.getClass().getName();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "${body[rule]}",
                "${body[ rule ]}",
                "${body['rule']}",
                "${body[missing]}",
                "${body[partition]}",
                "${body[source]}",
                "${body[new]}",
                "${body[new][c2]}",
                "${body[old][c2]}",
                "${body[new][missing]}",
                "${body[new][last]}",
                "${body[old][last]}",
                "${body[new][a b]}",
                "${body[new][a b][0]}",
                "${body[new]['c2']}",
                "${body[new][j][k]}",
                "${body[missing][c2]}",
                "${body[rule][c2]}",
                "${body[changed]}",
                "${body[changed][0]}",
                "${body[changed][last]}",
                "${body[changed].size}",
                "${body[rule].length}",
                "${body[missing]?.length}",
                "${body.size}",
                "${body[size]}",
                "${body.get('rule')}",
                "${body[${body[rule]}]}",
                "${body[new][c2]} ",
                "x${body[old]}",
            })
    void anAlertIsAskedAsAnyMap(String simple) throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Map<String, Object> alert = reader.fromNotification(DOCUMENT, null, null, null);
            assertInstanceOf(LazyAlert.class, alert);
            assertEquals(
                    evaluated(context, simple, AlertJson.parse(AlertJson.write(alert))),
                    evaluated(context, simple, alert));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "${body[rule]} == 'r' && ${body[new][c2]} > 5",
                "${body[new][c2]} > 30",
                "${body[old][c2]} == 1",
                "${body[new][last]} == null",
                "${body[missing]} != null",
                "${body[changed]} != ${empty(list)}",
                "${body[changed]} == ${empty(list)}",
                "${body[changed].size} > 0",
                "${body[changed]} contains 'c2'",
                "${body[rule]} in 'q,r'",
            })
    void conditionsHoldAsOfAnyMap(String simple) throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Map<String, Object> alert = reader.fromNotification(DOCUMENT, null, null, null);
            Predicate condition = context.resolveLanguage("simple").createPredicate(simple);
            condition.init(context);
            assertEquals(
                    condition.matches(exchange(context, AlertJson.parse(AlertJson.write(alert)))),
                    condition.matches(exchange(context, alert)));
        }
    }

    /** Of numbers that Java would write in another way. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "${body[new][e]} > 30",
                "${body[new][e]} > '30'",
                "${body[new][e]} == 100",
                "${body[new][e]} == '1e2'",
                "${body[new][small]} < 1",
                "${body[new][small]} >= 0",
                "${body[new][small]} < '1'",
                "${body[new][small]} == '0.0000001'",
            })
    void numbersAreComparedAsNumbers(String simple) throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Predicate condition = context.resolveLanguage("simple").createPredicate(simple);
            condition.init(context);
            assertTrue(condition.matches(exchange(context, reader.fromNotification(DOCUMENT, null, null, null))));
        }
    }

    @Test
    void whatARouteHasChangedIsWhatIsSaid() throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Map<String, Object> alert = reader.fromNotification(DOCUMENT, null, null, null);
            alert.put("severity", "critical");
            alert.remove("rule");
            assertEquals("critical class java.lang.String", evaluated(context, "${body[severity]}", alert));
            assertEquals("null", evaluated(context, "${body[rule]}", alert));
        }
    }

    @Test
    void theBeanLanguageIsCamelsOwn() throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            assertEquals(BeanLanguage.class, context.resolveLanguage("bean").getClass());
        }
    }
}
