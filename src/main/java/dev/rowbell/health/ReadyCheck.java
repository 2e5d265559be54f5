package dev.rowbell.health;

import dev.rowbell.error.Printable;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;

/**
 * A readiness check of Camel's: down while there is something wrong, with the reasons in words. Safe for many threads.
 */
public final class ReadyCheck extends AbstractHealthCheck {

    private final Supplier<List<String>> wrong;
    private final Supplier<List<String>> notes;
    private final boolean liveness;

    /** A check of conditions that no restart would mend: it says nothing about being alive. */
    public ReadyCheck(String id, Supplier<List<String>> wrong) {
        this(id, wrong, List::of, false);
    }

    /** @param notes said while it is up */
    public ReadyCheck(String id, Supplier<List<String>> wrong, Supplier<List<String>> notes) {
        this(id, wrong, notes, false);
    }

    /**
     * @param wrong asked at each call; what is wrong, in words without secrets; empty where nothing is
     * @param liveness whether a restart would mend it
     */
    public ReadyCheck(String id, Supplier<List<String>> wrong, boolean liveness) {
        this(id, wrong, List::of, liveness);
    }

    private ReadyCheck(String id, Supplier<List<String>> wrong, Supplier<List<String>> notes, boolean liveness) {
        super("rowbell", id);
        this.wrong = wrong;
        this.notes = notes;
        this.liveness = liveness;
    }

    @Override
    protected void doCall(HealthCheckResultBuilder result, Map<String, Object> options) {
        List<String> words = wrong.get();
        if (words.isEmpty()) {
            result.up();
            if (!notes.get().isEmpty()) {
                result.message(Printable.line(String.join("; ", notes.get())));
            }
        } else {
            result.down().message(Printable.line(String.join("; ", words)));
        }
    }

    @Override
    public boolean isLiveness() {
        return liveness;
    }
}
