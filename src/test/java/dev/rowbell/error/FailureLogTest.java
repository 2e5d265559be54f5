package dev.rowbell.error;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.ManualClock;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.CannotGetJdbcConnectionException;

/** A failure that lasts or comes back is logged when it begins and then ever more seldom, with since when. */
class FailureLogTest {

    private final ManualClock time = new ManualClock("2026-11-28T19:15:13Z");
    private final FailureLog failures = new FailureLog(time);

    private void pass(Duration length) {
        time.move(length);
    }

    @Test
    void inAnHourAFailureIsLoggedThreeTimes() {
        assertEquals(Optional.of("since 2026-11-28 19:15:13"), failures.failed("sink"));
        long lines = 0;
        for (int second = 1; second <= 3600; second++) {
            pass(Duration.ofSeconds(1));
            lines += failures.failed("sink").stream().count();
        }
        assertEquals(2, lines);
        pass(Duration.ofMinutes(11));
        assertEquals(Optional.of("since 2026-11-28 19:15:13, 3602 times"), failures.failed("sink"));
        assertEquals(Optional.of("after 4260 s"), failures.succeeded("sink"));
        assertEquals(Optional.empty(), failures.succeeded("sink"));
    }

    @Test
    void whatFlapsIsNotLoggedEachTime() {
        long lines = 0;
        for (int second = 0; second < 3600; second++) {
            lines += failures.failed("sink").stream().count();
            lines += failures.succeeded("sink").stream().count();
            pass(Duration.ofSeconds(1));
        }
        assertEquals(6, lines);
        pass(Duration.ofMinutes(2));
        assertEquals(Optional.of("since 2026-11-28 20:17:13"), failures.failed("sink"));
    }

    @Test
    void aDatabaseThatIsAwayIsOneLineHoweverManyFailAndHoweverTheySayIt() {
        try (LogLines log = new LogLines("dev.rowbell.error")) {
            for (int run = 0; run < 3; run++) {
                assertTrue(failures.isDatabaseAway(new SQLException("terminated by an administrator", "57P01")));
                assertTrue(failures.isDatabaseAway(new SQLException("connection refused", "08001")));
                assertTrue(failures.isDatabaseAway(
                        new CannotGetJdbcConnectionException("refused", new SQLException("refused", "08001"))));
                pass(Duration.ofSeconds(10));
            }
            assertFalse(failures.isDatabaseAway(new SQLException("permission denied", "42501")));
            assertEquals(
                    List.of("WARN the database is away since 2026-11-28 19:15:13: SQLException: terminated by an"
                            + " administrator. Nothing is lost, and Rowbell connects again by itself;"
                            + " see whether the server runs and can be reached (rowbell.jdbc.url)"),
                    log.lines());
        }
    }

    @Test
    void aStopIsQuiet() {
        failures.setQuiet(true);
        assertEquals(Optional.empty(), failures.failed("sink"));
    }
}
