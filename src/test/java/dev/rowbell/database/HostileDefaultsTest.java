package dev.rowbell.database;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Rowbell;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rowbell is installed and works whatever the encoding of a database and the defaults of its sessions are. */
@Tag("long")
class HostileDefaultsTest {

    /** For a writer; a statement of its own, as a transaction is read only or not from its beginning. */
    private static final String WRITES = "set default_transaction_read_only = off";

    @TempDir
    Path dir;

    @Test
    void theFilesOfTheSchemaAreAscii() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/main/resources/dev/rowbell/schema"))) {
            for (Path file : files.toList()) {
                assertTrue(Files.readString(file).chars().allMatch(c -> c < 128), file.toString());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"LATIN2", "EUC_JP", "SQL_ASCII"})
    void anyEncodingWillDo(String encoding) throws IOException {
        worksOn(TestDatabase.createInEncoding(encoding));
    }

    @Test
    void rowbellReliesOnNoDefaultOfTheDatabase() throws IOException {
        TestDatabase database = TestDatabase.create();
        for (String setting : List.of(
                "default_transaction_isolation = 'serializable'",
                "default_transaction_read_only = on",
                "default_transaction_deferrable = on",
                "statement_timeout = '5s'",
                "lock_timeout = '1ms'",
                "idle_in_transaction_session_timeout = '100ms'",
                "search_path = 'nowhere'",
                "default_tablespace = 'nowhere'",
                "standard_conforming_strings = off",
                "backslash_quote = off",
                "array_nulls = off",
                "transform_null_equals = on",
                "quote_all_identifiers = on",
                "check_function_bodies = off",
                "row_security = off",
                "datestyle = 'German, DMY'",
                "intervalstyle = 'sql_standard'",
                "bytea_output = 'escape'",
                "extra_float_digits = -15",
                "timezone = 'Asia/Kathmandu'")) {
            database.execute(WRITES, "alter database " + database.name() + " set " + setting);
        }
        worksOn(database);
    }

    private void worksOn(TestDatabase database) throws IOException {
        Map<String, String> settings = database.settings();
        Path rules = Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: from the file
                    feed: public.feed
                    condition: NEW.a > 5 and NEW.note !~ '\\d'
                """);
        settings.put("rowbell.rules.file", rules.toString());
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
        database.execute(
                WRITES,
                "set default_tablespace = ''",
                "create table public.feed (id int primary key, a int, note text)");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            assertEquals(List.of(), Rowbell.of(rowbell.context()).rules().problems());
            database.execute(
                    WRITES,
                    "set default_transaction_isolation = 'read committed'",
                    "insert into rowbell.rule (name, feed, condition, cooldown)"
                            + " values ('by sql', 'public.feed', 'NEW.a > 6', '1 s'), ('fails', 'public.feed', '1 / (NEW.a - 7) > 0', '0')",
                    "insert into public.feed values (1, 7, 'x'), (2, 8, '8')");
            await().until(() -> AlertFiles.values(dir.resolve("alerts"), "rule").stream()
                    .map(String::valueOf)
                    .sorted()
                    .toList()
                    .equals(List.of("by sql", "by sql", "fails", "from the file", "rowbell-rule-failed")));
            database.execute(
                    WRITES, "insert into rowbell.feedback (alert) values ('{\"rule\": \"r\", \"id\": \"last\"}')");
            await().until(() -> AlertFiles.values(dir.resolve("alerts"), "id").contains("last"));
        }
    }
}
