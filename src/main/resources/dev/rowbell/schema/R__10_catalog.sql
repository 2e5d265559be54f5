-- Tables by name and by number: what the functions of rules and triggers look up in the catalog.

-- The table that a rule means: written as in SQL, without the quotes that SQL would want, or without its schema where that is clear.
create or replace function rowbell.find_feed(feed text) returns oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  relation oid;
begin
  begin
    relation := to_regclass(feed);
  exception when others then
    relation := null;
  end;
  if relation is null then
    select c.oid into relation
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = feed and c.relkind not in ('i', 'I', 't');
  end if;
  if relation is null then
    select min(c.oid::bigint)::oid into relation
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relname = feed and c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'rowbell')
    having count(*) = 1;
  end if;
  return relation;
end
$fn$;

-- Schema and name as SQL writes them; null where there is no such table any more.
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

-- The columns of the primary key; none where there is no key.
create or replace function rowbell.key_of(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
  where i.indrelid = relation and i.indisprimary
$fn$;

-- The feed with its partitions or children, which are written to without the triggers of the feed.
create or replace function rowbell.tables_of(relation oid) returns table (relid oid)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree (relid) as (
    select relation
    union
    select i.inhrelid
    from tree t
    join pg_inherits i on i.inhparent = t.relid)
  select t.relid
  from tree t
  join pg_class c on c.oid = t.relid
  where c.relkind in ('r', 'p') and c.relpersistence <> 't'
$fn$;

-- The table of a feed, by its number.
create or replace function rowbell.relation_of(feed_id int) returns regclass
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select f.relation from rowbell.feed f where f.id = feed_id
$fn$;

create or replace function rowbell.is_judged_by_row(feed_id int) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (
    select from rowbell.row_feed r
    join rowbell.feed f on f.id = r.feed
    join pg_class c on c.oid = f.relation
    -- one that was made again as a partitioned table is none any more
    where r.feed = feed_id and c.relkind <> 'p')
$fn$;

-- The part of an alert that names the partition or child which was written to. Null where that has partitions or children of its own: then
-- each row has another.
create or replace function rowbell.place(feed_id int, written oid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  place text;
begin
  select case
    when exists (select from pg_inherits i where i.inhparent = written) then null
    when f.relation <> written then (
      select ',"partition":' || to_json(n.nspname || '.' || c.relname)
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.oid = written)
    else ''
  end
  into place
  from rowbell.feed f
  where f.id = feed_id;
  return place;
end
$fn$;
