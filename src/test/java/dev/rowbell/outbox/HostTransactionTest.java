package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.TestDatabase;
import java.sql.Connection;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.camel.CamelContext;
import org.apache.camel.ProducerTemplate;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;
import org.springframework.transaction.support.TransactionTemplate;

/** An application sends alerts to a sink in transactions of its own, on the pool that Rowbell borrows. */
class HostTransactionTest {

    private static final String OUTBOX = "outbox:code";

    private final TestDatabase database = TestDatabase.create();
    private final HikariDataSource pool = new HikariDataSource();
    private final TransactionTemplate transaction = new TransactionTemplate(new JdbcTransactionManager(pool));
    private final CamelContext application = new DefaultCamelContext();
    private final Queue<Object> heard = new ConcurrentLinkedQueue<>();
    private ProducerTemplate alerts;

    @BeforeEach
    void start() throws Exception {
        Map<String, String> settings = database.settings();
        pool.setJdbcUrl(settings.remove("rowbell.jdbc.url"));
        pool.setUsername(settings.remove("rowbell.jdbc.user"));
        pool.setPassword(settings.remove("rowbell.jdbc.password"));
        // what no transaction commits is lost
        pool.setAutoCommit(false);
        Properties all = new Properties();
        all.putAll(settings);
        all.put("rowbell.datasource", "orders");
        application.getPropertiesComponent().setOverrideProperties(all);
        application.getRegistry().bind("orders", pool);
        application.addRoutes(new RouteBuilder() {
            @Override
            public void configure() {
                from(OUTBOX)
                        .process(exchange ->
                                heard.add(exchange.getIn().getBody(Map.class).get("id")));
                from("outbox:off").autoStartup(false).log("off");
            }
        });
        application.start();
        alerts = application.createProducerTemplate();
        database.execute("create table orders (id int unique deferrable initially deferred)");
    }

    @AfterEach
    void stop() {
        application.stop();
        pool.close();
    }

    private void send(String id) {
        alerts.sendBody(OUTBOX, Map.of("id", id, "rule", "r"));
    }

    /** No route delivers it: it stays in the table. */
    private void leave(String id) {
        alerts.sendBody("outbox:none", Map.of("id", id, "rule", "r"));
    }

    private void write(String values) {
        JdbcClient.create(pool).sql("insert into orders values " + values).update();
    }

    private void isHeard(String... ids) {
        await().until(() -> heard.size() >= ids.length && database.count("rowbell.delivery") == 0);
        assertEquals(List.of(ids), List.copyOf(heard));
    }

    @Test
    void anAlertIsFiledWithTheTransactionAlone() {
        transaction.executeWithoutResult(status -> {
            write("(1)");
            send("rolled back");
            status.setRollbackOnly();
        });
        assertThrows(
                RuntimeException.class,
                () -> transaction.executeWithoutResult(status -> {
                    // found by the commit
                    write("(2), (2)");
                    send("not committed");
                }));
        assertEquals(0, database.count("rowbell.delivery"));
        transaction.executeWithoutResult(status -> {
            write("(3)");
            send("committed");
        });
        isHeard("committed");
    }

    @Test
    void toAskTheDatabaseInTheTransactionChangesNothing() {
        // whether the sink is off depends on other processes
        database.execute(
                "insert into rowbell.sink (process, name, seen) values (gen_random_uuid(), 'off', clock_timestamp())");
        assertThrows(
                RuntimeException.class,
                () -> transaction.executeWithoutResult(status -> {
                    write("(1), (1)");
                    alerts.sendBody("outbox:off", Map.of("id", "not committed", "rule", "r"));
                }));
        assertEquals(0, database.count("rowbell.delivery"));
    }

    @Test
    void anAlertThatIsSentAfterTheCommitIsFiledToo() {
        transaction.executeWithoutResult(status -> {
            leave("before");
            TransactionSynchronizationManager.registerSynchronization(new TransactionSynchronization() {
                @Override
                public void afterCommit() {
                    leave("after");
                }

                @Override
                public void afterCompletion(int outcome) {
                    leave("at the end");
                }
            });
        });
        assertEquals(
                List.of("after", "at the end", "before"),
                database.query("select documents[1]::json ->> 'id' from rowbell.delivery order by 1"));
    }

    @Test
    void aStopWaitsForNoStatementForEver() throws Exception {
        application.getShutdownStrategy().setTimeout(1);
        try (Connection holder = database.connect();
                Statement locks = holder.createStatement()) {
            holder.setAutoCommit(false);
            locks.execute("lock table rowbell.sink");
            await().until(() ->
                    database.count("pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
                            > 0);
            CompletableFuture.runAsync(application::stop).get(1, TimeUnit.MINUTES);
        }
        assertEquals(0, pool.getHikariPoolMXBean().getActiveConnections());
    }

    @Test
    void anAlertThatPostgresqlRefusesIsADeadLetterInTheNextTransactionThatHasIt() {
        database.execute("alter table rowbell.delivery add check (documents::text !~ 'bad')");
        Runnable work = () -> transaction.executeWithoutResult(status -> {
            write("(1)");
            send("bad");
            send("good");
        });
        try (LogLines log = new LogLines("dev.rowbell.outbox.OutboxTransaction")) {
            assertThrows(RuntimeException.class, work::run);
            assertEquals(0, database.count("orders"));
            work.run();
            isHeard("good");
            // the driver of this pool tells the row
            assertTrue(log.lines().stream().noneMatch(line -> line.contains("Failing row")), log.lines()::toString);
            assertEquals(1, log.lines().size());
        }
        assertEquals(1, database.count("rowbell.dead_letter"));
        assertEquals(1, database.count("orders"));
    }
}
