package dev.rowbell.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.CommandLine;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What commands say of how they were called. */
class CommandsTest {

    @Test
    void theUsageNamesTheProgramAsItWasCalled() throws IOException {
        assertTrue(CommandLine.run(0, Map.of(), "--help").startsWith("Usage: java -jar target/rowbell.jar "));
        System.setProperty("program.name", "bin/rowbell");
        try {
            assertTrue(CommandLine.run(0, Map.of(), "--help").startsWith("Usage: bin/rowbell "));
            String help = CommandLine.run(0, Map.of(), "rules", "list", "--help");
            assertTrue(help.startsWith("Usage: bin/rowbell rules list "), help);
        } finally {
            System.clearProperty("program.name");
        }
        assertTrue(Files.readString(Path.of("bin/rowbell")).contains("-Dprogram.name="));
    }

    @Test
    void aFileWithoutRulesIsSaidToHaveNone(@TempDir Path dir) throws IOException {
        TestDatabase database = TestDatabase.createWithSchema();
        Path file = Files.writeString(dir.resolve("rules.yaml"), "rules:\n");
        assertEquals(
                "the file has no rules\n", CommandLine.run(0, database.settings(), "rules", "check", file.toString()));
    }

    @Test
    void theRecipesOfTheDocumentsAreRight(@TempDir Path dir) throws IOException {
        TestDatabase database = TestDatabase.createWithSchema();
        database.execute(
                "create table orders (id int primary key, amount int, state text)",
                "create table payment (id int primary key, shop text, state text)",
                "create table reading (id int primary key, sensor text)",
                "create table movement (id int primary key, account int, amount int)",
                "create schema \"Lager\"",
                "create table \"Lager\".\"Artikel-Bestand\" (id int primary key, \"Bestand\" int)");
        String[] blocks = Files.readString(Path.of("docs/rules.md"))
                .replaceFirst("(?s).*\n## Recipes\n", "")
                .split("```(yaml)?\n");
        Path file = Files.writeString(dir.resolve("rules.yaml"), blocks[1] + "\n  - name: quoted\n" + blocks[3]);
        assertEquals(
                "6 rules, all right\n", CommandLine.run(0, database.settings(), "rules", "check", file.toString()));
    }

    @Test
    void aDatabaseWithoutTheSchemaIsSaidInOneSentence() {
        assertEquals(
                "rowbell: the database has no schema rowbell yet: start Rowbell once first, or apply what docs/schema.md says\n",
                CommandLine.run(2, TestDatabase.create().settings(), "rules", "list"));
    }

    @Test
    void aHostThatIsUnknownIsNamed() {
        Map<String, String> settings = TestDatabase.create().settings();
        settings.put("rowbell.jdbc.url", "jdbc:postgresql://nowhere.invalid:5432/shop");
        String said = CommandLine.run(2, settings, "rules", "list");
        assertTrue(
                said.matches("rowbell: rowbell.jdbc.url: cannot connect to jdbc:postgresql://nowhere.invalid:5432/shop:"
                        + " The connection attempt failed. \\(UnknownHostException: nowhere.invalid.*\\)\n"),
                said);
    }
}
