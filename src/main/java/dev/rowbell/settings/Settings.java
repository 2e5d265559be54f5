package dev.rowbell.settings;

import static org.apache.camel.component.properties.PropertiesComponent.ENVIRONMENT_VARIABLES_MODE_FALLBACK;
import static org.apache.camel.component.properties.PropertiesComponent.SYSTEM_PROPERTIES_MODE_FALLBACK;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.Ordered;
import org.apache.camel.component.properties.AbstractLocationPropertiesSource;
import org.apache.camel.component.properties.DefaultPropertiesLookup;
import org.apache.camel.component.properties.PropertiesLookup;
import org.apache.camel.spi.PropertiesComponent;
import org.apache.camel.spi.PropertiesSource;
import org.apache.camel.util.IOHelper;
import org.apache.camel.util.TimeUtils;
import org.apache.camel.util.UnsafeUriCharactersEncoder;

/**
 * The settings of one CamelContext. Camel finds them in the environment, in system properties and in files; the default of each is in the
 * {@code application.properties} in the jar. No value is ever null, and nothing is cached.
 */
public final class Settings {

    private static final Pattern SIZE = Pattern.compile("(\\d{1,9})(kB|MB|)");

    private static final Pattern DURATION = Pattern.compile("(\\d+(ms|[smhd]))+");

    private static final String PREFIX = "rowbell.";
    /** The most characters in which a misspelled key differs: rowbell.chat.url is not rowbell.jdbc.url. */
    private static final int MOST_TYPOS = 2;

    /** Keys that were a value and the beginning of others, with their names of today. */
    private static final Map<String, String> RENAMED = Map.of("rowbell.rules", "rowbell.rules.file");

    /** A whole value that is one placeholder. */
    private static final Pattern PLACEHOLDER = Pattern.compile("\\{\\{([^{}?]+)}}");

    private final CamelContext context;

    public Settings(CamelContext context) {
        this.context = context;
    }

    /** Asked for each time, since a host may replace it, as Spring Boot does. */
    private PropertiesComponent properties() {
        return context.getPropertiesComponent();
    }

    /**
     * The value without surrounding blanks; empty where it is set to nothing.
     *
     * @throws SettingsException where it has a placeholder that cannot be resolved
     */
    public String text(String key) {
        return properties()
                .resolveProperty(key)
                .orElseGet(() -> {
                    require(password(key).isEmpty(), key + ": a placeholder {{…}} in its value cannot be resolved");
                    return "";
                })
                .trim();
    }

    /**
     * A value of which each character counts: blanks at its ends too, and braces and backslashes mean nothing. Only where all of it is one
     * placeholder that Camel can resolve, as <code>{{env:NAME}}</code> or that of a vault, it is the value of that.
     *
     * @throws SettingsException where a character of it was lost, as it was in another encoding
     */
    public String password(String key) {
        String given = raw("{{?" + key + "}}");
        Matcher placeholder = PLACEHOLDER.matcher(given == null ? "" : given);
        String resolved = placeholder.matches() ? raw("{{?" + placeholder.group(1) + "}}") : null;
        String value = resolved == null ? given == null ? "" : given : resolved;
        require(
                value.indexOf('\uFFFD') < 0,
                key
                        + ": it has bytes that are no UTF-8: save the file as UTF-8, and for the environment set LC_ALL=C.UTF-8");
        return value;
    }

    /** As the source has it, of which Camel's own look-up takes blanks and backslashes. Null where it is set nowhere. */
    private String raw(String placeholder) {
        org.apache.camel.component.properties.PropertiesComponent camel =
                (org.apache.camel.component.properties.PropertiesComponent) properties();
        DefaultPropertiesLookup trimmed = new DefaultPropertiesLookup(camel);
        PropertiesLookup asWritten = (name, none) -> {
            String value = trimmed.lookup(name, none);
            return camel.getPropertiesSources().stream()
                    .filter(AbstractLocationPropertiesSource.class::isInstance)
                    .map(AbstractLocationPropertiesSource.class::cast)
                    .map(file -> file.loadPropertiesFromLocation(camel, file.getLocation())
                            .getProperty(name))
                    .filter(written ->
                            written != null && written.replaceFirst(" +$", "").equals(value))
                    .findFirst()
                    .orElse(value);
        };
        return camel.getPropertiesParser().parseUri(placeholder, asWritten, false, false, false);
    }

