package dev.rowbell.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.Application;
import dev.rowbell.command.Commands;
import dev.rowbell.settings.Settings;
import dev.rowbell.settings.SettingsException;
import dev.rowbell.testing.ManualClock;
import dev.rowbell.testing.WebClient;
import dev.rowbell.web.WebSessions.Session;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokens, passwords, sessions, and how tries are slowed down. */
class AccessTest {

    @TempDir
    Path dir;

    private final ManualClock clock = new ManualClock("2026-11-23T08:00:00Z");

    private Settings settings(Map<String, String> given) {
        DefaultCamelContext context = new DefaultCamelContext();
        Settings.addDefaults(context.getPropertiesComponent());
        given.forEach(context.getPropertiesComponent()::addInitialProperty);
        return new Settings(context);
    }

    private String token() {
        return AccessToken.of(
                settings(Map.of("rowbell.embedded.dir", dir.resolve("state").toString())));
    }

    @Test
    void proxiesAreAddressesOrNetworksAndTheirUsersAreKnown() {
        String users = "ada:operator:" + WebClient.hash("x");
        for (Map<String, String> wrong : List.of(
                Map.of("rowbell.web.proxies", "10.0.0.5"),
                Map.of("rowbell.web.user-header", "X-User", "rowbell.web.users", users),
                Map.of("rowbell.web.proxies", "10.0.0.5", "rowbell.web.users", users),
                Map.of("rowbell.web.proxies", "10.0.0.5", "rowbell.web.user-header", "X-User"),
                Map.of(
                        "rowbell.web.proxies",
                        "localhost",
                        "rowbell.web.user-header",
                        "X-User",
                        "rowbell.web.users",
                        users),
                Map.of(
                        "rowbell.web.proxies",
                        "10.0.0.5/8",
                        "rowbell.web.user-header",
                        "X-User",
                        "rowbell.web.users",
                        users))) {
            String problem = assertThrows(SettingsException.class, () -> new Access(settings(wrong), clock))
                    .getMessage();
            assertTrue(problem.startsWith("rowbell.web.proxies: "), problem);
        }
        new Access(
                settings(Map.of(
                        "rowbell.web.proxies",
                        "10.0.0.5, ::1, fe80::1, 192.168.0.0/16, fd00::/8",
                        "rowbell.web.user-header",
                        "X-User",
                        "rowbell.web.users",
                        users)),
                clock);
    }

