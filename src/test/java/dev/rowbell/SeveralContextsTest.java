package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.apache.camel.CamelContext;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.spi.Resource;
import org.apache.camel.support.PluginHelper;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Applications in one JVM, each with a CamelContext that has Rowbell. */
@Tag("long")
class SeveralContextsTest {

    @TempDir
    Path dir;

    /** Routes alerts to code of its own, by a sink. */
    private final class Application extends RouteBuilder implements AutoCloseable {

        private final Queue<String> heard = new ConcurrentLinkedQueue<>();
        private final CountDownLatch mayGoOn = new CountDownLatch(1);
        private final CamelContext context = new DefaultCamelContext();
        private volatile boolean hearing;

        Application(String name, TestDatabase database) throws Exception {
            Properties settings = new Properties();
            settings.putAll(database.settings());
            settings.put("rowbell.rehearsal", "0");
            settings.put("rowbell.file.dir", dir.resolve(name).toString());
            context.getPropertiesComponent().setOverrideProperties(settings);
            context.addRoutes(this);
            for (Resource routes : PluginHelper.getPackageScanResourceResolver(context)
                    .findResources("classpath:dev/rowbell/routes/*.camel.yaml")) {
                PluginHelper.getRoutesLoader(context).loadRoutes(routes);
            }
            context.start();
        }

        @Override
        public void configure() {
            from("outbox:code?rules=*").routeId("code").process(exchange -> {
                String id = (String) exchange.getIn().getBody(Map.class).get("id");
                hearing = true;
                if (id.startsWith("slow")) {
                    mayGoOn.await();
                }
                heard.add(id);
            });
        }

        @Override
        public void close() {
            mayGoOn.countDown();
            context.stop();
        }
    }

    private static void raise(TestDatabase database, String id) {
        database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"" + id + "\", \"rule\": \"r\"}')");
    }

    @Test
    void eachHasItsOwnDatabaseAndOneStopsWithoutTheOther() throws Exception {
        TestDatabase ours = TestDatabase.create();
        TestDatabase theirs = TestDatabase.create();
        try (Application first = new Application("first", ours);
                Application second = new Application("second", theirs)) {
            raise(ours, "a");
            raise(theirs, "b");
            await().until(() -> first.heard.size() == 1 && second.heard.size() == 1);
            first.close();
            raise(ours, "c");
            raise(theirs, "d");
            await().until(() -> second.heard.size() == 2);
            assertEquals(List.of("a"), List.copyOf(first.heard));
            assertEquals(List.of("b", "d"), List.copyOf(second.heard));
            assertEquals(1, ours.count("rowbell.feedback"));
        }
    }

    @Test
    void twoOnOneDatabaseShareItsAlerts() throws Exception {
        TestDatabase database = TestDatabase.create();
        try (Application first = new Application("first", database);
                Application second = new Application("second", database)) {
            database.execute(
                    "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r') from generate_series(1, 500) i");
            await().until(() -> first.heard.size() + second.heard.size() == 500);
            await().until(() -> database.count("rowbell.delivery where sink = 'code'") == 0);
            assertEquals(500, first.heard.size() + second.heard.size());
        }
    }

    /** The routes stop before the pool: what a route has delivered is acknowledged. */
    @Test
    void aStopWaitsForWhatIsUnderWayAndAcknowledgesIt() throws Exception {
        TestDatabase database = TestDatabase.create();
        Application application = new Application("first", database);
        raise(database, "slow");
        await().until(() -> application.hearing);
        Thread stopping = new Thread(application.context::stop);
        stopping.start();
        await().until(() -> application.context.isStopping());
        assertFalse(application.context.isStopped());
        application.mayGoOn.countDown();
        stopping.join();
        assertEquals(List.of("slow"), List.copyOf(application.heard));
        assertEquals(0, database.count("rowbell.delivery where sink = 'code'"));
        await().until(() ->
                database.count("pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()") == 0);
    }
}