    public boolean isSet(String key) {
        return !text(key).isEmpty();
    }

    /** @throws SettingsException where the value is not a whole number of at least {@code least} */
    public int number(String key, int least) {
        try {
            int number = Integer.parseInt(text(key));
            if (number >= least) {
                return number;
            }
        } catch (NumberFormatException e) {
            // reported below
        }
        throw new SettingsException("%s=%s: give a whole number of at least %d".formatted(key, text(key), least));
    }

    /**
     * A size in bytes.
     *
     * @throws SettingsException where the value is no size from 10 kB to 100 MB
     */
    public int size(String key) {
        Matcher size = SIZE.matcher(text(key));
        if (size.matches()) {
            long unit = size.group(2).equals("MB") ? 1_000_000 : size.group(2).equals("kB") ? 1000 : 1;
            long bytes = Long.parseLong(size.group(1)) * unit;
            if (bytes >= 10_000 && bytes <= 100_000_000) {
                return (int) bytes;
            }
        }
        throw new SettingsException("%s=%s: give a size from 10kB to 100MB".formatted(key, text(key)));
    }

    /** @throws SettingsException where the value is not a duration above zero */
    public Duration duration(String key) {
        try {
            Duration duration = TimeUtils.toDuration(text(key));
            // Camel would read a number without a unit as milliseconds, wherever it stands
            if (DURATION.matcher(text(key)).matches() && duration.toMillis() > 0) {
                return duration;
            }
        } catch (RuntimeException e) {
            // reported below
        }
        throw new SettingsException("%s=%s: give a duration such as 500ms, 1s, 15m or 1h30m".formatted(key, text(key)));
    }

    /**
     * As {@link #duration}, or zero.
     *
     * @throws SettingsException where the value is neither 0 nor a duration
     */
    public Duration durationOrZero(String key) {
        return text(key).equals("0") ? Duration.ZERO : duration(key);
    }

