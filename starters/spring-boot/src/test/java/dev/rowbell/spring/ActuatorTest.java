package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** What operators of the application see. */
class ActuatorTest {

    private final TestServer database = TestServer.create();

    /** With two registries, as one that exports and one for the tests. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {

        @Bean
        MeterRegistry one() {
            return new SimpleMeterRegistry();
        }

        @Bean
        MeterRegistry another() {
            return new SimpleMeterRegistry();
        }
    }

    private static String get(ConfigurableApplicationContext application, String path) throws Exception {
        String port = application.getEnvironment().getProperty("local.server.port");
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create("http://localhost:" + port + path))
                                .build(),
                        HttpResponse.BodyHandlers.ofString())
                .body();
    }

    @Test
    void healthAndMetersOfTheApplicationHaveThoseOfRowbell() throws Exception {
        try (ConfigurableApplicationContext application = new SpringApplicationBuilder(Application.class)
                .properties(
                        "server.port=0",
                        "management.endpoint.health.show-details=always",
                        "rowbell.jdbc.url=" + database.url(),
                        "rowbell.file.dir=",
                        "rowbell.rules.file=")
                .run()) {
            assertThat(get(application, "/actuator/health"))
                    .contains("\"rowbell\":{\"status\":\"UP\"")
                    .contains("\"queues\":\"UP\"");
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"1\", \"rule\": \"counted\"}')");
            MeterRegistry meters = application.getBean(MeterRegistry.class);
            assertThat(meters).isInstanceOf(CompositeMeterRegistry.class);
            for (String registry : new String[] {"one", "another"}) {
                await().untilAsserted(() -> assertThat(application
                                .getBean(registry, MeterRegistry.class)
                                .find("rowbell.alerts")
                                .tag("rule", "counted")
                                .counter())
                        .isNotNull());
            }
            // an alert that no process takes
            database.execute(
                    "insert into rowbell.delivery (sink, documents, filed, due) values ('none', array['{}'], now() - interval '1 day',"
                            + " now() - interval '1 day')");
            await().untilAsserted(() -> assertThat(get(application, "/actuator/health"))
                    .contains("\"rowbell\":{\"status\":\"DOWN\"")
                    .contains("none"));
        }
    }
}
