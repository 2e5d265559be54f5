package dev.rowbell.spring;

import dev.rowbell.Rowbell;
import org.apache.camel.CamelContext;
import org.apache.camel.component.properties.PropertiesParser;
import org.apache.camel.spring.boot.CamelAutoConfiguration;
import org.apache.camel.spring.boot.CamelContextConfiguration;
import org.apache.camel.spring.boot.SpringPropertiesParser;
import org.apache.camel.support.LifecycleStrategySupport;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;
import org.springframework.core.env.Environment;

/** Starts Rowbell with the application's CamelContext. The jar sets itself up in it; this adds its settings and its routes. */
@AutoConfiguration(before = CamelAutoConfiguration.class)
public class RowbellAutoConfiguration {

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

    /** When the routes of the application are known, and before any of them starts. */
    @Bean
    CamelContextConfiguration rowbellRoutes() {
        return new CamelContextConfiguration() {
            @Override
            public void beforeApplicationStart(CamelContext context) {
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
