package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.settings.Settings;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Test;

class SettingsTest {

    @Test
    void aKeyThatLooksLikeASettingAndIsNoneIsNamedWithTheOneThatWasMeant() throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Properties set = new Properties();
            set.put("rowbell.mail.hots", "mail.example.org");
            set.put("rowbell.mail.to", "ops@example.org");
            set.put("rowbell.jdbc.pool_size", "3");
            // a route of the user's may have its own
            set.put("rowbell.chat.url", "https://chat.example.org");
            context.getPropertiesComponent().setInitialProperties(set);
            assertEquals(
                    List.of(
                            "rowbell.jdbc.pool_size is no setting: did you mean rowbell.jdbc.pool-size?",
                            "rowbell.mail.hots is no setting: did you mean rowbell.mail.host?",
                            "ROWBELL_JDBC_PASWORD in the environment is no setting: did you mean ROWBELL_JDBC_PASSWORD?"),
                    new Settings(context)
                            .misspelled(Map.of("ROWBELL_JDBC_PASWORD", "secret", "ROWBELL_JDBC_URL", "", "PATH", "")));
        }
    }
}
