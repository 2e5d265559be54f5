package dev.rowbell.feedback;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.LogLines;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.SlowToStart;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.camel.Consumer;
import org.apache.camel.spi.CamelEvent;
import org.apache.camel.support.SimpleEventNotifierSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** From the writer's commit to routing, exactly once a row. */
class FeedbackTest {

    /** The shipped sources and file sink, with a routing of the test's own. */
    private static final String ROUTES =
            "file:routes/sources.camel.yaml,file:routes/file.camel.yaml,file:%s/*.camel.yaml";

    @TempDir
    Path dir;

    private final TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();

    @BeforeEach
    void quietAndIntoTheDirectory() {
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        settings.put("rowbell.console", "OFF");
    }

    private List<Object> received(String key) {
        return AlertFiles.values(dir.resolve("alerts"), key);
    }

    private void raise(int from, int to) {
        database.execute("""
                insert into rowbell.feedback (alert)
                select json_build_object('id', 'a' || i, 'rule', 'r', 'new', json_build_object('id', i, 'text', 'x')) from generate_series(%d, %d) i
                """.formatted(from, to));
    }

    private static List<String> ids(int from, int to) {
        return IntStream.rangeClosed(from, to).mapToObj(i -> "a" + i).sorted().toList();
    }

    @Test
    void aRollbackRaisesNothing() throws SQLException {
        try (RunningRowbell rowbell = RunningRowbell.start(settings);
                Connection writer = database.connect();
                Statement statement = writer.createStatement()) {
            database.awaitListener("channel_1");
            writer.setAutoCommit(false);
            statement.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"never\", \"rule\": \"r\"}')");
            statement.execute("select pg_notify('channel_1', '{\"id\": \"never\", \"rule\": \"r\"}')");
            writer.rollback();
            statement.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"durable\", \"rule\": \"r\"}')");
            statement.execute("select pg_notify('channel_1', '{\"id\": \"notified\", \"rule\": \"r\"}')");
            writer.commit();

