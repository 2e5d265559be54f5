package dev.rowbell.database;

import dev.rowbell.settings.SettingsException;

/** The server cannot be reached, or is not ready yet: the settings may be right all the same. */
public final class DatabaseAwayException extends SettingsException {

    DatabaseAwayException(String message, Throwable cause) {
        super(message, cause);
    }
}
