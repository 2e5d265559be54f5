CREATE OR REPLACE FUNCTION rowbell.on_statement_1()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  hits pg_catalog.record;
  raised pg_catalog.int4;
  outer_mark pg_catalog.text;
  moves pg_catalog.text[];
begin
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    outer_mark := pg_catalog.current_setting('rowbell.outer_' operator(pg_catalog.||) pg_catalog.pg_trigger_depth()::pg_catalog.text, true);
    if outer_mark operator(pg_catalog.<>) '' then
      outer_mark := pg_catalog.set_config('rowbell.moving', pg_catalog.substr(outer_mark, 2), true);
      outer_mark := pg_catalog.set_config('rowbell.outer_' operator(pg_catalog.||) pg_catalog.pg_trigger_depth()::pg_catalog.text, '', true);
    elsif pg_catalog.current_setting('rowbell.moving', true) operator(pg_catalog.=) '1' then
      -- the trigger before an update by a foreign key ran one trigger deeper, and so kept the outer mark in another place
      outer_mark := pg_catalog.set_config('rowbell.moving', '', true);
    end if;
  end if;
  if pg_catalog.current_setting('rowbell.moved', true) operator(pg_catalog.<>) '' then
    begin
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        moves := rowbell_alert.moves_1('FIRST');
        -- an update that is no MERGE hands the rows that it moves to this trigger
        perform from (
          select _new.r as new_row, _old.r as old_row
          from (select pg_catalog.row_number() over () as n, (_n.*)::pg_catalog.record as r from (select * from new_rows) as _n) as _new
          join (select pg_catalog.row_number() over () as n, (_o.*)::pg_catalog.record as r from (select * from old_rows) as _o) as _old
            on _old.n operator(pg_catalog.=) _new.n
          order by _new.n) as _pair
        cross join lateral (select (_pair.new_row).*) as new
        cross join lateral (select (_pair.old_row).*) as old
        where row(old.id, old.amount)::pg_catalog.text operator(pg_catalog.=) moves[1][1] and row(new.id, new.amount)::pg_catalog.text operator(pg_catalog.=) moves[1][2];
        moves := rowbell_alert.moves_1(case when found or moves is null then 'FORGET' else 'UPDATE' end);
      else
        moves := rowbell_alert.moves_1(tg_op);
      end if;
    exception when others or assert_failure then
      raise warning 'rowbell: the rules of public.parts were not judged: %', sqlerrm;
    end;
  end if;
  begin
    if moves is not null then
      raise exception 'MERGE has moved rows to other partitions';
    end if;
    perform from new_rows as new where (new.amount operator(pg_catalog.>) (10)) limit 1;
    if not found then
      return null;
    end if;
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      if (select pg_catalog.count(*) from new_rows) operator(pg_catalog.<>) (select pg_catalog.count(*) from old_rows) then
        raise exception 'OLD and NEW are no pairs';
      end if;
      perform from new_rows offset 1 limit 1;
      if not found then
        select array[case when (new.amount operator(pg_catalog.>) (10)) and (old.amount operator(pg_catalog.>) (10)) is not true then 1 end] as codes,
          array[pg_catalog.row_to_json(old.*)] as olds, array[pg_catalog.row_to_json(new.*)] as news,
          array[(select case when ((id IS NOT NULL) AND (id = 1)) then 'public.parts_1' when ((id IS NOT NULL) AND (id = ANY (ARRAY[2, 3]))) then 'public.parts_2' end from (select new.*) as _row)] as partitions, null::pg_catalog.jsonb as failures
        into hits from new_rows as new cross join old_rows as old;
      else
        select pg_catalog.array_agg(fired.code) as codes,
          pg_catalog.array_agg(pg_catalog.row_to_json(old.*)) as olds, pg_catalog.array_agg(pg_catalog.row_to_json(new.*)) as news,
          pg_catalog.array_agg((select case when ((id IS NOT NULL) AND (id = 1)) then 'public.parts_1' when ((id IS NOT NULL) AND (id = ANY (ARRAY[2, 3]))) then 'public.parts_2' end from (select new.*) as _row)) as partitions, null::pg_catalog.jsonb as failures
        into hits from (
          select _new.r as new_row, _old.r as old_row
          from (select pg_catalog.row_number() over () as n, (_n.*)::pg_catalog.record as r from (select * from new_rows) as _n) as _new
          join (select pg_catalog.row_number() over () as n, (_o.*)::pg_catalog.record as r from (select * from old_rows) as _o) as _old
            on _old.n operator(pg_catalog.=) _new.n
          order by _new.n) as _pair
        cross join lateral (select (_pair.new_row).*) as new
        cross join lateral (select (_pair.old_row).*) as old
        cross join lateral pg_catalog.unnest(array[
          case when (new.amount operator(pg_catalog.>) (10)) and (old.amount operator(pg_catalog.>) (10)) is not true then 1 end]) as fired (code)
        where fired.code is not null;
      end if;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      select pg_catalog.array_agg(fired.code) as codes,
        null::pg_catalog.json[] as olds, pg_catalog.array_agg(pg_catalog.row_to_json(new.*)) as news,
        pg_catalog.array_agg((select case when ((id IS NOT NULL) AND (id = 1)) then 'public.parts_1' when ((id IS NOT NULL) AND (id = ANY (ARRAY[2, 3]))) then 'public.parts_2' end from (select new.*) as _row)) as partitions, null::pg_catalog.jsonb as failures
      into hits from new_rows as new
      cross join lateral pg_catalog.unnest(array[
        case when (new.amount operator(pg_catalog.>) (10)) then 1 end]) as fired (code)
      where fired.code is not null;
    else
      return null;
    end if;
    if pg_catalog.has_function_privilege('rowbell_alert.raise_1'::pg_catalog.regproc, 'execute') is not true then
      raise exception 'no right to raise alerts';
    end if;
  exception when others or assert_failure then
    begin
      execute rowbell_alert.again_1(tg_op, tg_relid) into hits using moves;
    exception when others or assert_failure then
      begin
        raise warning 'rowbell: the rules of public.parts were not judged: %', sqlerrm;
        raised := rowbell_alert.raise_1(tg_op, tg_relid, null, null, null, null, rowbell_alert.failure(null, sqlerrm, sqlstate, null));
      exception when others or assert_failure then
        null;
      end;
      return null;
    end;
  end;
  raised := rowbell_alert.raise_1(tg_op, tg_relid, hits.codes, hits.olds, hits.news, hits.partitions, hits.failures);
  return null;
