package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.impossibl.postgres.jdbc.PGDataSource;
import com.zaxxer.hikari.HikariDataSource;
import dev.rowbell.error.Errors;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.component.properties.PropertiesComponent;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.language.bean.BeanLanguage;
import org.apache.camel.main.Main;
import org.apache.camel.spi.Language;
import org.apache.camel.spi.Resource;
import org.apache.camel.support.DefaultExchange;
import org.apache.camel.support.PluginHelper;
import org.apache.camel.test.junit5.CamelTestSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.ds.PGSimpleDataSource;
import org.springframework.jdbc.datasource.DelegatingDataSource;

/** A Camel application that has the jar on its class path, and a database connection of its own. */
class EmbeddingTest extends CamelTestSupport {

    @TempDir
    static Path alerts;

    private static final TestDatabase DATABASE = TestDatabase.create();

    @Override
    protected Properties useOverridePropertiesWithPropertiesComponent() {
        Properties properties = new Properties();
        properties.putAll(DATABASE.settings());
        properties.put("rowbell.file.dir", alerts.toString());
        return properties;
    }

    @Override
    protected CamelContext createCamelContext() throws Exception {
        CamelContext context = super.createCamelContext();
        context.build();
        loadRoutes(context);
        return context;
    }

    private static void loadRoutes(CamelContext application) throws Exception {
        for (Resource routes : PluginHelper.getPackageScanResourceResolver(application)
                .findResources("classpath:dev/rowbell/routes/*.camel.yaml")) {
            PluginHelper.getRoutesLoader(application).loadRoutes(routes);
        }
    }

