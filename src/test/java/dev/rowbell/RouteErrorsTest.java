package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.outbox.SinkSwitches;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A mistake in a route is one line with file, line, route, step and expression. */
class RouteErrorsTest {

    private static final TestDatabase DATABASE = TestDatabase.createWithSchema();

    @TempDir
    Path dir;

    private Path routes;

    @BeforeEach
    void routes() throws IOException {
        routes = Files.createDirectory(dir.resolve("routes"));
    }

    private void route(String steps) throws IOException {
        Files.writeString(routes.resolve("alerts.camel.yaml"), """
                - route:
                    id: alerts
                    errorHandler:
                      noErrorHandler: {}
                    from:
                      uri: direct:alerts
                      steps:
                """ + steps.indent(8));
    }

    private Application application(Map<String, String> settings) {
        Application application = new Application();
        application.setPropertyPlaceholderLocations("file:application.properties");
        Properties properties = new Properties();
        properties.putAll(settings);
        properties.put("rowbell.health.enabled", "false");
        properties.put("rowbell.file.dir", dir.resolve("alerts").toString());
        properties.put("camel.main.routesReloadEnabled", "true");
        properties.put("camel.main.routesReloadDirectory", routes.toString());
        application.setOverrideProperties(properties);
        application.configure().withRoutesIncludePattern("file:" + routes + "/*.camel.yaml");
        return application;
    }

    private String refused() {
        List<String> lines = refusedLines();
        assertEquals(1, lines.size(), lines::toString);
        return lines.get(0);
    }

    private List<String> refusedLines() {
        Application application = application(DATABASE.settings());
        try {
            Exception refused = assertThrows(Exception.class, application::start);
            return RouteErrors.lines(application.getCamelContext(), refused);
        } finally {
            application.stop();
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "- setHeader: {name: x, expression: {simple: {expression: '${boddy[rule]}'}}};"
                        + "step setHeader, ${boddy[rule]}: SimpleParserException: Unknown function: boddy[rule]",
                "- setBody: {expression: {simple: {expression: '${body[rule]'}}}; step setBody, ${body[rule]: ",
                "- log: {message: '${boddy}'}; step log, ${boddy}: SimpleParserException: Unknown function: boddy",
                "- filter: {expression: {simple: {expression: \"'a' === 'b'\"}}, steps: [{to: {uri: 'outbox:file'}}]};"
                        + "step filter, 'a' === 'b': SimpleParserException: Unexpected token =",
                "- filter: {expression: {simple: {expression: \"'a' == 'b'\"}}, steps: [{log: {message: '${c}'}}]};"
                        + "step log, ${c}: SimpleParserException: Unknown function: c",
                "- choice: {when: [{expression: {simple: {expression: \"'a' == 'b'\"}}, steps: [{stop: {}}]},"
                        + " {expression: {simple: {expression: \"${d} == 'c'\"}}, steps: [{stop: {}}]}]};"
                        + "step when, ${d} == 'c': SimpleParserException: Unknown function: d",
                "- filter: {expression: {language: {language: alert, expression: \"severity = 'info'\"}}, steps: [{stop: {}}]};"
                        + "step filter, severity = 'info': IllegalArgumentException: ",
                "- setBody: {expression: {jq: {expression: '{a: '}}}; step setBody, {a: : ParseException: ",
                "- setBody: {expression: {language: {language: simpel, expression: x}}};"
                        + "step setBody, x: NoSuchLanguageException: No language could be found for: simpel",
                "- to: {uri: 'outbux:mail'}; step to: NoSuchEndpointException: No endpoint could be found for: outbux",
                "- to: {uri: 'outbox:mail', parameters: {bach: 5}}; step to: ResolveEndpointFailedException: Failed",
                "- bean: {ref: rowbelFile, method: append}; step bean: NoSuchBeanException: No bean could be found",
                "- bean: {ref: rowbellFile, method: apend}; step bean: MethodNotFoundException: Method with name: apend"
            })
    void aMistakeStopsTheStartWithItsPlace(String step, String words) throws IOException {
        route("- removeHeader:\n    name: y\n" + block(step) + "\n");
        String refused = refused();
        assertTrue(refused.startsWith("routes/alerts.camel.yaml:10, route alerts, " + words.strip()), refused);
        assertEquals(1, refused.lines().count());
    }

