package dev.rowbell.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.rowbell.Rowbell;
import dev.rowbell.database.Database;
import dev.rowbell.error.Errors;
import dev.rowbell.settings.Settings;
import dev.rowbell.testing.RunningRowbell;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.camel.impl.DefaultCamelContext;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Of whatever right a role lacks, the error names the grant, the object and the role, and the grant helps. */
class MissingRightTest {

    private static final Pattern GRANT = Pattern.compile("grant [a-z_, ]+ (?:on .+? )?to (\\w+)");

    private static final RulesFile FILE = new RulesReader("rules.yaml", List.of()).read("""
            rules:
              - name: r
                feed: shop.orders
                condition: shop.large(NEW.id)
            """);

    @TempDir
    Path dir;

    private TestDatabase database = TestDatabase.createWithSchema();
    private final Map<String, String> settings = database.settings();
    private final String role = database.name() + "_bob";

    @BeforeEach
    void aRoleAndAFeed() {
        database.execute(
                "create role " + role + " login password 'secret'",
                "create schema shop",
                "create table shop.orders (id int)",
                "create function shop.large(int) returns boolean language sql as 'select $1 > 5'",
                "revoke all on function shop.large(int) from public",
                "insert into rowbell.rule (name, feed, condition, origin) values ('r', 'shop.orders', 'shop.large(NEW.id)', 'rules.yaml')",
                "insert into rowbell.feedback (alert) values ('{}')");
        settings.put("rowbell.file.dir", "");
        settings.put("rowbell.console", "OFF");
    }

    /** Without any of the rights that the two roles of Rowbell share, and those that a test of a rule takes, one after the other. */
    @Test
    @Tag("long")
    void eachErrorNamesTheGrantThatHelps() {
        List<String> rights = new ArrayList<>(database.query("""
                select distinct format('%s on %s', lower(a.privilege_type), o.name)
                from (
                  select 'schema rowbell' as name, nspacl as acl from pg_namespace where nspname = 'rowbell'
                  union all
                  select c.oid::regclass::text, c.relacl from pg_class c where c.relnamespace = 'rowbell'::regnamespace
                  union all
                  select 'function ' || p.oid::regprocedure, p.proacl from pg_proc p where p.pronamespace = 'rowbell'::regnamespace) o
                cross join aclexplode(o.acl) a
                where a.grantee in ('rowbell_admin'::regrole, 'rowbell_consumer'::regrole)
                """));
        rights.addAll(List.of("usage on schema shop", "select on shop.orders", "execute on function shop.large(int)"));
        rights.forEach(right -> database.execute("grant " + right + " to " + role));
        List<String> unheard = new ArrayList<>();
        try (Database opened = open()) {
            Map<String, Runnable> works = works(new RuleRepository(opened.pool()));
            works.values().forEach(Runnable::run);
            for (String right : rights) {
                database.execute("revoke " + right + " from " + role);
                int errors = 0;
                for (Map.Entry<String, Runnable> work : works.entrySet()) {
                    errors += failsWithAGrant(right, work.getKey(), work.getValue()) ? 1 : 0;
                }
                if (errors == 0) {
                    unheard.add(right);
                }
                database.execute(
                        "revoke rowbell_admin, rowbell_consumer from " + role, "grant " + right + " to " + role);
            }
        }
        // the others are for queues, and for people
        assertTrue(
                List.of(
                                "usage on schema rowbell",
                                "select on rowbell.rule",
                                "select on rowbell.rule_state",
                                "usage on schema shop",
                                "select on shop.orders",
                                "execute on function shop.large(int)")
                        .stream()
                        .noneMatch(unheard::contains),
                unheard::toString);
    }

