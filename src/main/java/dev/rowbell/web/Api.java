package dev.rowbell.web;

import dev.rowbell.alert.AlertJson;
import dev.rowbell.error.Errors;
import dev.rowbell.rules.Explanation;
import dev.rowbell.web.Pages.Page;
import dev.rowbell.web.Users.User;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.RecordComponent;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the pages show and what operators do, as JSON: the same parts, read in the same way, and the same actions. {@code openapi.yaml} describes it. Who
 * may is looked at before. Safe for many threads.
 */
public final class Api {

    private static final Logger LOG = LoggerFactory.getLogger(Api.class);

    static final String PATH = "/api/";
    static final String DESCRIPTION = PATH + "openapi.yaml";

    private static final String ALERT = PATH + "alerts/";
    private static final String EXPLAIN = PATH + "explain";

    /** By path, the page and the names that its values have here; a value that the page does not have is left out. */
    private static final Map<String, Source> SOURCES = Map.ofEntries(
            Map.entry(PATH + "firing", new Source("/firing", Map.of("entries", "firing"))),
            Map.entry(
                    PATH + "alerts",
                    new Source("/alerts", Map.of("entries", "alerts", "after", "after", "history", "history"))),
            Map.entry(
                    ALERT + "{id}",
                    new Source("/explain", Map.of("summary", "summary", "findings", "timeline", "kept", "document"))),
            Map.entry(EXPLAIN, new Source("/explain", Map.of("summary", "summary", "findings", "findings"))),
            Map.entry(
                    PATH + "rules",
                    new Source(
                            "/rules",
                            Map.of("rules", "rules", "costs", "costs", "refused", "refused", "found", "found"))),
            Map.entry(
                    PATH + "rules/edit",
                    new Source("/rules/edit", Map.of("fields", "fields", "began", "began", "origin", "origin"))),
            Map.entry(PATH + "sinks", new Source("/sinks", Map.of("sinks", "sinks"))),
            Map.entry(
                    PATH + "dead-letters",
                    new Source("/dead-letters", Map.of("groups", "groups", "letters", "letters"))),
            Map.entry(PATH + "silences", new Source("/silences", Map.of("silences", "silences"))),
            Map.entry(PATH + "feeds", new Source("/feeds", Map.of("feeds", "feeds", "silent", "silentTriggers"))));

    /** Of records: without a time zone, which pages do not need. */
    private static final Set<String> TIMES = Set.of(
            "routed", "since", "until", "last", "died", "lastHit", "failed", "nextDue", "nextTry", "disabledSince");

    private static final int LONG = 50_000;

    private final Pages pages;
    private final Actions actions;
    private final ZoneId zone;
    private final String description;

