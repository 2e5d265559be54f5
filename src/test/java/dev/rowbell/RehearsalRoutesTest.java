package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.alert.OriginalAlert;
import dev.rowbell.feedback.Doorbell;
import dev.rowbell.health.Watchdog;
import dev.rowbell.testing.LogLines;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.camel.Processor;
import org.junit.jupiter.api.Test;

/** The CamelContext in which alerts are routed that are rehearsed. */
class RehearsalRoutesTest {

    private static final Map<String, Object> ALERT =
            Map.of("id", "a1", "severity", "warning", "operation", "UPDATE", "changed", List.of("c2"));

    private final Doorbell doorbell = new Doorbell(new Watchdog());
    private final List<Object> filed = new ArrayList<>();

    private RehearsalRoutes routes(Processor sink) throws Exception {
        return new RehearsalRoutes(getClass().getClassLoader(), doorbell, sink);
    }

    @Test
    void anAlertComesToTheFirstSinkOnce() throws Exception {
        try (LogLines log = new LogLines("org.apache.camel");
                RehearsalRoutes routes = routes(exchange -> filed.add(OriginalAlert.of(exchange)))) {
            routes.ring();
            routes.route(ALERT);
            routes.route(ALERT);
            assertEquals(List.of(ALERT, ALERT), filed);
            assertEquals(List.of(), log.lines());
        }
        assertTrue(doorbell.isNew(), "Camel would stop it with the context");
    }

    /** Without Rowbell, which would open the database once more. */
    @Test
    void theContextHasNoPlugins() throws Exception {
        List<Object> plugins = new ArrayList<>();
        try (RehearsalRoutes routes = routes(exchange -> plugins.add(Rowbell.of(exchange.getContext()) == null))) {
            routes.route(ALERT);
        }
        assertEquals(List.of(true), plugins);
    }

    @Test
    void aFailureIsToldToTheRehearsal() throws Exception {
        try (RehearsalRoutes routes = routes(exchange -> {
            throw new IllegalStateException("the database is away");
        })) {
            assertThrows(RuntimeException.class, () -> routes.route(ALERT));
        }
    }
}
