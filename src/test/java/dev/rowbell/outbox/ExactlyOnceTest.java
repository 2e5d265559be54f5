package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.PluginHelper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A sink that acknowledges in the transaction of its own writes to the same database. */
class ExactlyOnceTest {

    private static final String TAKEN = "select rowbell.delivered(?)";

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final String role = "shop_of_" + database.name();
    private final Queue<String> errors = new ConcurrentLinkedQueue<>();

    @BeforeEach
    void anApplication() {
        database.execute(
                "create table public.handled (id text)",
                "create role " + role + " login password 'secret'",
                "grant insert on public.handled to " + role,
                "grant usage on schema rowbell to " + role);
    }

    @AfterEach
    void noMore() {
        database.execute("drop owned by " + role, "drop role " + role);
    }

    private CamelContext start(String options, Processor sink) throws Exception {
        CamelContext context = new DefaultCamelContext();
        Properties settings = new Properties();
        settings.putAll(database.settings());
        settings.put("rowbell.rehearsal", "0");
        context.getPropertiesComponent().setOverrideProperties(settings);
        context.addRoutes(new RouteBuilder() {
            @Override
            public void configure() {
                errorHandler(noErrorHandler());
                from("direct:alerts").routeId("alerts").to("outbox:code");
                from("outbox:code?backoff=10&maxBackoff=50&parallel=2&" + options)
                        .routeId("code")
                        .process(sink);
            }
        });
        PluginHelper.getRoutesLoader(context)
                .loadRoutes(PluginHelper.getResourceLoader(context)
                        .resolveResource("classpath:dev/rowbell/routes/sources.camel.yaml"));
        context.start();
        return context;
    }

    private static List<String> ids(Exchange exchange) {
        Object body = exchange.getIn().getBody();
        return (body instanceof List<?> all ? all.stream() : Stream.of(body))
                .map(alert -> (String) ((Map<?, ?>) alert).get("id"))
                .toList();
    }

    private static String delivery(Exchange exchange) {
        return exchange.getProperty(OutboxEndpoint.DELIVERY, String.class);
    }

    private static void write(Connection connection, String sql, String value) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, value);
            statement.execute();
        }
    }

    /** The writes of the application, and the acknowledgement, in one transaction. */
    private Connection handled(Exchange exchange) throws SQLException {
        Connection connection = database.connectAs(role, "secret");
        try {
            connection.setAutoCommit(false);
            for (String id : ids(exchange)) {
                write(connection, "insert into public.handled values (?)", id);
            }
            write(connection, TAKEN, delivery(exchange));
            return connection;
        } catch (SQLException e) {
            errors.add(e.getMessage());
            connection.close();
            throw e;
        }
    }

    private void raise(int alerts) {
        database.execute(
                "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r') from generate_series(1, %d) i"
                        .formatted(alerts));
    }

    @ParameterizedTest
    @Tag("long")
    @ValueSource(strings = {"batch=1", "batch=20"})
    void eachAlertIsHandledOnceThoughTheSinkFailsBeforeAndAfterItsCommit(String options) throws Exception {
        Random random = new Random(7);
        try (CamelContext context = start(options, exchange -> {
            int outcome = random.nextInt(3);
            try (Connection connection = handled(exchange)) {
                if (outcome == 0) {
                    connection.rollback();
                    throw new IllegalStateException("before the commit");
                }
                connection.commit();
            }
            if (outcome == 1) {
                throw new IllegalStateException("after the commit");
            }
        })) {
            raise(200);
            await().until(database::isDelivered);
        }
        assertEquals(200, database.count("public.handled"));
        assertEquals(List.of("200"), database.query("select count(distinct id) from public.handled"));
        assertEquals(0, database.count("rowbell.dead_letter"));
        assertTrue(errors.isEmpty(), errors::toString);
    }

    @Test
    void whereAnotherHasTheAlertTheWritesRollBack() throws Exception {
        AtomicReference<String> first = new AtomicReference<>();
        try (CamelContext context = start("batch=1", exchange -> {
            if (first.compareAndSet(null, delivery(exchange))) {
                // as if it had taken longer than its lease, and another process had the alert
                database.execute(
                        "update rowbell.delivery set locked_by = gen_random_uuid(), locked_until = clock_timestamp()");
            }
            try (Connection connection = handled(exchange)) {
                connection.commit();
            }
        })) {
            raise(1);
            await().until(() -> database.count("public.handled") == 1 && database.isDelivered());
        }
        assertEquals(1, database.count("public.handled"));
        assertEquals(1, errors.size());
        assertTrue(errors.peek().contains("the alerts are no longer this sink's"), errors::peek);
        try (Connection connection = database.connectAs(role, "secret")) {
            assertThrows(SQLException.class, () -> write(connection, TAKEN, first.get()));
            assertThrows(SQLException.class, () -> write(connection, TAKEN, "no delivery"));
            // the property has another name
            for (String none : new String[] {null, ""}) {
                String refused = assertThrows(SQLException.class, () -> write(connection, TAKEN, none))
                        .getMessage();
                assertTrue(refused.contains("no deliveries are named"), refused);
            }
        }
    }
}
