package dev.rowbell.test;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

@RowbellTest(scripts = "schema.sql")
class NestedTest {

    @BeforeAll
    static void anOrder(WatchedDatabase shop) {
        shop.execute("insert into orders values (1, 5)");
    }

    @Test
    void aLargeOrderFires(WatchedDatabase shop) {
        assertEquals(List.of("order-too-large"), shop.firedBy("insert into orders values (7, 20000)"));
    }

    @Nested
    @TestInstance(TestInstance.Lifecycle.PER_CLASS)
    class WithAnOrder {

        @Test
        void hasTheDatabaseOfTheClassAround(WatchedDatabase shop) {
            assertEquals(List.of("order-too-large"), shop.firedBy("update orders set amount = 20000 where id = 1"));
        }

        @Nested
        class Deeper {
            @Test
            void too(WatchedDatabase shop) {
                assertEquals(List.of("order-negative"), shop.firedBy("update orders set amount = -1 where id = 1"));
            }
        }
    }

    @Nested
    @RowbellTest(scripts = "schema.sql")
    class OfItsOwn {
        @Test
        void hasADatabaseOfItsOwn(WatchedDatabase shop) {
            assertEquals(List.of(), shop.firedBy("insert into orders values (1, 5)"));
        }
    }
}
