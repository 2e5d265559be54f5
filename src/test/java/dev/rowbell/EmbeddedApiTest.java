package dev.rowbell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.error.Errors;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebClient;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.impl.engine.DefaultClassResolver;
import org.apache.camel.main.Main;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** The JSON interface as a route of plain Camel with its own web server. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("long")
class EmbeddedApiTest {

    private static final String ACKNOWLEDGE = "/rowbell/api/firing/acknowledge";
    private static final Map<String, String> THING =
            Map.of("rule", "too-late", "key", "id=8", "note", "RAW(on it) & more");

    private final TestDatabase database = TestDatabase.createWithSchema();
    private Main operated;
    private WebClient client;

    /** An application with the shipped routes, and one of its own that knows who asks. */
    private Main start(Map<String, String> more) throws Exception {
        Properties settings = new Properties();
        settings.putAll(database.settings());
        settings.put("rowbell.file.dir", "");
        settings.put("rowbell.api.enabled", "true");
        settings.put("camel.server.enabled", "true");
        settings.putAll(more);
        Main application = new Main();
        application.setOverrideProperties(settings);
        application.configure().withRoutesIncludePattern("classpath:dev/rowbell/routes/*.camel.yaml");
        application.configure().addRoutesBuilder(new RouteBuilder() {
            @Override
            public void configure() {
                from("platform-http:/ops?matchOnUriPrefix=true")
                        .setProperty("RowbellOperator", simple("${header.X-Staff}"))
                        .to("bean:rowbellApi?method=answer");
            }
        });
        application.start();
        return application;
    }

    @BeforeAll
    void start() throws Exception {
        String port = String.valueOf(FreePort.find());
        operated = start(Map.of(
                "camel.server.port",
                port,
                "rowbell.api.operate",
                "true",
                "rowbell.web.origin",
                "https://shop.example.org",
                "rowbell.web.users",
                "ada:operator:%s,bob:viewer:%s".formatted(WebClient.hash("Ada's"), WebClient.hash("Bob's"))));
        client = new WebClient(Integer.parseInt(port));
    }

    @AfterAll
    void stop() {
        operated.stop();
    }

    @BeforeEach
    void fires() {
        WebOperatorTest.fires(database);
    }

