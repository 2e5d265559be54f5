package dev.rowbell.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.Ordered;
import org.apache.camel.component.properties.DefaultPropertiesParser;
import org.apache.camel.component.properties.PropertiesComponent;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.spi.PropertiesSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

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

    private static Settings settings(CamelContext context, String... keysAndValues) {
        Properties set = new Properties();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            set.put(keysAndValues[i], keysAndValues[i + 1]);
        }
        context.getPropertiesComponent().setOverrideProperties(set);
        Settings.addDefaults(context.getPropertiesComponent());
        return new Settings(context);
    }

    @Test
    void aKeyThatIsSetNowhereHasTheValueInTheJarAndIsAllRight() throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Settings settings = settings(context, "rowbell.feedback.batch", " 7 ");
            settings.check();
            assertEquals(7, settings.number("rowbell.feedback.batch", 1));
            assertEquals(Duration.ofSeconds(1), settings.duration("rowbell.feedback.poll"));
            assertTrue(settings.flag("rowbell.migrate"));
            assertEquals("", settings.text("rowbell.http.url"));
            assertFalse(settings.isSet("rowbell.http.url"));
            assertEquals("", settings.text("rowbell.of.the.users.own"));
        }
    }

    private enum Place {
        INITIAL {
            @Override
            void set(PropertiesComponent properties) {
                properties.addInitialProperty(KEY, "the host's own");
            }
        },
        OVERRIDE {
            @Override
            void set(PropertiesComponent properties) {
                properties.addOverrideProperty(KEY, "the host's own");
            }
        },
        FIRST_SOURCE {
            @Override
            void set(PropertiesComponent properties) {
                properties.addPropertiesSource(new Source(Ordered.HIGHEST));
            }
        },
        LAST_SOURCE {
            @Override
            void set(PropertiesComponent properties) {
                properties.addPropertiesSource(new Source(Ordered.LOWEST));
            }
        },
        /** Where Spring Boot has its environment. */
        LOOKUP_OF_LAST_RESORT {
            @Override
            void set(PropertiesComponent properties) {
                properties.setPropertiesParser(new DefaultPropertiesParser(properties) {
                    @Override
                    public String customLookup(String key) {
                        return key.equals(KEY) ? "the host's own" : null;
                    }
                });
            }
        },
        SYSTEM_PROPERTY {
            @Override
            void set(PropertiesComponent properties) {
                System.setProperty(KEY, "the host's own");
            }
        },
        SYSTEM_PROPERTY_LAST {
            @Override
            void set(PropertiesComponent properties) {
                properties.setSystemPropertiesMode(PropertiesComponent.SYSTEM_PROPERTIES_MODE_FALLBACK);
                System.setProperty(KEY, "the host's own");
            }
        };

        private static final String KEY = "rowbell.source";

        abstract void set(PropertiesComponent properties);

        private record Source(int getOrder) implements PropertiesSource, Ordered {

            @Override
            public String getName() {
                return "the host's";
            }

            @Override
            public String getProperty(String name) {
                return name.equals(KEY) ? "the host's own" : null;
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void noDefaultHidesAValueThatTheHostSetsWhereverThatIs(Place place) throws Exception {
        String before = System.getProperty(Place.KEY);
        try (CamelContext context = new DefaultCamelContext()) {
            place.set((PropertiesComponent) context.getPropertiesComponent());
            assertEquals("the host's own", context.resolvePropertyPlaceholders("{{rowbell.source}}"));
            assertEquals("the host's own", new Settings(context).text("rowbell.source"));
            assertEquals("1000", context.resolvePropertyPlaceholders("{{millis:rowbell.feedback.poll}}"));
        } finally {
            if (before == null) {
                System.clearProperty(Place.KEY);
            } else {
                System.setProperty(Place.KEY, before);
            }
        }
    }

    /** As Spring Boot does between the plug-ins and the routes; others may do it later. */
    @Test
    void aPropertiesComponentThatReplacesTheFirstHasDefaultsAndFunctionsToo() throws Exception {
        for (boolean started : List.of(false, true)) {
            try (CamelContext context = new DefaultCamelContext()) {
                Settings settings = new Settings(context);
                if (started) {
                    context.start();
                }
                PropertiesComponent other = new PropertiesComponent();
                other.addInitialProperty("rowbell.source", "the host's own");
                context.setPropertiesComponent(other);
                assertEquals(
                        "the host's own, rowbell.feedback, 1000, false, alert",
                        context.resolvePropertyPlaceholders("{{rowbell.source}}, {{rowbell.feedback.table}},"
                                + " {{millis:rowbell.feedback.poll}}, {{configured:rowbell.http.url}},"
                                + " {{document:rowbell.feedback.table}}"));
                assertEquals("the host's own", settings.text("rowbell.source"));
                assertEquals(Duration.ofSeconds(1), settings.duration("rowbell.feedback.poll"));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "rowbell.feedback.batch, 0, a whole number of at least 1",
        "rowbell.feedback.batch, many, a whole number of at least 1",
        "rowbell.feedback.batch, 99999999999, a whole number of at least 1",
        "rowbell.health.port, 80.5, a whole number of at least 1",
        "rowbell.alert.max-size, 9999, a size from 10kB to 100MB",
        "rowbell.alert.max-size, 1GB, a size from 10kB to 100MB",
        "rowbell.feedback.poll, soon, a duration such as 500ms",
        "rowbell.feedback.poll, 30, a duration such as 500ms",
        "rowbell.feedback.poll, 1h30, a duration such as 500ms",
        "rowbell.feedback.poll, PT1S, a duration such as 500ms",
        "rowbell.listen.heartbeat, 0, a duration such as 500ms",
        "rowbell.dead-letter.keep, -1s, a duration such as 500ms",
        "rowbell.rules.reload, yes, true or false",
        "rowbell.console, LOUD, INFO or OFF",
        "rowbell.console, a{{b, a placeholder {{…}} in its value cannot be resolved",
        "rowbell.rules.file, http:rules.yaml, the path of a file",
        "rowbell.rules.file, file:, the path of a file",
        "rowbell.http.url, localhost, https://host/path",
        "rowbell.http.url, https://bob:s3cret@localhost/, without a login",
        "rowbell.http.url, http://alert_receiver:8080/hook?key=s3cret, no underscore",
        "rowbell.web.base-path, rowbell, write it as /rowbell",
        "rowbell.web.base-path, /rowbell/, without a slash at its end",
        "rowbell.web.base-path, /observe/web, /observe is taken",
        "rowbell.web.base-path, /../x, write it as /rowbell",
        "rowbell.outbox.max-attempts, 0, a whole number of at least 1",
        "rowbell.outbox.circuit, 0, a whole number of at least 1",
        "rowbell.outbox.backoff, 1, a duration such as 500ms",
        "rowbell.outbox.max-backoff, never, a duration such as 500ms",
        "rowbell.outbox.poll, 0s, a duration such as 500ms",
        "rowbell.outbox.lease, 60, a duration such as 500ms",
        "rowbell.http.connect-timeout, 5, a duration such as 500ms",
        "rowbell.http.response-timeout, 0, a duration such as 500ms",
        "rowbell.demo, maybe, true or false",
        "rowbell.embedded.port, -1, a whole number of at least 0",
        "rowbell.mail.host, localhost, rowbell.mail.to"
    })
    void aValueThatCannotBeUsedIsRefusedWithItsKeyAndWhatToGive(String key, String value, String words)
            throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Settings settings = settings(context, key, value);
            String refused =
                    assertThrows(SettingsException.class, settings::check).getMessage();
            assertTrue(refused.contains(key) && refused.contains(words), refused);
            assertFalse(refused.contains("s3cret"), refused);
        }
    }

    @Test
    void allValuesThatCannotBeUsedAreToldAtOnce() throws Exception {
        try (CamelContext context = new DefaultCamelContext()) {
            Settings settings = settings(
                    context,
                    "rowbell.feedback.poll",
                    "soon",
                    "rowbell.jdbc.pool-size",
                    "1",
                    "rowbell.rules.reload",
                    "yes",
                    "rowbell.console",
                    "LOUD",
                    "rowbell.http.url",
                    "https://bob:s3cret@alert_receiver/");
            SettingsException refused = assertThrows(
                    SettingsException.class,
                    () -> settings.check(
                            () -> settings.flag("rowbell.console"), () -> settings.flag("rowbell.migrate")));
            assertEquals("""
                    rowbell.feedback.poll=soon: give a duration such as 500ms, 1s, 15m or 1h30m
                    rowbell.jdbc.pool-size=1: give a whole number of at least 2
                    rowbell.rules.reload=yes: give true or false
                    rowbell.console=LOUD: give INFO or OFF
                    rowbell.http.url: write it as https://host/path, without a login
                    rowbell.console=LOUD: give true or false""", refused.getMessage());
        }
    }
}