    @Test
    void aStartSaysEveryMistakeOfTheRoutes() throws IOException {
        route("""
                - filter:
                    expression:
                      simple:
                        expression: "'a' === 'b'"
                    steps:
                      - log:
                          message: ${b}
                      - to:
                          uri: outbux:mail
                - setBody:
                    expression:
                      simple:
                        expression: ${c}
                """);
        for (String sink : List.of("chat", "sms")) {
            Files.writeString(routes.resolve(sink + ".camel.yaml"), """
                    - route:
                        id: %1$s
                        from:
                          uri: outbox:%1$s
                          parameters:
                            bach: 5
                          steps:
                            - removeHeader:
                                name: y
                    """.formatted(sink));
        }
        List<String> refused = refusedLines();
        List<String> places = refused.stream()
                .map(line -> line.replaceFirst(": .*", ""))
                .sorted()
                .toList();
        assertEquals(
                List.of(
                        "routes/alerts.camel.yaml:13, route alerts, step log, ${b}",
                        "routes/alerts.camel.yaml:15, route alerts, step to",
                        "routes/alerts.camel.yaml:17, route alerts, step setBody, ${c}",
                        "routes/alerts.camel.yaml:8, route alerts, step filter, 'a' === 'b'",
                        "routes/chat.camel.yaml:4, route chat, step from",
                        "routes/sms.camel.yaml:4, route sms, step from"),
                places,
                refused::toString);
    }