    @Test
    void theRoutesOfTheJarRunWithNothingButTheSettings() {
        assertEquals(
                "alerts,doorbell,feedback,file,http,mail,notifications",
                String.join(
                        ",",
                        context.getRoutes().stream()
                                .map(route -> route.getRouteId())
                                .sorted()
                                .toList()));
        DATABASE.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"embedded\", \"rule\": \"r\"}')");
        await().until(() -> AlertFiles.values(alerts, "id").contains("embedded"));
    }

    @Test
    void routesIncludePatternAloneBringsTheRoutesOfTheJar(@TempDir Path dir) throws IOException {
        TestDatabase database = TestDatabase.create();
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("camel.main.routesIncludePattern", "classpath:dev/rowbell/routes/*.camel.yaml");
        Properties file = new Properties();
        file.putAll(settings);
        try (Writer out = Files.newBufferedWriter(dir.resolve("application.properties"))) {
            file.store(out, null);
        }
        Main application = new Main();
        application.setPropertyPlaceholderLocations("file:" + dir.resolve("application.properties"));
        application.start();
        try {
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"included\", \"rule\": \"r\"}')");
            await().until(() -> AlertFiles.values(dir, "id").contains("included"));
        } finally {
            application.stop();
        }
    }

    @Test
    void bodyExpressionsOfTheApplicationAreCamelsOwn() {
        assertEquals(BeanLanguage.class, context.resolveLanguage("bean").getClass());
        Exchange exchange = new DefaultExchange(context);
        exchange.getIn().setBody(Map.of("order", Map.of("id", 7), "lines", List.of("a", "b")));
        Language simple = context.resolveLanguage("simple");
        assertEquals(
                "7 b 2 true",
                simple.createExpression(
                                "${body[order][id]} ${body[lines][last]} ${body[lines].size} ${body.containsKey('order')}")
                        .evaluate(exchange, String.class));
    }

    /** Camel gives a component the only bean of a type that is in the registry, and looks up others by type as well. */
    @Test
    void noBeanOfRowbellIsFoundByItsType() {
        List<String> names = List.of(
                "rowbell",
                "rowbellListen",
                "rowbellTransaction",
                "rowbellQuery",
                "rowbellRows",
                "rowbellRouting",
                "rowbellDoorbell",
                "rowbellPollErrors",
                "rowbellMailLogin",
                "rowbellText",
                "rowbellAlerts",
                "rowbellDigest",
                "rowbellFile",
                "rowbellHttpDeadline",
                "rowbellWebhook",
                "outbox",
                "pgevent");
        for (String name : names) {
            Object bean = context.getRegistry().lookupByName(name);
            assertNotNull(bean, name);
            for (Class<?> type : typesOf(bean.getClass())) {
                assertFalse(context.getRegistry().findByType(type).contains(bean), name + " is found as " + type);
            }
        }
    }

    private static Set<Class<?>> typesOf(Class<?> type) {
        Set<Class<?>> types = new HashSet<>();
        if (type != null && type != Object.class) {
            types.add(type);
            types.addAll(typesOf(type.getSuperclass()));
            for (Class<?> implemented : type.getInterfaces()) {
                types.addAll(typesOf(implemented));
            }
        }
        return types;
    }

    @Test
    void aRouteOfTheApplicationUsesItsOnlyDataSourceAndGetsItsRowsAsCamelMakesThem() throws Exception {
        TestDatabase database = TestDatabase.create();
        try (CamelContext application = new DefaultCamelContext()) {
            PGSimpleDataSource own = new PGSimpleDataSource();
            own.setUrl(database.url());
            own.setUser(database.settings().get("rowbell.jdbc.user"));
            own.setPassword(database.settings().get("rowbell.jdbc.password"));
            application.getRegistry().bind("own", own);
            application.start();
            assertEquals(
                    "[{id=7, alert=text}]",
                    application
                            .createFluentProducerTemplate()
                            .to("sql:select 7 as id, 'text' as alert")
                            .request(List.class)
                            .toString());
        }
    }

    /** As Spring Boot does. */
    @Test
    void theRoutesRunWithAPropertiesComponentThatReplacesTheFirst(@TempDir Path dir) throws Exception {
        TestDatabase database = TestDatabase.create();
        Properties settings = new Properties();
        settings.putAll(database.settings());
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.source", "the host's own");
        try (CamelContext application = new DefaultCamelContext()) {
            PropertiesComponent other = new PropertiesComponent();
            other.setInitialProperties(settings);
            application.setPropertiesComponent(other);
            loadRoutes(application);
            application.start();
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"hosted\", \"rule\": \"r\"}')");
            await().until(() -> AlertFiles.values(dir, "id").contains("hosted"));
            assertEquals(List.of("the host's own"), AlertFiles.values(dir, "source"));
        }
    }

    /** As Camel's documentation of pgevent has it. */
    @Test
    void pgeventByHostAndPortPublishesAndSubscribes() throws Exception {
        TestDatabase database = TestDatabase.create();
        PGSimpleDataSource url = new PGSimpleDataSource();
        url.setUrl(database.url());
        publishAndSubscribe(
                new DefaultCamelContext(),
                "pgevent:%s:%d/%s/%s?user=%s&pass=RAW(%s)"
                        .formatted(
                                url.getServerNames()[0],
                                url.getPortNumbers()[0],
                                url.getDatabaseName(),
                                "by_port",
                                database.settings().get("rowbell.jdbc.user"),
                                database.settings().get("rowbell.jdbc.password")));
    }

    @Test
    void pgeventWithADataSourceOfPgjdbcNgPublishesAndSubscribes() throws Exception {
        TestDatabase database = TestDatabase.create();
        PGSimpleDataSource url = new PGSimpleDataSource();
        url.setUrl(database.url());
        PGDataSource own = new PGDataSource();
        own.setServerName(url.getServerNames()[0]);
        own.setPortNumber(url.getPortNumbers()[0]);
        own.setDatabaseName(url.getDatabaseName());
        own.setUser(database.settings().get("rowbell.jdbc.user"));
        own.setPassword(database.settings().get("rowbell.jdbc.password"));
        CamelContext application = new DefaultCamelContext();
        application.getRegistry().bind("own", own);
        publishAndSubscribe(application, "pgevent:///x/by_source?datasource=#own");
    }

    private static void publishAndSubscribe(CamelContext application, String uri) throws Exception {
        Queue<String> heard = new ConcurrentLinkedQueue<>();
        try (application) {
            application.addRoutes(new RouteBuilder() {
                @Override
                public void configure() {
                    from(uri).process(exchange -> heard.add(exchange.getIn().getBody(String.class)));
                }
            });
            application.start();
            application.createFluentProducerTemplate().to(uri).withBody("one").send();
            await().until(() -> List.copyOf(heard).equals(List.of("one")));
        }
    }

    @Test
    void anApplicationWithoutTheRoutesOpensNoConnection() throws Exception {
        try (CamelContext other = new DefaultCamelContext()) {
            other.start();
            assertEquals(0, other.getRoutes().size());
            assertNull(other.hasComponent("outbox"));
        }
    }

    @Test
    void aDataSourceOfTheApplicationIsUsed(@TempDir Path dir) throws Exception {
        TestDatabase database = TestDatabase.create();
        PGSimpleDataSource own = new PGSimpleDataSource();
        own.setUrl(database.url());
        own.setUser(database.settings().get("rowbell.jdbc.user"));
        own.setPassword(database.settings().get("rowbell.jdbc.password"));
        own.setApplicationName("the application's own");
        Properties settings = new Properties();
        settings.putAll(database.settings());
        settings.put("rowbell.file.dir", dir.toString());
        Main application = new Main();
        application.bind("rowbell", own);
        application.setOverrideProperties(settings);
        application.configure().withRoutesIncludePattern("classpath:dev/rowbell/routes/*.camel.yaml");
        application.start();
        try {
            database.execute(
                    "create table seen (by text)",
                    """
                    create function see() returns trigger language plpgsql as $$ begin
                      insert into seen values (current_setting('application_name'));
                      return null;
                    end $$""",
                    "create trigger see after delete on rowbell.delivery for each row execute function see()",
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"own\", \"rule\": \"r\"}')");
            await().until(() -> AlertFiles.values(dir, "id").contains("own"));
            await().until(() -> database.query("select by from seen").equals(List.of("the application's own")));
        } finally {
            application.stop();
        }
    }

    @Tag("long")
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void thePoolOfTheApplicationIsTheOnlyOneAndItsSessionsStayAsTheyWere(boolean autoCommit, @TempDir Path dir)
            throws Exception {
        TestDatabase database = TestDatabase.create();
        Map<String, String> settings = database.settings();
        try (HikariDataSource orders = new HikariDataSource()) {
            orders.setJdbcUrl(settings.remove("rowbell.jdbc.url"));
            orders.setUsername(settings.remove("rowbell.jdbc.user"));
            orders.setPassword(settings.remove("rowbell.jdbc.password"));
            orders.addDataSourceProperty("ApplicationName", "orders");
            orders.setMaximumPoolSize(4);
            orders.setAutoCommit(autoCommit);
            // else HikariCP rolls back its own SQL below
            orders.setIsolateInternalQueries(true);
            orders.setTransactionIsolation("TRANSACTION_SERIALIZABLE");
            orders.setConnectionInitSql(
                    "set statement_timeout = '7s'; set search_path = pg_temp; set enable_sort = off");
            List<String> before = settingsOf(orders);
            Properties all = new Properties();
            all.putAll(settings);
            all.put("rowbell.datasource", "orders");
            all.put("rowbell.file.dir", dir.toString());
            Main application = new Main();
            application.bind("orders", orders);
            application.setOverrideProperties(all);
            application.configure().withRoutesIncludePattern("classpath:dev/rowbell/routes/*.camel.yaml");
            application.start();
            try {
                database.execute(
                        "create table seen (by text)",
                        """
                        create function see() returns trigger language plpgsql as $$ begin
                          insert into public.seen values (concat_ws(' ', current_setting('application_name'),
                            current_setting('enable_seqscan'), current_setting('transaction_isolation')));
                          return null;
                        end $$""",
                        "create trigger see after delete on rowbell.delivery for each row execute function see()",
                        "insert into rowbell.feedback (alert) values ('{\"id\": \"durable\", \"rule\": \"r\"}')");
                database.awaitListener("channel_1");
                database.execute("select pg_notify('channel_1', '{\"id\": \"notified\", \"rule\": \"r\"}')");
                await().until(() -> AlertFiles.values(dir, "id").size() == 2);
                await().until(database::isDelivered);
                assertEquals(
                        List.of("orders off read committed"), database.query("select distinct by from public.seen"));
                assertEquals(
                        List.of("orders", "rowbell listen"),
                        database.query(
                                "select distinct application_name from pg_stat_activity"
                                        + " where datname = current_database() and application_name ~ 'orders|rowbell' order by 1"));
            } finally {
                application.stop();
            }
            assertEquals(before, settingsOf(orders));
        }
    }

    /** By session of the pool, all of them at once, in the order of their process ids: a session that was replaced differs too. */
    private static List<String> settingsOf(HikariDataSource pool) throws SQLException {
        List<Connection> sessions = new ArrayList<>();
        List<String> settings = new ArrayList<>();
        try {
            for (int i = 0; i < pool.getMaximumPoolSize(); i++) {
                Connection session = pool.getConnection();
                sessions.add(session);
                assertEquals(pool.isAutoCommit(), session.getAutoCommit());
                try (Statement statement = session.createStatement();
                        ResultSet row = statement.executeQuery(
                                "select pg_backend_pid() || E'\\n' || string_agg(concat(name, '=', setting), E'\\n' order by name)"
                                        + " from pg_settings where name not like 'plpgsql.%'")) {
                    row.next();
                    settings.add(row.getString(1));
                }
            }
            settings.sort(null);
            return settings;
        } finally {
            for (Connection session : sessions) {
                session.close();
            }
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    nowhere | rowbell.datasource=nowhere: there is no DataSource with that name
                    rowbell | rowbell.datasource=rowbell: Rowbell's own pool has that name: rename the bean
                    other   | set rowbell.jdbc.url, .user and .password as well
                    """)
    void aDataSourceThatCannotBeUsedEndsTheStart(String name, String why) {
        Properties settings = new Properties();
        settings.put("rowbell.datasource", name);
        Main application = new Main();
        application.bind("other", new DelegatingDataSource(new PGSimpleDataSource()) {
            @Override
            public boolean isWrapperFor(Class<?> type) {
                return false;
            }
        });
        application.setOverrideProperties(settings);
        application.configure().withRoutesIncludePattern("classpath:dev/rowbell/routes/*.camel.yaml");
        Exception refused = assertThrows(Exception.class, application::start);
        assertTrue(Errors.forUser(refused).contains(why), Errors.forUser(refused));
        application.stop();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    small    | rowbell.datasource=orders may have 1 connection, and Rowbell needs 2 at a time: set a larger maximumPoolSize
                    readOnly | rowbell.datasource=orders is for reading only: name one that may write
                    other    | rowbell.datasource=orders leads to another database than rowbell.jdbc.url: let both name the same one
                    """)
    void aPoolThatCannotDoTheWorkEndsTheStart(String fault, String why) {
        Map<String, String> settings = DATABASE.settings();
        try (HikariDataSource orders = new HikariDataSource()) {
            orders.setJdbcUrl(fault.equals("other") ? TestDatabase.create().url() : DATABASE.url());
            orders.setUsername(settings.get("rowbell.jdbc.user"));
            orders.setPassword(settings.get("rowbell.jdbc.password"));
            orders.setMaximumPoolSize(fault.equals("small") ? 1 : 2);
            orders.setReadOnly(fault.equals("readOnly"));
            settings.put("rowbell.datasource", "orders");
            Properties all = new Properties();
            all.putAll(settings);
            Main application = new Main();
            application.bind("orders", orders);
            application.setOverrideProperties(all);
            application.configure().withRoutesIncludePattern("classpath:dev/rowbell/routes/*.camel.yaml");
            Exception refused = assertThrows(Exception.class, application::start);
            assertTrue(Errors.forUser(refused).contains(why), Errors.forUser(refused));
            application.stop();
        }
    }
}
