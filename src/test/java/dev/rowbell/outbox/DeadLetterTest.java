package dev.rowbell.outbox;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.CommandLine;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What operators do with what was given up, by command and by SQL. */
class DeadLetterTest {

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void deadLetters() {
        database.execute("""
                insert into rowbell.dead_letter (sink, alert_id, alert, attempts, filed, died, last_error)
                values
                  ('http', 'a1', '{"id": "a1", "rule": "r1"}', 10, now() - interval '9 d', now() - interval '8 d', 'refused'),
                  ('http', 'a2', '{"id": "a2", "rule": "r2"}', 10, now() - interval '2 h', now() - interval '1 h', 'refused'),
                  ('mail', 'a3', '{"id": "a3", "rule": "r2"}', 10, now() - interval '2 h', now() - interval '1 h', 'no such user'),
                  (null, 'a4', '{"id": "a4", "rule": "r1"}', 1, now(), now(), 'no route')
                """);
        settings.forEach(System::setProperty);
    }

    @AfterEach
    void clear() {
        settings.keySet().forEach(System::clearProperty);
    }

    private String command(int exit, String... arguments) {
        return CommandLine.run(exit, Map.of(), arguments);
    }

    private List<String> waiting() {
        return database.query(
                "select (documents[1]::json ->> 'id') || ' ' || sink from rowbell.delivery union all select alert->>'id' || ' routing' from rowbell.feedback order by 1");
    }

    private List<String> dead() {
        return database.query("select alert_id from rowbell.dead_letter order by 1");
    }

    @Test
    void theyAreListedWithTheirErrorsByEachFilter() {
        List<String> lines = command(0, "deliveries", "list").lines().toList();
        assertEquals(5, lines.size());
        assertTrue(lines.get(1).matches("1 +http +r1 +a1 +10 +20\\d\\d-.* +refused"), lines.get(1));
        assertTrue(lines.get(4).matches("4 +\\(routing\\) +r1 +a4 +1 .* no route"), lines.get(4));
        assertEquals(
                3, command(0, "deliveries", "list", "--sink", "http").lines().count());
        assertEquals(3, command(0, "deliveries", "list", "--rule", "r2").lines().count());
        assertEquals(
                2,
                command(0, "deliveries", "list", "--rule", "r2", "--sink", "mail", "--older-than", "30m")
                        .lines()
                        .count());
        assertEquals(
                2,
                command(0, "deliveries", "list", "--older-than", "7d").lines().count());
        assertEquals("no dead letters\n", command(0, "deliveries", "list", "--rule", "r3"));
        assertTrue(command(0, "deliveries", "show", "3").contains("no such user\n{\"id\": \"a3\", \"rule\": \"r2\"}"));
        assertEquals("rowbell: there is no dead letter 77\n", command(1, "deliveries", "show", "77"));
    }

    @Test
    void aRetryGoesToTheSinkThatFailedWithTheSameId() {
        assertEquals("1 sent again\n", command(0, "deliveries", "retry", "3"));
        assertEquals(List.of("a3 mail"), waiting());
        assertEquals("2 sent again\n", command(0, "deliveries", "retry", "--rule", "r1"));
        assertEquals(List.of("a1 http", "a3 mail", "a4 routing"), waiting());
        assertEquals(List.of("a2"), dead());
        assertEquals("rowbell: there is no dead letter 3\n0 sent again\n", command(1, "deliveries", "retry", "3"));
        assertEquals(List.of("1"), database.query("select rowbell.retry(sink => 'http', older_than => '1 min')"));
        assertEquals(List.of(), dead());
    }

    @Test
    void aSelectionThatSelectsNothingIsExplained() {
        String excluded =
                "numbers, --all, and some of --sink, --rule and --older-than exclude each other: give one of these";
        assertStartsWith(excluded, command(2, "deliveries", "retry", "--sink", "htp", "--all"));
        assertStartsWith(excluded, command(2, "deliveries", "discard", "--all", "1"));
        assertStartsWith("say which: numbers, or some of --sink", command(2, "deliveries", "retry"));
        database.execute("insert into rowbell.sink values (gen_random_uuid(), 'http', now())");
        assertEquals(
                "rowbell: no running process has a sink htp; did you mean http?\n0 sent again\n",
                command(0, "deliveries", "retry", "--sink", "htp"));
        assertEquals("0 sent again\n", command(0, "deliveries", "retry", "--sink", "http", "--rule", "r9"));
    }

