package dev.rowbell.health;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.error.FailureLog;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.datasource.AbstractDataSource;

class QueueMonitorTest {

    /** A database that refuses connections at once. */
    private static final class Refusing extends AbstractDataSource {

        @Override
        public Connection getConnection() throws SQLException {
            throw new SQLException("refused", "08001");
        }

        @Override
        public Connection getConnection(String user, String password) throws SQLException {
            return getConnection();
        }
    }

    /** Which of the two comes first is a matter of luck. */
    @Test
    void aLookMayEndBeforeItIsAwaited() {
        for (int i = 0; i < 2000; i++) {
            Snapshot seen = new QueueMonitor(
                            new Refusing(),
                            "rowbell.feedback",
                            Map::of,
                            new FailureLog(Clock.systemUTC()),
                            () -> Duration.ofMinutes(5))
                    .snapshot();
            assertTrue(seen.away().contains("refused"), seen::away);
        }
    }
}
