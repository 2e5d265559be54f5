package dev.rowbell.health;

import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;

/**
 * A readiness check of Camel's: down while there is something wrong, with the reasons in words. None of it would be mended by a restart, so
 * it says nothing about being alive. Safe for many threads.
 */
public final class ReadyCheck extends AbstractHealthCheck {

    private final Supplier<List<String>> wrong;

    /** @param wrong asked at each call; what is wrong, in words without secrets; empty where nothing is */
    public ReadyCheck(String id, Supplier<List<String>> wrong) {
        super("rowbell", id);
        this.wrong = wrong;
    }

    @Override
    protected void doCall(HealthCheckResultBuilder result, Map<String, Object> options) {
        List<String> words = wrong.get();
        if (words.isEmpty()) {
            result.up();
        } else {
            result.down().message(String.join("; ", words));
        }
    }

    @Override
    public boolean isLiveness() {
        return false;
    }
}
