package dev.rowbell.spring;

import dev.rowbell.Rowbell;
import dev.rowbell.settings.Settings;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.component.properties.PropertiesParser;
import org.apache.camel.spring.boot.CamelAutoConfiguration;
import org.apache.camel.spring.boot.CamelContextConfiguration;
import org.apache.camel.spring.boot.SpringPropertiesParser;
import org.apache.camel.support.LifecycleStrategySupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.bind.DataObjectPropertyName;
import org.springframework.context.annotation.Bean;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.Environment;

/** Starts Rowbell with the application's CamelContext. The jar sets itself up in it; this adds its settings and its routes. */
@AutoConfiguration(before = CamelAutoConfiguration.class)
public class RowbellAutoConfiguration {

    private static final Logger LOG = LoggerFactory.getLogger(RowbellAutoConfiguration.class);

    /** Camel's own for Spring Boot, in which keys of Rowbell have the value that Spring's Environment gives them. */
    @Bean
    @ConditionalOnMissingBean
    PropertiesParser propertiesParser(Environment environment) {
        return new EnvironmentFirst(environment);
    }

    /** Camel itself takes a variable of the environment before an argument of the command line, which Spring does not. */
    private static final class EnvironmentFirst extends SpringPropertiesParser {

        private final Environment environment;

        private EnvironmentFirst(Environment environment) {
            super(environment);
            this.environment = environment;
        }

        @Override
        public String parseProperty(
                String key, String value, org.apache.camel.component.properties.PropertiesLookup lookup) {
            String set = key.startsWith("rowbell.") ? environment.getProperty(key) : null;
            return set == null ? value : set;
        }
    }

    /** Of all sources that can list them, as Rowbell writes them: Spring takes maxAttempts for max-attempts. */
    private static Set<String> keys(ConfigurableEnvironment environment) {
        return environment.getPropertySources().stream()
                .filter(EnumerablePropertySource.class::isInstance)
                .flatMap(source -> Stream.of(((EnumerablePropertySource<?>) source).getPropertyNames()))
                .filter(key -> key.startsWith("rowbell."))
                .map(key -> Stream.of(key.split("\\."))
                        .map(DataObjectPropertyName::toDashedForm)
                        .collect(Collectors.joining(".")))
                .collect(Collectors.toSet());
    }

    /** When the routes of the application are known, and before any of them starts. */
    @Bean
    CamelContextConfiguration rowbellRoutes(ConfigurableEnvironment environment) {
        return new CamelContextConfiguration() {
            @Override
            public void beforeApplicationStart(CamelContext context) {
                new Settings(context).misspelled(keys(environment), Map.of()).forEach(LOG::warn);
                Rowbell.of(context).rules().fallBackTo("classpath:rules.yaml");
                context.addLifecycleStrategy(new LifecycleStrategySupport() {
                    @Override
                    public void onContextInitializing(CamelContext initializing) {
                        new ShippedRoutes(initializing).load();
                    }
                });
            }

            @Override
            public void afterApplicationStart(CamelContext context) {
                // nothing is left to do
            }
        };
    }
}
