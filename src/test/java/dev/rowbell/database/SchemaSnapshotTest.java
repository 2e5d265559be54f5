package dev.rowbell.database;

import dev.rowbell.testing.Golden;
import dev.rowbell.testing.TestDatabase;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** The schema as the files of {@code dev/rowbell/schema} make it, all in one file that is checked in. */
class SchemaSnapshotTest {

    private final TestDatabase database = TestDatabase.createWithSchema();

    @Test
    void theSchemaIsTheOneThatIsCheckedIn() throws IOException {
        StringBuilder snapshot =
                new StringBuilder("-- The migrated schema, by SchemaSnapshotTest. Not to be edited.\n");
        append(snapshot, "tables", """
                select format(E'%s %s (\\n%s\\n);', case c.relpersistence when 'u' then 'unlogged table' else 'table' end, c.oid::regclass,
                  (select string_agg(concat('  ', a.attname, ' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' end,
                      case when a.attidentity <> '' then ' identity' end, ' default ' || pg_get_expr(d.adbin, d.adrelid),
                      -- compressed with LZ4 where the server has it
                      case when a.attstorage <> t.typstorage or to_jsonb(a)->>'attcompression' = 'l' then ' storage e' end), E',\\n' order by a.attnum)
                    from pg_attribute a
                    join pg_type t on t.oid = a.atttypid
                    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
                from pg_class c
                where c.relnamespace::regnamespace::text in ('rowbell', 'rowbell_alert') and c.relkind in ('r', 'p')
                  and c.relname <> 'flyway_schema_history'
                order by c.relname
                """);
        append(snapshot, "views", """
                select format(E'view %s as\\n%s', c.oid::regclass, regexp_replace(pg_get_viewdef(c.oid), '\\mdelivery\\.', '', 'g'))
                from pg_class c
                where c.relnamespace::regnamespace::text in ('rowbell', 'rowbell_alert') and c.relkind = 'v'
                order by c.relname
                """);
        append(snapshot, "constraints, indexes, triggers", """
                select line from (
                  select format('%s: %s %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) as line
                  from pg_constraint k
                  where k.connamespace = 'rowbell'::regnamespace and k.contype <> 'n' and k.conrelid <> 'rowbell.flyway_schema_history'::regclass
                  union all
                  select pg_get_indexdef(i.indexrelid)
                  from pg_index i
                  join pg_class c on c.oid = i.indrelid and c.relnamespace = 'rowbell'::regnamespace and c.relname <> 'flyway_schema_history'
                  union all
                  select pg_get_triggerdef(g.oid)
                  from pg_trigger g
                  join pg_class c on c.oid = g.tgrelid and c.relnamespace = 'rowbell'::regnamespace
                  where not g.tgisinternal) lines
                order by line collate "C"
                """);
        append(snapshot, "rights", """
                select format('%s: %s to %s', object, string_agg(privilege, ', ' order by privilege), grantee) from (
                  select c.oid::regclass::text as object, lower(a.privilege_type) as privilege, a.grantee::regrole::text as grantee, c.relowner as owner, a.grantee as oid
                  from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'rowbell'::regnamespace
                  union all
                  select format('%s.%s', t.attrelid::regclass, t.attname), lower(a.privilege_type), a.grantee::regrole::text, 0, a.grantee
                  from pg_attribute t, aclexplode(t.attacl) a
                  where t.attrelid in (select c.oid from pg_class c where c.relnamespace = 'rowbell'::regnamespace)
                  union all
                  select n.nspname, lower(a.privilege_type), a.grantee::regrole::text, n.nspowner, a.grantee
                  from pg_namespace n, aclexplode(n.nspacl) a where n.nspname in ('rowbell', 'rowbell_alert')
                  union all
                  select p.oid::regprocedure::text, lower(a.privilege_type), a.grantee::regrole::text, p.proowner, a.grantee
                  from pg_proc p, aclexplode(p.proacl) a where p.pronamespace::regnamespace::text in ('rowbell', 'rowbell_alert')) granted
                where oid <> owner
                group by object, grantee
                order by object collate "C", grantee collate "C"
                """);
        append(snapshot, "comments", """
                select format('%s: %s', case when d.objsubid > 0 then format('%s.%s', d.objoid::regclass,
                    (select a.attname from pg_attribute a where a.attrelid = d.objoid and a.attnum = d.objsubid)) else d.objoid::regclass::text end,
                  d.description)
                from pg_description d
                join pg_class c on d.classoid = 'pg_class'::regclass and c.oid = d.objoid and c.relnamespace = 'rowbell'::regnamespace
                order by 1
                """);
        append(snapshot, "functions", """
                select pg_get_functiondef(p.oid)
                from pg_proc p
                where p.pronamespace::regnamespace::text in ('rowbell', 'rowbell_alert')
                order by p.oid::regprocedure::text collate "C"
                """);
        Golden.compare("database/schema.sql", ofAnyServer(snapshot.toString()));
    }

    private void append(StringBuilder snapshot, String title, String sql) {
        snapshot.append("\n-- ").append(title).append("\n\n");
        database.query(sql).forEach(part -> snapshot.append(part.strip()).append('\n'));
    }

    /** The role that checks conditions has the name of the database, and some settings have the value of the server. */
    private String ofAnyServer(String text) {
        return text.replaceAll("rowbell_test_\\d+_0", "rowbell_DATABASE_0")
                .replaceAll("( SET (lc_\\w+|default_text_search_config) TO ).*", "$1…");
    }
}
