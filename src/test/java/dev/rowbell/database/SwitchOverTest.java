package dev.rowbell.database;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.OwnPostgres;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TcpProxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.camel.CamelContext;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A primary becomes a standby, and another server the primary, behind an address that stays the same. */
@Tag("long")
class SwitchOverTest {

    private static final Duration SWITCHED = Duration.ofSeconds(15);

    @TempDir
    Path dir;

    private static String store(String id) {
        return "insert into rowbell.feedback (alert) values ('{\"id\": \"%s\", \"rule\": \"r\"}')".formatted(id);
    }

    private static String send(String id) {
        return "select pg_notify('channel_1', '{\"id\": \"%s\", \"rule\": \"r\"}')".formatted(id);
    }

    private boolean arrived(String id) {
        return AlertFiles.values(dir.resolve("alerts"), "id").contains(id);
    }

    private static HealthCheck.State database(CamelContext context) {
        return HealthCheckHelper.invokeReadiness(context).stream()
                .filter(result -> result.getCheck().getId().equals("rowbell-database"))
                .findFirst()
                .orElseThrow()
                .getState();
    }

    private Map<String, String> through(TcpProxy network, OwnPostgres server) {
        Map<String, String> settings = server.settings();
        settings.put("rowbell.jdbc.url", "jdbc:postgresql://localhost:%d/postgres".formatted(network.port()));
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        return settings;
    }

    private void flows(OwnPostgres server, String when) {
        server.execute(store("durable " + when));
        await().until(() -> arrived("durable " + when));
        await("notifications " + when).until(() -> {
            server.execute(send("notified " + when));
            return arrived("notified " + when);
        });
    }

    /** Within 15 s of the switch. */
    private void flowsSoon(CamelContext context, OwnPostgres server) {
        long start = System.nanoTime();
        await().atMost(SWITCHED).until(() -> arrived("waiting"));
        await().atMost(SWITCHED.minusNanos(System.nanoTime() - start)).until(() -> {
            server.execute(send("notified soon"));
            return arrived("notified soon");
        });
        await().until(() -> database(context) == HealthCheck.State.UP);
        flows(server, "after");
    }

    @Test
    void alertsFlowFromTheNewPrimaryAndTheOldOneIsNoServerToStayWith() throws Exception {
        try (OwnPostgres one = new OwnPostgres(Files.createDirectories(dir.resolve("one")));
                TcpProxy network = new TcpProxy(one.port());
                RunningRowbell rowbell = RunningRowbell.start(through(network, one))) {
            flows(one, "before");
            one.stop();
            try (OwnPostgres two = one.copy(dir.resolve("two"))) {
                one.demote();
                one.start();
                two.start();
                // the address still leads to the old one
                await().until(() -> database(rowbell.context()) == HealthCheck.State.DOWN);
                two.execute(store("waiting"));
                network.redirect(two.port());
                flowsSoon(rowbell.context(), two);
            }
        }
    }

    @Test
    void aPrimaryThatOnlyReadsAndKeepsItsConnectionsIsLeft() throws Exception {
        try (OwnPostgres one = new OwnPostgres(Files.createDirectories(dir.resolve("one")));
                TcpProxy network = new TcpProxy(one.port())) {
            Map<String, String> settings = through(network, one);
            RunningRowbell.start(settings).close();
            one.stop();
            try (OwnPostgres two = one.copy(dir.resolve("two"))) {
                one.start();
                two.start();
                two.execute(store("waiting"));
                try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                    flows(one, "before");
                    one.execute("alter system set default_transaction_read_only = on", "select pg_reload_conf()");
                    await().until(() -> database(rowbell.context()) == HealthCheck.State.DOWN);
                    network.redirect(two.port());
                    flowsSoon(rowbell.context(), two);
                }
            }
        }
    }

    @Test
    void aStartOnAStandbyWaitsForAPrimary() throws Exception {
        try (OwnPostgres one = new OwnPostgres(Files.createDirectories(dir.resolve("one")));
                TcpProxy network = new TcpProxy(one.port())) {
            one.stop();
            try (OwnPostgres two = one.copy(dir.resolve("two"))) {
                one.demote();
                one.start();
                two.start();
                CompletableFuture<RunningRowbell> starting =
                        CompletableFuture.supplyAsync(() -> RunningRowbell.start(through(network, one)));
                await().pollDelay(Duration.ofSeconds(3)).until(() -> !starting.isDone());
                network.redirect(two.port());
                try (RunningRowbell rowbell = starting.get(1, TimeUnit.MINUTES)) {
                    assertEquals(HealthCheck.State.UP, database(rowbell.context()));
                    flows(two, "after");
                }
            }
        }
    }

    /** Each of these defaults kept Rowbell from its work. Rowbell sets the settings that it relies on in its sessions. */
    @Test
    void hostileDefaultsOfTheRoleChangeNothing() {
        try (OwnPostgres server = new OwnPostgres(
                dir.resolve("one"), "idle_session_timeout=1s", "idle_in_transaction_session_timeout=500ms")) {
            server.execute(
                    "alter role postgres set default_transaction_read_only = on",
                    "alter role postgres set default_transaction_isolation = serializable",
                    "alter role postgres set statement_timeout = 200",
                    "alter role postgres set lock_timeout = 50");
            Map<String, String> settings = server.settings();
            settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
            settings.put("rowbell.console", "OFF");
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                String writable = "set default_transaction_read_only = off";
                server.execute(writable, store("first"));
                await().until(() -> arrived("first"));
                String listeners =
                        "select pid from pg_stat_activity where application_name = 'rowbell listen' order by pid";
                List<String> before = server.query(listeners);
                // three times the idle_session_timeout, and a heartbeat of 10 s does not come before
                await().pollDelay(Duration.ofSeconds(3)).until(() -> true);
                assertEquals(before, server.query(listeners));
                assertEquals(2, before.size());
                server.execute(writable, store("second"), send("notified"));
                await().until(() -> arrived("second") && arrived("notified"));
            }
        }
    }
}
