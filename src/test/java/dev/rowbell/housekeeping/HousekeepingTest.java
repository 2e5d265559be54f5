package dev.rowbell.housekeeping;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.zaxxer.hikari.HikariDataSource;
import dev.rowbell.database.Database;
import dev.rowbell.health.Watchdog;
import dev.rowbell.settings.Settings;
import dev.rowbell.testing.TestDatabase;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;

class HousekeepingTest {

    private static final Duration OFTEN = Duration.ofMillis(5);
    private static final Duration ONCE = Duration.ofHours(1);

    private final Housekeeping housekeeping = new Housekeeping(new Watchdog());
    private final AtomicInteger runs = new AtomicInteger();

    @AfterEach
    void stop() {
        housekeeping.stop(true);
    }

    @Test
    void aTaskThatFailsIsTriedAgainAndHoldsUpNoOther() {
        housekeeping.register("fail", OFTEN, () -> {
            throw new AssertionError("a mistake");
        });
        housekeeping.register("run", OFTEN, runs::incrementAndGet);
        housekeeping.start();
        await().until(() -> runs.get() > 2);
    }

    @Test
    @Tag("long")
    void aTaskThatDoesNotEndHoldsUpNoOtherAndLosesNoCounts() {
        CountDownLatch never = new CountDownLatch(1);
        housekeeping.register("wait for a stranger", ONCE, () -> {
            try {
                never.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        housekeeping.registerAlsoAtStop("count", ONCE, runs::incrementAndGet);
        housekeeping.start();
        await().until(() -> runs.get() == 1);
        housekeeping.stop(true);
        assertEquals(2, runs.get());
    }

    @Test
    void aTaskMayBeRegisteredLater() {
        housekeeping.start();
        housekeeping.register("run", ONCE, runs::incrementAndGet);
        await().until(() -> runs.get() == 1);
    }

    @Test
    void countsAreWrittenAtTheStopUnlessTheyCouldNotBeWrittenBefore() {
        AtomicInteger failed = new AtomicInteger();
        housekeeping.registerAlsoAtStop("count", ONCE, runs::incrementAndGet);
        housekeeping.registerAlsoAtStop("fail", ONCE, () -> {
            failed.incrementAndGet();
            throw new IllegalStateException("a mistake");
        });
        housekeeping.start();
        await().until(() -> failed.get() == 1);
        housekeeping.stop(true);
        assertEquals(2, runs.get());
        assertEquals(1, failed.get());
    }

    /** Four that waited for ever would keep all others from running: the pool of an application has no time limit. */
    @Test
    void aTaskWaitsForALockForAWhileOnThePoolOfAnApplicationToo() throws Exception {
        TestDatabase database = TestDatabase.createWithSchema();
        Map<String, String> settings = database.settings();
        Properties all = new Properties();
        all.putAll(settings);
        // never started: it only holds the settings
        CamelContext context = new DefaultCamelContext();
        context.getPropertiesComponent().addLocation("file:application.properties");
        context.getPropertiesComponent().setOverrideProperties(all);
        try (HikariDataSource host = new HikariDataSource()) {
            host.setJdbcUrl(settings.get("rowbell.jdbc.url"));
            host.setUsername(settings.get("rowbell.jdbc.user"));
            host.setPassword(settings.get("rowbell.jdbc.password"));
            host.setMaximumPoolSize(2);
            try (Database opened = Database.open(new Settings(context), host)) {
                CompletableFuture<String> inTask = new CompletableFuture<>();
                housekeeping.register("look", ONCE, () -> inTask.complete(lockTimeout(opened.pool())));
                housekeeping.start();
                assertEquals("50s", inTask.get(1, TimeUnit.MINUTES));
                // of the routing, whose alert would be a dead letter
                assertEquals("0", lockTimeout(opened.pool()));
                assertEquals("0", lockTimeout(host));
            }
        }
    }

    private static String lockTimeout(DataSource pool) {
        return JdbcClient.create(pool)
                .sql("show lock_timeout")
                .query(String.class)
                .single();
    }
}
