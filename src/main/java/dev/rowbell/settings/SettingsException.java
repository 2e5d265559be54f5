package dev.rowbell.settings;

/** An error that only the user can fix. The message is one line and names the key to change, or one line for each of several. */
public class SettingsException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public SettingsException(String message) {
        super(message);
    }

    public SettingsException(String message, Throwable cause) {
        super(message, cause);
    }
}