    /** @throws SettingsException where the value is neither true nor false */
    public boolean flag(String key) {
        return switch (text(key)) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new SettingsException("%s=%s: give true or false".formatted(key, text(key)));
        };
    }

    /**
     * Reads the settings that would otherwise be read first during the work.
     *
     * @param others read those that other packages know
     * @throws SettingsException with a line for each value that cannot be used
     */
    public void check(Runnable... others) {
        List<String> problems = problems(others);
        require(problems.isEmpty(), String.join("\n", problems));
    }

    /** What {@link #check} finds, each in a sentence. */
    public List<String> problems(Runnable... others) {
        List<Runnable> checks = new ArrayList<>(List.of(this::refuseRenamed));
        Stream.of(
                        "rowbell.feedback.poll",
                        "rowbell.listen.heartbeat",
                        "rowbell.dead-letter.keep",
                        "rowbell.firing.keep",
                        "rowbell.health.max-age",
                        "rowbell.http.connect-timeout",
                        "rowbell.http.response-timeout",
                        "rowbell.jdbc.wait",
                        "rowbell.mail.digest",
                        "rowbell.mail.timeout",
                        "rowbell.outbox.backoff",
                        "rowbell.outbox.lease",
                        "rowbell.outbox.max-backoff",
                        "rowbell.outbox.poll",
                        "rowbell.query.timeout")
                .forEach(key -> checks.add(() -> duration(key)));
        Stream.of(
                        "rowbell.feedback.batch",
                        "rowbell.health.port",
                        "rowbell.http.batch",
                        "rowbell.mail.port",
                        "rowbell.outbox.circuit",
                        "rowbell.outbox.max-attempts")
                .forEach(key -> checks.add(() -> number(key, 1)));
        checks.add(() -> number("rowbell.jdbc.pool-size", 2));
        Stream.of("rowbell.embedded.port", "rowbell.rehearsal").forEach(key -> checks.add(() -> number(key, 0)));
        checks.add(() -> size("rowbell.alert.max-size"));
        Stream.of(
                        "rowbell.rules.reload",
                        "rowbell.api.enabled",
                        "rowbell.api.operate",
                        "rowbell.firing.enabled",
                        "rowbell.health.enabled",
                        "rowbell.mail.starttls",
                        "rowbell.migrate",
                        "rowbell.web.enabled")
                .forEach(key -> checks.add(() -> flag(key)));
        checks.add(() -> require(
                text("rowbell.demo").matches("(true|false|)"),
                "rowbell.demo=%s: give true or false".formatted(text("rowbell.demo"))));
        checks.add(() -> require(
                text("rowbell.console").matches("INFO|OFF"),
                "rowbell.console=%s: give INFO or OFF".formatted(text("rowbell.console"))));
        checks.add(() -> require(
                !text("rowbell.rules.file").matches("(?!file:|classpath:)[a-z]{2,}:.*|(file|classpath):"),
                "rowbell.rules.file=%s: give the path of a file, such as rules.yaml"
                        .formatted(text("rowbell.rules.file"))));
        checks.add(() -> require(
                text("rowbell.query.url").matches("(jdbc:postgresql:.*)?"),
                "rowbell.query.url: write it as jdbc:postgresql://host:5432/database"));
        checks.add(() -> require(
                !isSet("rowbell.mail.host") || isSet("rowbell.mail.to"),
                "rowbell.mail.to is empty and rowbell.mail.host is set: give the recipients"));
        checks.add(() -> require(
                text("rowbell.web.origin").matches("(https?://[^/?#@\\s]+)?"),
                "rowbell.web.origin: write it as https://rowbell.example.org, without a path"));
        checks.add(() -> require(
                text("rowbell.web.base-path").matches("(?!/observe)(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"),
                "rowbell.web.base-path=%s: write it as /rowbell, without a slash at its end; /observe is taken"
                        .formatted(text("rowbell.web.base-path"))));
        checks.add(() -> require(
                text("rowbell.api.path").matches("(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+"),
                "rowbell.api.path=%s: write it as /rowbell/api, without a slash at its end"
                        .formatted(text("rowbell.api.path"))));
        checks.add(this::requireHttpUrl);
        return Stream.concat(checks.stream(), Stream.of(others))
                .flatMap(check -> {
                    try {
                        check.run();
                        return Stream.empty();
                    } catch (SettingsException e) {
                        return Stream.of(e.getMessage());
                    }
                })
                .toList();
    }

    private void requireHttpUrl() {
        // the URL may be a secret, so the message does not contain it
        require(
                text("rowbell.http.url").matches("(https?://[^/?#@]+([/?#].*)?)?"),
                "rowbell.http.url: write it as https://host/path, without a login");
        require(
                !isSet("rowbell.http.url") || hasHost(text("rowbell.http.url")),
                "rowbell.http.url: its host is no name that Java can use: letters from a to z, digits, hyphens and dots,"
                        + " no underscore. Give the receiver another name, such as a network alias");
    }

    /** The HTTP client refuses each request otherwise. */
    private static boolean hasHost(String url) {
        try {
            return new URI(UnsafeUriCharactersEncoder.encodeHttpURI(url)).getHost() != null;
        } catch (URISyntaxException e) {
            return false;
        }
    }

    private static void require(boolean usable, String problem) {
        if (!usable) {
            throw new SettingsException(problem);
        }
    }

    /** @throws SettingsException where a key is set, in a file or in the environment, that has another name now */
    public void refuseRenamed() {
        RENAMED.forEach((old, name) -> {
            if (properties().resolveProperty(old).isPresent()) {
                throw new SettingsException("%s has a new name: set %s instead, or %s in the environment"
                        .formatted(old, name, inEnvironment(name)));
            }
        });
    }

    /**
     * Misspelled keys, each in a sentence with the key that was probably meant. A key that resembles none is the user's own, for routes of
     * their own.
     *
     * @param environment by name, as {@link System#getenv()} has it
     */
    public List<String> misspelled(Map<String, String> environment) {
        Set<String> given =
                properties().loadProperties(name -> name.startsWith(PREFIX)).stringPropertyNames();
        return misspelled(given, environment);
    }

    /**
     * The same where Camel cannot list the keys.
     *
     * @param given all keys that begin with {@code rowbell.}
     */
    public List<String> misspelled(Set<String> given, Map<String, String> environment) {
        Set<String> givenNames = environment.keySet().stream()
                .filter(name -> name.startsWith(inEnvironment(PREFIX)))
                .collect(Collectors.toSet());
        Set<String> known = shipped().stringPropertyNames().stream()
                .filter(key -> key.startsWith(PREFIX))
                .collect(Collectors.toSet());
        Set<String> knownNames = known.stream().map(Settings::inEnvironment).collect(Collectors.toSet());
        return Stream.concat(
                        misspelled(given, known, "%s is no setting: did you mean %s?"),
                        misspelled(givenNames, knownNames, "%s in the environment is no setting: did you mean %s?"))
                .toList();
    }

    private static Stream<String> misspelled(Set<String> given, Set<String> known, String sentence) {
        return given.stream()
                .filter(name -> !known.contains(name))
                .sorted()
                .flatMap(name -> new Misspelled(name)
                        .nearest(known, MOST_TYPOS).map(meant -> sentence.formatted(name, meant)).stream());
    }

    /** The name of the environment variable that sets this key. */
    static String inEnvironment(String key) {
        return key.toUpperCase(Locale.ROOT).replaceAll("[.-]", "_");
    }

    /**
     * Adds the defaults, which rank below each value that the host sets anywhere. They contain Rowbell's own keys only: the keys of Camel in the file
     * are for the program, not for an application that embeds the jar.
     */
    public static void addDefaults(PropertiesComponent properties) {
        if (properties.getPropertiesSource(Defaults.NAME) == null) {
            properties.addPropertiesSource(new Defaults(properties, shipped()));
        }
    }

    private static Properties shipped() {
        Properties defaults = new Properties();
        try (InputStream in = Settings.class.getResourceAsStream("/dev/rowbell/application.properties")) {
            defaults.load(new InputStreamReader(in, StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return defaults;
    }

    private record Defaults(PropertiesComponent properties, Properties values) implements PropertiesSource, Ordered {

        private static final String NAME = "rowbell-defaults";

        @Override
        public String getName() {
            return NAME;
        }

        @Override
        public String getProperty(String name) {
            return name.startsWith(PREFIX) && values.containsKey(name) && !isSetByHost(name)
                    ? values.getProperty(name)
                    : null;
        }

        /** In a source that comes after this one, or in a place where Camel looks after all sources. */
        private boolean isSetByHost(String name) {
            return properties.getPropertiesSources().stream()
                            .anyMatch(source -> source != this && source.getProperty(name) != null)
                    || properties instanceof org.apache.camel.component.properties.PropertiesComponent camels
                            && (camels.getInitialProperties().get(name) != null
                                    || camels.getPropertiesParser().customLookup(name) != null
                                    || camels.getEnvironmentVariableMode() == ENVIRONMENT_VARIABLES_MODE_FALLBACK
                                            && IOHelper.lookupEnvironmentVariable(name) != null
                                    || camels.getSystemPropertiesMode() == SYSTEM_PROPERTIES_MODE_FALLBACK
                                            && System.getProperty(name) != null);
        }

        /** After most other sources. */
        @Override
        public int getOrder() {
            return Ordered.LOWEST;
        }
    }
}
