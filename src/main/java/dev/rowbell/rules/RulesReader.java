package dev.rowbell.rules;

import dev.rowbell.settings.Misspelled;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.ReaderException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/** Reads rules.yaml with the line of each key. A wrong rule does not prevent the others from being read. For one use. */
final class RulesReader {

    private static final String RULES = "rules";

    private final String file;
    private final List<String> channels;
    private final List<FileRule> rules = new ArrayList<>();
    private final List<FileRule> faulty = new ArrayList<>();
    private final List<String> unread = new ArrayList<>();
    private final List<Problem> problems = new ArrayList<>();
    private final Map<String, Integer> named = new HashMap<>();
    private boolean nameless;

    /**
     * @param file as people write it
     * @param channels to which this process listens; empty where it listens to none, and another one may
     */
    RulesReader(String file, List<String> channels) {
        this.file = file;
        this.channels = channels;
    }

    RulesFile read(String text) {
        return result(readAll(text));
    }

    private RulesFile result(boolean readable) {
        return new RulesFile(
                file,
                readable,
                List.copyOf(rules),
                List.copyOf(faulty),
                List.copyOf(unread),
                nameless,
                List.copyOf(problems));
    }

    /**
     * One rule that a person gave in a form.
     *
     * @param fields by key; an empty one is left out
     */
    RulesFile read(Map<String, String> fields) {
        List<NodeTuple> entries = new ArrayList<>();
        fields.forEach((key, given) -> {
            if (!given.isBlank()) {
                entries.add(new NodeTuple(
                        new ScalarNode(Tag.STR, key, ScalarStyle.PLAIN),
                        Key.of(key).orElseThrow().node(given)));
            }
        });
        readRule(new MappingNode(Tag.MAP, entries, FlowStyle.BLOCK));
        return result(true);
    }

    private boolean readAll(String text) {
        Optional<Node> top;
        try {
            top = new Compose(LoadSettings.builder()
                            .setLabel(file)
                            .setSchema(new CoreSchema())
                            .build())
                    .composeString(text);
        } catch (MarkedYamlEngineException e) {
            String context = e.getContext() == null ? "" : e.getContext() + ": ";
            int line = e.getProblemMark()
                    .or(e::getContextMark)
                    .map(RulesReader::line)
                    .orElse(0);
            return unreadable(line, context + e.getProblem(), "quote text that has a colon, a # or a leading quote");
        } catch (ReaderException e) {
            int codePoints = Math.min(e.getPosition(), text.codePointCount(0, text.length()));
            String before = text.substring(0, text.offsetByCodePoints(0, codePoints));
            return unreadable(
                    (int) before.lines().count(),
                    "a character that YAML does not allow: U+%04X".formatted(e.getCodePoint()),
                    "");
        } catch (YamlEngineException e) {
            return unreadable(0, e.getMessage(), "");
        }
        if (top.isEmpty() || Key.isNull(top.get())) {
            return true;
        }
        if (!(top.get() instanceof MappingNode mapping)) {
            return unreadable(line(top.get()), "there is no list of rules", "begin with a line `rules:`");
        }
        return readTop(mapping);
    }

    private boolean readTop(MappingNode mapping) {
        boolean found = false;
        Node list = null;
        for (NodeTuple entry : mapping.getValue()) {
            String key = Key.scalar(entry.getKeyNode());
            if (RULES.equals(key) && !found) {
                found = true;
                list = entry.getValueNode();
            } else if (RULES.equals(key)) {
                return unreadable(line(entry.getKeyNode()), "a second list of rules", "put all rules into one");
            } else {
                problem(line(entry.getKeyNode()), null, null, unknown(key), suggestion(key, List.of(RULES)));
            }
        }
        if (!found) {
            return unreadable(line(mapping), "there is no list of rules", "begin with a line `rules:`");
        } else if (Key.isNull(list)) {
            return true;
        } else if (!(list instanceof SequenceNode sequence)) {
            return unreadable(line(list), "rules: is no list", "begin each rule with a dash: `- name: …`");
        } else {
            sequence.getValue().forEach(this::readRule);
            return true;
        }
    }

