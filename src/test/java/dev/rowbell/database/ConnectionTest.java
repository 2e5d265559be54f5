package dev.rowbell.database;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rowbell.error.Errors;
import dev.rowbell.testing.AlertFiles;
import dev.rowbell.testing.OwnPostgres;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Connections over TLS, and names that need quotes. */
@Tag("long")
class ConnectionTest {

    private static final String PASSWORD = "s3cret-of-keys";
    private static final List<String> WRITES = List.of(
            "create table \"Order s\" (\"Id\" int primary key, c int)",
            "insert into rowbell.rule (name, feed, condition) values ('d', 'public.\"Order s\"', 'NEW.c > 5')",
            "insert into rowbell.rule (name, feed, condition, delivery)"
                    + " values ('n', 'public.\"Order s\"', 'NEW.c > 5', 'notify')",
            "insert into \"Order s\" values (1, 10)");

    @TempDir
    Path dir;

    /** The last is longer than the names of roles that are made of it may be. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                " of Ann's \"shop\"",
                "'; drop table x; --",
                "\\ 100% $1 {} é.ü?&=#/+",
                "'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\"'\""
            })
    void databaseAndRoleMayHaveNamesThatNeedQuotes(String hostile) throws SQLException {
        TestDatabase server = TestDatabase.create();
        String name = server.name() + hostile;
        String role = server.name() + " by" + hostile;
        server.execute(
                "create role %s login createrole password '%s'".formatted(quoted(role), PASSWORD),
                "create database %s".formatted(quoted(name)),
                "grant create on database %s to %s".formatted(quoted(name), quoted(role)));
        String url = server.url()
                .replaceFirst(
                        "[^/]*$",
                        URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20"));
        Map<String, String> settings = server.settings();
        try (Connection connection = DriverManager.getConnection(
                        url, settings.get("rowbell.jdbc.user"), settings.get("rowbell.jdbc.password"));
                Statement statement = connection.createStatement()) {
            statement.execute("grant create on schema public to " + quoted(role));
        }
        settings.put("rowbell.jdbc.url", url);
        settings.put("rowbell.jdbc.user", role);
        settings.put("rowbell.jdbc.password", PASSWORD);
        settings.put("rowbell.file.dir", dir.toString());
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            await().until(() -> server.count("pg_stat_activity where query ilike 'listen%channel_1%' and datname = '"
                            + name.replace("'", "''") + "'")
                    > 0);
            try (Connection connection = DriverManager.getConnection(url, role, PASSWORD);
                    Statement statement = connection.createStatement()) {
                for (String write : WRITES) {
                    statement.execute(write);
                }
            }
            await().until(() -> AlertFiles.values(dir, "rule").size() == 2);
            assertEquals(List.of(name, name), AlertFiles.values(dir, "source"));
            assertTrue(rowbell.context().isStarted());
        }
    }

    @Test
    void tlsIsVerifiedAndACertificateIsALogin() throws Exception {
        Path serverKeys = keys("server", "localhost");
        Path userKeys = keys("user", "rowbell");
        Path certificate = certificate("server", serverKeys);
        try (OwnPostgres server = tlsServer(serverKeys, certificate, certificate("user", userKeys))) {
            Map<String, String> settings = settings(server);
            String plain = settings.get("rowbell.jdbc.url");
            String verified = plain + "?sslmode=verify-full&sslrootcert=" + certificate;
            String right = verified + "&sslkey=%s&sslpassword=%s".formatted(userKeys, PASSWORD);
            settings.put("rowbell.jdbc.url", right);
            try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
                await().until(() -> server.query("select 1 from pg_stat_activity"
                                + " where query ilike 'listen%channel_1%' and usename = 'rowbell'")
                        .equals(List.of("1")));
                assertEquals(
                        List.of("t"),
                        server.query("select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)"
                                + " where usename = 'rowbell'"));
                server.execute(WRITES.get(0), "grant trigger on \"Order s\" to rowbell");
                WRITES.subList(1, WRITES.size()).forEach(server::execute);
                await().until(() ->
                        AlertFiles.values(dir.resolve("alerts"), "rule").size() == 2);
                assertTrue(rowbell.context().isStarted());
            }
            Path otherKeys = keys("other", "rowbell");
            Path missing = dir.resolve("missing.p12");
            refusesAtOnce(settings, right.replace("//localhost", "//127.0.0.1"), "127.0.0.1 could not be verified");
            refusesAtOnce(
                    settings,
                    right.replace(
                            certificate.toString(),
                            certificate("other", otherKeys).toString()),
                    "unable to find valid certification path");
            refusesAtOnce(settings, right.replace(certificate.toString(), missing.toString()), missing.toString());
            refusesAtOnce(settings, right.replace(userKeys.toString(), missing.toString()), missing.toString());
            refusesAtOnce(
                    settings,
                    "%s&sslcert=%s&sslkey=%s"
                            .formatted(
                                    verified,
                                    dir.resolve("user.crt"),
                                    Files.writeString(dir.resolve("broken.key"), "no key: -")),
                    "private key file");
            refusesAtOnce(settings, right.replace(PASSWORD, "wrong"), "failed to decrypt");
            refusesAtOnce(settings, right.replace("verify-full", "full"), "sslmode");
            refusesAtOnce(settings, right.replace(userKeys.toString(), otherKeys.toString()), "certificate");
            refusesAtOnce(settings, verified, "certificate");
            refusesAtOnce(settings, plain + "?sslmode=disable", "pg_hba.conf");
        }
    }

    @Test
    void aServerWithoutTlsIsRefusedAtOnceWhereTlsIsDemanded() {
        try (OwnPostgres server = new OwnPostgres(dir.resolve("data"))) {
            Map<String, String> settings = settings(server);
            refusesAtOnce(settings, settings.get("rowbell.jdbc.url") + "?sslmode=require", "does not support SSL");
        }
    }

    private OwnPostgres tlsServer(Path keys, Path certificate, Path authority) throws Exception {
        Path data = dir.resolve("data");
        Path key = dir.resolve("server.key");
        KeyStore store = KeyStore.getInstance(keys.toFile(), PASSWORD.toCharArray());
        Files.writeString(
                key,
                pem(
                        "PRIVATE KEY",
                        store.getKey("server", PASSWORD.toCharArray()).getEncoded()));
        Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
        OwnPostgres server = new OwnPostgres(
                data, "ssl=on", "ssl_cert_file=" + certificate, "ssl_key_file=" + key, "ssl_ca_file=" + authority);
        server.execute(
                "create role rowbell login createrole",
                "grant create on database postgres to rowbell",
                "grant create on schema public to rowbell");
        Path hba = data.resolve("pg_hba.conf");
        Files.writeString(hba, "hostssl all rowbell all cert\nhost all rowbell all reject\n" + Files.readString(hba));
        server.execute("select pg_reload_conf()");
        return server;
    }

    private Map<String, String> settings(OwnPostgres server) {
        Map<String, String> settings = server.settings();
        settings.put("rowbell.jdbc.user", "rowbell");
        settings.put("rowbell.jdbc.password", "");
        settings.put("rowbell.file.dir", dir.resolve("alerts").toString());
        return settings;
    }

    /** Not after rowbell.jdbc.wait, as where the server is away. */
    private static void refusesAtOnce(Map<String, String> settings, String url, String why) {
        Map<String, String> wrong = new HashMap<>(settings);
        wrong.put("rowbell.jdbc.url", url);
        wrong.put("rowbell.jdbc.wait", "1h");
        Exception refused = assertTimeoutPreemptively(
                Duration.ofMinutes(2),
                () -> assertThrows(
                        Exception.class, () -> RunningRowbell.start(wrong).close()));
        String said = Errors.forUser(refused);
        assertTrue(said.startsWith("rowbell.jdbc.") && said.contains(why), said);
        assertFalse(said.contains(PASSWORD), said);
    }

    private static String quoted(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    private Path keys(String alias, String commonName) throws IOException, InterruptedException {
        Path file = dir.resolve(alias + ".p12");
        Process keytool = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "keytool")
                                .toString(),
                        "-genkeypair",
                        "-alias",
                        alias,
                        "-keyalg",
                        "RSA",
                        "-dname",
                        "CN=" + commonName,
                        "-ext",
                        "san=dns:" + commonName,
                        "-storetype",
                        "PKCS12",
                        "-keystore",
                        file.toString(),
                        "-storepass",
                        PASSWORD)
                .inheritIO()
                .start();
        assertEquals(0, keytool.waitFor());
        return file;
    }

    private Path certificate(String alias, Path keys) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(keys.toFile(), PASSWORD.toCharArray());
        return Files.writeString(
                dir.resolve(alias + ".crt"),
                pem("CERTIFICATE", store.getCertificate(alias).getEncoded()));
    }

    private static String pem(String name, byte[] content) {
        return "-----BEGIN %1$s-----\n%2$s\n-----END %1$s-----\n"
                .formatted(name, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(content));
    }
}
