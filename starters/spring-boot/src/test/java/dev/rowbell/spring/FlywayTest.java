package dev.rowbell.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.internal.license.VersionPrinter;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;

/** Migrations of the application beside those of Rowbell, with one version of Flyway for both. */
class FlywayTest {

    private static final String OWN = "select to_regclass('public.own_table')";
    private static final String OWN_HISTORY = "select string_agg(script, ',') from public.flyway_schema_history";

    private final TestServer database = TestServer.create();

    @TempDir
    Path dir;

    private Path migrations;

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {}

    @BeforeEach
    void aMigrationOfTheApplication() throws IOException {
        migrations = Files.createDirectories(dir.resolve("classes/db/migration"));
        Files.writeString(migrations.resolve("V1__own.sql"), "create table public.own_table (id int primary key)");
    }

    private ConfigurableApplicationContext start(String... arguments) {
        return new SpringApplicationBuilder(Application.class)
                .properties(
                        "server.port=0",
                        "spring.datasource.url=" + database.url(),
                        "rowbell.datasource=dataSource",
                        "rowbell.file.dir=" + dir.resolve("alerts"),
                        "rowbell.rules.file=")
                .run(arguments);
    }

    /** Both sets of migrations were applied, neither by the other's history, and Rowbell works. */
    private void bothWereApplied(ConfigurableApplicationContext application) {
        assertThat(application.getBeansOfType(Flyway.class)).hasSize(1);
        assertThat(database.value(OWN)).isEqualTo("own_table");
        assertThat(database.value(OWN_HISTORY)).isEqualTo("V1__own.sql");
        assertThat(database.value("select bool_and(success) from rowbell.flyway_schema_history"))
                .isEqualTo("t");
        assertThat(database.value("select count(*) from rowbell.flyway_schema_history where script like '%own%'"))
                .isEqualTo("0");
        database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"1\", \"rule\": \"r\"}')");
        await().until(() -> written().contains("\"rule\":\"r\""));
    }

    private String written() throws IOException {
        Path alerts = dir.resolve("alerts");
        if (!Files.exists(alerts)) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        try (Stream<Path> files = Files.list(alerts)) {
            for (Path file : files.toList()) {
                text.append(Files.readString(file));
            }
        }
        return text.toString();
    }

    @Test
    void theVersionIsTheOneThatTheHostManages() {
        assertThat(VersionPrinter.getVersion()).isEqualTo(System.getProperty("flyway.version"));
    }

    @Test
    void migrationsOfTheHostRunAndSoDoThoseOfRowbell() throws IOException {
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        try (URLClassLoader jar =
                new URLClassLoader(new URL[] {dir.resolve("classes").toUri().toURL()}, before)) {
            Thread.currentThread().setContextClassLoader(jar);
            for (int i = 0; i < 2; i++) {
                try (ConfigurableApplicationContext application = start()) {
                    bothWereApplied(application);
                }
            }
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    @Test
    void migrationsThatOnlyASettingNamesRunToo() {
        try (ConfigurableApplicationContext application = start("--spring.flyway.locations=filesystem:" + migrations)) {
            bothWereApplied(application);
        }
    }

    @Test
    void aHostWithoutMigrationsGetsNoFlyway() {
        try (ConfigurableApplicationContext application = start()) {
            assertThat(application.getBeansOfType(Flyway.class)).isEmpty();
            assertThat(database.value("select to_regclass('public.flyway_schema_history')"))
                    .isNull();
            assertThat(database.value("select bool_and(success) from rowbell.flyway_schema_history"))
                    .isEqualTo("t");
        }
    }
}
