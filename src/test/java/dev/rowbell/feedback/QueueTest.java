package dev.rowbell.feedback;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Rowbell;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.apache.camel.component.sql.SqlEndpoint;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Queues stay quick and small, whatever goes through them and whoever has forgotten a transaction. */
class QueueTest {

    private static final int MANY = 60_000;

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void file() {
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
    }

    private static String alerts(int from, int to) {
        return "insert into rowbell.feedback (alert) select json_build_object('id', 'a' || i, 'rule', 'r') from generate_series(%d, %d) i"
                .formatted(from, to);
    }

    private List<Object> filed() {
        return AlertFiles.values(dir, "id");
    }

    @Test
    @Tag("long")
    void whatIsCommittedLateOrWithATimeOfLongAgoIsFoundWhileASessionIsIdleInATransaction() throws SQLException {
        try (RunningRowbell rowbell = RunningRowbell.start(settings);
                Connection idle = database.connect();
                Connection late = database.connect();
                Statement held = idle.createStatement();
                Statement slow = late.createStatement()) {
            idle.setAutoCommit(false);
            idle.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            held.executeQuery("select from pg_class limit 1").close();
            late.setAutoCommit(false);
            slow.execute(alerts(0, 0));
            database.execute(alerts(1, MANY));
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            late.commit();
            database.execute(
                    "insert into rowbell.feedback (crt_time, alert) values ('2020-01-01', '{\"id\": \"b\", \"rule\": \"r\"}')");
            await().until(() -> filed().containsAll(List.of("a0", "b")));
            // there is no time two seconds before it
            database.execute(
                    "insert into rowbell.feedback (crt_time, alert) values ('infinity', '{\"id\": \"c\", \"rule\": \"r\"}')",
                    alerts(MANY + 1, MANY + 2));
            await().until(() -> filed().containsAll(List.of("c", "a" + (MANY + 1), "a" + (MANY + 2))));
            assertEquals(MANY + 5, new HashSet<>(filed()).size());
            assertEquals(MANY + 5, filed().size());
        }
    }

    /** Statistics taken when all of it was gone and nothing vacuumed make sorting it look cheapest: for each batch all that waits. */
    @Test
    @Tag("long")
    void aQueueIsTakenInTheOrderOfItsIndexWhateverWasKnownOfItWhenThatWasPlanned() throws Exception {
        database.execute(
                "create table own (crt_time timestamptz default now(), c int)",
                "create index own_crt_time on own (crt_time)");
        for (String table : List.of("rowbell.feedback", "own")) {
            settings.put("rowbell.feedback.table", table);
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                rowbell.context().getRouteController().stopRoute("feedback");
                database.execute(
                        "alter table %s set (autovacuum_enabled = false)".formatted(table),
                        table.equals("own") ? "insert into own (c) select generate_series(1, 2000)" : alerts(1, 2000),
                        "analyze " + table,
                        "delete from " + table,
                        "analyze " + table);
                SqlEndpoint endpoint =
                        (SqlEndpoint) rowbell.context().getRoute("feedback").getEndpoint();
                String query = endpoint.getQuery().replaceAll("cast\\([#?] as", "cast(null as");
                DataSource pool =
                        rowbell.context().getRegistry().lookupByNameAndType(Rowbell.DATA_SOURCE, DataSource.class);
                StringBuilder plan = new StringBuilder();
                try (Connection connection = pool.getConnection();
                        Statement statement = connection.createStatement();
                        ResultSet lines = statement.executeQuery("explain " + query)) {
                    while (lines.next()) {
                        plan.append(lines.getString(1)).append('\n');
                    }
                }
                assertTrue(plan.toString().matches("(?s).*Index Scan using \\w+_crt_time.*"), plan::toString);
                assertFalse(plan.toString().contains("Bitmap"), plan::toString);
            }
        }
    }

    /** A vacuum cuts off the empty end of a table; its indexes keep their size and are filled again. */
    @Test
    void anEmptyQueueGivesItsRoomBackAtTheNextVacuum() {
        database.execute(
                "alter table rowbell.delivery set (autovacuum_enabled = false), alter column documents set storage external",
                "insert into rowbell.delivery (sink, documents) select 'nobody', array[repeat('x', 1200)] from generate_series(1, 45000)");
        long before = size();
        assertTrue(before > 32 << 20, "too small to prove anything: " + before);
        database.execute("delete from rowbell.delivery");
        await().until(() -> {
            database.execute("vacuum rowbell.delivery");
            return size() < before / 5;
        });
    }

    private long size() {
        return Long.parseLong(database.query("select pg_total_relation_size('rowbell.delivery')")
                .get(0));
    }
}
