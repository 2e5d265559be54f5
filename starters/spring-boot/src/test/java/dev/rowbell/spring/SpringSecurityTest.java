package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;

import jakarta.servlet.DispatcherType;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.camel.builder.RouteBuilder;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.task.TaskDecorator;
import org.springframework.security.concurrent.DelegatingSecurityContextRunnable;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetails;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;

/** The JSON interface behind Spring Security, which knows the users and who of them is an operator. */
class SpringSecurityTest {

    private static final String ACKNOWLEDGE = "/ops/firing/acknowledge";

    private final TestServer database = TestServer.create();

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application extends RouteBuilder {

        @Bean
        SecurityFilterChain security(HttpSecurity http, @Value("${host.exempt}") String exempt) throws Exception {
            return http.authorizeHttpRequests(paths -> paths.dispatcherTypeMatchers(DispatcherType.ERROR)
                            .permitAll()
                            .requestMatchers("/rowbell/api/**", "/ops/**")
                            .hasRole("STAFF")
                            .anyRequest()
                            .denyAll())
                    .httpBasic(Customizer.withDefaults())
                    .csrf(csrf -> csrf.ignoringRequestMatchers(exempt))
                    .build();
        }

        @Bean
        UserDetailsService users() {
            return new InMemoryUserDetailsManager(
                    user("carol", "STAFF", "OPERATOR"), user("dave", "STAFF"), user("eve", "CUSTOMER"));
        }

        /** Camel runs the route on a thread of the application's executor, which else does not know who asks. */
        @Bean
        TaskDecorator whoAsks() {
            return DelegatingSecurityContextRunnable::new;
        }

        private static UserDetails user(String name, String... roles) {
            return User.withUsername(name).password("{noop}secret").roles(roles).build();
        }

        @Override
        public void configure() {
            from("platform-http:/ops?matchOnUriPrefix=true")
                    .process(e -> e.setProperty("RowbellOperator", operatorOf(SecurityContextHolder.getContext())))
                    .to("bean:rowbellApi?method=answer");
        }

        private static String operatorOf(SecurityContext context) {
            return context.getAuthentication().getAuthorities().stream()
                            .anyMatch(role -> role.getAuthority().equals("ROLE_OPERATOR"))
                    ? context.getAuthentication().getName()
                    : null;
        }
    }

    private ConfigurableApplicationContext start(String exempt) {
        ConfigurableApplicationContext application = new SpringApplicationBuilder(Application.class)
                .properties(
                        "server.port=0",
                        "host.exempt=" + exempt,
                        "rowbell.jdbc.url=" + database.url(),
                        "rowbell.file.dir=",
                        "rowbell.rules.file=",
                        "rowbell.api.enabled=true",
                        "rowbell.api.operate=true")
                .run();
        database.execute("""
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, reason, times, since, last, silenced, alert_id)
                values ('f8', 'too-late', 'public.orders', 'id=8', 'critical', 'too late', 1, now(), now(), 0, 'x')""");
        return application;
    }

    private static HttpRequest.Builder request(ConfigurableApplicationContext application, String path, String user) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:%s%s"
                .formatted(application.getEnvironment().getProperty("local.server.port"), path)));
        return user.isEmpty()
                ? request
                : request.header(
                        "Authorization",
                        "Basic "
                                + Base64.getEncoder()
                                        .encodeToString((user + ":secret").getBytes(StandardCharsets.UTF_8)));
    }

    private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static HttpResponse<String> get(ConfigurableApplicationContext application, String path, String user)
            throws Exception {
        return send(request(application, path, user));
    }

    private static HttpRequest.Builder acknowledge(ConfigurableApplicationContext application, String user) {
        return request(application, ACKNOWLEDGE, user)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString("rule=too-late&key=id%3D8&note=on+it"));
    }

    @Test
    void springSecurityGuardsThePathAndNamesTheOperator() throws Exception {
        try (ConfigurableApplicationContext application = start("/ops/**")) {
            for (String path : new String[] {"/rowbell/api/firing", "/ops/firing", "/rowbell/api/none"}) {
                assertThat(get(application, path, "").statusCode()).isEqualTo(401);
                assertThat(get(application, path, "eve").statusCode()).isEqualTo(403);
            }
            HttpResponse<String> firing = get(application, "/rowbell/api/firing?rule=too-late", "dave");
            assertThat(firing.statusCode()).isEqualTo(200);
            assertThat(firing.body()).contains("\"id=8\"");
            assertThat(get(application, "/ops/firing", "dave").body()).contains("\"id=8\"");
            // the same thread may have served an operator before
            assertThat(send(acknowledge(application, "carol").header("Origin", "https://evil.example.org"))
                            .statusCode())
                    .isEqualTo(403);
            assertThat(send(acknowledge(application, "dave")).statusCode()).isEqualTo(401);
            assertThat(send(acknowledge(application, "")).statusCode()).isEqualTo(401);
            assertThat(database.value("select count(*) from rowbell.audit")).isEqualTo("0");
            assertThat(send(acknowledge(application, "carol")).body()).isEqualTo("{\"done\":\"1 acknowledged.\"}\n");
            assertThat(database.value("select concat_ws(' ', who, address, action, what) from rowbell.audit"))
                    .isEqualTo("carol 127.0.0.1 acknowledge too-late id=8, note on it");
        }
    }

    @Test
    void withoutTheExemptionItsProtectionRefusesActionsAndNoReading() throws Exception {
        try (ConfigurableApplicationContext application = start("/other/**")) {
            assertThat(get(application, "/ops/firing", "carol").statusCode()).isEqualTo(200);
            assertThat(send(acknowledge(application, "carol")).statusCode()).isEqualTo(403);
            assertThat(database.value("select count(*) from rowbell.audit")).isEqualTo("0");
        }
    }
}
