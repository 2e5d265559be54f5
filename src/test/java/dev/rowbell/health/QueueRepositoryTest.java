package dev.rowbell.health;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.TestDatabase;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

class QueueRepositoryTest {

    private static final int ARMED = 2000;

    /** There may be millions, and this is asked every few seconds. */
    @Test
    void toCountTimersThatAreDueReadsNoOthers() throws SQLException {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute(
                "create table public.waits (id int primary key, v int)",
                "insert into rowbell.rule (name, feed, condition, \"for\") values ('waits', 'public.waits', 'NEW.v > 5', '1 hour')",
                """
                insert into rowbell.timer (feed, rule, key, since, began)
                select t.feed, s.id, format('{"id":%%s}', i), now(), now() - case when i <= 3 then interval '2 hours' else interval '0' end
                from rowbell.timer_feed t cross join rowbell.rule_state s cross join generate_series(1, %d) i
                """.formatted(ARMED),
                "vacuum analyze rowbell.timer");
        SingleConnectionDataSource connection = database.singleConnection();
        try {
            JdbcClient jdbc = JdbcClient.create(connection);
            jdbc.sql("select set_config(s, 'off', false) from unnest('{enable_seqscan,enable_bitmapscan}'::text[]) s")
                    .query(row -> {});
            // PostgreSQL counts what the session reads until its transaction ends
            connection.getConnection().setAutoCommit(false);
            Queue due = new QueueRepository(connection, "rowbell.feedback")
                    .queues().stream()
                            .filter(queue -> queue.name().equals("timer"))
                            .findFirst()
                            .orElseThrow();
            assertEquals(3, due.rows());
            // each once, to count all that are armed
            assertEquals(
                    ARMED + 3L,
                    jdbc.sql(
                                    "select sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) from pg_index i where i.indrelid = 'rowbell.timer'::regclass")
                            .query(Long.class)
                            .single());
        } finally {
            connection.destroy();
        }
    }
}
