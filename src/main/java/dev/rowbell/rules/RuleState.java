package dev.rowbell.rules;

/**
 * A rule and what became of it.
 *
 * @param broken why it is left out at the moment; null where it is not
 * @param lastHit in the time zone of this machine, as {@code 2026-11-23 08:00:00}; null where there was none, as {@code failed}
 * @param failure null where it never failed
 */
public record RuleState(
        String name,
        String feed,
        String severity,
        String fires,
        String delivery,
        boolean enabled,
        String broken,
        long hits,
        String lastHit,
        String failed,
        String failure) {}
