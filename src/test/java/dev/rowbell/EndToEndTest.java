package dev.rowbell;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.icegreen.greenmail.util.GreenMail;
import com.icegreen.greenmail.util.GreenMailUtil;
import com.icegreen.greenmail.util.ServerSetup;
import dev.rowbell.alert.AlertJson;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The article's demo: rows go in, and every sink hears of every alert exactly once. */
class EndToEndTest {

    /** What SQL says should have fired: every time c2 or c4 went over the line, by the row's history. */
    private static final String EXPECTED = """
            select 'c2-overflow/' || id || '/' || c2 from history
            where c2 > 9999 and not coalesce(c2_before > 9999, false)
            union all
            select 'c4-negative/' || id || '/' || c4 from history
            where c4 < 0 and not coalesce(c4_before < 0, false)
            """;

    @TempDir
    Path routes;

    @TempDir
    Path alerts;

    @Test
    void everyAlertReachesEverySinkExactlyOnce() throws Exception {
        TestDatabase database = TestDatabase.create();
        GreenMail mail = new GreenMail(new ServerSetup(0, "127.0.0.1", ServerSetup.PROTOCOL_SMTP));
        mail.start();
        try (WebReceiver web = new WebReceiver()) {
            Map<String, String> settings = database.settings();
            settings.put("rowbell.file.dir", alerts.toString());
            settings.put("rowbell.http.url", web.url() + "/hook?token=secret");
            settings.put("rowbell.mail.host", "127.0.0.1");
            settings.put("rowbell.mail.port", String.valueOf(mail.getSmtp().getPort()));
            settings.put("rowbell.mail.starttls", "false");
            settings.put("rowbell.mail.to", "ops@example.org");
            settings.put("rowbell.console", "OFF");
            settings.put("rowbell.rules.file", "file:rules.yaml");
            database.execute(Files.readString(Path.of("src/main/resources/dev/rowbell/demo/demo.sql")), """
                    create table history (id bigint, c2 int, c2_before int, c4 int, c4_before int);
                    create function keep() returns trigger language plpgsql as $$
                    begin
                      if tg_op = 'INSERT' then
                        insert into history values (new.id, new.c2, null, new.c4, null);
                      else
                        insert into history values (new.id, new.c2, old.c2, new.c4, old.c4);
                      end if;
                      return null;
                    end $$;
                    create trigger keep after insert or update on feed for each row execute function keep()""");
            // a mail for each alert, as docs/sinks.md has it
            Files.writeString(
                    routes.resolve("mail.camel.yaml"),
                    Files.readString(Path.of("routes/mail.camel.yaml"))
                            .replace("batch: 20000\n        every: \"{{rowbell.mail.digest}}\"\n", "batch: 1\n"));
            try (RunningRowbell rowbell = RunningRowbell.start(
                    settings,
                    "file:routes/sources.camel.yaml,file:routes/alerts.camel.yaml,"
                            + "file:routes/file.camel.yaml,file:routes/http.camel.yaml,file:" + routes
                            + "/*.camel.yaml")) {
                database.awaitListener("channel_1");
                tenThousandRowsByBatchUpsert(database);
                singleRows(database);

                List<String> expected =
                        database.query(EXPECTED).stream().sorted().toList();
                assertEquals(true, expected.size() > 150, "only " + expected.size() + " alerts would prove little");
                await().until(() -> AlertFiles.read(alerts).size() >= expected.size()
                        && web.requests().size() >= expected.size()
                        && mail.getReceivedMessages().length >= expected.size());
                await().until(() -> database.isDelivered());

                List<Map<String, Object>> filed = AlertFiles.read(alerts);
                assertEquals(
                        expected,
                        filed.stream().map(EndToEndTest::inShort).sorted().toList());
                assertEquals(
                        expected,
                        web.requests().stream()
                                .map(r -> inShort(AlertJson.parse(r.body())))
                                .sorted()
                                .toList());
                List<Object> ids = filed.stream().map(alert -> alert.get("id")).toList();
                assertEquals(ids.size(), new TreeSet<>(ids).size());
                assertEquals(
                        new TreeSet<>(ids),
                        new TreeSet<>(web.requests().stream()
                                .map(r -> AlertJson.parse(r.body()).get("id"))
                                .toList()));
                assertEquals(
                        new TreeSet<>(
                                ids.stream().map(id -> "<" + id + "@rowbell>").toList()),
                        new TreeSet<>(Arrays.stream(mail.getReceivedMessages())
                                .map(message -> GreenMailUtil.getHeaders(message)
                                        .lines()
                                        .filter(line -> line.startsWith("Message-ID: "))
                                        .findFirst()
                                        .orElseThrow()
                                        .substring(12))
                                .toList()));
                assertEquals(ids.size(), mail.getReceivedMessages().length);
                assertEquals(0, database.count("rowbell.feedback"));
                assertEquals(0, database.count("rowbell.dead_letter"));
                await().until(() -> database.query("select sum(hits) from rowbell.rule_state")
                        .equals(List.of(String.valueOf(expected.size()))));
            }
        } finally {
            mail.stop();
        }
    }

    private static String inShort(Map<String, Object> alert) {
        Map<?, ?> row = (Map<?, ?>) alert.get("new");
        return alert.get("rule") + "/" + row.get("id") + "/"
                + row.get(alert.get("rule").equals("c2-overflow") ? "c2" : "c4");
    }

    private static void tenThousandRowsByBatchUpsert(TestDatabase database) throws SQLException {
        try (Connection connection = database.connect();
                PreparedStatement upsert = connection.prepareStatement("""
                insert into feed (id, c1, c2)
                select i % 3000, i, case when i % 97 = 0 then 10000 + i else i % 9999 end
                from generate_series(?, ?) i
                on conflict (id) do update set c1 = excluded.c1, c2 = excluded.c2
                """)) {
            for (int from = 0; from < 10_000; from += 1000) {
                upsert.setInt(1, from);
                upsert.setInt(2, from + 999);
                upsert.execute();
            }
        }
    }

    private static void singleRows(TestDatabase database) throws SQLException {
        try (Connection connection = database.connect();
                PreparedStatement upsert = connection.prepareStatement(
                        "insert into feed (id, c3, c4) values (?, ?, ?) on conflict (id) do update set c3 = excluded.c3, c4 = excluded.c4")) {
            for (int i = 0; i < 500; i++) {
                upsert.setInt(1, i * 7);
                upsert.setInt(2, i);
                upsert.setInt(3, i % 5 == 0 ? -1 - i : i);
                upsert.execute();
            }
        }
    }
}
