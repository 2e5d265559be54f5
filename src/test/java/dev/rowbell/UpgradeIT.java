package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two processes while the schema becomes one of the next version, as UPGRADING.md says. */
@Tag("long")
class UpgradeIT {

    private final TestDatabase database = TestDatabase.create();

    @TempDir
    Path dir;

    private Program start(String name) {
        Map<String, String> settings = database.settings();
        settings.put("rowbell.file.dir", dir.resolve("alerts-" + name).toString());
        return Program.rowbell(dir, settings);
    }

    private static void awaitWatching(Program rowbell) {
        await().failFast(() -> assertTrue(rowbell.isAlive(), rowbell.output()))
                .until(() -> rowbell.output().contains("Rowbell is watching"));
    }

    private void raise(String prefix) {
        database.execute("insert into rowbell.feedback (alert)"
                + " select json_build_object('id', '%s' || i, 'rule', 'r') from generate_series(1, 100) i"
                        .formatted(prefix));
    }

    private List<Object> delivered() {
        return Stream.of("one", "another")
                .map(name -> dir.resolve("alerts-" + name))
                .filter(Files::exists)
                .<Object>flatMap(alerts -> AlertFiles.values(alerts, "id").stream())
                .toList();
    }

    private void allArrive(int alerts) {
        await().until(() -> Set.copyOf(delivered()).size() == alerts);
    }

    @Test
    void anOldProcessGoesOnBesideANewerSchemaAndDoesNotStartAgain() {
        try (Program one = start("one");
                Program another = start("another")) {
            awaitWatching(one);
            awaitWatching(another);
            raise("before");
            allArrive(100);
            // what the first process of the next version does, with a table and a function of its own
            database.execute(
                    "create table rowbell.of_the_next_version (id int)",
                    "create or replace function rowbell.replay(dead_letter bigint) returns boolean language sql as 'select true'",
                    """
                    insert into rowbell.flyway_schema_history
                    select installed_rank + 1000, '2', 'more', type, 'V2__more.sql', 1, installed_by, now(), 1, true
                    from rowbell.flyway_schema_history where script = 'V1__tables.sql'
                    """);
            raise("with");
            another.terminate();
            another.awaitExit();
            raise("after");
            allArrive(300);
            try (Program again = start("another")) {
                assertEquals(2, again.awaitExit(), again.output());
                assertTrue(again.output().contains("of a newer Rowbell than this one (V2__more.sql)"), again.output());
            }
            assertEquals(List.of("select true"), database.query("select prosrc from pg_proc where proname = 'replay'"));
            raise("last");
            allArrive(400);
            assertTrue(one.isAlive(), one.output());
            assertEquals(0, database.count("rowbell.delivery") + database.count("rowbell.dead_letter"));
        }
    }
}
