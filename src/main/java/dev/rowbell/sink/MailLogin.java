package dev.rowbell.sink;

import dev.rowbell.settings.Settings;
import jakarta.mail.PasswordAuthentication;
import org.apache.camel.component.mail.MailAuthenticator;

/** Logs in to the mail server where a user is set. Kept out of the endpoint's URI, which Camel shows in many places. */
public final class MailLogin extends MailAuthenticator {

    private final Settings settings;

    public MailLogin(Settings settings) {
        this.settings = settings;
    }

    @Override
    public PasswordAuthentication getPasswordAuthentication() {
        boolean login = settings.isSet("rowbell.mail.user");
        return login
                ? new PasswordAuthentication(settings.text("rowbell.mail.user"), settings.text("rowbell.mail.password"))
                : new PasswordAuthentication(null, null);
    }
}
