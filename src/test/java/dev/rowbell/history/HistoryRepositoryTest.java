package dev.rowbell.history;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import dev.rowbell.history.HistoryRepository.Entry;
import dev.rowbell.history.HistoryRepository.Filter;
import dev.rowbell.history.HistoryRepository.Found;
import dev.rowbell.history.HistoryRepository.Place;
import dev.rowbell.testing.TestDatabase;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** The history is searched by pages, whatever is rare in it. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HistoryRepositoryTest {

    private static final Instant DAY = Instant.parse("2026-11-23T00:00:00Z");
    private static final int ALERTS = 5000;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final HistoryRepository history = new HistoryRepository(database.singleConnection());

    /** One each 10 s, so that five days have some; each third is of the same time as the one before. */
    @BeforeAll
    void alerts() {
        for (String table : List.of("history_alert", "history_try")) {
            database.execute(
                    "create table rowbell.%1$s_all partition of rowbell.%1$s for values from (minvalue) to (maxvalue)"
                            .formatted(table));
        }
        database.execute("""
                insert into rowbell.history_alert (at, id, path, rule, feed, key, severity, status, time, silence, sinks, document)
                select timestamptz '2026-11-23 00:00Z' + (i - (i %% 3 = 0)::int) * interval '10 s', 'a' || i, 'durable', 'rule-' || i %% 2, 'feed-' || i %% 5,
                  'id=' || i %% 100, 'info', 'firing', now(), case when i %% 1000 = 7 then 0 when i %% 1000 = 8 then 3 end,
                  case when i %% 1000 in (7, 8, 9) then '{}'::text[] else '{file,http}'::text[] end, json_build_object('id', 'a' || i)
                from generate_series(1, %d) i""".formatted(ALERTS), """
                insert into rowbell.history_try (at, alert_id, sink, outcome)
                select timestamptz '2026-11-24 00:00Z' + n * interval '1 s', 'a' || i, sink, outcome
                from (values (20, 1, 'http', 'failed'), (20, 2, 'http', 'delivered'), (20, 1, 'file', 'delivered'),
                  (4000, 1, 'http', 'failed'), (4000, 2, 'http', 'dead')) t (i, n, sink, outcome)""");
    }

    private static Filter filter(String id, String rule, String feed, String key, String outcome) {
        return new Filter(id, rule, feed, key, null, null, outcome);
    }

    private static Filter any(Instant from, Instant to) {
        return new Filter("", "", "", "", from, to, "");
    }

    /** The ids of all pages. */
    private List<String> all(Filter filter) {
        List<String> ids = new ArrayList<>();
        Place after = null;
        do {
            Found found = history.search(filter, after, 200);
            found.entries().stream().map(Entry::id).forEach(ids::add);
            after = found.older();
        } while (after != null);
        return ids;
    }

    /** The same without pages. */
    private List<String> expected(String condition) {
        return database.query(
                "select id from rowbell.history h where %s order by routed desc, id desc".formatted(condition));
    }

    @Test
    void allAlertsAreOnThePagesOnceAndTheNewestFirst() {
        List<String> all = all(filter("", "", "", "", ""));
        assertEquals(ALERTS, all.size());
        assertEquals(expected("true"), all);
    }

    @Test
    void eachFilterAloneAndTogetherFindsItsAlerts() {
        assertEquals(List.of("a77"), all(filter("a77", "", "", "", "")));
        assertEquals(expected("rule = 'rule-1'"), all(filter("", "rule-1", "", "", "")));
        assertEquals(expected("feed = 'feed-3'"), all(filter("", "", "feed-3", "", "")));
        assertEquals(expected("key = 'id=42'"), all(filter("", "", "", "id=42", "")));
        assertEquals(expected("rule = 'rule-0' and feed = 'feed-3'"), all(filter("", "rule-0", "feed-3", "", "")));
        assertEquals(List.of(), all(filter("", "rule-1", "", "id=42", "")));
        assertEquals(List.of(), all(filter("a77", "rule-0", "", "", "")));
        assertEquals(List.of(), all(filter("", "rule", "", "", "")));
        assertEquals(
                expected("routed >= '2026-11-23 01:00Z' and routed < '2026-11-23 02:00Z'"),
                all(any(DAY.plusSeconds(3600), DAY.plusSeconds(7200))));
    }

    @Test
    void whatBecameOfAnAlertIsSoughtHoweverRareItIs() {
        assertEquals(expected("silenced_by is not null"), all(filter("", "", "", "", "silenced")));
        assertEquals(List.of("a4009", "a3009", "a2009", "a1009", "a9"), all(filter("", "", "", "", "nowhere")));
        assertEquals(ALERTS - 15, all(filter("", "", "", "", "sent")).size());
        assertEquals(List.of("a4000", "a20"), all(filter("", "", "", "", "failed")));
        assertEquals(List.of("a4000"), all(filter("", "", "", "", "dead")));
        assertEquals(List.of("a4000"), all(filter("", "rule-0", "", "id=0", "dead")));
    }

    @Test
    void aSearchLooksAtSoManyAlertsAndGoesOnWhereItEnded() {
        Found first = history.search(filter("", "", "", "", "dead"), null, 200);
        assertEquals(List.of(), first.entries());
        assertEquals("a4001", first.older().id());
        Found last = history.search(filter("", "", "", "", "dead"), new Place(DAY, ""), 200);
        assertEquals(List.of(), last.entries());
        assertNull(last.older());
    }

    @Test
    void anEntrySaysWhatBecameOfTheAlertInEachSink() {
        assertEquals("file delivered, http delivered", entry("a20").outcomes());
        assertEquals("file waits, http dead", entry("a4000").outcomes());
        assertNull(entry("a7").outcomes());
        assertEquals("cooldown", entry("a7").silencedBy());
        assertEquals("silence 3", entry("a8").silencedBy());
        assertEquals("{\"id\" : \"a20\"}", history.document("a20").orElseThrow());
        assertEquals(Optional.empty(), history.document("none"));
    }

    private Entry entry(String id) {
        return history.search(filter(id, "", "", "", ""), null, 1).entries().get(0);
    }
}
