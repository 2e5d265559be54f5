package dev.rowbell.rules;

/**
 * A rule with its state.
 *
 * @param feed where it has none, when its query runs
 * @param fires how, with its times as a rule has them: {@code for 20s}
 * @param origin the file, or {@code SQL}
 * @param disabledBy the user who disabled the rule; this and {@code disabledSince} are null if the rule is not disabled by {@code rowbell.disable()}
 * @param disabledNote the reason; null if the user gave none
 * @param broken why it is left out of the triggers now; null if it is not
 * @param lastHit in the time zone of this machine, as {@code 2026-11-23 08:00:00}; null if it never fired; {@code failed} likewise
 * @param failure null if it never failed
 */
public record RuleState(
        String name,
        String feed,
        String severity,
        String fires,
        String delivery,
        String origin,
        boolean enabled,
        String disabledBy,
        String disabledSince,
        String disabledNote,
        String broken,
        long hits,
        String lastHit,
        String failed,
        String failure) {

    /** The user who disabled the rule, the time and the reason; empty if {@code disabledBy} is null. */
    public String disabled() {
        return disabledBy == null
                ? ""
                : "by %s since %s%s"
                        .formatted(disabledBy, disabledSince, disabledNote == null ? "" : ": " + disabledNote);
    }
}
