package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.LogLines;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What fails again and again is said once. */
class TroublesTest {

    private static Troubles.Step fails(String message, String state) {
        return () -> {
            throw new SQLException(message, state);
        };
    }

    @Test
    void aDatabaseThatIsAwayIsOneWarningHoweverManyThingsFailAndHoweverTheySayIt() {
        try (LogLines log = new LogLines("dev.rowbell.rules")) {
            Troubles troubles = new Troubles();
            for (int tick = 0; tick < 3; tick++) {
                troubles.run("this failed", fails("terminated by an administrator", "57P01"));
                troubles.run("that failed", fails("connection refused", "08001"));
            }
            assertEquals(
                    List.of("WARN this failed, trying again: SQLException: terminated by an administrator"),
                    log.lines());
            troubles.run("this failed", () -> {});
            troubles.run("that failed", () -> {});
            troubles.run("this failed", fails("connection refused", "08001"));
            assertEquals(2, log.lines().size());
        }
    }

    @Test
    void aNewReasonIsSaid() {
        try (LogLines log = new LogLines("dev.rowbell.rules")) {
            Troubles troubles = new Troubles();
            troubles.run("this failed", fails("permission denied", "42501"));
            troubles.run("this failed", fails("permission denied", "42501"));
            troubles.run("this failed", fails("no such function", "42883"));
            troubles.run("that failed", () -> {
                throw new IllegalStateException("a mistake");
            });
            assertEquals(
                    List.of(
                            "WARN this failed, trying again: SQLException: permission denied",
                            "WARN this failed, trying again: SQLException: no such function",
                            "WARN that failed, trying again: IllegalStateException: a mistake"),
                    log.lines());
        }
    }
}
