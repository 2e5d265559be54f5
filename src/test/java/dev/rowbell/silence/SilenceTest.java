package dev.rowbell.silence;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is counted and not delivered. */
class SilenceTest {

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void fileAlone() {
        settings.put("rowbell.file.dir", dir.toString());
        settings.put("rowbell.console", "OFF");
    }

    /** Ends when all of them have been routed and delivered. */
    private void raise(String... alerts) {
        for (String alert : alerts) {
            database.execute("insert into rowbell.feedback (alert) values ('" + alert + "')");
        }
        await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
    }

    private static String alert(String id, String rule, String table, int key) {
        return "{\"id\": \"%s\", \"rule\": \"%s\", \"table\": \"%s\", \"new\": {\"id\": %d}}"
                .formatted(id, rule, table, key);
    }

    private List<Object> delivered() {
        return List.copyOf(AlertFiles.values(dir, "id"));
    }

    @Test
    void aSilenceCoversWhatItsPatternsSayAndCounts() {
        database.execute(
                "insert into rowbell.silence (rule, until, why) values ('c2-*', now() + interval '1 h', 'being mended')",
                "insert into rowbell.silence (feed, key, until, why) values ('public.orders', 'id=7', now() + interval '1 h', 'a test row')",
                "insert into rowbell.silence (rule, since, until, why) values ('over', now() - interval '1 h', now() - interval '1 s', 'was over')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(
                    alert("a", "c2-overflow", "public.feed", 1),
                    alert("b", "c3", "public.feed", 7),
                    alert("c", "c3", "public.orders", 7),
                    alert("d", "c3", "public.orders", 77),
                    alert("e", "over", "public.feed", 1),
                    alert("f", "C2-overflow", "public.feed", 1));
            assertEquals(List.of("b", "d", "e", "f"), delivered());
        }
        assertEquals(List.of("1", "1", "0"), database.query("select silenced from rowbell.silence order by id"));
        assertEquals(0, database.count("rowbell.dead_letter"));
    }

    @Test
    void aPlannedSilenceKeepsNothingBackBeforeItsTime() {
        database.execute("""
                insert into rowbell.silence (rule, since, until, why) values
                  ('r', now() + interval '1 h', now() + interval '2 h', 'planned'), ('q', now(), now() + interval '1 h', 'in force')
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(alert("q", "q", "t", 1), alert("before", "r", "t", 1));
            assertEquals(List.of("before"), delivered());
            database.execute("update rowbell.silence set since = now() - interval '1 s' where rule = 'r'");
            AtomicInteger last = new AtomicInteger();
            await().until(() -> {
                raise(alert("a" + last.incrementAndGet(), "r", "t", 1));
                return database.count("rowbell.silence where rule = 'r' and silenced = 1") == 1;
            });
            assertEquals(last.get(), delivered().size());
            assertFalse(delivered().contains("a" + last.get()));
        }
    }

    @Test
    void aPlannedSilenceIsListedAndCanBeEndedBeforeItBegins() {
        SilenceRepository silences = new SilenceRepository(database.singleConnection());
        Instant later = Instant.now().plus(Duration.ofHours(5));
        SilenceRepository.Added planned =
                silences.add("planned", null, null, later, null, Duration.ofHours(2), "ann", "import");
        SilenceRepository.Added next =
                silences.add("next", null, null, later.minusSeconds(60), later, null, "ann", "import");
        SilenceRepository.Added now = silences.add("now", null, null, null, later, null, "ann", "import");
        assertEquals(List.of(true, true, false), List.of(planned.planned(), next.planned(), now.planned()));
        assertEquals(
                List.of("02:00:00", "00:01:00"),
                database.query("select until - since from rowbell.silence where rule <> 'now' order by id"));
        assertEquals(List.of("in force now", "planned next", "planned planned"), listed(silences));
        assertEquals(List.of("now"), inForce(silences));
        assertEquals(Optional.of(false), silences.end(planned.id()));
        assertEquals(Optional.empty(), silences.end(planned.id()));
        assertEquals(Optional.of(true), silences.end(now.id()));
        assertEquals(List.of("planned next", "over now", "over planned"), listed(silences));
        assertEquals(List.of(), inForce(silences));
    }

    private static List<String> listed(SilenceRepository silences) {
        return silences.list(10).stream()
                .map(silence -> silence.state() + " " + silence.rule())
                .toList();
    }

    private static List<String> inForce(SilenceRepository silences) {
        return silences.read().silences().stream()
                .map(silence -> String.join("", silence.rule().parts()))
                .toList();
    }

    @Test
    void aSilenceEndsAfterItBegins() {
        IllegalStateException refused = assertThrows(
                IllegalStateException.class,
                () -> database.execute(
                        "insert into rowbell.silence (since, until, why) values (now() + interval '2 h', now() + interval '1 h', 'x')"));
        assertTrue(refused.getMessage().contains("silence_ends_after_it_begins"), refused.getMessage());
    }

    @Test
    void theCountIsStoredInTheTransactionThatRoutesTheAlert() {
        database.execute(
                "insert into rowbell.silence (rule, until, why) values ('r', now() + interval '1 h', 'a test'), ('q', now() + interval '1 h', 'a test')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            for (int i = 1; i <= 3; i++) {
                raise(alert("a" + i, "r", "t", 1), alert("b" + i, "q", "t", 1));
                // without a wait: a kill -9 would lose what is counted later
                assertEquals(
                        List.of(i + "", i + ""), database.query("select silenced from rowbell.silence order by id"));
            }
        }
    }

    @Test
    @Tag("long")
    void aSilenceTakesEffectWithoutARestartAndEndsByItself() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(alert("before", "r", "t", 1));
            database.execute("insert into rowbell.silence (until, why) values (now() + interval '6 s', 'everything')");
            await().pollDelay(Duration.ofMillis(1200)).until(() -> true);
            raise(alert("during", "r", "t", 1));
            await().until(() ->
                    database.count("rowbell.silence where until > clock_timestamp() - interval '1.2 s'") == 0);
            raise(alert("after", "r", "t", 1));
            assertEquals(List.of("before", "after"), delivered());
        }
        assertEquals(List.of("1"), database.query("select silenced from rowbell.silence"));
    }

    @Test
    void aSilenceSaysWhy() {
        assertThrows(
                IllegalStateException.class,
                () -> database.execute("insert into rowbell.silence (until, why) values (now(), '')"));
    }

    @Test
    void afterAnAlertARuleKeepsQuietAboutTheSameRowAndNoOther() {
        database.execute("create table public.feed (a int, b text, c2 int, primary key (b, a))", """
                insert into rowbell.rule (name, feed, condition, fires, cooldown) values
                  ('quiet', 'public.feed', 'NEW.c2 > 10', 'every', '10 min'), ('loud', 'public.feed', 'NEW.c2 > 10', 'every', default)
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into public.feed values (1, 'x', 11), (1, 'y', 11)",
                    "update public.feed set c2 = c2 + 1",
                    "update public.feed set c2 = c2 + 1 where b = 'x'");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            List<Object> rules = AlertFiles.values(dir, "rule");
            assertEquals(2, rules.stream().filter("quiet"::equals).count());
            assertEquals(5, rules.stream().filter("loud"::equals).count());
            assertEquals(
                    List.of("a=1,b=x 2", "a=1,b=y 1"),
                    database.query("select key || ' ' || silenced from rowbell.cooldown order by key"));

            // ten minutes later
            database.execute(
                    "update rowbell.cooldown set last = last - interval '11 min'",
                    "update public.feed set c2 = c2 + 1 where b = 'x'");
            await().until(() -> AlertFiles.values(dir, "rule").stream()
                            .filter("quiet"::equals)
                            .count()
                    == 3);
            // the clock was set back an hour
            database.execute(
                    "update rowbell.cooldown set last = last + interval '1 h'",
                    "update public.feed set c2 = c2 + 1 where b = 'x'");
            await().until(() -> AlertFiles.values(dir, "rule").stream()
                            .filter("quiet"::equals)
                            .count()
                    == 4);
        }
    }

    /** PostgreSQL cannot add a longer one to a time: no alert of the rule would be routed, nor any other of its batch. */
    @Test
    void aCooldownLastsAHundredYearsAtMost() {
        String insert =
                "insert into rowbell.rule (name, feed, condition, cooldown) values ('%s', 'public.feed', 'true', '%s')";
        database.execute("create table public.feed (id int)", insert.formatted("longest", "100 years"));
        IllegalStateException refused = assertThrows(
                IllegalStateException.class, () -> database.execute(insert.formatted("longer", "101 years")));
        assertTrue(refused.getCause().getMessage().contains("rule_cooldown"), refused::toString);
    }

    /** As after a stop: the times of the alerts count, however long ago they are. */
    @Test
    @Tag("long")
    void aBacklogIsJudgedByACooldownAsIfItHadNotWaited() {
        database.execute(
                "create table public.feed (id int primary key, c2 int)",
                "insert into rowbell.rule (name, feed, condition, fires, cooldown) values ('quiet', 'public.feed', 'NEW.c2 > 10', 'every', '10 min')");
        String waited =
                "{\"id\": \"%s\", \"rule\": \"quiet\", \"table\": \"public.feed\", \"key\": \"id=1\", \"time\": \"%s\"}";
        Instant first = Instant.now().minus(Duration.ofHours(2));
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(waited.formatted("a", first));
            // one that is over when housekeeping comes by
            database.execute(
                    "insert into rowbell.cooldown (rule, path, status, key, last, routed) values ('quiet', 'durable', 'firing', 'over', now() - interval '1 d', now() - interval '1 d')");
            await().until(() -> database.count("rowbell.cooldown where key = 'over'") == 0);
            raise(waited.formatted("b", first.plus(Duration.ofMinutes(9))));
            raise(waited.formatted("c", first.plus(Duration.ofMinutes(11))));
            assertEquals(List.of("a", "c"), delivered());
        }
    }

    @Test
    @Tag("long")
    void anOpenTransactionOfAnAdministratorHoldsUpNeitherRoutingNorHousekeeping() throws SQLException {
        database.execute(
                "create table feed (id int primary key, c2 int)",
                "insert into rowbell.rule (name, feed, condition, fires, cooldown) values ('quiet', 'public.feed', 'NEW.c2 > 10', 'every', '10 min')",
                "insert into rowbell.silence (rule, until, why) values ('silenced', now() + interval '1 h', 'being mended'), ('too', now() + interval '1 h', 'too')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings);
                Connection administrator = database.connect();
                Statement changing = administrator.createStatement()) {
            database.execute("insert into feed values (1, 11)");
            raise(alert("a", "r", "t", 1));
            administrator.setAutoCommit(false);
            changing.execute("delete from rowbell.rule");
            changing.execute("update rowbell.silence set why = 'still' where rule = 'silenced'");
            database.execute("insert into feed values (2, 11)");
            raise(alert("b", "silenced", "t", 1), alert("c", "too", "t", 1), alert("d", "r", "t", 1));
            assertEquals(2, database.count("rowbell.cooldown"));
            await().until(() -> database.count("rowbell.silence where silenced = 1") == 1);
            administrator.commit();
        }
        // counted at the stop
        assertEquals(2, database.count("rowbell.silence where silenced = 1"));
        assertEquals(4, delivered().size());
    }

    @Test
    @Tag("long")
    void twoProcessesShareACooldown() {
        database.execute(
                "create table public.feed (id int primary key, c2 int)",
                "insert into public.feed select i, 0 from generate_series(1, 20) i",
                """
                insert into rowbell.rule (name, feed, condition, fires, cooldown) values ('quiet', 'public.feed', 'NEW.c2 > 10', 'every', '10 min')
                """);
        settings.put("rowbell.feedback.batch", "7");
        try (RunningRowbell one = RunningRowbell.start(settings);
                RunningRowbell two = RunningRowbell.start(settings)) {
            for (int i = 0; i < 30; i++) {
                database.execute("update public.feed set c2 = c2 + 11");
            }
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(20, delivered().size());
            assertEquals(List.of("580"), database.query("select sum(silenced) from rowbell.cooldown"));
            assertEquals(0, database.count("rowbell.dead_letter"));
        }
    }
}