            await().until(() -> received("id").size() == 2);
            assertEquals(new HashSet<>(List.of("durable", "notified")), new HashSet<>(received("id")));
        }
    }

    /** It is not routed, nor a dead letter. */
    @Test
    void anAlertThatComesWhileTheContextStopsIsNoFaultAndStays() throws Exception {
        Path tried = dir.resolve("tried");
        RunningRowbell.writeAlertsRoute(dir, """
                - setBody:
                    constant: tried
                - to: file:%s?fileName=tried&fileExist=Append&appendChars=\\n
                - throwException:
                    exceptionType: java.lang.IllegalArgumentException
                    message: "no"
                """.formatted(dir));
        try (LogLines log = new LogLines("dev.rowbell.feedback.PollErrors")) {
            try (RunningRowbell rowbell = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
                database.awaitListener("channel_1");
                rowbell.context().getManagementStrategy().addEventNotifier(new SimpleEventNotifierSupport() {
                    @Override
                    public boolean isEnabled(CamelEvent event) {
                        return event instanceof CamelEvent.CamelContextStoppingEvent;
                    }

                    @Override
                    public void notify(CamelEvent event) {
                        raise(1, 1);
                        // when it is tried again, the first try has ended
                        await().until(() ->
                                Files.exists(tried) && Files.readAllLines(tried).size() > 1);
                    }
                });
            }
            assertEquals(List.of(), log.lines());
        }
        assertEquals(1, database.count("rowbell.feedback"));
        assertEquals(0, database.count("rowbell.dead_letter"));
    }

    @Test
    @Tag("long")
    void twoProcessesShareTenThousandAlertsNoneTwiceNoneLost() {
        try (RunningRowbell one = RunningRowbell.start(settings);
                RunningRowbell two = RunningRowbell.start(settings)) {
            for (int batch = 0; batch < 10; batch++) {
                raise(batch * 1000 + 1, batch * 1000 + 1000);
            }
            await().until(() -> received("id").size() >= 10_000);
            assertEquals(
                    ids(1, 10_000),
                    received("id").stream().map(Object::toString).sorted().toList());
            await().until(() -> database.isDelivered());
        }
    }

    /** Camel's consumer has its query ready only after its scheduler has been started. */
    @Test
    @Tag("long")
    void theFirstPollFindsItsQueryReady() {
        try (LogLines log = new LogLines("dev.rowbell.feedback.PollErrors")) {
            for (int i = 1; i <= 5; i++) {
                try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                    int all = i;
                    raise(i, i);
                    await().until(() -> received("id").size() == all);
                }
            }
            assertEquals(List.of(), log.lines());
        }
    }

    /** What was taken before would fail, come again, and the next batch before it. */
    @Test
    void nothingIsTakenBeforeAllRoutesAreThere() throws IOException {
        String shipped = Files.readString(Path.of("routes/alerts.camel.yaml"));
        Files.writeString(
                dir.resolve("alerts.camel.yaml"),
                shipped.replace("    id: alerts\n", "    id: alerts\n    startupOrder: 3000\n") + """
                - beans:
                    - name: slow
                      type: dev.rowbell.testing.SlowToStart
                - route:
                    id: slow
                    startupOrder: 2000
                    from:
                      uri: slow:route
                      steps:
                        - to:
                            uri: log:slow
                """);
        raise(1, 20);
        SlowToStart.ON_START.set(
                () -> await().during(Duration.ofMillis(500)).until(() -> database.count("rowbell.feedback") == 20));
        try (LogLines log = new LogLines("dev.rowbell.feedback.PollErrors");
                RunningRowbell second = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
            await().until(() -> received("id").size() == 20);
            assertEquals(List.of(), log.lines());
        }
    }

    @Test
    void whatWasWrittenWhileNobodyWatchedComesOldestFirst() {
        for (int i = 1; i <= 20; i++) {
            raise(i, i);
        }
        settings.put("rowbell.feedback.batch", "3");
        try (RunningRowbell second = RunningRowbell.start(settings)) {
            await().until(() -> received("id").size() == 20);
            assertEquals(IntStream.rangeClosed(1, 20).mapToObj(i -> "a" + i).toList(), received("id"));
        }
    }

    /** A row may lie where an older one was deleted, before those that were written before it. */
    @Test
    void theOldestComesFirstWhereverItLiesInTheTable() {
        layBackwards();
        try (RunningRowbell second = RunningRowbell.start(settings)) {
            await().until(() -> received("id").size() == 20);
            assertEquals(IntStream.rangeClosed(1, 20).mapToObj(i -> "a" + i).toList(), received("id"));
        }
    }

    @Test
    void theOldestIsTheFirstOfABatchThatARouteTakesAsOneExchangeToo() throws IOException {
        asOneExchange();
        layBackwards();
        try (RunningRowbell rowbell = RunningRowbell.start(
                settings,
                "file:routes/alerts.camel.yaml,file:routes/file.camel.yaml,file:%s/*.camel.yaml".formatted(dir))) {
            await().until(() -> received("id").equals(List.of("a1")));
        }
    }

    @Test
    void theOriginalOfAnAlertIsThatAlertWhereverItLiesInTheTable() throws IOException {
        settings.put("camel.main.allowUseOriginalMessage", "true");
        routeInstead("${originalBody}");
        layBackwards();
        try (RunningRowbell second = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
            await().until(() -> received("id").size() == 20);
            assertEquals(IntStream.rangeClosed(1, 20).mapToObj(i -> "a" + i).toList(), received("id"));
        }
    }

    /** @param simple what the file gets in place of each alert */
    private void routeInstead(String simple) throws IOException {
        RunningRowbell.writeAlertsRoute(dir, """
                - setBody:
                    expression:
                      simple:
                        expression: "%s"
                - to:
                    uri: outbox:file
                """.formatted(simple));
    }

    private void layBackwards() {
        database.execute("""
                insert into rowbell.feedback (crt_time, alert)
                select now() - interval '1 min' + i * interval '1 ms', json_build_object('id', 'a' || i, 'rule', 'r', 'new', json_build_object('id', i))
                from generate_series(20, 1, -1) i
                """);
    }

    /** Of all that were taken, the first is routed. */
    private void asOneExchange() throws IOException {
        String shipped = Files.readString(Path.of("routes/sources.camel.yaml"));
        String last = "        delay: \"{{rowbell.feedback.poll}}\"\n      steps:\n";
        assertTrue(shipped.contains(last), "or the test has nothing to change");
        Files.writeString(dir.resolve("sources.camel.yaml"), shipped.replace(last, """
                        delay: "{{rowbell.feedback.poll}}"
                        useIterator: false
                      steps:
                        - setBody:
                            expression:
                              simple:
                                expression: "${body[0]}"
                """));
    }

    @Test
    void aLongQueueComesOldestFirstToo() throws IOException {
        raise(1, 20_000);
        try (RunningRowbell second = RunningRowbell.start(settings)) {
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(IntStream.rangeClosed(1, 20_000).mapToObj(i -> "a" + i).toList(), received("id"));
        }
    }

    @Test
    void aRouteOfTheUsersMayTakeABatchAsOneExchange() throws IOException {
        asOneExchange();
        settings.put("rowbell.feedback.batch", "1");
        raise(1, 5);
        try (RunningRowbell rowbell = RunningRowbell.start(
                settings,
                "file:routes/alerts.camel.yaml,file:routes/file.camel.yaml,file:%s/*.camel.yaml".formatted(dir))) {
            await().until(() -> received("id").equals(List.of("a1", "a2", "a3", "a4", "a5")));
        }
    }

    /** In another table all rows may have the same time, or none. */
    @ParameterizedTest
    @ValueSource(strings = {"rowbell.feedback", "public.queue"})
    @Tag("long")
    void aBatchIsLimitedInBytesToo(String table) throws IOException {
        // deliveries of a sink that is nowhere stay as they were filed: one for each batch
        RunningRowbell.writeAlertsRoute(dir, """
                - to:
                    uri: outbox:elsewhere
                """);
        settings.put("rowbell.feedback.table", table);
        database.execute(
                "create table public.queue (crt_time timestamptz default now(), alert json)",
                "insert into %s (alert) select json_build_object('id', 'a' || i, 'rule', 'r', 'new', json_build_object('n', i, 't', repeat('x', case when i %% 2 = 0 then 1000000 else 10 end))) from generate_series(1, 30) i"
                        .formatted(table));
        if (table.equals("public.queue")) {
            database.execute(
                    "update public.queue set crt_time = null where ctid = any (array(select ctid from public.queue limit 4))");
        }
        try (RunningRowbell rowbell = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
            await().until(() -> database.count(table) == 0);
            assertEquals(30, database.alerts("true"));
            assertEquals(
                    List.of("t"),
                    database.query(
                            "select max(bytes) between 4000000 and 7000000 from (select sum(octet_length(documents[1])) as bytes from rowbell.delivery group by xmin::text) as of_batches"));
        }
    }

    @Test
    void theSettingOfTheLargestAlertReachesTheTriggers() throws IOException {
        settings.put("rowbell.alert.max-size", "10kB");
        database.execute(
                "create table public.wide (id int primary key, a text)",
                "insert into rowbell.rule (name, feed, condition) values ('r', 'public.wide', 'NEW.id > 0')");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.query("select value from rowbell.setting where name = 'alert.max-size'")
                    .equals(List.of("10000")));
            database.execute("insert into public.wide values (1, repeat('x', 20000))");
            await().until(() -> received("id").size() == 1);
            assertEquals(List.of(true), received("truncated"));
        }
    }

    @Test
    @Tag("long")
    void ofTwoLargestAlertsThatOfTheProcessThatStartedLastStays() {
        String value = "select value from rowbell.setting where name = 'alert.max-size'";
        settings.put("rowbell.alert.max-size", "10kB");
        try (RunningRowbell first = RunningRowbell.start(settings)) {
            await().until(() -> database.query(value).equals(List.of("10000")));
            settings.put("rowbell.alert.max-size", "20kB");
            try (RunningRowbell second = RunningRowbell.start(settings)) {
                await().until(() -> database.query(value).equals(List.of("20000")));
                // housekeeping of both runs every 10 s
                await().during(Duration.ofSeconds(12))
                        .atMost(Duration.ofMinutes(2))
                        .until(() -> database.query(value).equals(List.of("20000")));
            }
        }
    }

    /** Where the table has had wide alerts, which ends batches early, as well as where it has not. */
    @ParameterizedTest
    @ValueSource(ints = {10, 100_000})
    void alertsThatAnotherSessionHasLockedHoldUpNoneBehindThem(int length) throws SQLException {
        settings.put("rowbell.feedback.batch", "10");
        database.execute(
                "insert into rowbell.feedback (alert) values (json_build_object('id', 'w', 'rule', repeat('x', %d)))"
                        .formatted(length),
                "delete from rowbell.feedback");
        raise(1, 10);
        try (Connection other = database.connect()) {
            other.setAutoCommit(false);
            try (Statement lock = other.createStatement()) {
                lock.execute("select from rowbell.feedback for update");
            }
            raise(11, 40);
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                await().until(() -> received("id").size() == 30);
                other.rollback();
                await().until(() -> received("id").size() == 40);
            }
        }
    }

    /** Polls that overlap hold a connection each, and a sink that is off asks the database now and then. */
    @Test
    void aBacklogFlowsThroughTheSmallestPool() {
        settings.put("rowbell.jdbc.pool-size", "2");
        settings.put("rowbell.feedback.batch", "100");
        raise(1, 5_000);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(5_000, Set.copyOf(received("id")).size());
        }
    }

    @Test
    void theDoorbellIsHeardBeforeTheNextPoll() {
        settings.put("rowbell.feedback.poll", "1h");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.awaitListener("rowbell_doorbell");
            raise(1, 1);
            // nothing but the doorbell is as soon
            await().atMost(Duration.ofSeconds(20)).until(() -> received("id").equals(List.of("a1")));
        }
    }

    @Test
    @Tag("long")
    void killedConnectionsInTheMiddleLoseNothingAndRepeatNothingInRouting() throws IOException {
        // counts routings by the deliveries they file: the sink is off the table, so every one of them stays
        RunningRowbell.writeAlertsRoute(dir, """
                - to:
                    uri: outbox:elsewhere
                """);
        settings.put("rowbell.feedback.batch", "50");
        try (RunningRowbell rowbell = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
            for (int i = 0; i < 20; i++) {
                raise(i * 500 + 1, i * 500 + 500);
                database.execute("select pg_terminate_backend(pid) from pg_stat_activity"
                        + " where datname = current_database() and application_name like 'rowbell%'");
            }
            await().until(() -> database.count("rowbell.feedback") == 0);
            assertEquals(ids(1, 10_000), database.alertIds().stream().sorted().toList());
        }
    }

    @Test
    void anAlertThatCannotBeRoutedBecomesADeadLetterAndTheOthersGoOn() throws IOException {
        RunningRowbell.writeAlertsRoute(dir, """
                - to:
                    uri: outbox:file
                - choice:
                    when:
                      - expression:
                          simple:
                            expression: "${body[new][id]} == 13"
                        steps:
                          - setBody:
                              expression:
                                constant:
                                  expression: a body that is no alert any more
                          - convertBodyTo:
                              type: java.net.Socket
                      - expression:
                          simple:
                            expression: "${body[new][id]} == 17"
                        steps:
                          - to:
                              uri: sql:select 1/0
                              parameters:
                                dataSource: "#rowbell"
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
            raise(1, 100);
            await().until(() -> received("id").size() >= 98 && database.count("rowbell.dead_letter") == 2);
            await().until(() -> database.isDelivered());
            assertEquals(98, received("id").size());
            assertTrue(received("id").stream().noneMatch(id -> id.equals("a13") || id.equals("a17")));
            assertEquals(
                    List.of("a13", "a17"),
                    database.query("select alert_id from rowbell.dead_letter where sink is null order by 1"));
            assertEquals(
                    List.of("13"),
                    database.query("select alert -> 'new' ->> 'id' from rowbell.dead_letter where alert_id = 'a13'"));
            assertTrue(database.query("select last_error from rowbell.dead_letter where alert_id = 'a17'")
                    .get(0)
                    .contains("division by zero"));
        }
    }

    @Test
    void aDeadLetterThatCouldNotBeRoutedIsRoutedAgain() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("""
                    insert into rowbell.dead_letter (alert_id, alert, attempts, filed, last_error)
                    values ('a1', '{"id": "a1", "rule": "r"}', 0, now(), 'a typo in a route')""", "select rowbell.replay(id) from rowbell.dead_letter");
            await().until(() -> received("id").equals(List.of("a1")));
            assertEquals(0, database.count("rowbell.dead_letter"));
            assertEquals(List.of("f"), database.query("select rowbell.replay(4711)"));
        }
    }

    @Test
    void aTableOfTheUsersOwnIsAFeedbackTable() {
        // the article's: any columns, crt_time is all that is asked for
        database.execute(
                "create table public.feedback_table (id bigint, crt_time timestamp default now(), reason text, info jsonb, at date, c2 int, status text)",
                "create index on public.feedback_table (crt_time)",
                "create trigger ring after insert on public.feedback_table for each statement execute function rowbell.ring()");
        settings.put("rowbell.feedback.table", "public.feedback_table");
        // a test that needed the poll would not end in time
        settings.put("rowbell.feedback.poll", "1h");
        settings.put("rowbell.source", "orders-db");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "insert into public.feedback_table values (7, '2026-11-23 08:00', 'c2 overflow', '{\"a\": [1.10, null]}', '2026-01-02', null, 'shipped')");
            await().until(() -> received("id").size() == 1);
            Map<String, Object> alert = AlertFiles.read(dir.resolve("alerts")).get(0);
            assertEquals("c2 overflow", alert.get("reason"));
            assertEquals("orders-db", alert.get("source"));
            assertEquals("firing", alert.get("status"));
            assertTrue(
                    alert.get("time").toString().startsWith("2026-11-23T"),
                    alert.get("time").toString());
            assertEquals(
                    "{id=7, info={a=[1.10, null]}, at=2026-01-02, c2=null, status=shipped}",
                    alert.get("new").toString());
            assertEquals(0, database.count("public.feedback_table"));
            database.execute("insert into public.feedback_table (id, crt_time) values (8, null)");
            await().until(() -> received("id").size() == 2 && database.count("public.feedback_table") == 0);
        }
    }

    @Test
    void textOfAllKindsComesOutAsItWentIn() {
        String text = "订单超限 🚨 \"quoted\" 'single' \\ back\nnew line\ttab </script> ${body} {{rowbell.jdbc.url}}";
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "create table public.feed (id bigint primary key, \"Große Spalte\" text, empty text, big numeric)",
                    """
                    create function f() returns trigger language plpgsql as $$ begin
                      insert into rowbell.feedback (alert)
                      values (rowbell.alert('текст', 'reason', tg_relid, tg_op, case when tg_op = 'UPDATE' then row_to_json(old) end, row_to_json(new)));
                      return null;
                    end $$""",
                    "create trigger t after insert or update on feed for each row execute function f()");
            try (Connection connection = database.connect();
                    var insert = connection.prepareStatement(
                            "insert into feed values (1, ?, null, 12345678901234567890.123456789012345678901234567890)")) {
                insert.setString(1, text);
                insert.execute();
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
            database.execute("update feed set empty = '' where id = 1");
            await().until(() -> received("id").size() == 2);
            Map<String, Object> inserted =
                    AlertFiles.read(dir.resolve("alerts")).get(0);
            Map<String, Object> updated = AlertFiles.read(dir.resolve("alerts")).get(1);
            assertEquals("текст", inserted.get("rule"));
            assertEquals(text, ((Map<?, ?>) inserted.get("new")).get("Große Spalte"));
            assertEquals(
                    "12345678901234567890.123456789012345678901234567890",
                    ((Map<?, ?>) inserted.get("new")).get("big").toString());
            assertEquals(List.of("id", "Große Spalte", "big"), inserted.get("changed"));
            assertEquals(Map.of(), inserted.get("old"));
            assertEquals(List.of("empty"), updated.get("changed"));
            assertEquals("public.feed", updated.get("table"));
            assertEquals("UPDATE", updated.get("operation"));
            assertEquals(2, new TreeSet<>(received("id")).size());
        }
    }

    @Test
    void oddCharactersInADocumentHoldNobodyUp() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("insert into rowbell.feedback (alert) values "
                    + "('{\"id\": \"a1\", \"rule\": \"r\"}'), "
                    + "('{\"id\": \"nul\\u0000\", \"rule\": \"r\\u0000\", \"new\": {\"id\": \"\\u0000\"}}'), "
                    + "('{\"id\": \"half\\ud800\", \"rule\": \"r\", \"new\": {\"half\": \"\\ud83d\"}}'), "
                    + "('[]'), ('null'), ('\"text\"'), ('{\"id\": {\"a\": 1}, \"rule\": 5, \"changed\": \"c2\", \"old\": 3, \"new\": []}'), "
                    + "('{\"id\": \"a2\", \"rule\": \"r\"}')");
            await().until(() -> database.count("rowbell.feedback") == 0 && database.isDelivered());
            assertEquals(8, received("id").size() + database.count("rowbell.dead_letter"));
            assertEquals(
                    0,
                    database.count("rowbell.dead_letter"),
                    () -> database.query("select last_error from rowbell.dead_letter")
                            .toString());
            assertTrue(received("id").containsAll(List.of("a1", "a2")));
        }
    }

    @Test
    void anAlertThatPostgresRefusesToFileIsADeadLetterAndTheOthersAreFiled() {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute(
                    "alter table rowbell.delivery add constraint picky check (documents::text not like '%\"a13\\\\\"%')");
            raise(1, 100);
            await().until(() -> received("id").size() >= 99 && database.isDelivered());
            assertEquals(
                    ids(1, 100).stream().filter(id -> !id.equals("a13")).toList(),
                    received("id").stream().map(Object::toString).sorted().toList());
            assertEquals(
                    List.of("file/a13r"),
                    database.query(
                            "select sink || '/' || alert_id || ((alert ->> 'payload')::json ->> 'rule') from rowbell.dead_letter"));
        }
    }

    /**
     * Routing that takes 10 ms an alert, on the thread and in the transaction of its batch: a batch takes longer than a stop. Without what
     * makes Camel finish it all the same, as a copy of the route may be.
     */
    private String slowRouting() throws IOException {
        Files.writeString(
                dir.resolve("sources.camel.yaml"),
                Files.readString(Path.of("routes/sources.camel.yaml"))
                        .replace("    shutdownRunningTask: CompleteAllTasks\n", ""));
        RunningRowbell.writeAlertsRoute(dir, """
                - delay:
                    asyncDelayed: false
                    expression:
                      constant:
                        expression: 10
                - to:
                    uri: outbox:elsewhere
                """);
        return "file:" + dir + "/*.camel.yaml";
    }

    private void awaitMiddleOfABatch() {
        await().pollInterval(Duration.ofMillis(5))
                .until(() -> database.count("pg_stat_activity where datname = current_database()"
                                + " and application_name = 'rowbell' and state = 'idle in transaction'")
                        > 0);
    }

    @Test
    @Tag("long")
    void aStopInTheMiddleOfABatchLosesNothingAndRoutesNothingTwice() throws Exception {
        String routes = slowRouting();
        for (int round = 0; round < 2; round++) {
            try (RunningRowbell rowbell = RunningRowbell.start(settings, routes)) {
                raise(round * 500 + 1, round * 500 + 500);
                awaitMiddleOfABatch();
                if (round == 1) {
                    rowbell.context().getRouteController().stopRoute("feedback");
                }
            }
            assertEquals((round + 1) * 500, database.count("rowbell.feedback") + database.alerts("true"));
        }
        try (RunningRowbell rowbell = RunningRowbell.start(settings, routes)) {
            await().until(() -> database.count("rowbell.feedback") == 0);
            assertEquals(ids(1, 1000), database.alertIds().stream().sorted().toList());
        }
    }

    /** As Camel's consumer commits it, which says how many it has read. */
    @Test
    void aStopBeforeTheFirstOfABatchCommitsNothing() throws Exception {
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 1);
            await().until(() -> received("id").size() == 1 && database.count("rowbell.feedback") == 0);
            rowbell.context().getRouteController().suspendRoute("feedback");
            Consumer consumer = rowbell.context().getRoute("feedback").getConsumer();
            FeedbackTransaction transaction = rowbell.context()
                    .getRegistry()
                    .lookupByNameAndType("rowbellTransaction", FeedbackTransaction.class);
            assertTrue(transaction.begin(consumer, consumer.getEndpoint()));
            Exception refused = assertThrows(
                    IllegalStateException.class, () -> transaction.commit(consumer, consumer.getEndpoint(), 1));
            transaction.rollback(consumer, consumer.getEndpoint(), 0, refused);
            assertTrue(refused.getMessage().contains("of 1 alerts 0 were routed"), refused.getMessage());
        }
    }

    @Test
    void aFailingAlertTakesNothingFromAnotherOfTheSameId() throws IOException {
        RunningRowbell.writeAlertsRoute(dir, """
                - to:
                    uri: outbox:file
                - filter:
                    expression:
                      simple:
                        expression: "${body[rule]} == 'bad'"
                    steps:
                      - throwException:
                          exceptionType: java.lang.IllegalStateException
                          message: bad
                """);
        try (RunningRowbell rowbell = RunningRowbell.start(settings, ROUTES.formatted(dir))) {
            database.execute(
                    "insert into rowbell.feedback (alert) values ('{\"id\": \"x\", \"rule\": \"good\"}'), ('{\"id\": \"x\", \"rule\": \"bad\"}')");
            await().until(() -> received("rule").equals(List.of("good")) && database.count("rowbell.dead_letter") == 1);
            await().until(() -> database.isDelivered());
            assertEquals(List.of("good"), received("rule"));
        }
    }

    @Test
    void columnsOfEveryTypeComeThrough() {
        database.execute("""
                create table public.odd (crt_time timestamptz default now(), price money, grid int[], doc xml, day date, clock timetz, bits bytea,
                  ratio float8, span interval, net inet, nothing int)""", "create index on public.odd (crt_time)");
        settings.put("rowbell.feedback.table", "public.odd");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            database.execute("""
                    insert into public.odd values (now(), '1234.50', '{{1,2},{3,4}}', '<a/>', 'infinity', '10:00+02', '\\xdead', 'NaN', '1 day 2 s', '10.0.0.1', null)""");
            await().until(() -> received("id").size() == 1);
            Map<?, ?> row =
                    (Map<?, ?>) AlertFiles.read(dir.resolve("alerts")).get(0).get("new");
            assertTrue(row.get("price").toString().contains("1,234.50"), row.toString());
            assertEquals(List.of(List.of(1, 2), List.of(3, 4)), row.get("grid"));
            assertEquals("<a/>", row.get("doc"));
            assertEquals("infinity", row.get("day"));
            assertEquals("10:00:00+02", row.get("clock"));
            assertEquals("\\xdead", row.get("bits"));
            assertEquals("NaN", row.get("ratio"));
            assertEquals("1 day 00:00:02", row.get("span"));
            assertEquals("10.0.0.1", row.get("net"));
            assertTrue(row.containsKey("nothing"));
        }
    }

    @Test
    void theRightsOfTheDocsAreEnoughWhereADbaAppliesTheSchema() throws IOException, SQLException {
        String role = "rowbell_of_" + database.name();
        Matcher grants = Pattern.compile("```sql\n *(grant rowbell_consumer .*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("docs/schema.md")));
        assertTrue(grants.find());
        database.execute(
                "drop role if exists " + role,
                "create role " + role + " login password 'pw'",
                grants.group(1).replace("to rowbell;", "to " + role + ";"),
                "insert into rowbell.silence (rule, until, why) values ('quiet', now() + interval '1 h', 'a test')");
        settings.putAll(Map.of("rowbell.migrate", "false", "rowbell.jdbc.user", role, "rowbell.jdbc.password", "pw"));
        settings.put("rowbell.http.url", "http://127.0.0.1:1/");
        settings.put("rowbell.outbox.max-attempts", "2");
        settings.put("rowbell.outbox.circuit", "100");
        settings.put("rowbell.outbox.backoff", "10ms");
        settings.put("rowbell.outbox.poll", "50ms");
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            raise(1, 10);
            await().until(() ->
                    received("id").size() == 10 && database.count("rowbell.dead_letter where sink = 'http'") == 10);
            assertEquals(0, database.count("rowbell.delivery"));
            database.execute("insert into rowbell.feedback (alert) values ('{\"id\": \"q\", \"rule\": \"quiet\"}')");
            await().until(() -> database.count("rowbell.feedback") == 0);
        }
        assertEquals(List.of("1"), database.query("select silenced from rowbell.silence"));
        try (Connection connection = database.connectAs(role, "pw");
                Statement statement = connection.createStatement()) {
            for (String denied : List.of(
                    "insert into rowbell.rule (name, feed, condition) values ('evil', 'public.feed', 'true')",
                    "insert into rowbell.silence (until, why) values (now(), 'evil')",
                    "drop table rowbell.delivery",
                    "select rowbell.apply_rules('x', '[]')")) {
                assertEquals(
                        "42501",
                        assertThrows(SQLException.class, () -> statement.execute(denied), denied)
                                .getSQLState());
            }
        }
    }
}
