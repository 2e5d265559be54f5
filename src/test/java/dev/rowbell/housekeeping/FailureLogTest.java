package dev.rowbell.housekeeping;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.health.Watchdog;
import dev.rowbell.testing.LogLines;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.CannotGetJdbcConnectionException;

/** A failure that lasts is logged once. */
class FailureLogTest {

    private static Task fails(String message, String state) {
        return () -> {
            throw new SQLException(message, state);
        };
    }

    @Test
    void aDatabaseThatIsAwayIsOneWarningHoweverManyTasksFailAndHoweverTheySayIt() {
        try (LogLines log = new LogLines("dev.rowbell.housekeeping")) {
            FailureLog failures = new FailureLog(new Watchdog());
            for (int run = 0; run < 3; run++) {
                failures.run("do this", fails("terminated by an administrator", "57P01"));
                failures.run("do that", fails("connection refused", "08001"));
                failures.run("do more", () -> {
                    throw new CannotGetJdbcConnectionException("refused", new SQLException("refused", "08001"));
                });
            }
            assertEquals(
                    List.of("WARN housekeeping could not do this, trying again:"
                            + " SQLException: terminated by an administrator"),
                    log.lines());
            failures.run("do this", () -> {});
            failures.run("do more", () -> {});
            failures.run("do that", () -> {});
            failures.run("do this", fails("connection refused", "08001"));
            assertEquals(2, log.lines().size());
        }
    }

    @Test
    void aNewReasonIsLogged() {
        try (LogLines log = new LogLines("dev.rowbell.housekeeping")) {
            FailureLog failures = new FailureLog(new Watchdog());
            failures.run("do this", fails("permission denied", "42501"));
            failures.run("do this", fails("permission denied", "42501"));
            failures.run("do this", fails("no such function", "42883"));
            failures.run("do that", () -> {
                throw new IllegalStateException("a mistake");
            });
            assertEquals(
                    List.of(
                            "WARN housekeeping could not do this, trying again: SQLException: permission denied",
                            "WARN housekeeping could not do this, trying again: SQLException: no such function",
                            "WARN housekeeping could not do that, trying again: IllegalStateException: a mistake"),
                    log.lines());
        }
    }
}
