-- Rows that MERGE moves to another partition. PostgreSQL hands them to no trigger of an update: the row leaves one partition and comes to another, and the
-- transition tables of the update lack it (15 to 18). So row triggers note what leaves and what comes while a statement updates, and the statement trigger
-- adds a row that came right after one left as a change, and leaves both out where the statement deletes and inserts too. An update that is no MERGE has
-- moved rows in its transition tables, and these notes are not needed.
--
-- Rows are noted in rowbell.move, where none but these functions write, by a number that counts them within the transaction. They are read by an upsert: a query
-- would leave locks by which PostgreSQL takes two serializable transactions that move rows of any tables for ones that conflict, and fails a writer.
--
-- Settings are marks for the conditions of triggers, which run as the writer, and can be forged: rowbell.moving, the feed that is updated; rowbell.left, that a row
-- of it left; rowbell.moved, how many rows were noted. And for a feed and the depth of triggers, by which a statement is told from those within it:
-- rowbell.moves_N_N, the first row of the statement; rowbell.settled_N_N, the rows of the MERGE that inserts next; rowbell.deletes_N_N, that it deletes; and
-- rowbell.outer_N, what was updated around it.

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
  -- an earlier statement may have left notes, which are of other rows
  if pg_catalog.current_setting('rowbell.moves_{{feed}}_' operator(pg_catalog.||) depth, true) operator(pg_catalog.<>) '' then
    mark := pg_catalog.set_config('rowbell.moves_{{feed}}_' operator(pg_catalog.||) depth, '', true);
  end if;
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    -- a statement within another one gives it back
    mark := pg_catalog.set_config('rowbell.outer_' operator(pg_catalog.||) depth,
      '-' operator(pg_catalog.||) coalesce(pg_catalog.current_setting('rowbell.moving', true), ''), true);
    mark := pg_catalog.set_config('rowbell.moving', '{{feed}}', true);
    if pg_catalog.current_setting('rowbell.deletes_{{feed}}_' operator(pg_catalog.||) depth, true) operator(pg_catalog.<>) '' then
      mark := pg_catalog.set_config('rowbell.deletes_{{feed}}_' operator(pg_catalog.||) depth, '', true);
    end if;
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    -- an earlier MERGE may have left the numbers of the rows that it settled
    mark := pg_catalog.set_config('rowbell.settled_{{feed}}_' operator(pg_catalog.||) depth, '', true);
  else
    mark := pg_catalog.set_config('rowbell.deletes_{{feed}}_' operator(pg_catalog.||) depth, 'yes', true);
  end if;
  return null;
end
$body$, jsonb_build_object('feed', feed.id))
$fn$;

-- The trigger function for a row that leaves a partition or comes to one. A row that cannot be written as text is a failure later on, and none of the writer.
-- Nothing is written where errors are caught: each of these subtransactions would have a number of its own.
create or replace function rowbell.on_move_sql(feed rowbell.feed) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.fill($body$
declare
  depth constant pg_catalog.int4 := pg_catalog.pg_trigger_depth();
  place constant pg_catalog.text := 'rowbell.moves_{{feed}}_' operator(pg_catalog.||) depth::pg_catalog.text;
  number pg_catalog.int4;
  written pg_catalog.text;
  key pg_catalog.text;
  mark pg_catalog.text;
begin
  begin
    if pg_catalog.has_table_privilege('rowbell.move'::pg_catalog.regclass, 'insert') then
      number := coalesce(nullif(pg_catalog.current_setting('rowbell.moved', true), '')::pg_catalog.int4, 0) operator(pg_catalog.+) 1;
    end if;
    if tg_op operator(pg_catalog.=) 'DELETE' then
      written := {{old}};{{old_key}}
    else
      written := {{new}};{{new_key}}
    end if;
  exception when others or assert_failure then
    written := null;
  end;
  if number is null then
    return null;
  end if;
  -- a number is there where the writer has set the mark back
  insert into rowbell.move as noted (n, feed, depth, came, key, written)
  values (number, {{feed}}, depth, tg_op operator(pg_catalog.=) 'INSERT', key, written)
  on conflict on constraint move_pkey do update
    set feed = excluded.feed, depth = excluded.depth, came = excluded.came, key = excluded.key, written = excluded.written;
  mark := pg_catalog.set_config('rowbell.moved', number::pg_catalog.text, true);
  if coalesce(pg_catalog.current_setting(place, true), '') operator(pg_catalog.=) '' then
    mark := pg_catalog.set_config(place, number::pg_catalog.text, true);
  end if;
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

-- The rows with these numbers that moved, OLD and NEW as text; null for none. deletes: a row that came right after one was deleted need not be the same.
create or replace function rowbell.moves_between(feed_id int, first int, last int, deletes boolean) returns text[]
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with noted as (
    insert into rowbell.move as m (n, feed)
    select n, 0 from generate_series(first, last) n
    on conflict on constraint move_pkey do update set feed = m.feed
    returning m.*)
  select array_agg(array[p.old, p.new] order by p.n)
  from (
    select m.n, m.came, m.key, m.written as new, lag(m.written) over w as old, lag(m.came) over w as before, lag(m.key) over w as key_before
    from noted m
    where m.feed = feed_id and m.depth = pg_trigger_depth()
    window w as (order by m.n)) p
  where p.came and not p.before and (not deletes or p.key = p.key_before)
$fn$;

-- The rows that the statement has moved. Of a MERGE, PostgreSQL calls the triggers of deletes first, then those of updates, which settle the moves, then those
-- of inserts. operation FIRST: one row at least, not all; FORGET: the update was no MERGE.
create or replace function rowbell.moves(feed_id int, operation text) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  place constant text := format('%s_%s', feed_id, pg_trigger_depth());
  settled constant text := case when operation = 'INSERT' then nullif(current_setting('rowbell.settled_' || place, true), '') end;
  first constant int := case when operation = 'INSERT' then split_part(settled, '-', 1) else nullif(current_setting('rowbell.moves_' || place, true), '') end;
  last constant int := case when operation = 'INSERT' then split_part(settled, '-', 2) else nullif(current_setting('rowbell.moved', true), '') end;
  deletes constant boolean := coalesce(current_setting('rowbell.deletes_' || place, true), '') <> '';
  moved text[];
begin
  if first is null or last is null then
    return null;
  end if;
  if operation = 'FIRST' then
    moved := rowbell.moves_between(feed_id, first, least(last, first + 20), deletes);
  end if;
  if moved is null and operation <> 'FORGET' then
    moved := rowbell.moves_between(feed_id, first, last, deletes);
  end if;
  if operation = 'INSERT' then
    perform set_config('rowbell.settled_' || place, '', true);
  elsif operation in ('UPDATE', 'FORGET') then
    perform set_config('rowbell.moves_' || place, '', true);
    perform set_config('rowbell.settled_' || place, case when operation = 'UPDATE' then format('%s-%s', first, last) else '' end, true);
  end if;
  return moved;
end
$fn$;

-- Removes what was noted in transactions that have ended. To be called every few seconds.
create or replace function rowbell.forget_moves() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  delete from rowbell.move m where m.xid < pg_snapshot_xmin(pg_current_snapshot())
$fn$;
