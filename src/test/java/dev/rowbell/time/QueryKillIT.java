package dev.rowbell.time;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process that is killed at any moment of a run loses no alert of a query, and raises none twice. */
@Tag("long")
class QueryKillIT {

    private static final List<String> MOMENTS = List.of(
            // the query runs
            "pg_stat_activity where datname = current_database() and application_name = 'rowbell query' and state = 'active'",
            // its result is compared, or was
            "rowbell.query_run where due > clock_timestamp()",
            "rowbell.feedback");

    @TempDir
    Path dir;

    @Test
    void aKillAtAnyMomentLosesAndDoublesNothing() {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute(
                "create table stock (id int primary key, amount int)",
                "insert into stock select n, 0 from generate_series(1, 200) n",
                "insert into rowbell.rule (name, query, key, every, resolved) values"
                        + " ('short', 'select id, pg_sleep(0.002) from public.stock where amount < 0', '{id}', '1 s', true)");
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        // deliveries that a killed process had in flight come again within the wait below
        settings.put("rowbell.outbox.lease", "5s");
        for (int i = 0; i < 6; i++) {
            String moment = MOMENTS.get(i % MOMENTS.size());
            database.execute("update stock set amount = case when random() < 0.5 then -1 else 1 end");
            try (Program rowbell = Program.rowbell(dir, settings)) {
                await(moment).failFast(() -> !rowbell.isAlive()).until(() -> database.count(moment) > 0);
                rowbell.kill();
                rowbell.awaitExit();
            }
        }
        database.execute("update stock set amount = -1 where id <= 100", "update stock set amount = 1 where id > 100");
        try (Program rowbell = Program.rowbell(dir, settings)) {
            await().failFast(() -> !rowbell.isAlive())
                    .until(() -> database.isDelivered()
                            && database.query(
                                            "select count(*) || ' ' || count(*) filter (where key ~ '\"(\\d\\d?|100)\"') from rowbell.query_key")
                                    .equals(List.of("100 100")));
        }
        // a delivery in flight comes again, with the same id
        Map<Object, Map<String, Object>> alerts = new LinkedHashMap<>();
        AlertFiles.read(dir.resolve("alerts")).forEach(alert -> alerts.putIfAbsent(alert.get("id"), alert));
        Map<String, List<String>> byKey = alerts.values().stream()
                .sorted((one, other) -> ((String) one.get("time")).compareTo((String) other.get("time")))
                .collect(Collectors.groupingBy(
                        alert -> (String) alert.get("key"),
                        TreeMap::new,
                        Collectors.mapping(alert -> (String) alert.get("status"), Collectors.toList())));
        byKey.forEach((key, statuses) -> {
            for (int i = 0; i < statuses.size(); i++) {
                assertEquals(i % 2 == 0 ? "firing" : "resolved", statuses.get(i), key + statuses);
            }
            int id = Integer.parseInt(key.substring("id=".length()));
            assertEquals(id <= 100 ? "firing" : "resolved", statuses.get(statuses.size() - 1), key + statuses);
        });
    }
}
