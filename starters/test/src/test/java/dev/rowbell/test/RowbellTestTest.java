package dev.rowbell.test;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@RowbellTest(scripts = "schema.sql")
class RowbellTestTest {

    @BeforeEach
    void noOrders(WatchedDatabase shop) {
        shop.execute("truncate orders");
    }

    @Test
    void aWriteRaisesTheseAlertsAndNoOthers(WatchedDatabase shop) {
        List<Map<String, Object>> alerts = shop.alertsOf("insert into orders values (1, 5), (2, 20000)");
        assertEquals(1, alerts.size());
        assertEquals("order-too-large", alerts.get(0).get("rule"));
        assertEquals("{id=2, amount=20000}", alerts.get(0).get("new").toString());
    }

    @Test
    void aRuleThatNotifiesIsHeard(WatchedDatabase shop) {
        shop.execute("insert into orders values (1, 5)");
        assertEquals(List.of("order-negative"), shop.firedBy("update orders set amount = -1"));
    }

    @Test
    void anAlertFiresOnceWhileItsConditionHolds(WatchedDatabase shop) {
        assertEquals(
                List.of("order-too-large"),
                shop.firedBy("insert into orders values (1, 20000)", "update orders set amount = 30000"));
    }

    @Test
    void aStatementThatFailsIsNoQuietTest(WatchedDatabase shop) {
        assertThrows(IllegalStateException.class, () -> shop.firedBy("insert into no_such_table values (1)"));
    }
}
