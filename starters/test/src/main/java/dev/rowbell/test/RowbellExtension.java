package dev.rowbell.test;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.util.List;
import java.util.UUID;
import java.util.function.Supplier;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ExtensionContext.Store;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.AnnotationSupport;
import org.postgresql.ds.PGSimpleDataSource;

/** What {@link RowbellTest} does, also for a database that the test brings: a static field with {@code @RegisterExtension}. */
public final class RowbellExtension implements BeforeAllCallback, ParameterResolver {

    private static final Namespace NAMESPACE = Namespace.create(RowbellExtension.class);

    /** One server for all test classes of a run. */
    private record Server(EmbeddedPostgres postgres) implements Store.CloseableResource, AutoCloseable {

        static Server start() {
            try {
                return new Server(EmbeddedPostgres.builder()
                        .setServerConfig("unix_socket_directories", "''")
                        .start());
            } catch (IOException e) {
                throw new IllegalStateException("the embedded PostgreSQL does not start", e);
            }
        }

        @Override
        public void close() throws IOException {
            postgres.close();
        }
    }

    private final Supplier<PGSimpleDataSource> given;
    private final List<String> scripts;
    private final String rules;

    /** For {@link RowbellTest}, which has the scripts and the rules. */
    public RowbellExtension() {
        this(null, "classpath:rules.yaml");
    }

    /**
     * @param database asked for before the first test, such as a database of Testcontainers; null for an embedded PostgreSQL
     * @param rules the file, as in {@code rowbell.rules.file}
     * @param scripts resources of the class path
     */
    public RowbellExtension(Supplier<PGSimpleDataSource> database, String rules, String... scripts) {
        given = database;
        this.rules = rules;
        this.scripts = List.of(scripts);
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        RowbellTest test = AnnotationSupport.findAnnotation(context.getRequiredTestClass(), RowbellTest.class)
                .orElse(null);
        if (test == null && isNested(context)) {
            // it has the database of the class around
            return;
        }
        WatchedDatabase database = new WatchedDatabase(
                given == null ? embedded(context) : given.get(), test == null ? rules : test.rules());
        context.getStore(NAMESPACE).put(WatchedDatabase.class, database);
        database.open(test == null ? scripts : List.of(test.scripts()));
    }

    private static PGSimpleDataSource embedded(ExtensionContext context) {
        EmbeddedPostgres server = context.getRoot()
                .getStore(NAMESPACE)
                .getOrComputeIfAbsent(Server.class, type -> Server.start(), Server.class)
                .postgres();
        String name = "rules_" + UUID.randomUUID().toString().replace("-", "");
        WatchedDatabase.execute(server.getPostgresDatabase(), "create database " + name);
        PGSimpleDataSource database = new PGSimpleDataSource();
        database.setUrl(server.getJdbcUrl("postgres", name));
        return database;
    }

    private static boolean isNested(ExtensionContext context) {
        return context.getParent()
                .map(around -> around.getStore(NAMESPACE).get(WatchedDatabase.class))
                .isPresent();
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == WatchedDatabase.class;
    }

    @Override
    public WatchedDatabase resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return context.getStore(NAMESPACE).get(WatchedDatabase.class, WatchedDatabase.class);
    }
}
