package dev.rowbell.spring;

import java.util.Map;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckRegistry;
import org.apache.camel.spring.boot.CamelAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.health.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.actuate.health.Health;
import org.springframework.boot.actuate.health.HealthIndicator;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.context.annotation.Bean;

/** Rowbell's checks as the component {@code rowbell} of Actuator's health. {@code management.health.rowbell.enabled=false} leaves it out. */
@AutoConfiguration(after = CamelAutoConfiguration.class)
@ConditionalOnClass(HealthIndicator.class)
@ConditionalOnEnabledHealthIndicator("rowbell")
public class RowbellHealthAutoConfiguration {

    @Bean
    HealthIndicator rowbellHealthIndicator(CamelContext context) {
        return () -> health(HealthCheckRegistry.get(context));
    }

    /** Unknown until Rowbell has opened its database. */
    private static Health health(HealthCheckRegistry checks) {
        Health.Builder health = Health.unknown();
        boolean up = true;
        for (HealthCheck check : checks.stream()
                .filter(check -> "rowbell".equals(check.getGroup()))
                .toList()) {
            HealthCheck.Result result = check.call(Map.of(HealthCheck.CHECK_KIND, HealthCheck.Kind.READINESS));
            up &= result.getState() != HealthCheck.State.DOWN;
            health.status(up ? "UP" : "DOWN")
                    .withDetail(
                            check.getId().replaceFirst("rowbell-", ""),
                            result.getMessage().orElse(result.getState().name()));
        }
        return health.build();
    }
}