    @ParameterizedTest
    @CsvSource({
        "bach: 5, ResolveEndpointFailedException",
        "batch: many, NumberFormatException",
        "batch: '{{rowbell.bach}}', IllegalArgumentException: Property with key [rowbell.bach]"
    })
    void aMistakeInTheInputOfARouteStopsTheStartWithItsPlace(String option, String words) throws IOException {
        Files.writeString(routes.resolve("chat.camel.yaml"), """
                - route:
                    id: chat
                    from:
                      uri: outbox:chat
                      parameters:
                        %s
                      steps:
                        - removeHeader:
                            name: y
                """.formatted(option));
        String refused = refused();
        assertTrue(refused.startsWith("routes/chat.camel.yaml:4, route chat, step from: " + words), refused);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "constant: {expression: text}; setHeader: {name: x, expression: {simple: {expression: '${body[rule]}'}}};"
                        + "step setHeader, ${body[rule]} on a body of type String: IndexOutOfBoundsException: ",
                "constant: {expression: text};"
                        + "filter: {expression: {simple: {expression: '${body[rule]} == 1'}}, steps: [{stop: {}}]};"
                        + "step filter, ${body[rule]} == 1 on a body of type String: IndexOutOfBoundsException: ",
                "constant: {expression: text}; choice: {when: ["
                        + "{expression: {simple: {expression: \"'a' == 'b'\"}}, steps: [{stop: {}}]},"
                        + " {expression: {simple: {expression: '${body[rule]} == 1'}}, steps: [{stop: {}}]}]};"
                        + "step when, ${body[rule]} == 1 on a body of type String: IndexOutOfBoundsException: "
            })
    void anExpressionThatFailsOnAnAlertIsNamedInItsDeadLetter(String body, String step, String words) throws Exception {
        String error = errorOfAnAlert("- setBody: {expression: {" + body.strip() + "}}\n- " + block(step) + "\n");
        assertTrue(error.startsWith("routes/alerts.camel.yaml:9, route alerts, " + words.strip()), error);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "filter: {expression: {simple: {expression: \"'a' == 'a'\"}}, ",
                "loop: {expression: {constant: {expression: 2}}, ",
                "choice: {when: [{expression: {simple: {expression: \"'a' == 'a'\"}}, "
            })
    void aStepThatFailsIsNoFaultOfTheExpressionAroundIt(String around) throws Exception {
        String inner = "steps: [{throwException: {exceptionType: java.lang.IllegalStateException, message: refused}}]}";
        String error = errorOfAnAlert("- " + around + inner + (around.startsWith("choice") ? "]}" : "") + "\n");
        assertTrue(error.startsWith("IllegalStateException: refused"), error);
    }

    private String errorOfAnAlert(String steps) throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        Files.copy(Path.of("routes/sources.camel.yaml"), routes.resolve("sources.camel.yaml"));
        route(steps);
        Application application = application(database.settings());
        application.start();
        try {
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"a\", \"rule\": \"r\"}')");
            await().until(() -> database.count("rowbell.dead_letter") == 1);
            return database.query("select last_error from rowbell.dead_letter").get(0);
        } finally {
            application.stop();
        }
    }

    @Test
    void aReloadIsOneLineAndSoIsAMistakeInIt() throws Exception {
        route("- removeHeader:\n    name: y\n");
        Application application = application(DATABASE.settings());
        application.start();
        try (LogLines logged = new LogLines("dev.rowbell.RouteErrors");
                LogLines camels = new LogLines("org.apache.camel.support.FileWatcherResourceReloadStrategy")) {
            save(logged, "- removeHeader:\n    name: z\n");
            assertEquals(List.of("INFO " + file() + " reloaded"), logged.lines());
            save(logged, "- setHeader:\n    {name: x, expression: {simple: {expression: '${boddy}'}}}\n");
            assertEquals(
                    List.of("ERROR " + file() + " not reloaded: routes/alerts.camel.yaml:8, route alerts,"
                            + " step setHeader, ${boddy}: SimpleParserException: Unknown function: boddy"),
                    logged.lines());
            save(logged, "- to: [\n");
            assertEquals(1, logged.lines().size(), () -> logged.lines().toString());
            assertTrue(
                    logged.lines().get(0).startsWith("ERROR " + file() + " not reloaded: ParserException: "),
                    logged.lines().get(0));
            assertEquals(List.of(), camels.lines());
        } finally {
            application.stop();
        }
    }

    @Test
    void aMisspelledSinkIsToldWhenItsRouteStartsAndAtEachReload() throws Exception {
        Files.copy(Path.of("routes/file.camel.yaml"), routes.resolve("file.camel.yaml"));
        route("- to:\n    uri: outbox:flie\n");
        String warning = "WARN alerts are sent to outbox:flie, and no route here is from outbox:flie"
                + " (did you mean outbox:file?): they wait until a process has one. Add the route,"
                + " or correct the name in routes/alerts.camel.yaml";
        Application application = application(DATABASE.settings());
        try (LogLines reloads = new LogLines("dev.rowbell.RouteErrors");
                LogLines logged = new LogLines(SinkSwitches.class.getName())) {
            application.start();
            assertEquals(List.of(warning), logged.lines());
            save(reloads, "- to:\n    uri: outbox:file\n");
            logged.clear();
            save(reloads, "- to:\n    uri: outbox:flie\n");
            assertEquals(List.of(warning), logged.lines());
        } finally {
            application.stop();
        }
    }

    /** Camel takes the line of what follows the name of a step, less one. */
    private static String block(String step) {
        return step.strip().replaceFirst(": ", ":\n    ");
    }

    private String file() {
        return routes.resolve("alerts.camel.yaml").toString();
    }

    private void save(LogLines logged, String steps) throws IOException {
        logged.clear();
        route(steps);
        await().until(() -> !logged.lines().isEmpty());
    }
}
