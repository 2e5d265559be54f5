-- Rows that MERGE moves to another partition. PostgreSQL hands them to no trigger of an update: the row leaves one partition and comes to another, and the
-- transition tables of the update lack it (15 to 18). So row triggers note what leaves and what comes while a statement updates, and the statement trigger
-- adds a row that came right after one left as a change, and leaves both out where the statement deletes and inserts too. An update that is no MERGE has
-- moved rows in its transition tables, and these notes are not needed.
--
-- The settings rowbell.moving, left, moved and outer_N are marks for the conditions of triggers, which run as the writer, and can be forged. What they say is
-- when to look; what moved is in rowbell.move, where none but these functions write.

-- Whether triggers note the moves of a feed. Before 15 there is no MERGE.
create or replace function rowbell.notes_moves(feed rowbell.feed) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select c.relkind = 'p' and not rowbell.has_row_triggers(feed.id) and current_setting('server_version_num')::int >= 150000
  from pg_class c
  where c.oid = feed.relation
$fn$;

-- A row of the feed as text that the feed's type reads, whatever the order of its columns in a partition.
create or replace function rowbell.row_text_sql(relation oid, row_name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('row(%s)::pg_catalog.text', string_agg(format('%s.%I', row_name, a.attname), ', ' order by a.attnum))
  from pg_attribute a
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$fn$;

-- The columns of the key that stay as they are where a row moves: those that no partition is chosen by.
create or replace function rowbell.lasting_key_of(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(array_agg(k order by n), '{}')
  from unnest(rowbell.key_of(relation)) with ordinality as u (k, n)
  where not exists (
    select from rowbell.tree_of(relation) t
    join pg_partitioned_table p on p.partrelid = t.relid
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs)
    where a.attname = k)
$fn$;

-- The statements that give a feed the triggers that note moves, those that are missing. Those on the feed are on its partitions too, and on those to come.
create or replace function rowbell.missing_move_triggers(feed rowbell.feed) returns table (relid oid, statement text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with tree as (
    select t.relid, t.kind, has_table_privilege(t.relid, 'trigger') as may, bool_and(has_table_privilege(t.relid, 'trigger')) over () as may_all
    from rowbell.tree_of(feed.relation) t
    where rowbell.notes_moves(feed)),
  wanted as (
    select t.relid, w.name, w.clauses, w.for_row
    from tree t
    cross join (values
      -- is never called before a transaction moves rows, and within MERGE alone: a WHEN takes 1 us at each statement, a call 5 us (PostgreSQL 15)
      ('before_insert', 'before insert on %2$s for each statement when (pg_catalog.current_setting(''rowbell.moved'', true) <> '''')', false),
      ('before_update', 'before update on %2$s for each statement', false),
      ('before_delete', 'before delete on %2$s for each statement when (pg_catalog.current_setting(''rowbell.moving'', true) = ''%1$s'')', false),
      ('left', 'after delete on %2$s for each row when (pg_catalog.set_config(''rowbell.left'', pg_catalog.current_setting(''rowbell.moving'', true), true) = ''%1$s'')', true),
      ('came', 'after insert on %2$s for each row when (pg_catalog.current_setting(''rowbell.left'', true) = ''%1$s'')', true)) w (name, clauses, for_row)
    where case when not w.for_row then t.kind = 'p' and t.may when t.may_all then t.relid = feed.relation else t.kind = 'r' and t.may end)
  select w.relid, format('create trigger %I %s execute function rowbell.%s_%s()', format('rowbell_%s_%s', feed.id, w.name),
    format(w.clauses, feed.id, rowbell.sql_name(w.relid)), case when w.for_row then 'on_move' else 'before_move' end, feed.id)
  from wanted w
  where not exists (
    select from pg_trigger g
    where g.tgname = format('rowbell_%s_%s', feed.id, w.name)
      and g.tgrelid in (select p.relid from rowbell.tree_of(w.relid) p where w.for_row or p.relid = w.relid))
$fn$;

-- The trigger function before a statement. It has no settings of its own, each of which would take 0.5 us of each update.
create or replace function rowbell.before_move_sql(feed rowbell.feed) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.fill($body$
declare
  depth constant pg_catalog.text := pg_catalog.pg_trigger_depth()::pg_catalog.text;
  mark pg_catalog.text;
begin
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    -- a statement within another one gives it back
    mark := pg_catalog.set_config('rowbell.outer_' operator(pg_catalog.||) depth,
      '-' operator(pg_catalog.||) coalesce(pg_catalog.current_setting('rowbell.moving', true), ''), true);
    mark := pg_catalog.set_config('rowbell.moving', '{{feed}}', true);
  else
    perform rowbell.begin_move({{feed}}, tg_op);
  end if;
  return null;
end
$body$, jsonb_build_object('feed', feed.id))
$fn$;

-- The trigger function for a row that leaves a partition or comes to one. The statement is told by the depth of triggers. A row that cannot be written as text
-- is a failure later on, and none of the writer. Nothing is written where errors are caught: each of these subtransactions would have a number of its own.
create or replace function rowbell.on_move_sql(feed rowbell.feed) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.fill($body$
declare
  written pg_catalog.text;
  key pg_catalog.text;
begin
  begin
    if tg_op operator(pg_catalog.=) 'DELETE' then
      written := {{old}};{{old_key}}
    else
      written := {{new}};{{new_key}}
    end if;
  exception when others or assert_failure then
    written := null;
  end;
  insert into rowbell.move (feed, depth, came, key, written) values ({{feed}}, pg_catalog.pg_trigger_depth(), tg_op operator(pg_catalog.=) 'INSERT', key, written);
  if pg_catalog.current_setting('rowbell.moved', true) operator(pg_catalog.=) 'yes' then
    return null;
  end if;
  written := pg_catalog.set_config('rowbell.moved', 'yes', true);
  return null;
end
$body$, jsonb_build_object('feed', feed.id, 'old', rowbell.row_text_sql(feed.relation, 'old'), 'new', rowbell.row_text_sql(feed.relation, 'new'),
    'old_key', k.sql -> 'old', 'new_key', k.sql -> 'new'))
  from (
    select jsonb_object_agg(row_name, format(E'\n      key := row(%s)::pg_catalog.text;', columns)) as sql
    from (
      select row_name, string_agg(format('%s.%I', row_name, k), ', ' order by n) as columns
      from unnest(rowbell.lasting_key_of(feed.relation)) with ordinality as u (k, n)
      cross join unnest('{old,new}'::text[]) row_name
      group by row_name) c) k
$fn$;

-- A statement begins that inserts: what is left of an earlier one is none of its moves. Or a MERGE that deletes too.
create or replace function rowbell.begin_move(feed_id int, operation text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if operation = 'INSERT' then
    delete from rowbell.move m where m.xid = pg_current_xact_id() and m.feed = feed_id and m.depth = pg_trigger_depth() and m.settled;
  else
    insert into rowbell.move (feed, depth) values (feed_id, pg_trigger_depth());
    perform set_config('rowbell.moved', 'yes', true);
  end if;
end
$fn$;

-- The rows that the statement has moved, OLD and NEW as text; null for none. Of a MERGE, PostgreSQL calls the triggers of deletes first, then those of
-- updates, which settle the moves, then those of inserts. operation FIRST: the first row alone; FORGET: the update was no MERGE.
create or replace function rowbell.moves(feed_id int, operation text) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  here constant int := pg_trigger_depth();
  -- a row that came right after one was deleted need not be the same
  deletes constant boolean := exists (select from rowbell.move m where m.xid = pg_current_xact_id() and m.feed = feed_id and m.depth = here and m.came is null);
  moved text[];
begin
  if operation <> 'FORGET' then
    select array_agg(array[p.old, p.new] order by p.n) into moved
    from (
      select p.*
      from (
        select m.n, m.came, m.key, m.written as new, lag(m.written) over w as old, lag(m.came) over w as before, lag(m.key) over w as key_before
        from rowbell.move m
        where m.xid = pg_current_xact_id() and m.feed = feed_id and m.depth = here and m.settled = (operation = 'INSERT')
        window w as (order by m.n)) p
      where p.came and not p.before and (not deletes or p.key = p.key_before)
      limit case when operation = 'FIRST' then 1 end) p;
  end if;
  if operation in ('INSERT', 'UPDATE', 'FORGET') then
    delete from rowbell.move m where m.xid = pg_current_xact_id() and m.feed = feed_id and m.depth = here and (m.settled or operation = 'FORGET');
  end if;
  if operation = 'UPDATE' then
    update rowbell.move m set settled = true where m.xid = pg_current_xact_id() and m.feed = feed_id and m.depth = here;
  end if;
  return moved;
end
$fn$;

-- Removes what statements have left of transactions that have ended. To be called every few seconds.
create or replace function rowbell.forget_moves() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  delete from rowbell.move m where m.xid < pg_snapshot_xmin(pg_current_snapshot())
$fn$;