    Api(Pages pages, Actions actions, ZoneId zone) {
        this.pages = pages;
        this.actions = actions;
        this.zone = zone;
        try (InputStream file = Api.class.getResourceAsStream("openapi.yaml")) {
            description = new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private record Source(String page, Map<String, String> values) {}

    /** @param type of its text, without the character set, which is UTF-8 */
    record Answer(int status, String type, String text) {

        /** @param json on one line */
        private static Answer json(int status, Object json) {
            return new Answer(status, "application/json", AlertJson.write(json) + "\n");
        }
    }

    /** All that it knows, as {@code GET /api/firing}. */
    public static Set<String> operations() {
        Set<String> operations = new TreeSet<>(Set.of("GET " + DESCRIPTION));
        SOURCES.keySet().forEach(path -> operations.add("GET " + path));
        Actions.PATHS.forEach(path -> operations.add("POST /api" + path));
        return operations;
    }

    static Answer problem(int status, String problem) {
        return Answer.json(status, Map.of("problems", List.of(problem)));
    }

    private static Answer failed(String path, RuntimeException failure) {
        LOG.warn("{} of the web console failed: {}", path, Errors.inWords(failure));
        LOG.debug("its failure", failure);
        return problem(500, Errors.inWords(failure));
    }

    private static Answer done(Optional<Actions.Result> result) {
        if (result.isEmpty()) {
            return problem(404, "there is no such action");
        }
        return result.get().status() == 200
                ? Answer.json(200, Map.of("done", result.get().said()))
                : problem(result.get().status(), result.get().said());
    }

    private static Answer edited(Actions.Edited edited) {
        if (edited.status() != 200) {
            return Answer.json(edited.status(), Map.of("problems", shown(edited.problems())));
        }
        Map<String, Object> json = new LinkedHashMap<>(Map.of("done", edited.said()));
        if (!edited.rows().isEmpty()) {
            json.put("rows", shown(edited.rows()));
        }
        return Answer.json(200, json);
    }

    private static List<String> shown(List<String> texts) {
        return texts.stream().map(text -> ShownText.shown(text, LONG)).toList();
    }

    /**
     * Does it, if the user is an operator.
     *
     * @param from the address of the user
     */
    Answer operate(String path, Form form, User user, String from) {
        if (!user.operator()) {
            return problem(403, "Only an operator may do that.");
        }
        try {
            String action = path.substring(PATH.length() - 1);
            return RuleForm.PATHS.contains(action)
                    ? edited(actions.edit(action, RuleForm.of(form), user.name(), from))
                    : done(actions.perform(action, form, user.name(), from));
        } catch (RuntimeException e) {
            return failed(path, e);
        }
    }

    /** @param asked the parameters of the address */
    Answer read(String path, Map<String, String> asked) {
        if (path.equals(DESCRIPTION)) {
            return new Answer(200, "application/yaml", description);
        }
        try {
            return shown(path, asked);
        } catch (RuntimeException e) {
            return failed(path, e);
        }
    }

    private Answer shown(String path, Map<String, String> asked) {
        Map<String, String> parameters = new HashMap<>(asked);
        boolean alert = path.startsWith(ALERT);
        if (alert) {
            parameters.keySet().removeAll(Set.of("rule", "key"));
            parameters.put("id", decoded(path.substring(ALERT.length())));
        }
        if (path.equals(EXPLAIN)) {
            parameters.remove("id");
            if (parameters.getOrDefault("rule", "").isBlank()) {
                return problem(400, "give a rule");
            }
        }
        Source source = SOURCES.get(alert ? ALERT + "{id}" : path);
        if (source == null) {
            return problem(404, "there is no such path");
        }
        Page page = pages.content(source.page(), parameters, false);
        Object problems = page.model().get("problems");
        if (problems instanceof List<?> some && !some.isEmpty()) {
            return Answer.json(page.refused() ? 400 : 503, Map.of("problems", shown(some)));
        }
        if (page.template().equals("missing")) {
            return problem(404, "there is no such thing");
        }
        Object findings = page.model().get("findings");
        if (alert && (findings == null || List.of().equals(findings))) {
            return problem(404, Explanation.NOWHERE.summary());
        }
        Map<String, Object> json = new LinkedHashMap<>();
        source.values().forEach((name, as) -> {
            if (page.model().containsKey(name)) {
                json.put(as, shown(page.model().get(name)));
            }
        });
        return Answer.json(200, json);
    }

    private static String decoded(String segment) {
        try {
            // a plus sign is one, here
            return URLDecoder.decode(segment.replace("+", "%2B"), StandardCharsets.UTF_8)
                    .replace("\0", "");
        } catch (IllegalArgumentException e) {
            return segment;
        }
    }

    private Object shown(Object value) {
        if (value instanceof ShownText.Lines lines) {
            return shown(lines.text());
        } else if (value instanceof Pages.Linked linked) {
            return shown(linked.shown());
        } else if (value instanceof Record record) {
            return shown(record);
        } else if (value instanceof Optional<?> document) {
            return document.map(text -> shown(parsed(text.toString()))).orElse(null);
        } else if (value instanceof Map<?, ?> map) {
            Map<String, Object> shown = new LinkedHashMap<>();
            map.forEach((key, one) -> shown.put(key.toString(), shown(one)));
            return shown;
        } else if (value instanceof Collection<?> all) {
            return all.stream().map(this::shown).toList();
        }
        return value instanceof CharSequence text ? ShownText.shown(text.toString(), LONG) : value;
    }

    private static Object parsed(String document) {
        try {
            return AlertJson.parse(document);
        } catch (IllegalArgumentException e) {
            return document;
        }
    }

    private Map<String, Object> shown(Record record) {
        Map<String, Object> shown = new LinkedHashMap<>();
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            Object value;
            try {
                value = component.getAccessor().invoke(record);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
            boolean time = TIMES.contains(component.getName())
                    && value instanceof String text
                    && text.matches("\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d");
            shown.put(component.getName(), time ? withOffset((String) value) : shown(value));
        }
        return shown;
    }

    private String withOffset(String local) {
        return LocalDateTime.parse(local.replace(' ', 'T'))
                .atZone(zone)
                .toOffsetDateTime()
                .toString();
    }
}