end
$function$

CREATE OR REPLACE FUNCTION rowbell_alert.raise_1(operation text, relation oid, codes integer[], olds json[], news json[], partitions text[], failures jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
begin
  if codes[1] operator(pg_catalog.=) any (array[1]::pg_catalog.int4[]) and codes[2] is null and partitions is null and failures is null
      and relation operator(pg_catalog.=) RELATION and operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')
      and coalesce(pg_catalog.pg_column_size(olds), 0) operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(news), 0) operator(pg_catalog.<) 5000
      and pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert') then
    insert into rowbell.feedback (alert) values (pg_catalog.format(
      (array['{"id":"%s","rule":"p","reason":"p","severity":"warning","status":"firing","table":"public.parts","operation":"%s","time":"%s"%s%s,"channel":"channel_1","key":[]}']::pg_catalog.text[])[pg_catalog.array_position(array[1]::pg_catalog.int4[], codes[1])],
      rowbell.new_id(), operation, pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      ',"old":' operator(pg_catalog.||) olds[1]::pg_catalog.text, ',"new":' operator(pg_catalog.||) news[1]::pg_catalog.text)::pg_catalog.json);
    return 1;
  end if;
  -- no perform, which is a query
  return rowbell.raise_alerts(1, RELATION, 'public.parts', operation, relation, codes, olds, news, partitions, failures,
    array[1]::pg_catalog.int4[], array['"rule":"p","reason":"p","severity":"warning","status":"firing","table":"public.parts"']::pg_catalog.text[],
    array[',"channel":"channel_1","key":[]']::pg_catalog.text[], null, array[]::pg_catalog.text[]);