    private Map<String, Runnable> works(RuleRepository rules) {
        Map<String, Runnable> works = new LinkedHashMap<>();
        works.put("open", () -> open().close());
        works.put("list", rules::list);
        works.put("test", () -> rules.test("r", 10, row -> {}));
        works.put("check", () -> assertEquals(List.of(), rules.check("rules.yaml", FILE)));
        works.put(
                "apply",
                () -> assertEquals(List.of(), rules.apply("rules.yaml", FILE, "shop.orders", Duration.ofSeconds(30))));
        works.put("feeds to empty", () -> rules.feedsToEmpty("rules.yaml", FILE));
        works.put("follow", rules::followTables);
        works.put("feeds", rules::feeds);
        works.put("refresh", () -> rules.refresh(1, Duration.ofSeconds(30)));
        works.put("silent triggers", rules::silentTriggers);
        works.put("report failures", rules::reportFailures);
        works.put("count hits", () -> rules.addHits(Map.of("r", 1L)));
        works.put("count rules", () -> rules.enabled("rules.yaml"));
        works.put("broken rules", rules::broken);
        return works;
    }

    /** As a command does, which looks whether the schema is whole. */
    private Database open() {
        Properties own = new Properties();
        own.putAll(settings);
        own.put("rowbell.jdbc.user", role);
        own.put("rowbell.jdbc.password", "secret");
        DefaultCamelContext context = new DefaultCamelContext();
        context.getPropertiesComponent().addLocation("file:application.properties");
        context.getPropertiesComponent().setOverrideProperties(own);
        return Database.visit(new Settings(context));
    }

    private boolean failsWithAGrant(String right, String work, Runnable run) {
        boolean failed = false;
        for (int i = 0; ; i++) {
            try {
                run.run();
                return failed;
            } catch (RuntimeException e) {
                failed = true;
                String words = Errors.forUser(e);
                Matcher grant = GRANT.matcher(words);
                assertTrue(grant.find() && grant.group(1).equals(role), right + ", " + work + ": " + words);
                assertTrue(!words.contains("Exception"), words);
                if (i == 3) {
                    fail(right + ", " + work + ": the grant does not help: " + words);
                }
                database.execute("set search_path = shop, public; " + grant.group());
            }
        }
    }

    @Test
    @Tag("long")
    void aRightOnAFeedThatWasGrantedIsNoticedWithoutARestart() throws IOException {
        Path file = dir.resolve("rules.yaml");
        Files.writeString(file, """
                rules:
                  - name: later
                    feed: shop.later
                    condition: NEW.id > 5
                """);
        settings.put("rowbell.rules.file", file.toString());
        String owner = installedByARole();
        database.execute("create table shop.later (id int)", "grant usage on schema shop to " + owner);
        try (RunningRowbell rowbell = RunningRowbell.start(settings)) {
            String problem =
                    Rowbell.of(rowbell.context()).rules().problems().get(0).toString();
            assertTrue(problem.endsWith("(grant trigger on shop.later to " + owner + ")"), problem);
            database.execute("grant trigger on shop.later to " + owner);
            Awaitility.await()
                    .until(() ->
                            Rowbell.of(rowbell.context()).rules().problems().isEmpty());
        }
    }

    @Test
    @Tag("long")
    void aRightThatTheOwnerMayHandOnIsHandedOnByTheNextRefresh() {
        String owner = installedByARole();
        database.execute(
                "create table shop.limits (n int)",
                "create table shop.later (id int)",
                "grant usage on schema shop to " + owner + " with grant option",
                "grant trigger on shop.later to " + owner,
                "insert into rowbell.rule (name, feed, condition) values ('later', 'shop.later', 'NEW.id > (select max(n) from shop.limits)')");
        String event = database.query("select event from rowbell.refresh()").toString();
        assertTrue(event.contains("grant select on shop.limits to rowbell_" + database.name() + "_"), event);
        database.execute("grant select on shop.limits to " + owner + " with grant option");
        assertEquals(List.of("rule \"later\" works again"), database.query("select event from rowbell.refresh()"));
    }

    /** By a role with the rights of docs/schema.md. */
    private String installedByARole() {
        database = TestDatabase.create();
        String owner = database.name() + "_owner";
        database.execute(
                "create role " + owner + " login password 'secret' createrole",
                "grant create on database " + database.name() + " to " + owner,
                "create schema shop");
        settings.putAll(Map.of(
                "rowbell.jdbc.url", database.url(), "rowbell.jdbc.user", owner, "rowbell.jdbc.password", "secret"));
        Map<String, String> withoutRules = new HashMap<>(settings);
        withoutRules.put("rowbell.rules.file", "");
        RunningRowbell.start(withoutRules).close();
        return owner;
    }
}
