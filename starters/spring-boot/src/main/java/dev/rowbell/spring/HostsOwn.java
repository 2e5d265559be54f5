package dev.rowbell.spring;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.springframework.boot.autoconfigure.AutoConfigurationImportFilter;
import org.springframework.boot.autoconfigure.AutoConfigurationMetadata;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.context.EnvironmentAware;
import org.springframework.context.ResourceLoaderAware;
import org.springframework.core.env.Environment;
import org.springframework.core.io.ResourceLoader;
import org.springframework.core.io.support.ResourcePatternUtils;
import org.springframework.util.ClassUtils;

/**
 * Leaves out what Spring Boot would set up only because Rowbell's libraries are on the class path: a DataSource without a URL, which ends the start,
 * migrations and views. An application that uses one of these shows it by its settings or its files, and keeps it.
 */
final class HostsOwn implements AutoConfigurationImportFilter, EnvironmentAware, ResourceLoaderAware {

    private static final String PACKAGE = "org.springframework.boot.autoconfigure.";

    private Environment environment;
    private ResourceLoader resources;

    @Override
    public boolean[] match(String[] classes, AutoConfigurationMetadata metadata) {
        Map<String, BooleanSupplier> used = Map.of(
                PACKAGE + "jdbc.DataSourceAutoConfiguration", this::usesDataSource,
                PACKAGE + "flyway.FlywayAutoConfiguration",
                        () -> isSet("spring.flyway") || has("classpath*:db/migration/**/*.*"),
                PACKAGE + "freemarker.FreeMarkerAutoConfiguration",
                        () -> isSet("spring.freemarker") || has("classpath*:templates/**/*.ftl*"));
        boolean[] matches = new boolean[classes.length];
        for (int i = 0; i < classes.length; i++) {
            BooleanSupplier isUsed = classes[i] == null ? null : used.get(classes[i]);
            matches[i] = isUsed == null || isUsed.getAsBoolean();
        }
        return matches;
    }

    /** By a URL, or by a database in memory, for which Spring Boot needs none. */
    private boolean usesDataSource() {
        return isSet("spring.datasource")
                || Stream.of(
                                "org.h2.Driver",
                                "org.apache.derby.jdbc.EmbeddedDriver",
                                "org.hsqldb.jdbcDriver",
                                "org.springframework.boot.testcontainers.service.connection.ServiceConnection",
                                "org.springframework.boot.docker.compose.service.connection.DockerComposeConnectionDetailsFactory")
                        .anyMatch(name -> ClassUtils.isPresent(name, resources.getClassLoader()));
    }

    private boolean isSet(String prefix) {
        return Binder.get(environment)
                .bind(prefix, Bindable.mapOf(String.class, Object.class))
                .isBound();
    }

    private boolean has(String files) {
        try {
            return List.of(ResourcePatternUtils.getResourcePatternResolver(resources)
                                    .getResources(files))
                            .size()
                    > 0;
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void setEnvironment(Environment environment) {
        this.environment = environment;
    }

    @Override
    public void setResourceLoader(ResourceLoader resources) {
        this.resources = resources;
    }
}
