package dev.rowbell.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Test;

class SettingsTest {

    @Test
    void noKeyIsTheBeginningOfAnotherAndNoTwoShareANameInTheEnvironment() throws Exception {
        Properties shipped = new Properties();
        try (InputStream in = getClass().getResourceAsStream("/dev/rowbell/application.properties")) {
            shipped.load(in);
        }
        Set<String> keys = shipped.stringPropertyNames();
        assertTrue(keys.contains("rowbell.jdbc.url"));
        List<String> alsoPrefixes = keys.stream()
                .filter(key -> keys.stream().anyMatch(other -> other.startsWith(key + ".")))
                .toList();
        assertEquals(List.of(), alsoPrefixes);
        Map<String, List<String>> byEnvironmentName =
                keys.stream().collect(Collectors.groupingBy(Settings::inEnvironment));
        assertEquals(
                List.of(),
                byEnvironmentName.values().stream()
                        .filter(same -> same.size() > 1)
                        .toList());
    }

    @Test
    void anOldNameIsRefusedWithTheNewOneEvenWhereItIsSetToNothing() throws Exception {
        for (String value : List.of("file:rules.yaml", "")) {
            try (CamelContext context = new DefaultCamelContext()) {
                Properties set = new Properties();
                set.put("rowbell.rules", value);
                context.getPropertiesComponent().setInitialProperties(set);
                SettingsException refused =
                        assertThrows(SettingsException.class, () -> new Settings(context).refuseRenamed());
                assertEquals(
                        "rowbell.rules has a new name: set rowbell.rules.file instead,"
                                + " or ROWBELL_RULES_FILE in the environment",
                        refused.getMessage());
            }
        }
    }

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
