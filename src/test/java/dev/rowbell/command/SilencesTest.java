package dev.rowbell.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.CommandLine;
import dev.rowbell.testing.TestDatabase;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Silences, by command. */
class SilencesTest {

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    private String command(int exit, String... arguments) {
        String printed = CommandLine.run(exit, settings, arguments);
        // the usage follows an error
        return exit == 0 ? printed : printed.lines().findFirst().orElse("");
    }

    private List<String> silences(String columns) {
        return database.query("select concat_ws('|', %s) from rowbell.silence order by id".formatted(columns));
    }

    @Test
    void oneIsAddedListedAndEnded() {
        assertEquals("no silences\n", command(0, "silences", "list"));
        database.execute("""
                insert into rowbell.firing_state (fingerprint, rule, feed, key, severity, times, since, last, silenced, alert_id)
                select 'f' || i, 'too-late', 'public.orders', 'id=' || i, 'critical', i, now(), now(), 0, 'x' from generate_series(1, 3) i""");
        assertEquals(
                "silence 1 keeps alerts back; of what fires now it covers 3\n",
                command(0, "silences", "add", "--rule", "too-*", "--for", "2h", "--why", "import of the old shop"));
        assertEquals(
                "silence 2 keeps alerts back; of what fires now it covers 1\n",
                command(0, "silences", "add", "--feed", "public.*", "--key", "id=2", "--for", "7d", "--why", "moved"));
        assertEquals(
                List.of("too-*|02:00:00|import of the old shop|true", "public.*|id=2|7 days|moved|true"),
                silences("rule, feed, key, until - since, why, (who = current_user)::text"));
        String list = command(0, "silences", "list");
        assertTrue(
                list.matches("(?s)number +state +rule .*\n2 +in force +any +public\\.\\* +id=2 .* 0 +moved\n"
                        + "1 +in force +too-\\* +any +any .* 0 +import of the old shop\n"),
                list);
        assertEquals("silence 1 has ended\n", command(0, "silences", "end", "1"));
        assertEquals("rowbell: no silence 1 is in force or planned", command(1, "silences", "end", "1"));
        assertEquals("rowbell: no silence 9 is in force or planned", command(1, "silences", "end", "9"));
        list = command(0, "silences", "list", "--limit", "1");
        assertTrue(list.contains("\n2 ") && !list.contains("\n1 "), list);
    }

    @Test
    void oneIsPlannedAndRemoved() {
        LocalDate tomorrow = LocalDate.now().plusDays(1);
        assertEquals(
                "silence 1 is planned; of what fires now it would cover 0\n",
                command(
                        0,
                        "silences",
                        "add",
                        "--all",
                        "--from",
                        tomorrow + "T08:00:00Z",
                        "--until",
                        tomorrow.plusDays(2) + "T08:00:00Z",
                        "--why",
                        "move"));
        assertEquals(
                List.of("%s 08:00:00|%s 08:00:00|move".formatted(tomorrow, tomorrow.plusDays(2))),
                silences("rule, feed, key, since at time zone 'UTC', until at time zone 'UTC', why"));
        assertTrue(command(0, "silences", "list").contains("\n1       planned  any "));
        assertEquals("silence 1 will not begin\n", command(0, "silences", "end", "1"));
        assertTrue(command(0, "silences", "list").contains("\n1       over   any "));
    }

    @Test
    void aNameThatNoRuleHasIsAddedWithAWarning() {
        database.execute(
                "create schema \"Lager\"",
                "create table \"Lager\".\"Artikel-Bestand\" (id int primary key)",
                "create table orders (id int primary key)",
                "insert into rowbell.rule (name, feed, condition) values"
                        + " ('stock-low', '\"Lager\".\"Artikel-Bestand\"', 'NEW.id > 0'), ('late', 'orders', 'NEW.id > 0')");
        String added = "silence %d keeps alerts back; of what fires now it covers 0\n";
        assertEquals(
                added.formatted(1) + "rowbell: no rule has this name now; did you mean stock-low?\n",
                add("--rule", "stok-low"));
        assertEquals(
                added.formatted(2) + "rowbell: no rule is of this feed now; did you mean public.orders?\n",
                add("--feed", "public.oders"));
        assertEquals(added.formatted(3) + "rowbell: no rule has this name now\n", add("--rule", "shop-*"));
        assertEquals(added.formatted(4), add("--rule", "*low", "--feed", "public.orders"));
        assertEquals(added.formatted(5), add("--feed", "\"Lager\".\"Artikel-Bestand\""));
        assertEquals(added.formatted(6), add("--feed", "Lager.Artikel-Bestand"));
        assertEquals(
                List.of("5", "6"),
                database.query("select name from rowbell.explain('stock-low') where about = 'silence' order by name"));
    }

    private String add(String... patterns) {
        return command(
                0,
                Stream.of(List.of("silences", "add"), List.of(patterns), List.of("--for", "1h", "--why", "x"))
                        .flatMap(List::stream)
                        .toArray(String[]::new));
    }

    @Test
    void whatCannotBeIsRefused() {
        String which = "say which: some of --rule, --feed and --key, or --all";
        assertEquals(which, command(2, "silences", "add", "--for", "1h", "--why", "x"));
        assertEquals(
                "--all excludes --rule, --feed and --key: leave it out",
                command(2, "silences", "add", "--all", "--key", "id=1", "--for", "1h", "--why", "x"));
        assertEquals("Missing required option: '--why=TEXT'", command(2, "silences", "add", "--all", "--for", "1h"));
        assertEquals(
                "rowbell: say why alerts are to be kept back",
                command(2, "silences", "add", "--all", "--for", "1h", "--why", " "));
        assertEquals(
                "rowbell: give how long as 30m, 12h or 7d, a year at most, or until when",
                command(2, "silences", "add", "--all", "--for", "soon", "--why", "x"));
        assertEquals(
                "rowbell: this silence would be over already",
                command(2, "silences", "add", "--all", "--from", "2026-01-01", "--for", "1h", "--why", "x"));
        for (String limit : List.of("0", "-1", "9999999999", "many")) {
            for (String list : List.of("silences", "deliveries")) {
                String refused = command(2, list, "list", "--limit", limit);
                assertTrue(refused.contains("give a whole number from 1"), refused);
            }
        }
        assertEquals(List.of(), silences("id"));
        String role = "silences_of_" + database.name();
        database.execute("create role %s login password 'pw'".formatted(role), "grant rowbell_consumer to " + role);
        settings.put("rowbell.jdbc.user", role);
        settings.put("rowbell.jdbc.password", "pw");
        try {
            assertEquals(
                    "rowbell: permission denied for table silence: grant rowbell_admin to " + role,
                    command(1, "silences", "add", "--all", "--for", "1h", "--why", "x"));
        } finally {
            database.execute("drop owned by " + role, "drop role " + role);
        }
    }
}
