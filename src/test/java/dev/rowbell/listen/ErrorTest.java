package dev.rowbell.listen;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.feedback.Doorbell;
import dev.rowbell.feedback.FeedbackTransaction;
import dev.rowbell.health.Watchdog;
import dev.rowbell.testing.TestDatabase;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.datasource.AbstractDataSource;

/** What no route catches, while notifications are routed. */
class ErrorTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    private DataSource dataSource(Runnable beforeCommit) {
        return new AbstractDataSource() {
            @Override
            public Connection getConnection() throws SQLException {
                Connection connection = database.connect();
                return (Connection) Proxy.newProxyInstance(
                        ErrorTest.class.getClassLoader(),
                        new Class<?>[] {Connection.class},
                        (proxy, method, values) -> {
                            if (method.getName().equals("commit")) {
                                beforeCommit.run();
                            }
                            try {
                                return method.invoke(connection, values);
                            } catch (InvocationTargetException e) {
                                throw e.getCause();
                            }
                        });
            }

            @Override
            public Connection getConnection(String user, String password) throws SQLException {
                return getConnection();
            }
        };
    }

    @Test
    void anErrorWhileNotificationsAreRoutedLosesNone() throws Exception {
        List<String> heard = new CopyOnWriteArrayList<>();
        AtomicInteger errors = new AtomicInteger();
        DataSource dataSource = dataSource(() -> {});
        DataSource failing = dataSource(() -> {
            if (!heard.isEmpty() && errors.incrementAndGet() == 1) {
                throw new LinkageError("a test's");
            }
        });
        try (CamelContext camel = new DefaultCamelContext()) {
            camel.getPropertiesComponent().addOverrideProperty("rowbell.listen.heartbeat", "1h");
            camel.getRegistry().bind("mine", DataSource.class, dataSource);
            Doorbell doorbell = new Doorbell(new Watchdog());
            camel.getRegistry()
                    .bind(
                            "transaction",
                            new FeedbackTransaction(
                                    failing,
                                    doorbell,
                                    "rowbell.feedback",
                                    1,
                                    (path, batch) -> {},
                                    (path, batch) -> {},
                                    () -> {}));
            camel.addRoutes(new RouteBuilder() {
                @Override
                public void configure() {
                    from("pgevent:///test/errors?datasource=#mine&transaction=#transaction")
                            .process(exchange -> heard.add(exchange.getIn().getBody(String.class)));
                }
            });
            camel.start();
            database.awaitListener("errors");
            database.execute("notify errors, 'one'");
            await().until(() -> heard.equals(List.of("one", "one")));
            assertTrue(errors.get() >= 2);
        }
    }
}
