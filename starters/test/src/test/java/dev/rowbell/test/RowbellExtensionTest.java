package dev.rowbell.test;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class RowbellExtensionTest {

    @RegisterExtension
    static final RowbellExtension ROWBELL = new RowbellExtension(null, "classpath:rules.yaml", "schema.sql");

    @Test
    void theExtensionAloneDoesTheSame(WatchedDatabase shop) {
        assertEquals(List.of("order-too-large"), shop.firedBy("insert into orders values (1, 20000)"));
    }
}