    private static void assertStartsWith(String start, String text) {
        assertTrue(text.startsWith(start), text);
    }

    @Test
    void oneIsShownWithItsAttemptsInWords() {
        assertTrue(command(0, "deliveries", "show", "4").contains("after 1 attempt\n"));
        assertTrue(command(0, "deliveries", "show", "1").contains("after 10 attempts\n"));
    }

    @Test
    void oneIsShownWithTheWordsOfTheReceiver() {
        database.execute(
                "insert into rowbell.history_tried (at, sink, outcomes, attempts, ago, statuses, answers, errors, alert_ids, tries)"
                        + " values (now(), 'http', '{dead}', '{10}', '{0}', '{410}', '{gone since May}', '{refused}', '{a1}', '{1}')",
                "select rowbell.fold_history(10)");
        assertTrue(command(0, "deliveries", "show", "1").contains("refused\nanswer      gone since May\n{"));
        assertFalse(command(0, "deliveries", "show", "4").contains("answer "));
    }

    @Test
    void manyAreSentAgainOrDiscardedByTheirNumbers() {
        assertEquals(List.of("3"), database.query("select rowbell.replay_all('{1, 3, 4, 99}')"));
        assertEquals(List.of("a1 http", "a3 mail", "a4 routing"), waiting());
        assertEquals(List.of("1"), database.query("select rowbell.discard_all('{1, 2}')"));
        assertEquals(List.of(), dead());
    }

    @Test
    void sqlListsAndDiscardsThemByTheSameFilters() {
        assertEquals(
                List.of("a2", "a3"),
                database.query("select alert_id from rowbell.dead_letters(rule => 'r2') order by 1"));
        assertEquals(List.of("1"), database.query("select rowbell.discard('http', 'r2')"));
        assertEquals(List.of("1"), database.query("select rowbell.discard(older_than => '7 days')"));
        assertEquals(List.of("a3", "a4"), dead());
    }

    @Test
    void whatIsThrownAwayIsSaidAndNothingGoesWithoutBeingNamed() {
        assertTrue(command(2, "deliveries", "discard").contains("say which"));
        assertTrue(command(2, "deliveries", "discard", "--older-than", "week").contains("30m, 12h or 7d"));
        assertTrue(command(2, "deliveries", "discard", "1", "--all").contains("exclude each other"));
        assertTrue(command(2, "deliveries", "discard", "--older-than", "soon").contains("30m, 12h or 7d"));
        // the database knows no such time
        assertTrue(command(2, "deliveries", "discard", "--older-than", "999999999d")
                .contains("36500d at most"));
        assertEquals(4, dead().size());
        assertEquals("1 thrown away\n", command(0, "deliveries", "discard", "--older-than", "7d"));
        assertEquals("1 thrown away\n", command(0, "deliveries", "discard", "4"));
        assertEquals(List.of("a2", "a3"), dead());
        assertEquals("2 thrown away\n", command(0, "deliveries", "discard", "--all"));
        assertEquals(List.of(), waiting());
    }

    @Test
    void whatWaitsForAMistypedSinkIsThrownAwayButNotWhatIsUnderWay() {
        database.execute("""
                insert into rowbell.delivery (sink, documents, locked_until)
                values
                  ('mial', array['{"id": "b1"}', '{"id": "b2"}'], '-infinity'),
                  ('mial', array['{"id": "b3"}'], now() + interval '1 h'),
                  ('mail', array['{"id": "b4"}'], '-infinity')
                """);
        assertTrue(command(2, "deliveries", "discard", "--waiting").contains("--waiting goes with --sink"));
        assertTrue(command(2, "deliveries", "discard", "--waiting", "--sink", "mial", "--rule", "r1")
                .contains("--waiting goes with --sink"));
        assertEquals("2 thrown away\n", command(0, "deliveries", "discard", "--waiting", "--sink", "mial"));
        assertEquals(List.of("b3 mial", "b4 mail"), waiting());
        assertEquals(4, dead().size());
    }

    @Test
    void oldOnesAreRemovedInTheEnd() {
        settings.put("rowbell.dead-letter.keep", "7d");
        settings.put("rowbell.file.dir", "");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> dead().equals(List.of("a2", "a3", "a4")));
        }
    }
}
