package dev.rowbell.sink;

import dev.rowbell.settings.Settings;
import jakarta.mail.PasswordAuthentication;
import org.apache.camel.component.mail.MailAuthenticator;

/** Logs in to the mail server if a user is set. Camel shows an endpoint's URI in many places, so the password is not in it. */
public final class MailLogin extends MailAuthenticator {

    private final Settings settings;

    public MailLogin(Settings settings) {
        this.settings = settings;
    }

    @Override
    public PasswordAuthentication getPasswordAuthentication() {
        boolean login = settings.isSet("rowbell.mail.user");
        return login
                ? new PasswordAuthentication(
                        settings.text("rowbell.mail.user"), settings.password("rowbell.mail.password"))
                : new PasswordAuthentication(null, null);
    }
}
