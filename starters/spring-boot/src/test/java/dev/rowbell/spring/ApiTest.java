package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;

import at.favre.lib.crypto.bcrypt.BCrypt;
import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.camel.builder.RouteBuilder;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The JSON interface of Rowbell on the web server of the application. */
class ApiTest {

    private static final String FORM = "rule=too-late&key=id%3D8&note=on+it+%2B+100%25";

    private final TestServer database = TestServer.create();

    /** Whose own security lets in who has a key, and knows one of them as an operator. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application extends RouteBuilder {

        @Bean
        Filter security() {
            return (request, response, chain) -> {
                if (((HttpServletRequest) request).getHeader("X-Key") == null) {
                    ((HttpServletResponse) response).sendError(401);
                } else {
                    if (((HttpServletRequest) request).getHeader("X-Read") != null) {
                        request.getParameter("rule");
                    }
                    chain.doFilter(request, response);
                }
            };
        }

        @Override
        public void configure() {
            from("platform-http:/ops?matchOnUriPrefix=true")
                    .choice()
                    .when(header("X-Key").isEqualTo("carol's"))
                    .setProperty("RowbellOperator", constant("carol"))
                    .end()
                    .to("bean:rowbellApi?method=answer");
        }
    }

    private ConfigurableApplicationContext start(String... arguments) {
        return new SpringApplicationBuilder(Application.class)
                .properties(
                        "server.port=0",
                        "rowbell.jdbc.url=" + database.url(),
                        "rowbell.file.dir=",
                        "rowbell.rules.file=",
                        "rowbell.api.enabled=true")
                .run(arguments);
    }

    private void fires() {
        database.execute("""
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                values ('f8', 'too-late', 'public.orders', 'id=8', 'critical', 'too late', 1, now(), now(), 0, 'x')""");
    }

    private static HttpResponse<String> ask(
            ConfigurableApplicationContext application, String path, String form, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:%s%s"
                .formatted(application.getEnvironment().getProperty("local.server.port"), path)));
        if (headers.length > 0) {
            request.headers(headers);
        }
        if (form != null) {
            request.header("Content-Type", "application/x-www-form-urlencoded")
                    .POST(HttpRequest.BodyPublishers.ofString(form));
        }
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static String basic(String login) {
        return "Basic " + Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8));
    }

    private static String hash(String password) {
        return BCrypt.withDefaults().hashToString(4, password.toCharArray());
    }

    @Test
    void theApplicationGuardsThePathAndAnOperatorActs() throws Exception {
        try (ConfigurableApplicationContext application = start(
                "--rowbell.api.operate=true",
                "--rowbell.web.users=ada:operator:%s,bob:viewer:%s".formatted(hash("Ada's"), hash("Bob's")))) {
            fires();
            assertThat(ask(application, "/rowbell/api/firing", null).statusCode())
                    .isEqualTo(401);
            HttpResponse<String> firing =
                    ask(application, "/rowbell/api/firing?text=too+late&rule=too-late", null, "X-Key", "x");
            assertThat(firing.statusCode()).isEqualTo(200);
            assertThat(firing.body()).contains("\"id=8\"");
            assertThat(firing.headers().firstValue("Content-Type").orElse("")).startsWith("application/json");
            assertThat(firing.headers().map()).doesNotContainKeys("x-key", "rule");
            assertThat(ask(application, "/rowbell/api/firing?rule=other", null, "X-Key", "x")
                            .body())
                    .isEqualTo("{\"firing\":[]}\n");
            assertThat(ask(application, "/rowbell/api/openapi.yaml", null, "X-Key", "x")
                            .body())
                    .startsWith("openapi:");
            assertThat(ask(application, "/rowbell/api/none", null, "X-Key", "x").statusCode())
                    .isEqualTo(404);
            String acknowledge = "/rowbell/api/firing/acknowledge";
            assertThat(ask(application, acknowledge, FORM, "X-Key", "x").statusCode())
                    .isEqualTo(401);
            assertThat(ask(application, acknowledge, FORM, "X-Key", "x", "Authorization", basic("ada:wrong"))
                            .statusCode())
                    .isEqualTo(401);
            assertThat(ask(application, acknowledge, FORM, "X-Key", "x", "Authorization", basic("bob:Bob's"))
                            .statusCode())
                    .isEqualTo(403);
            for (String path : new String[] {acknowledge, "/ops/firing/acknowledge"}) {
                assertThat(ask(
                                        application,
                                        path,
                                        FORM,
                                        "X-Key",
                                        "carol's",
                                        "Authorization",
                                        basic("ada:Ada's"),
                                        "Origin",
                                        "https://evil.example.org")
                                .statusCode())
                        .isEqualTo(403);
            }
            assertThat(database.value("select count(*) from rowbell.audit")).isEqualTo("0");
            HttpResponse<String> done =
                    ask(application, acknowledge, FORM, "X-Key", "x", "Authorization", basic("ada:Ada's"));
            assertThat(done.body()).isEqualTo("{\"done\":\"1 acknowledged.\"}\n");
            assertThat(ask(
                                    application,
                                    acknowledge,
                                    "which=too-late%26id%253D8&note=again",
                                    "X-Key",
                                    "x",
                                    "X-Read",
                                    "before",
                                    "Authorization",
                                    basic("ada:Ada's"))
                            .body())
                    .isEqualTo("{\"done\":\"1 acknowledged.\"}\n");
            assertThat(ask(application, "/ops/firing/unacknowledge", FORM, "X-Key", "x")
                            .statusCode())
                    .isEqualTo(401);
            assertThat(ask(application, "/ops/firing/unacknowledge", FORM, "X-Key", "carol's")
                            .statusCode())
                    .isEqualTo(200);
            assertThat(
                            database.value(
                                    "select string_agg(concat_ws(' ', who, address, action, what), '; ' order by id) from rowbell.audit"))
                    .isEqualTo(
                            "ada 127.0.0.1 acknowledge too-late id=8, note on it + 100%; ada 127.0.0.1 acknowledge too-late id=8, note again; carol 127.0.0.1 unacknowledge too-late id=8");
        }
    }

    @Test
    void withoutOperateItIsToBeReadOnly() throws Exception {
        try (ConfigurableApplicationContext application = start()) {
            assertThat(ask(application, "/rowbell/api/rules", null, "X-Key", "x")
                            .statusCode())
                    .isEqualTo(200);
            assertThat(ask(application, "/ops/firing/acknowledge", FORM, "X-Key", "carol's")
                            .statusCode())
                    .isEqualTo(403);
        }
    }
}