    private void readRule(Node node) {
        if (!(node instanceof MappingNode mapping)) {
            nameless = true;
            problem(line(node), null, null, "this is no rule", "write it as `- name: …`, `feed: …`, `condition: …`");
            return;
        }
        int problemsBefore = problems.size();
        Map<String, Object> values = new LinkedHashMap<>();
        Map<String, Integer> lines = new LinkedHashMap<>();
        Set<String> misspelled = new HashSet<>();
        String name = nameOf(mapping);
        for (NodeTuple entry : mapping.getValue()) {
            String key = Key.scalar(entry.getKeyNode());
            int line = line(entry.getKeyNode());
            Optional<Key> known = Key.of(key);
            if (known.isEmpty()) {
                problem(line, name, null, unknown(key), suggestion(key, Key.NAMES));
                new Misspelled(String.valueOf(key)).nearest(Key.NAMES).ifPresent(misspelled::add);
            } else if (lines.putIfAbsent(key, line) != null) {
                problem(line, name, key, "stands twice in this rule", "");
            } else if (!Key.isNull(entry.getValueNode())) {
                Node given = entry.getValueNode();
                Object value = known.get().read(given);
                if (value == null) {
                    problem(
                            line(given),
                            name,
                            key,
                            known.get().problem(given),
                            known.get().hint());
                } else {
                    values.put(known.get().column(), value);
                }
            }
        }
        List<Key> required = lines.containsKey("query")
                ? Key.REQUIRED_OF_QUERY
                : lines.containsKey("absent") ? Key.REQUIRED_OF_ABSENT : Key.REQUIRED;
        for (Key key : required) {
            if (!(values.get(key.text()) instanceof String text) || text.isBlank()) {
                boolean reported = misspelled.contains(key.text())
                        || problems.subList(problemsBefore, problems.size()).stream()
                                .anyMatch(problem -> key.text().equals(problem.field()));
                if (!reported) {
                    problem(lines.getOrDefault(key.text(), line(mapping)), name, null, "has no " + key.text(), "");
                }
            }
        }
        Object channel = values.getOrDefault("channel", "channel_1");
        if ("notify".equals(values.get("delivery")) && !channels.isEmpty() && !channels.contains(channel)) {
            problem(
                    lines.getOrDefault("channel", line(mapping)),
                    name,
                    "channel",
                    "its alerts would be lost, since Rowbell does not listen to \"%s\"".formatted(channel),
                    "rowbell.channels has " + String.join(", ", channels));
        }
        Integer first = name == null ? null : named.putIfAbsent(name, lines.get("name"));
        if (first != null) {
            problem(
                    lines.get("name"),
                    name,
                    "name",
                    "there is a rule of this name in line %d already".formatted(first),
                    "the first one counts; give this one another name");
        } else if (problems.size() == problemsBefore) {
            rules.add(new FileRule(name, values, line(mapping), lines));
            return;
        } else if (name == null) {
            nameless = true;
        } else {
            unread.add(name);
        }
        faulty.add(new FileRule(name, values, line(mapping), lines));
    }

    /** Read first, because each problem of the rule needs it. Null if there is no readable one. */
    private static String nameOf(MappingNode rule) {
        return rule.getValue().stream()
                .filter(entry -> "name".equals(Key.scalar(entry.getKeyNode())) && !Key.isNull(entry.getValueNode()))
                .map(entry -> (String) Key.NAME.read(entry.getValueNode()))
                .filter(name -> name != null && !name.isBlank())
                .findFirst()
                .orElse(null);
    }

    private static String unknown(String key) {
        return key == null ? "a key that is no text" : "unknown key \"%s\"".formatted(key);
    }

    private static String suggestion(String key, List<String> known) {
        return key == null
                ? ""
                : new Misspelled(key)
                        .nearest(known)
                        .map("did you mean %s?"::formatted)
                        .orElse("known are " + String.join(", ", known));
    }

    private boolean unreadable(int line, String text, String hint) {
        problem(line, null, null, text, hint);
        return false;
    }

    private void problem(int line, String rule, String field, String text, String hint) {
        problems.add(new Problem(file, line, rule, field, text, hint));
    }

    private static int line(Node node) {
        return node.getStartMark().map(RulesReader::line).orElse(0);
    }

    private static int line(Mark mark) {
        return mark.getLine() + 1;
    }
}
