package dev.rowbell.command;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.testing.FreePort;
import dev.rowbell.testing.PgBouncer;
import dev.rowbell.testing.Program;
import dev.rowbell.testing.SmtpServer;
import dev.rowbell.testing.TestDatabase;
import dev.rowbell.testing.WebReceiver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code java -jar target/rowbell.jar doctor} with settings that are right, and with those that are not. */
@Tag("long")
class DoctorIT {

    private final TestDatabase database = TestDatabase.create();
    private final Map<String, String> settings = database.settings();

    @TempDir
    Path dir;

    @BeforeEach
    void aRule() throws IOException {
        Files.writeString(dir.resolve("rules.yaml"), """
                rules:
                  - name: large
                    feed: public.orders
                    condition: NEW.amount > 10
                """);
        settings.put("rowbell.rules.file", "rules.yaml");
        database.execute(
                "revoke create on schema public from public", "create table orders (id int primary key, amount int)");
    }

    @Test
    void nothingIsWrongAndNothingIsChanged() throws IOException {
        try (SmtpServer mail = new SmtpServer();
                WebReceiver receiver = new WebReceiver()) {
            settings.put("rowbell.mail.host", "localhost");
            settings.put("rowbell.mail.port", String.valueOf(mail.port()));
            settings.put("rowbell.mail.starttls", "false");
            settings.put("rowbell.mail.to", "desk@example.org");
            settings.put("rowbell.http.url", receiver.url());
            says(
                    0,
                    "ok connected to " + database.url(),
                    "ok it can listen",
                    "ok the first start creates the schema rowbell",
                    "ok feed public.orders can be watched",
                    "ok file: can be reached",
                    "ok HTTP receiver: can be reached",
                    "ok mail server: can be reached");
            assertEquals(List.of(), receiver.requests());
            assertEquals(List.of(), mail.messageIds());
        }
        assertEquals(0, database.count("pg_namespace where nspname like 'rowbell%'"));
        assertEquals(false, Files.exists(dir.resolve("alerts")));
    }

    @Test
    void aRoleIsToldWhichRightsItLacks() throws IOException {
        String poor = database.name() + "_poor";
        database.execute(
                "create role " + poor + " login password 'secret' connection limit 9",
                "alter database " + database.name() + " connection limit 8",
                "create view sales as select * from orders");
        settings.put("rowbell.jdbc.user", poor);
        settings.put("rowbell.jdbc.password", "secret");
        Files.writeString(
                dir.resolve("rules.yaml"),
                "  - {name: b, feed: public.nowhere, condition: 'true'}\n"
                        + "  - {name: c, feed: public.sales, condition: 'true'}\n",
                StandardOpenOption.APPEND);
        says(
                1,
                "wrong %1$s may not create the schema rowbell: grant create on database %2$s to %1$s"
                        .formatted(poor, database.name()),
                "wrong feed public.orders: %1$s may not make triggers: grant trigger on public.orders to %1$s"
                        .formatted(poor),
                "wrong feed public.nowhere: there is no such table",
                "wrong feed public.sales is no table: a view",
                "wrong the database %s may have 8 connections and Rowbell opens up to 15".formatted(database.name()),
                "note %s may make no roles: ".formatted(poor),
                "wrong %1$s may have 9 connections and Rowbell opens up to 15: alter role %1$s connection limit 15"
                        .formatted(poor));
    }

    @Test
    void receiversThatCannotBeReachedAreNamedAndSoIsALoginThatIsRefused() throws IOException {
        String closed = String.valueOf(FreePort.find());
        Files.writeString(dir.resolve("a-file"), "");
        settings.put("rowbell.mail.host", "localhost");
        settings.put("rowbell.mail.port", closed);
        settings.put("rowbell.mail.to", "desk@example.org");
        settings.put("rowbell.http.url", "https://localhost:" + closed + "/secret path");
        settings.put("rowbell.file.dir", "a-file/alerts");
        settings.put("rowbell.jdbc.user", "stranger");
        String output = says(
                1,
                "wrong rowbell.jdbc.user, rowbell.jdbc.password: " + database.url() + " refuses them",
                "wrong file: rowbell.file.dir: ",
                "wrong HTTP receiver: rowbell.http.url: ",
                "wrong mail server: rowbell.mail.host: ");
        assertTrue(!output.contains("secret"), output);
    }

    @Test
    void aFileOfRulesThatIsMissingAndALoginForQueriesThatIsRefusedAreNamed() {
        settings.put("rowbell.rules.file", "none.yaml");
        settings.put("rowbell.query.user", "stranger");
        says(
                1,
                "note rowbell.rules.file=none.yaml: there is no such file",
                "wrong rowbell.query.url, rowbell.query.user: ");
    }

    @Test
    void triggersThatDoNotFireAreNamed() {
        try (Program rowbell = Program.rowbell(dir, settings)) {
            await().failFast(() -> assertTrue(rowbell.isAlive(), rowbell.output()))
                    .until(() -> rowbell.output().contains("Rowbell is watching"));
        }
        database.execute("alter table orders disable trigger user");
        says(1, "ok the schema rowbell is up to date", "wrong feed public.orders: ");
    }

    @Test
    void aPoolerThroughWhichNothingCanListenIsNamed() {
        try (PgBouncer pooler = new PgBouncer(dir, database, "transaction")) {
            settings.put("rowbell.jdbc.url", pooler.url());
            says(1, "note a pooler in transaction mode", "wrong it cannot listen: ", "rowbell.listen.url");
        }
    }

    private String says(int exit, String... sentences) {
        try (Program doctor = Program.rowbell(dir, settings, "doctor")) {
            int code = doctor.awaitExit();
            String output = doctor.output().replaceAll("(?m)^(ok|note|wrong) +", "$1 ");
            for (String sentence : sentences) {
                assertTrue(output.contains(sentence), sentence + " is missing:\n" + output);
            }
            assertEquals(exit, code, output);
            return output;
        }
    }
}
