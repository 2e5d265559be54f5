package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is said about a rules.yaml names the line to change, and takes no other rule with it. */
class RulesReaderTest {

    private static RulesFile read(String text) {
        return new RulesReader("rules.yaml", List.of("channel_1", "channel_3")).read(text);
    }

    private static List<String> problems(String text) {
        return read(text).problems().stream().map(Problem::toString).toList();
    }

    private static List<String> names(RulesFile file) {
        return file.rules().stream().map(FileRule::name).toList();
    }

    @Test
    void everyKeyIsReadWithItsLine() {
        RulesFile file = read("""
                # rules
                rules:
                  - name: c2-overflow
                    feed: public.feed
                    condition: >-
                      NEW.c2 > 9999
                      and NEW.c1 is null
                    reason: 4711
                    severity: warning
                    fires: changed
                    columns: [c2, "c 3"]
                    delivery: notify
                    channel: channel_1
                    resolved: true
                    operations: insert
                    enabled: false
                """);
        assertEquals(List.of(), file.problems());
        FileRule rule = file.rules().get(0);
        assertEquals(
                Map.ofEntries(
                        Map.entry("name", "c2-overflow"),
                        Map.entry("feed", "public.feed"),
                        Map.entry("condition", "NEW.c2 > 9999 and NEW.c1 is null"),
                        Map.entry("reason", "4711"),
                        Map.entry("severity", "warning"),
                        Map.entry("fires", "changed"),
                        Map.entry("columns", List.of("c2", "c 3")),
                        Map.entry("delivery", "notify"),
                        Map.entry("channel", "channel_1"),
                        Map.entry("resolved", true),
                        Map.entry("operations", List.of("insert")),
                        Map.entry("enabled", false)),
                rule.values());
        assertEquals(3, rule.line());
        assertEquals(5, rule.lineOf("condition"));
        assertEquals(16, rule.lineOf("enabled"));
        assertEquals(
                "rules.yaml:5: rule \"c2-overflow\": condition: column new.c99 does not exist (look again)",
                file.problem("c2-overflow", "condition", "column new.c99\ndoes not exist", "look again")
                        .toString());
    }

    @Test
    void aKeyWithoutAValueIsLeftOut() {
        RulesFile file = read("rules:\n- {name: a, feed: f, condition: c, reason: , columns: ~}");
        assertEquals(List.of(), file.problems());
        assertEquals(
                List.of("name", "feed", "condition"),
                List.copyOf(file.rules().get(0).values().keySet()));
    }

    @Test
    void aWrongRuleTakesNoOtherWithIt() {
        RulesFile file = read("""
                rules:
                  - name: one
                    feed: f
                    conditon: NEW.a
                  - name: two
                    feed: f
                    condition: NEW.a
                  - name: three
                    feed: [f]
                    condition: NEW.a
                    enabled: yes
                    columns: {a: b}
                  - feed: f
                    condition: NEW.a
                  - name: two
                    feed: g
                    condition: NEW.a
                  - nonsense
                """);
        assertEquals(List.of("two"), names(file));
        assertEquals("f", file.rules().get(0).values().get("feed"));
        assertEquals(List.of("one", "three"), file.unread());
        assertTrue(file.nameless());
        assertEquals(
                List.of(
                        "rules.yaml:4: rule \"one\": unknown key \"conditon\" (did you mean condition?)",
                        "rules.yaml:9: rule \"three\": feed: is no text",
                        "rules.yaml:11: rule \"three\": enabled: is neither true nor false",
                        "rules.yaml:12: rule \"three\": columns: is no list of names (write it as [c1, c2])",
                        "rules.yaml:13: has no name",
                        "rules.yaml:15: rule \"two\": name: there is a rule of this name in line 5 already (the first one counts; give this one another name)",
                        "rules.yaml:18: this is no rule (write it as `- name: …`, `feed: …`, `condition: …`)"),
                file.problems().stream().map(Problem::toString).toList());
    }

    @Test
    void whatPostgresCannotStoreIsRefusedBeforeItFailsTheOthers() {
        RulesFile file =
                read("rules:\n- {name: a, feed: f, condition: c}\n- {name: b, feed: f, condition: \"x = '\\0'\"}");
        assertEquals(List.of("a"), names(file));
        assertEquals(
                List.of("rules.yaml:3: rule \"b\": condition: has a character that PostgreSQL cannot store"),
                file.problems().stream().map(Problem::toString).toList());
    }

    @Test
    void aKeyThatStandsTwiceIsSaid() {
        assertEquals(
                List.of("rules.yaml:3: rule \"a\": feed: stands twice in this rule"),
                problems("rules:\n- {name: a, feed: f, condition: c,\n   feed: g}"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "# nothing", "rules:", "rules: []", "---\nrules: []\n"})
    void noRulesAreNoMistake(String text) {
        assertTrue(read(text).readable());
        assertEquals(List.of(), read(text).rules());
        assertEquals(List.of(), problems(text));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "rule: []               | 1 | no list of rules",
                "- name: a              | 1 | no list of rules",
                "rules: a               | 1 | is no list",
                "rules: {a: b}          | 1 | is no list",
                "rules:\\n- name: [a    | 2 | ",
                "rules:\\n- name: a: b  | 2 | mapping values are not allowed",
                "rules: []\\nrules: []  | 2 | second list",
                "rules: []\\n---\\na: b | 2 | ",
                "rules:\\n- *gone       | 2 | alias",
                "rules:\\n- \\u0007     | 2 | U+0007"
            })
    void aFileThatCannotBeReadSaysNothingNotEvenThatThereAreNoRules(String text, int line, String words) {
        RulesFile file = read(text.replace("\\n", "\n").replace("\\u0007", "\u0007"));
        assertFalse(file.readable());
        Problem last = file.problems().get(file.problems().size() - 1);
        assertEquals(line, last.line(), last.toString());
        assertTrue(words == null || last.toString().contains(words), last.toString());
    }

    @Test
    void anUnknownKeyBesideTheRulesIsSaidAndTheRulesCount() {
        RulesFile file = read("rulez: []\nrules:\n- {name: a, feed: f, condition: c}");
        assertEquals(
                List.of("rules.yaml:1: unknown key \"rulez\" (did you mean rules?)"),
                file.problems().stream().map(Problem::toString).toList());
        assertEquals(List.of("a"), names(file));
    }

    @Test
    void aNotifyRuleNamesAChannelThatIsListenedTo() {
        String rule = "rules: [{name: a, feed: t, condition: NEW.c > 1, delivery: %s, channel: %s}]";
        assertEquals(1, read(rule.formatted("notify", "channel_3")).rules().size());
        assertEquals(1, read(rule.formatted("durable", "channel_2")).rules().size());
        RulesFile refused = read(rule.formatted("notify", "channel_2"));
        assertEquals(
                "rules.yaml:1: rule \"a\": channel: its alerts would be lost, since Rowbell does not listen to \"channel_2\""
                        + " (rowbell.channels has channel_1, channel_3)",
                refused.problems().get(0).toString());
        assertEquals(List.of(), refused.rules());
    }
}
