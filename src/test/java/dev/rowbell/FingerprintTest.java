package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A receiver knows by the fingerprint that two alerts are about one thing. */
class FingerprintTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    /** The alerts that the statements raise, without rules' errors. */
    private List<Map<String, Object>> raised(TestDatabase database, String... statements) {
        int before = AlertFiles.read(dir).size();
        database.execute(statements);
        await().until(() -> AlertFiles.read(dir).size() > before && database.isDelivered());
        List<Map<String, Object>> all = AlertFiles.read(dir);
        return all.subList(before, all.size());
    }

    private String one(String key, String... statements) {
        List<Map<String, Object>> alerts = raised(database, statements);
        assertEquals(1, alerts.size(), alerts::toString);
        return String.valueOf(alerts.get(0).get(key));
    }

    private RunningRowbell start() {
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
        return RunningRowbell.start(settings);
    }

    private void rule(String name, String feed) {
        database.execute("""
                insert into rowbell.rule (name, feed, condition, fires, resolved, operations)
                values ('%s', '%s', 'NEW.c2 > 10', 'every', true, '{insert,update,delete}')
                """.formatted(name, feed));
    }

    @Test
    @Tag("long")
    void itIsTheSameForAllAlertsAboutOneRowAndOutlivesTheRulesTextAndARestart() {
        settings.put("rowbell.source", "orders-db");
        database.execute("create table feed (id int primary key, c2 int, note text)");
        rule("c2-overflow", "public.feed");
        String expected = "orders-db/c2-overflow/public.feed/id=2";
        try (RunningRowbell rowbell = start()) {
            List<Map<String, Object>> alerts =
                    raised(database, "insert into feed values (2, 30001)", "update feed set c2 = 0");
            assertEquals(List.of("firing", "resolved"), values(alerts, "status"));
            assertEquals(List.of(expected, expected), values(alerts, "fingerprint"));
            assertEquals(List.of("id=2", "id=2"), values(alerts, "key"));
            database.execute(
                    "update rowbell.rule set condition = 'NEW.c2 > 20', reason = 'another', severity = 'critical'");
            assertEquals(expected, one("fingerprint", "update feed set c2 = 21"));
            // one notification is cut down, and has key and fingerprint as the others
            database.execute("update rowbell.rule set delivery = 'notify'");
            database.awaitListener("channel_1");
            assertEquals(expected, one("fingerprint", "update feed set c2 = 22"));
            assertEquals(expected, one("fingerprint", "update feed set c2 = 23, note = repeat('x', 9000)"));
            assertEquals(true, AlertFiles.read(dir).get(4).get("truncated"));
        }
        try (RunningRowbell rowbell = start()) {
            database.awaitListener("channel_1");
            assertEquals(expected, one("fingerprint", "update feed set c2 = 24"));
            assertEquals(
                    "orders-db/c2-overflow/public.feed/id=3", one("fingerprint", "insert into feed values (3, 99)"));
            // what was wrong with row 2 is over, and what is wrong now is wrong with row 4
            List<Map<String, Object>> moved = raised(
                    database, "update feed set id = 5, c2 = 0 where id = 2", "update feed set id = 4 where id = 3");
            assertEquals(List.of(expected, expected.replace("=2", "=4")), values(moved, "fingerprint"));
            assertEquals(expected.replace("=2", "=4"), one("fingerprint", "delete from feed where id = 4"));
        }
    }

    @Test
    void itIsOfTheFeedWhicheverPartitionHasTheRow() {
        settings.put("rowbell.source", "db");
        database.execute(
                "create table parts (id int, region text, c2 int, primary key (region, id)) partition by list (region)",
                "create table parts_a partition of parts for values in ('a')",
                "create table parts_b partition of parts for values in ('b')");
        rule("r", "public.parts");
        try (RunningRowbell rowbell = start()) {
            for (String statement : List.of(
                    "insert into parts values (1, 'a', 11)",
                    "update parts_a set c2 = 12",
                    "update parts set c2 = 13")) {
                assertEquals("db/r/public.parts/id=1,region=a", one("fingerprint", statement));
            }
        }
    }

    @Test
    void textsThatLookAlikeDoNotMakeOneKeyOfTwo() {
        database.execute("create table pairs (a text, b text, c2 int, primary key (b, a))");
        rule("r", "public.pairs");
        try (RunningRowbell rowbell = start()) {
            List<Map<String, Object>> alerts = raised(database, """
                    insert into pairs values ('1', '2,b=3', 11), ('1,b=2', '3', 11), ('1/2', '3', 11), ('1', '2/3', 11),
                      ('', 'x', 11), ('"1"', '2', 11), ('1', '2', 11), (E'1\\n', '2', 11)
                    """);
            assertEquals(
                    8,
                    alerts.stream()
                            .map(alert -> alert.get("fingerprint"))
                            .distinct()
                            .count());
            assertTrue(values(alerts, "key").containsAll(List.of("a=1,b=2", "a=1,b=\"2,b=3\"")));
            assertTrue(values(alerts, "key").contains("a=\"1\\n\",b=2"));
        }
    }

    @Test
    void aFeedWithoutAKeyIsOneThing() {
        settings.put("rowbell.source", "db");
        database.execute("create table loose (id int, c2 int)");
        rule("r", "public.loose");
        try (RunningRowbell rowbell = start()) {
            List<Map<String, Object>> alerts = raised(database, "insert into loose values (1, 11), (2, 11)");
            assertFalse(alerts.get(0).containsKey("key"));
            assertEquals(List.of("db/r/public.loose/", "db/r/public.loose/"), values(alerts, "fingerprint"));
        }
    }

    @Test
    void aTriggerWrittenByHandAndAFailedRuleHaveOneToo() {
        settings.put("rowbell.source", "db");
        database.execute(
                "create table hand (a int, b int, c2 int, primary key (b, a))",
                """
                create function by_hand() returns trigger language plpgsql as $$
                begin
                  insert into rowbell.feedback (alert)
                  values (rowbell.alert('r', 'reason', tg_relid, tg_op, null, row_to_json(new)));
                  return null;
                end $$""",
                "create trigger by_hand after insert on hand for each row execute function by_hand()",
                "create table fails (id float8 primary key, c2 int)");
        rule("fails", "public.fails");
        database.execute("update rowbell.rule set condition = '1 / NEW.c2 > 0'");
        try (RunningRowbell rowbell = start()) {
            assertEquals("db/r/public.hand/a=1,b=2", one("fingerprint", "insert into hand values (1, 2, 3)"));
            Map<String, Object> failed =
                    raised(database, "insert into fails values (1e300, 0)").get(0);
            assertEquals("db/rowbell-rule-failed/public.fails/rule=fails", failed.get("fingerprint"));
            assertEquals(
                    "1e+300",
                    ((Map<?, ?>) ((Map<?, ?>) failed.get("payload")).get("key"))
                            .get("id")
                            .toString());
        }
    }

    /** Where both have no name of their own in rowbell.source; after a restore of a dump, too. */
    @Test
    @Tag("long")
    void twoDatabasesNeverShareOneAndAReplayKeepsIt() {
        TestDatabase other = TestDatabase.createWithSchema();
        String[] feed = {
            "create table feed (id int primary key, c2 int)",
            "insert into rowbell.rule (name, feed, condition) values ('r', 'public.feed', 'NEW.c2 > 10')"
        };
        database.execute(feed);
        other.execute(feed);
        String first;
        try (RunningRowbell rowbell = start()) {
            first = one("fingerprint", "insert into feed values (1, 11)");
            String id = database.name() + "@[0-9a-f]{8}/r/public.feed/id=1";
            assertTrue(first.matches(id), first);
        }
        Map<String, String> others = other.settings();
        others.put("rowbell.console", "OFF");
        others.put("rowbell.file.dir", dir.toString());
        try (RunningRowbell rowbell = RunningRowbell.start(others)) {
            Object second =
                    raised(other, "insert into feed values (1, 11)").get(0).get("fingerprint");
            assertNotEquals(hash(first), hash(second.toString()));
            // a dead letter of the first database
            assertEquals(
                    first,
                    raised(
                                    other,
                                    "insert into rowbell.feedback (alert) values ('{\"id\": \"a\", \"rule\": \"r\", \"fingerprint\": \"%s\"}')"
                                            .formatted(first))
                            .get(0)
                            .get("fingerprint"));
        }
    }

    /** Needs pg_dump of the server's version, which a container has. */
    @Test
    @Tag("container")
    void aRestoredDatabaseKeepsItsRulesAndWhatWaitsAndItsAlertsAreToldApart() throws Exception {
        database.execute("create table feed (id int primary key, c2 int)");
        rule("r", "public.feed");
        database.execute("insert into feed values (1, 11)");
        TestDatabase copy = database.dumpedAndRestored();
        String original;
        try (RunningRowbell rowbell = start()) {
            original = one("fingerprint", "select 1");
            assertEquals(original, one("fingerprint", "update feed set c2 = 12"));
        }
        settings.putAll(copy.settings());
        try (RunningRowbell rowbell = start()) {
            Map<String, Object> waited = raised(copy, "select 1").get(0);
            assertEquals("id=1", waited.get("key"));
            String copied = String.valueOf(waited.get("fingerprint"));
            assertTrue(copied.matches(copy.name() + "@[0-9a-f]{8}/r/public.feed/id=1"), copied);
            assertNotEquals(hash(original), hash(copied));
            Map<String, Object> resolved =
                    raised(copy, "update feed set c2 = 0").get(0);
            assertEquals("resolved", resolved.get("status"));
            assertEquals(copied, resolved.get("fingerprint"));
        }
        settings.put("rowbell.source", "orders-db");
        try (RunningRowbell rowbell = start()) {
            assertEquals(
                    "orders-db/r/public.feed/id=1",
                    raised(copy, "update feed set c2 = 13").get(0).get("fingerprint"));
        }
    }

    private static String hash(String fingerprint) {
        return fingerprint.replaceAll("^[^@]*@|/.*", "");
    }

    private static List<String> values(List<Map<String, Object>> alerts, String key) {
        return alerts.stream().map(alert -> String.valueOf(alert.get(key))).toList();
    }
}