    @Test
    void theTokenIsKeptInAFileThatItsOwnerAloneCanRead() throws Exception {
        String token = token();
        Path file = dir.resolve("state/web-token");
        assertEquals(token, Files.readString(file).strip());
        assertTrue(token.length() >= 43, token);
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file.getParent())));
        assertEquals(token, token(), "the same after a restart");
    }

    @Test
    void aTokenThatOthersMayKnowIsReplaced() throws Exception {
        String token = token();
        Path file = dir.resolve("state/web-token");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        String second = token();
        assertNotEquals(token, second);
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        Files.writeString(file, "short\n");
        String third = token();
        assertNotEquals("short", third);
        Path elsewhere = dir.resolve("elsewhere");
        Files.writeString(elsewhere, third);
        Files.delete(file);
        Files.createSymbolicLink(file, elsewhere);
        assertNotEquals(third, token());
        assertEquals(third, Files.readString(elsewhere), "nothing is written through the link");
    }

    @Test
    void aTokenThatCannotBeKeptIsForThisStartAlone() throws Exception {
        Files.writeString(dir.resolve("state"), "no directory");
        assertNotEquals(token(), token());
    }

    @Test
    @Tag("long")
    void theCommandMakesAHashThatLetsIn() {
        InputStream before = System.in;
        PrintStream shown = System.out;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setIn(new ByteArrayInputStream("pa:ss, wörd \n".getBytes(StandardCharsets.UTF_8)));
        System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
        try {
            assertEquals(0, Commands.run(Application::new, "web", "hash"));
        } finally {
            System.setIn(before);
            System.setOut(shown);
        }
        Users users = new Users(settings(Map.of(
                "rowbell.web.users",
                "ada:operator:%s , bob@example.org:viewer:%s"
                        .formatted(
                                said.toString(StandardCharsets.UTF_8).strip(),
                                WebClient.hash("other").replaceFirst("^\\$2a", "\\$2y")))));
        assertTrue(users.find("ada", "pa:ss, wörd ").orElseThrow().operator());
        assertFalse(users.find("bob@example.org", "other").orElseThrow().operator());
        assertTrue(users.find("ada", "other").isEmpty());
        assertTrue(users.find("ada", "").isEmpty());
        assertTrue(users.find("ada", "x".repeat(100)).isEmpty());
        assertTrue(users.find("eve", "nobody").isEmpty());
        assertThrows(SettingsException.class, () -> Users.hash(""));
        assertThrows(SettingsException.class, () -> Users.hash("ö".repeat(37)));
    }

    @Test
    void usersThatCannotBeReadAreRefusedWithoutTheirHash() {
        String hash = WebClient.hash("secret");
        for (String wrong : new String[] {
            "ada",
            "ada:operator",
            "ada:admin:" + hash,
            "ada:operator:secret",
            ":viewer:" + hash,
            "a b:viewer:" + hash,
            "ada:viewer:%1$s,ada:operator:%1$s".formatted(hash),
            "ada:operator:" + hash.substring(1)
        }) {
            String said = assertThrows(
                            SettingsException.class,
                            () -> new Users(settings(Map.of("rowbell.web.users", wrong))),
                            wrong)
                    .getMessage();
            assertTrue(said.startsWith("rowbell.web.users: "), said);
            assertFalse(said.contains(hash.substring(8)) || said.contains("secret"), said);
        }
    }

    @Test
    void aSessionEndsWhenItIsIdleAndAfterItsTime() {
        WebSessions sessions = new WebSessions(clock);
        Session idle = sessions.begin("ada", true);
        clock.move(WebSessions.IDLE.minusSeconds(1));
        assertTrue(sessions.find(idle.id()).isPresent());
        clock.move(WebSessions.IDLE);
        assertTrue(sessions.find(idle.id()).isEmpty());

        Session used = sessions.begin("ada", true);
        for (Duration at = Duration.ZERO;
                at.compareTo(WebSessions.LONGEST.minusMinutes(30)) < 0;
                at = at.plusMinutes(30)) {
            clock.move(Duration.ofMinutes(30));
            assertEquals(
                    at.plusMinutes(30).compareTo(WebSessions.LONGEST) < 0,
                    sessions.find(used.id()).isPresent(),
                    at.toString());
        }
        clock.move(Duration.ofMinutes(30));
        assertTrue(sessions.find(used.id()).isEmpty());
        assertTrue(sessions.find("").isEmpty());
    }

    @Test
    void aSessionThatIsEndedIsGoneAndTheOthersGoOn() {
        WebSessions sessions = new WebSessions(clock);
        Session one = sessions.begin("ada", true);
        Session other = sessions.begin("ada", true);
        assertNotEquals(one.id(), other.id());
        assertNotEquals(one.formToken(), other.formToken());
        sessions.end(one);
        assertTrue(sessions.find(one.id()).isEmpty());
        assertTrue(sessions.find(other.id()).isPresent());
        assertFalse(other.isFormToken(one.formToken()));
        Session first = sessions.begin("bob", false);
        for (int i = 0; i < 1500; i++) {
            sessions.begin("bob", false);
        }
        assertTrue(sessions.find(first.id()).isEmpty(), "they are bounded");
        assertTrue(sessions.find(other.id()).isPresent(), "by user");
    }

    @Test
    void triesAreSlowedDownMoreAndMore() {
        Tries tries = new Tries(clock);
        for (int i = 0; i < 5; i++) {
            assertFalse(tries.wait("ada").toMillis() > 0, "try " + i);
            tries.failed("ada");
        }
        assertEquals(Duration.ofSeconds(1), tries.wait("ada"));
        assertFalse(tries.wait("bob").toMillis() > 0);
        clock.move(Duration.ofSeconds(1));
        assertFalse(tries.wait("ada").toMillis() > 0);
        tries.failed("ada");
        assertEquals(Duration.ofSeconds(2), tries.wait("ada"));
        for (int i = 0; i < 30; i++) {
            tries.failed("ada");
        }
        assertEquals(Duration.ofMinutes(5), tries.wait("ada"));
        tries.succeeded("ada");
        assertFalse(tries.wait("ada").toMillis() > 0);
        for (int i = 0; i < 20_000; i++) {
            tries.failed("user " + i);
        }
    }

    private Access withAda() {
        return new Access(settings(Map.of("rowbell.web.users", "ada:operator:" + WebClient.hash("right"))), clock);
    }

    /** Otherwise someone finds out who the users are. */
    @Test
    void aNameThatIsNotKnownWaitsAsOneThatIs() {
        Access access = withAda();
        for (String name : new String[] {"ada", "eve"}) {
            for (int i = 0; i < 5; i++) {
                assertTrue(access.login(name, i == 0 ? "" : "wrong", "192.0.2.1")
                        .retryAfter()
                        .isEmpty());
            }
            assertEquals(
                    "2", access.login(name, "wrong", "192.0.2.1").retryAfter().orElse(""));
        }
    }

    @Test
    void theAddressesOfANetworkOfIpv6AreOne() {
        Access access = withAda();
        for (int i = 0; i < 5; i++) {
            assertTrue(access.login("ada", "wrong", "2001:db8:1:2:0:0:0:" + i)
                    .retryAfter()
                    .isEmpty());
        }
        assertTrue(access.login("ada", "wrong", "2001:db8:1:2:a:b:c:d%eth0")
                .retryAfter()
                .isPresent());
        assertTrue(access.login("ada", "wrong", "2001:db8:1:3:0:0:0:1")
                .retryAfter()
                .isEmpty());
    }

    @Test
    @Tag("long")
    void whoTriesPasswordsWaitsAndOthersDoNot() {
        Access access = withAda();
        for (int i = 0; i < 5; i++) {
            assertTrue(access.login("ada", "wrong", "192.0.2.1").retryAfter().isEmpty());
            assertTrue(
                    access.login("name " + i, "wrong", "192.0.2.1").retryAfter().isEmpty());
        }
        Logins.Login slowed = access.login("ada", "right", "192.0.2.1");
        assertEquals("2", slowed.retryAfter().orElse(""));
        assertEquals(null, slowed.user(), "even the right one");
        assertTrue(access.login("another", "x", "192.0.2.1").retryAfter().isEmpty());
        assertEquals("ada", access.login("ada", "right", "192.0.2.2").user().name());
        clock.move(Duration.ofSeconds(2));
        assertEquals("ada", access.login("ada", "right", "192.0.2.1").user().name());
    }
}
