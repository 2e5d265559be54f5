package dev.rowbell.housekeeping;

import java.sql.SQLException;

/** Work in the database that is tried again when it fails. */
@FunctionalInterface
public interface Task {
    void run() throws SQLException;
}
