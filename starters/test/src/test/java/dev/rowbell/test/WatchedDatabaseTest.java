package dev.rowbell.test;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

@RowbellTest(scripts = "schema.sql", rules = "classpath:more-rules.yaml")
class WatchedDatabaseTest {

    @Test
    void aRuleThatFailsOnARowFailsTheTest(WatchedDatabase shop) {
        AssertionError failure =
                assertThrows(AssertionError.class, () -> shop.firedBy("insert into orders values (100, 0)"));
        assertEquals("rule \"share\" fails: division by zero", failure.getMessage());
        assertEquals(List.of(), shop.firedBy("insert into orders values (101, 10000)"));
    }

    @Test
    void aRuleThatCountsFiresWithTheWriteThatIsOneTooMany(WatchedDatabase shop) {
        assertEquals(List.of(), shop.firedBy("insert into orders values (200, 55), (201, 55)"));
        assertEquals(List.of("many"), shop.firedBy("insert into orders values (202, 55)"));
    }

    @Test
    void aRuleWithForFiresWhenItsTimeHasPassed(WatchedDatabase shop) {
        assertEquals(List.of(), shop.firedBy("insert into orders values (300, 77)"));
        assertEquals(List.of(), rules(shop.alertsAfter(Duration.ofMinutes(110))));
        assertEquals(List.of("stuck"), rules(shop.alertsAfter(Duration.ofMinutes(20))));
        assertEquals(List.of(), rules(shop.alertsAfter(Duration.ofDays(1))));
    }

    @Test
    void whatWasCountedIsTooOldAfterATime(WatchedDatabase shop) {
        assertEquals(List.of(), shop.firedBy("insert into orders values (400, 56), (401, 56)"));
        assertEquals(List.of(), rules(shop.alertsAfter(Duration.ofMinutes(70))));
        assertEquals(List.of(), shop.firedBy("insert into orders values (402, 56)"));
    }

    private static List<Object> rules(List<Map<String, Object>> alerts) {
        return alerts.stream().map(alert -> alert.get("rule")).toList();
    }

    @Test
    void noProcessWorksOnTheDatabase(WatchedDatabase shop) throws SQLException {
        try (Connection connection = shop.dataSource().getConnection();
                Statement statement = connection.createStatement();
                ResultSet sessions = statement.executeQuery(
                        "select count(*) from pg_stat_activity where datname = current_database() and application_name ~ 'rowbell'")) {
            sessions.next();
            assertEquals(0, sessions.getInt(1));
        }
    }

    @Test
    void testsThatWriteAtTheSameTimeGetTheirOwnAlerts(WatchedDatabase shop) {
        List<CompletableFuture<List<String>>> writes = Stream.iterate(1000, id -> id + 1)
                .limit(40)
                .map(id -> CompletableFuture.supplyAsync(
                        () -> shop.firedBy("insert into orders values (%d, -1)".formatted(id))))
                .toList();
        writes.forEach(write -> assertEquals(List.of("negative"), write.join()));
    }
}