end
$function$

CREATE OR REPLACE FUNCTION rowbell_alert.again_1(operation text, relation oid)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return rowbell.one_by_one_sql(1, operation, relation, E'[{"key": "select row_to_json(k.*) from (select ) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.amount operator(pg_catalog.>) (10)) then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "p", "judged": "null::json as old, row_to_json(new.*) as new", "operation": "INSERT"}, {"key": "select row_to_json(k.*) from (select ) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.amount operator(pg_catalog.>) (10)) and (old.amount operator(pg_catalog.>) (10)) is not true then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "p", "judged": "row_to_json(old.*) as old, row_to_json(new.*) as new", "operation": "UPDATE"}]', '{id,amount}');
end
$function$

CREATE OR REPLACE FUNCTION rowbell.before_move_1()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
declare
  depth constant pg_catalog.text := pg_catalog.pg_trigger_depth()::pg_catalog.text;
  mark pg_catalog.text;
begin
  -- an earlier statement may have left notes, which are of other rows
  if pg_catalog.current_setting('rowbell.moves_1_' operator(pg_catalog.||) depth, true) operator(pg_catalog.<>) '' then
    mark := pg_catalog.set_config('rowbell.moves_1_' operator(pg_catalog.||) depth, '', true);
  end if;
  if tg_op operator(pg_catalog.=) 'UPDATE' then
    -- a statement within another one gives it back
    mark := pg_catalog.set_config('rowbell.outer_' operator(pg_catalog.||) depth,
      '-' operator(pg_catalog.||) coalesce(pg_catalog.current_setting('rowbell.moving', true), ''), true);
    mark := pg_catalog.set_config('rowbell.moving', '1', true);
    if pg_catalog.current_setting('rowbell.deletes_1_' operator(pg_catalog.||) depth, true) operator(pg_catalog.<>) '' then
      mark := pg_catalog.set_config('rowbell.deletes_1_' operator(pg_catalog.||) depth, '', true);
    end if;
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    -- an earlier MERGE may have left the numbers of the rows that it settled
    mark := pg_catalog.set_config('rowbell.settled_1_' operator(pg_catalog.||) depth, '', true);
  else
    mark := pg_catalog.set_config('rowbell.deletes_1_' operator(pg_catalog.||) depth, 'yes', true);
  end if;
  return null;
end
$function$

CREATE OR REPLACE FUNCTION rowbell.on_move_1()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
declare
  depth constant pg_catalog.int4 := pg_catalog.pg_trigger_depth();
  place constant pg_catalog.text := 'rowbell.moves_1_' operator(pg_catalog.||) depth::pg_catalog.text;
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
      written := row(old.id, old.amount)::pg_catalog.text;
    else
      written := row(new.id, new.amount)::pg_catalog.text;
    end if;
  exception when others or assert_failure then
    written := null;
  end;
  if number is null then
    return null;
  end if;
  -- a number is there where the writer has set the mark back
  insert into rowbell.move as noted (n, feed, depth, came, key, written)
  values (number, 1, depth, tg_op operator(pg_catalog.=) 'INSERT', key, written)
  on conflict on constraint move_pkey do update
    set feed = excluded.feed, depth = excluded.depth, came = excluded.came, key = excluded.key, written = excluded.written;
  mark := pg_catalog.set_config('rowbell.moved', number::pg_catalog.text, true);
  if coalesce(pg_catalog.current_setting(place, true), '') operator(pg_catalog.=) '' then
    mark := pg_catalog.set_config(place, number::pg_catalog.text, true);
  end if;
  return null;
end
$function$

CREATE OR REPLACE FUNCTION rowbell_alert.moves_1(operation text)
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
begin
  return rowbell.moves(1, operation);
end
$function$
