package dev.rowbell.web;

import dev.rowbell.rules.RuleEditor;
import dev.rowbell.settings.SettingsException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * The form of a rule.
 *
 * @param fields by key, as in {@code rules.yaml}; a list has an element a line
 * @param began the version of the rule that the form began with; null for a new rule
 */
record RuleForm(Map<String, String> fields, String began) {

    static final String CHECK = "/rules/check";
    static final String TEST = "/rules/test";
    static final String APPLY = "/rules/apply";
    static final Set<String> PATHS = Set.of(CHECK, TEST, APPLY);

    private static final int LONGEST = 50_000;

    static RuleForm of(Form form) {
        Map<String, String> fields = new LinkedHashMap<>();
        RuleEditor.FIELDS.forEach(field -> fields.put(
                field, String.join("\n", form.all(field)).replace("\r\n", "\n").strip()));
        return new RuleForm(fields, form.textOrNull("began"));
    }

    String name() {
        return fields.get("name");
    }

    /**
     * What a page does not show as it is would be changed by a form without a sign of that.
     *
     * @throws SettingsException where there is such a thing
     */
    void requireShown() {
        fields.forEach((field, value) -> {
            if (!isShown(value)) {
                throw new SettingsException(
                        field
                                + " has characters that are not seen, a login in an address, or more than 50,000 characters: write it by SQL");
            }
        });
    }

    static boolean isShown(String value) {
        return ShownText.shown(value, LONGEST).equals(value.replace("\r\n", "\n"));
    }
}