    private static Map<String, String> as(String login) {
        return Map.of(
                "Authorization", "Basic " + Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8)));
    }

    private String acknowledged() {
        return String.join(
                ",", database.query("select key from rowbell.firing where acknowledged is not null order by 1"));
    }

    private List<String> audit() {
        return database.query("select concat_ws(' ', who, address, action, what) from rowbell.audit order by id");
    }

    @Test
    void whoComesToThePathReads() {
        HttpResponse<String> firing =
                client.get("/rowbell/api/firing?rule=too-late&text=a+b%25", Map.of("X-Own", "kept"));
        assertEquals(200, firing.statusCode(), firing.body());
        assertEquals("{\"firing\":[]}\n", firing.body());
        assertEquals(
                "application/json; charset=utf-8",
                firing.headers().firstValue("Content-Type").orElse(""));
        assertEquals("0", firing.headers().firstValue("Expires").orElse(""));
        assertFalse(firing.headers().map().containsKey("x-own"), "headers of a request are not sent back");
        assertFalse(firing.headers().map().containsKey("rule"));
        assertTrue(client.get("/rowbell/api/firing?rule=too-late").body().contains("id=8"));
        assertTrue(client.get("/rowbell/api/openapi.yaml").body().startsWith("openapi:"));
        assertEquals(200, client.get("/ops/rules").statusCode());
        for (String path :
                List.of("/rowbell/api/none", "/rowbell/api", "/rowbell/api/", "/rowbell/api/alerts/none%2F1")) {
            assertEquals(404, client.get(path).statusCode(), path);
        }
        assertEquals(400, client.get("/rowbell/api/alerts?from=x").statusCode());
        assertEquals(
                403,
                client.get("/rowbell/api/rules", Map.of("Sec-Fetch-Site", "cross-site"))
                        .statusCode());
    }

    @Test
    void anOperatorActsByAPassword() {
        HttpResponse<String> done = client.post(ACKNOWLEDGE, THING, as("ada:Ada's"));
        assertEquals(200, done.statusCode(), done.body());
        assertEquals("{\"done\":\"1 acknowledged.\"}\n", done.body());
        assertEquals("id=8", acknowledged());
        assertEquals(List.of("ada 127.0.0.1 acknowledge too-late id=8, note RAW(on it) & more"), audit());
        Map<String, String> page = WebClient.with(as("ada:Ada's"), "Origin", "https://shop.example.org");
        HttpResponse<String> two =
                client.send("/rowbell/api/firing/acknowledge", "which=too-late%26id%3D7&which=too-late%26id%3D9", page);
        assertEquals("{\"done\":\"2 acknowledged.\"}\n", two.body());
    }

    @Test
    void nobodyElseActs() {
        assertEquals(401, client.post(ACKNOWLEDGE, THING, Map.of()).statusCode());
        for (String wrong : List.of("ada:wrong", "eve:x", "ada", ":")) {
            HttpResponse<String> refused = client.post(ACKNOWLEDGE, THING, as(wrong));
            assertEquals(401, refused.statusCode(), wrong);
            // a browser that is asked for a password sends it from pages of other sites, too
            assertEquals(List.of("Bearer"), refused.headers().allValues("WWW-Authenticate"));
        }
        assertEquals(403, client.post(ACKNOWLEDGE, THING, as("bob:Bob's")).statusCode());
        for (Map<String, String> page : List.of(
                Map.of("Origin", "https://evil.example.org"),
                Map.of("Origin", "null"),
                Map.of("Sec-Fetch-Site", "cross-site"),
                Map.of("Origin", "https://shop.example.org", "Sec-Fetch-Site", "cross-site"))) {
            for (String path :
                    List.of(ACKNOWLEDGE, ACKNOWLEDGE + "?Origin=https://shop.example.org", "/ops/firing/acknowledge")) {
                Map<String, String> headers = new HashMap<>(page);
                headers.putAll(as("ada:Ada's"));
                headers.put("X-Staff", "carol");
                assertEquals(403, client.post(path, THING, headers).statusCode(), page + " " + path);
            }
        }
        assertEquals(
                401,
                client.post(
                                ACKNOWLEDGE + "?RowbellOperator=ada&CamelHttpMethod=GET",
                                THING,
                                Map.of("RowbellOperator", "ada"))
                        .statusCode());
        assertEquals(
                404, client.post("/rowbell/api/none", Map.of(), as("ada:Ada's")).statusCode());
        assertEquals(
                415,
                client.post(ACKNOWLEDGE, THING, WebClient.with(as("ada:Ada's"), "Content-Type", "text/plain"))
                        .statusCode());
        assertTrue(client.raw("PUT /rowbell/api/rules HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .startsWith("HTTP/1.1 405 "));
        assertEquals("", acknowledged());
        assertEquals(List.of(), audit());
    }

    @Test
    void aRouteOfTheApplicationNamesTheOperator() {
        assertEquals(
                401, client.post("/ops/firing/acknowledge", THING, Map.of()).statusCode());
        assertEquals(
                200,
                client.post("/ops/firing/acknowledge", THING, Map.of("X-Staff", "carol"))
                        .statusCode());
        assertEquals("id=8", acknowledged());
        assertTrue(audit().get(0).startsWith("carol 127.0.0.1 acknowledge"), audit().toString());
    }

    @Test
    void itIsToBeReadOnlyUnlessItIsAskedFor() throws Exception {
        String port = String.valueOf(FreePort.find());
        Main application = start(Map.of(
                "camel.server.port",
                port,
                "rowbell.api.path",
                "/alerting",
                "rowbell.web.users",
                "ada:operator:" + WebClient.hash("Ada's")));
        try {
            WebClient reader = new WebClient(Integer.parseInt(port));
            assertEquals(200, reader.get("/alerting/rules").statusCode());
            HttpResponse<String> refused = reader.post("/alerting/firing/acknowledge", THING, as("ada:Ada's"));
            assertEquals(403, refused.statusCode());
            assertTrue(refused.body().contains("rowbell.api.operate=true"), refused.body());
            assertEquals(
                    403,
                    reader.post("/ops/firing/acknowledge", THING, Map.of("X-Staff", "carol"))
                            .statusCode());
            assertEquals("", acknowledged());
        } finally {
            application.stop();
        }
    }

    @Test
    void withoutAWebServerTheStartSaysWhatToAdd() {
        SettingsException missing =
                settingsException(assertThrows(Exception.class, () -> start(Map.of("camel.server.enabled", "false"))));
        assertTrue(
                Errors.forUser(missing).startsWith("rowbell.api.enabled=true: Camel has no web server here: add "),
                missing.getMessage());
    }

    private static SettingsException settingsException(Throwable failure) {
        Throwable cause = failure;
        while (!(cause instanceof SettingsException)) {
            cause = cause.getCause();
        }
        return (SettingsException) cause;
    }

    @Test
    void aMissingLibraryIsNamed() throws Exception {
        for (String name : List.of("platform.http.PlatformHttpComponent", "bcrypt.BCrypt")) {
            try (DefaultCamelContext context = new DefaultCamelContext()) {
                context.setClassResolver(new DefaultClassResolver(context) {
                    @Override
                    public Class<?> resolveClass(String asked) {
                        return asked.endsWith(name) ? null : super.resolveClass(asked);
                    }
                });
                context.getPropertiesComponent().addInitialProperty("rowbell.api.enabled", "true");
                context.getPropertiesComponent().addInitialProperty("rowbell.web.users", "ada:operator:x");
                String said = settingsException(assertThrows(Exception.class, context::start))
                        .getMessage();
                assertTrue(
                        said.matches(
                                "rowbell\\.(api\\.enabled|web\\.users) is set, and (org\\.apache\\.camel:camel-platform-http-main|at\\.favre\\.lib:bcrypt).*"),
                        said);
            }
        }
    }
}
