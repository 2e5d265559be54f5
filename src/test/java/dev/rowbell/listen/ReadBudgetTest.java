package dev.rowbell.listen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** However many notifications a stranger sends, a listener takes a few at a time, and each of them. */
class ReadBudgetTest {

    /** 256 KB, the buffer of the driver, and the message in which that ends. */
    private static final int BYTES_AT_MOST = (256 << 10) + 4 * 8192;

    private final TestDatabase database = TestDatabase.createWithSchema();

    @ParameterizedTest
    @ValueSource(ints = {0, 17, 400, 4083, 7990})
    void notificationsAreTakenAFewAtATime(int length) throws SQLException {
        int count = Math.min(20_000, 12_000_000 / (length + 20));
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            connection.setNetworkTimeout(Runnable::run, 10_000);
            statement.execute("listen flood");
            ReadBudget budget = ReadBudget.of(connection);
            database.execute(
                    "select pg_notify('flood', lpad(i::text, 6, '0') || repeat('x', greatest(0, %d - 6))) from generate_series(1, %d) i"
                            .formatted(length, count));
            int received = 0;
            int largest = 0;
            while (received < count) {
                budget.begin();
                PGNotification[] some = connection.unwrap(PGConnection.class).getNotifications(10_000);
                boolean more = budget.end();
                int bytes = 0;
                for (PGNotification one : some) {
                    received++;
                    assertEquals(received, Integer.parseInt(one.getParameter().substring(0, 6)));
                    bytes += one.getParameter().length();
                }
                largest = Math.max(largest, bytes);
                assertTrue(more || received == count || bytes < BYTES_AT_MOST);
            }
            assertTrue(largest < BYTES_AT_MOST, largest + " bytes in one call");
            // the connection is in order
            try (ResultSet row = statement.executeQuery("select 42")) {
                row.next();
                assertEquals(42, row.getInt(1));
            }
        }
    }

    @Test
    void aQueryIsNotLimited() throws SQLException {
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            ReadBudget budget = ReadBudget.of(connection);
            budget.begin();
            connection.unwrap(PGConnection.class).getNotifications(10);
            budget.end();
            try (ResultSet row = statement.executeQuery("select repeat('x', 1000000)")) {
                row.next();
                assertEquals(1_000_000, row.getString(1).length());
            }
        }
    }
}
