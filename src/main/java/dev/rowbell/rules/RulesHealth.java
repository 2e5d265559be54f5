package dev.rowbell.rules;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import dev.rowbell.Errors;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckResultBuilder;

/**
 * A readiness check of Camel's: down while a rule of the file was refused, or one is left out because it broke, with the reason in words.
 * Restarting would not help, so it says nothing about being alive. Safe for many threads.
 */
public final class RulesHealth implements HealthCheck {

    private final Rules rules;
    private volatile boolean enabled = true;

    public RulesHealth(Rules rules) {
        this.rules = rules;
    }

    @Override
    public Result call(Map<String, Object> options) {
        HealthCheckResultBuilder result = HealthCheckResultBuilder.on(this);
        List<String> wrong = new ArrayList<>(rules.problems().stream().map(Problem::toString).toList());
        try {
            rules.broken().forEach((rule, why) -> wrong.add("rule \"%s\" is broken and is left out: %s".formatted(rule, why)));
        } catch (SQLException e) {
            wrong.add("the rules could not be looked at: " + Errors.inWords(e));
        }
        return wrong.isEmpty() ? result.up().build() : result.down().message(String.join("; ", wrong)).build();
    }

    @Override
    public boolean isLiveness() {
        return false;
    }

    @Override
    public boolean isEnabled() {
        return enabled;
    }

    @Override
    public void setEnabled(boolean enabled) {
        this.enabled = enabled;
    }

    @Override
    public String getGroup() {
        return "rowbell";
    }

    @Override
    public String getId() {
        return "rowbell-rules";
    }
}
