-- Tables by name and by number, and functions: what rules and triggers ask the catalog.

-- The tables that a rule may mean: written as in SQL, without the quotes that SQL would want, or without its schema where one table alone has the name.
create or replace function rowbell.feeds_named(feed text) returns setof oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  as_sql oid;
begin
  begin
    as_sql := to_regclass(feed);
  exception when others then
    as_sql := null;
  end;
  return query
  select as_sql where as_sql is not null
  union
  -- with quotes it is SQL
  select c.oid
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname || '.' || c.relname = feed and c.relkind not in ('i', 'I', 't') and (as_sql is null or strpos(feed, '"') = 0);
  if not found then
    return query
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relname = feed and c.relkind in ('r', 'p')
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'rowbell');
  end if;
end
$fn$;

-- The table that a rule means. Of several, the one that is watched: roles that may make tables must not draw a rule to theirs. Null for none, and where that
-- cannot be told.
create or replace function rowbell.find_feed(feed text) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when count(*) = 1 then min(t.relid::bigint) else min(w.relation::bigint) filter (where w.watched = 1) end::oid
  from rowbell.feeds_named(feed) t (relid)
  left join lateral (
    select f.relation::oid, count(*) over () as watched from rowbell.feed f
    where f.relation in (select o from rowbell.feeds_named(feed) o)) w on w.relation = t.relid
$fn$;

-- Schema and name as SQL writes them; null where the table is gone.
create or replace function rowbell.sql_name(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$fn$;

-- Schema and name as alerts show them.
create or replace function rowbell.shown_name(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select n.nspname || '.' || c.relname
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$fn$;

-- The columns of the primary key; none where there is no key. Columns that the index only includes tell no rows apart.
create or replace function rowbell.key_of(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[:i.indnkeyatts - 1])
  where i.indrelid = relation and i.indisprimary
$fn$;

-- The same with their types, and with the schema of the operators that compare them: those of an extension's type are not in pg_catalog.
create or replace function rowbell.key_columns(relation oid) returns table (name text, type text, n bigint, operators name)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select a.attname::text, format_type(a.atttypid, a.atttypmod), u.n, n.nspname
  from unnest(rowbell.key_of(relation)) with ordinality as u (k, n)
  join pg_attribute a on a.attrelid = relation and a.attname = u.k
  join pg_index i on i.indrelid = relation and i.indisprimary
  join pg_opclass c on c.oid = i.indclass[array_position(i.indkey::int2[], a.attnum)]
  join pg_amop m on m.amopfamily = c.opcfamily and m.amopstrategy = 3 and m.amoplefttype = c.opcintype and m.amoprighttype = c.opcintype
  join pg_operator o on o.oid = m.amopopr
  join pg_namespace n on n.oid = o.oprnamespace
$fn$;

-- Whether two rows have the same key, as SQL; false where there is no key.
create or replace function rowbell.same_key_sql(relation oid, one text, other text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(string_agg(format('%s.%I operator(%I.=) %s.%2$I', one, k.name, k.operators, other), ' and ' order by k.n), 'false')
  from rowbell.key_columns(relation) k
$fn$;

-- The columns of a row by their names, as SQL.
create or replace function rowbell.columns_sql(names text[], row_name text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select string_agg(format('%s.%I', row_name, u.name), ', ' order by u.n) from unnest(names) with ordinality as u (name, n)
$fn$;

-- The columns of a table in their order.
create or replace function rowbell.columns_of(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select array_agg(a.attname::text order by a.attnum) from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$fn$;

-- A table with all below it: partitions and children of any kind.
create or replace function rowbell.tree_of(relation oid) returns table (relid oid, kind "char")
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree (relid) as (
    select relation
    union
    select i.inhrelid
    from tree t
    join pg_inherits i on i.inhparent = t.relid)
  select t.relid, c.relkind
  from tree t
  join pg_class c on c.oid = t.relid
  where c.relpersistence <> 't'
$fn$;

-- The feed with its partitions or children, which are written to without the triggers of the feed. Foreign tables are not watched.
create or replace function rowbell.tables_of(relation oid) returns table (relid oid)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select t.relid from rowbell.tree_of(relation) t where t.kind in ('r', 'p')
$fn$;

-- A foreign table among the partitions or children of a table; null where there is none.
create or replace function rowbell.foreign_part_of(relation oid) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select min(t.relid) from rowbell.tree_of(relation) t where t.kind = 'f'
$fn$;

-- Whether row triggers judge the feed: where that was chosen, and where statement triggers cannot. Of a partition or child, they would not fire when it is
-- written through its parent; with a foreign table among the partitions or children, PostgreSQL refuses statements that have to hand rows to them. A table
-- that was made again as a partitioned one has statement triggers in any other case.
create or replace function rowbell.has_row_triggers(feed_id int) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (
    select from rowbell.feed f
    join pg_class c on c.oid = f.relation
    where f.id = feed_id
      and (c.relkind <> 'p' and exists (select from rowbell.row_feed r where r.feed = f.id) or rowbell.foreign_part_of(f.relation) is not null
        or exists (select from pg_inherits i where i.inhrelid = f.relation)))
$fn$;

-- Whether PostgreSQL has this function, with this body, these settings and this owner.
create or replace function rowbell.function_is(signature text, body text, settings text[], owner text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (
    select from pg_proc p
    where p.oid = to_regprocedure(signature) and p.prosecdef and p.prosrc = body and coalesce(p.proconfig, '{}') = settings
      and p.proowner = (select r.oid from pg_roles r where r.rolname = owner))
$fn$;

-- A template with each {{name}} replaced by its value. One pass: a value that looks like a placeholder stays as it is.
create or replace function rowbell.fill(template text, placeholders jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select string_agg(m[1] || coalesce(placeholders ->> m[2], ''), '' order by n)
  from regexp_matches(template, $re$((?:(?!\{\{).)*)(?:\{\{(\w+)\}\})?$re$, 'g') with ordinality as pieces (m, n)
$fn$;
