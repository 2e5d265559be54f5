package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.Route;
import org.apache.camel.builder.RouteBuilder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;

/** Spring Boot applications that add the starter, on a real PostgreSQL. */
@ExtendWith(OutputCaptureExtension.class)
class StartTest {

    private final TestServer database = TestServer.create();

    @TempDir
    Path alerts;

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {}

    /** All that an application needs to have its own code called. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class WithRoute extends RouteBuilder {

        final Queue<String> heard = new ConcurrentLinkedQueue<>();

        @Override
        public void configure() {
            from("direct:alerts")
                    .process(exchange -> heard.add(
                            (String) exchange.getIn().getBody(Map.class).get("id")));
        }
    }

    /** Fails the first time, as a service that is away. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class WithSink extends RouteBuilder {

        final Queue<String> heard = new ConcurrentLinkedQueue<>();

        @Override
        public void configure() {
            from("outbox:stuck?rules=order-stuck&backoff=10").process(this::escalate);
        }

        private void escalate(Exchange exchange) {
            heard.add((String) exchange.getIn().getBody(Map.class).get("id"));
            if (heard.size() == 1) {
                throw new IllegalStateException("away");
            }
        }
    }

    /** Its own writes and the acknowledgement are one transaction, which fails the first time. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class WithTransaction extends RouteBuilder {

        private final AtomicInteger tries = new AtomicInteger();

        @Override
        public void configure() {
            from("outbox:stuck?rules=*&backoff=10")
                    .transacted()
                    .to("sql:insert into public.call (id) values (:#${body[id]})")
                    .to("sql:select rowbell.delivered(:#${exchangeProperty.RowbellDelivery})")
                    .process(exchange -> {
                        if (tries.incrementAndGet() == 1) {
                            throw new IllegalStateException("not yet");
                        }
                    });
        }
    }

    private ConfigurableApplicationContext start(Class<?> application, String... arguments) {
        return new SpringApplicationBuilder(application)
                .properties(
                        "server.port=0",
                        "rowbell.jdbc.url=" + database.url(),
                        "rowbell.file.dir=" + alerts,
                        "rowbell.rules.file=")
                .run(arguments);
    }

    private void raise(String id) {
        database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"" + id + "\", \"rule\": \"r\"}')");
    }

    private String written() throws IOException {
        StringBuilder text = new StringBuilder();
        try (Stream<Path> files = Files.list(alerts)) {
            for (Path file : files.toList()) {
                text.append(Files.readString(file));
            }
        }
        return text.toString();
    }

    private static List<String> routes(ConfigurableApplicationContext application) {
        return application.getBean(CamelContext.class).getRoutes().stream()
                .map(Route::getRouteId)
                .sorted()
                .toList();
    }

    @Test
    void theStarterAndAUrlAreEnoughForAnAlertToArrive() {
        try (ConfigurableApplicationContext application = start(Application.class)) {
            assertThat(routes(application))
                    .containsExactly("alerts", "doorbell", "feedback", "file", "http", "mail", "notifications");
            raise("first");
            await().untilAsserted(() -> assertThat(written()).contains("\"first\""));
        }
    }

    @Test
    void aRouteOfTheApplicationTakesThePlaceOfTheShippedOne() {
        try (ConfigurableApplicationContext application = start(WithRoute.class)) {
            assertThat(routes(application)).doesNotContain("alerts").contains("feedback", "file");
            raise("mine");
            WithRoute own = application.getBean(WithRoute.class);
            await().untilAsserted(() -> assertThat(own.heard).containsExactly("mine"));
        }
    }

    @Test
    void oneLineHasTheApplicationCalledWhenARuleFires() {
        try (ConfigurableApplicationContext application = start(WithSink.class)) {
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"1\", \"rule\": \"order-stuck\"}')",
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"2\", \"rule\": \"other\"}')");
            WithSink own = application.getBean(WithSink.class);
            await().untilAsserted(() -> assertThat(own.heard).containsExactly("1", "1"));
            await().untilAsserted(() -> assertThat(written()).contains("\"1\"").contains("\"2\""));
        }
    }

    @Test
    void aSinkMayAcknowledgeInTheTransactionOfTheApplication() {
        database.execute("create table public.call (id text)");
        try (ConfigurableApplicationContext application = start(
                WithTransaction.class,
                "--rowbell.jdbc.url=",
                "--rowbell.datasource=dataSource",
                "--spring.datasource.url=" + database.url())) {
            raise("once");
            WithTransaction own = application.getBean(WithTransaction.class);
            await().untilAsserted(() -> assertThat(own.tries).hasValue(2));
            await().untilAsserted(() -> assertThat(database.value(
                            "select string_agg(id, ',') || (select count(*) from rowbell.delivery) from public.call"))
                    .isEqualTo("once0"));
        }
    }

    @Test
    void aSinkWhoseLibraryIsMissingIsSaidInOneSentence() {
        assertThatThrownBy(() -> start(Application.class, "--rowbell.http.url=http://localhost/"))
                .rootCause()
                .isInstanceOf(SettingsException.class)
                .hasMessage("rowbell.http.url is set, and org.apache.camel:camel-http is not on the class path:"
                        + " add it to the dependencies");
        assertThatThrownBy(() -> start(Application.class, "--rowbell.mail.host=localhost", "--rowbell.mail.to=a@b"))
                .rootCause()
                .isInstanceOf(SettingsException.class)
                .hasMessageContaining("rowbell.mail.host is set, and org.apache.camel:camel-mail is not");
    }

    @Test
    void theDataSourceOfTheApplicationIsTheOnlyPoolAndClosesLast(CapturedOutput output) {
        try (ConfigurableApplicationContext application = start(
                Application.class,
                "--rowbell.jdbc.url=",
                "--rowbell.datasource=dataSource",
                "--spring.datasource.url=" + database.url(),
                "--spring.datasource.hikari.data-source-properties.ApplicationName=shop",
                "--spring.datasource.hikari.pool-name=shop")) {
            raise("over the pool of the shop");
            await().untilAsserted(() -> assertThat(written()).contains("over the pool of the shop"));
            assertThat(database.value(
                            "select string_agg(distinct application_name, ', ' order by application_name) from pg_stat_activity"
                                    + " where datname = current_database() and application_name ~ 'shop|rowbell'"))
                    .isEqualTo("rowbell listen, shop");
        }
        assertThat(output)
                .doesNotContain("rowbell - Start")
                .doesNotContain(" ERROR ")
                .doesNotContain("has been closed");
    }

    @Test
    void rowbellRoutesSaysWhichShippedRoutesRun() {
        try (ConfigurableApplicationContext application = start(WithRoute.class, "--rowbell.routes=sources, file")) {
            assertThat(routes(application))
                    .contains("doorbell", "feedback", "file", "notifications")
                    .doesNotContain("http", "mail");
        }
        try (ConfigurableApplicationContext application = start(Application.class, "--rowbell.routes=")) {
            assertThat(routes(application)).isEmpty();
        }
    }

    @Test
    void keysInYamlCountAndTheProfileAndTheEnvironmentAndArgumentsRankAsSpringRanksThem(@TempDir Path config)
            throws IOException {
        Files.writeString(config.resolve("application.yaml"), """
                rowbell:
                  source: from the yaml
                  console: "OFF"
                  routes: sources,alerts,file
                  outbox.max-attempts: 3
                """);
        Files.writeString(config.resolve("application-prod.yaml"), """
                rowbell:
                  outbox.max-attempts: 4
                """);
        String location = "--spring.config.location=file:" + config + "/";
        try (ConfigurableApplicationContext application = start(Application.class, location)) {
            Settings settings = new Settings(application.getBean(CamelContext.class));
            assertThat(settings.text("rowbell.console")).isEqualTo("OFF");
            assertThat(settings.number("rowbell.outbox.max-attempts", 1)).isEqualTo(3);
            assertThat(settings.number("rowbell.feedback.batch", 1)).isEqualTo(1000);
            assertThat(routes(application)).doesNotContain("mail");
            raise("one");
            // ROWBELL_SOURCE, which the build sets for its tests
            await().untilAsserted(() -> assertThat(written()).contains("from the environment"));
        }
        try (ConfigurableApplicationContext application = start(
                Application.class, location, "--spring.profiles.active=prod", "--rowbell.source=from an argument")) {
            Settings settings = new Settings(application.getBean(CamelContext.class));
            assertThat(settings.number("rowbell.outbox.max-attempts", 1)).isEqualTo(4);
            raise("two");
            await().untilAsserted(() -> assertThat(written()).contains("from an argument"));
        }
    }

    @Test
    void aRuleInTheJarOfTheApplicationFires(@TempDir Path classes) throws IOException {
        database.execute("create table orders (id int primary key, stuck boolean)");
        Files.writeString(classes.resolve("rules.yaml"), """
                rules:
                  - name: order-stuck
                    feed: orders
                    condition: NEW.stuck
                """);
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        try (URLClassLoader jar = new URLClassLoader(new URL[] {classes.toUri().toURL()}, before)) {
            Thread.currentThread().setContextClassLoader(jar);
            try (ConfigurableApplicationContext application =
                    start(Application.class, "--rowbell.rules.file=rules.yaml")) {
                database.execute("insert into orders values (1, true)");
                await().untilAsserted(() -> assertThat(written()).contains("order-stuck"));
            }
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    @Test
    void aWrongSettingIsOneSentence(CapturedOutput output) {
        assertThatThrownBy(() -> start(Application.class, "--rowbell.routes=sources,mial"))
                .hasRootCauseInstanceOf(SettingsException.class);
        assertThat(output)
                .contains("APPLICATION FAILED TO START")
                .contains("rowbell.routes=sources,mial: give some of sources,alerts,file,http,mail,api");
    }

    @Test
    void aMisspelledSettingInYamlIsNamedAndOneThatSpringWritesInAnotherWayIsNone(
            @TempDir Path config, CapturedOutput output) throws IOException {
        Files.writeString(config.resolve("application.yaml"), """
                rowbell:
                  sourse: shop
                  outbox:
                    maxAttempts: 3
                """);
        try (ConfigurableApplicationContext application =
                start(Application.class, "--spring.config.location=file:" + config + "/")) {
            assertThat(output).contains("rowbell.sourse is no setting: did you mean rowbell.source?");
            assertThat(output.toString().split("is no setting")).hasSize(2);
            assertThat(new Settings(application.getBean(CamelContext.class)).number("rowbell.outbox.max-attempts", 1))
                    .isEqualTo(3);
        }
    }

    @Test
    void anUnreachableDatabaseIsOneSentence(CapturedOutput output) {
        assertThatThrownBy(() -> start(
                        Application.class,
                        "--rowbell.jdbc.url=jdbc:postgresql://127.0.0.1:1/x",
                        "--rowbell.jdbc.wait=1ms"))
                .hasStackTraceContaining("SettingsException");
        assertThat(output).contains("APPLICATION FAILED TO START").contains("rowbell.jdbc.url");
    }
}
