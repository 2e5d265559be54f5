package dev.rowbell.database;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The commands of docs/uninstall.md. */
class UninstallTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    /** Everything of the database that Rowbell might leave, but for its rows of statistics. */
    private List<String> objects() {
        return database.query("""
                select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_toast|^pg_temp'
                union all select 'relation ' || oid::regclass from pg_class where relnamespace not in ('pg_toast'::regnamespace)
                union all select 'function ' || oid::regprocedure from pg_proc where pronamespace <> 'pg_catalog'::regnamespace
                union all select 'trigger ' || tgname || ' on ' || tgrelid::regclass from pg_trigger
                union all select 'event trigger ' || evtname from pg_event_trigger
                union all select 'default ' || defaclacl::text from pg_default_acl
                union all select 'rights ' || relname || relacl::text from pg_class where relacl is not null and relnamespace = 'public'::regnamespace
                union all select 'role ' || rolname from pg_roles r
                  where starts_with(rolname, 'rowbell_' || current_database()) or exists (
                    select from pg_shdepend d
                    where d.refobjid = r.oid and d.dbid = (select oid from pg_database where datname = current_database()) and rolname ~ '^rowbell_')
                order by 1""");
    }

    @Test
    void nothingIsLeftInTheDatabaseAndItsTablesAreAsTheyWere() throws IOException {
        database.execute(
                "create table public.limits (most int)",
                "create table public.orders (id int primary key, amount int) partition by range (id)",
                "create table public.few partition of public.orders for values from (0) to (1000)",
                "create table public.stock (id int primary key, amount int)",
                "insert into public.orders values (1, 5)");
        List<String> with = objects();
        database.execute(
                "insert into rowbell.rule (name, feed, condition) values"
                        + " ('a', 'public.orders', 'NEW.amount > (select max(most) from public.limits)'), ('b', 'public.stock', 'NEW.amount < 10')",
                "select rowbell.for_each('public.stock', 'row')",
                "insert into public.limits values (1)",
                "insert into public.stock values (1, 1)");
        assertNotEquals(with, objects());

        Pattern block = Pattern.compile("```sql\n(.*?)```", Pattern.DOTALL);
        String remove = block.matcher(Files.readString(Path.of("docs/uninstall.md")))
                .results()
                .map(found -> found.group(1))
                .findFirst()
                .orElseThrow();
        database.execute(remove);

        assertEquals(
                List.of(),
                objects().stream().filter(name -> name.contains("rowbell")).toList());
        database.execute("insert into public.orders values (2, 7)", "update public.stock set amount = 0");
        assertEquals(List.of("1", "2"), database.query("select id from public.orders order by id"));
    }
}
