CREATE OR REPLACE FUNCTION rowbell.on_statement_1()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
#variable_conflict use_column
declare
  hits pg_catalog.record;
  raised pg_catalog.int4;
begin
  begin
    perform from new_rows as new where (new.amount operator(pg_catalog.>) (10000)) limit 1;
    if not found then
      return null;
    end if;
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      perform from new_rows offset 1 limit 1;
      if not found then
        select array[case when (new.amount operator(pg_catalog.>) (10000)) and (old.amount operator(pg_catalog.>) (10000)) is not true then 1 end] as codes,
          array[pg_catalog.row_to_json(old.*)] as olds, array[pg_catalog.row_to_json(new.*)] as news,
          null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from new_rows as new cross join old_rows as old;
      else
        select pg_catalog.array_agg(fired.code) as codes,
          pg_catalog.array_agg(pg_catalog.row_to_json(old.*)) as olds, pg_catalog.array_agg(pg_catalog.row_to_json(new.*)) as news,
          null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from (
          select _new.r as new_row, _old.r as old_row
          from (select pg_catalog.row_number() over () as n, (_n.*)::pg_catalog.record as r from (select * from new_rows) as _n) as _new
          join (select pg_catalog.row_number() over () as n, (_o.*)::pg_catalog.record as r from (select * from old_rows) as _o) as _old
            on _old.n operator(pg_catalog.=) _new.n
          order by _new.n) as _pair
        cross join lateral (select (_pair.new_row).*) as new
        cross join lateral (select (_pair.old_row).*) as old
        cross join lateral pg_catalog.unnest(array[
          case when (new.amount operator(pg_catalog.>) (10000)) and (old.amount operator(pg_catalog.>) (10000)) is not true then 1 end]) as fired (code)
        where fired.code is not null;
      end if;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      select pg_catalog.array_agg(fired.code) as codes,
        null::pg_catalog.json[] as olds, pg_catalog.array_agg(pg_catalog.row_to_json(new.*)) as news,
        null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
      into hits from new_rows as new
      cross join lateral pg_catalog.unnest(array[
        case when (new.amount operator(pg_catalog.>) (10000)) then 1 end]) as fired (code)
      where fired.code is not null;
    else
      return null;
    end if;
    if pg_catalog.has_function_privilege('rowbell_alert.raise_1'::pg_catalog.regproc, 'execute') is not true then
      raise exception 'no right to raise alerts';
    end if;
  exception when others or assert_failure then
    begin
      execute rowbell_alert.again_1(tg_op, tg_relid) into hits;
    exception when others or assert_failure then
      begin
        raise warning 'rowbell: the rules of public.orders were not judged: %', sqlerrm;
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
      (array['{"id":"%s","rule":"order-too-large","reason":"order-too-large","severity":"warning","status":"firing","table":"public.orders","operation":"%s","time":"%s"%s%s,"channel":"channel_1","key":["id"]}']::pg_catalog.text[])[pg_catalog.array_position(array[1]::pg_catalog.int4[], codes[1])],
      rowbell.new_id(), operation, pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      ',"old":' operator(pg_catalog.||) olds[1]::pg_catalog.text, ',"new":' operator(pg_catalog.||) news[1]::pg_catalog.text)::pg_catalog.json);
    return 1;
  end if;
  -- no perform, which is a query
  return rowbell.raise_alerts(1, RELATION, 'public.orders', operation, relation, codes, olds, news, partitions, failures,
    array[1]::pg_catalog.int4[], array['"rule":"order-too-large","reason":"order-too-large","severity":"warning","status":"firing","table":"public.orders"']::pg_catalog.text[],
    array[',"channel":"channel_1","key":["id"]']::pg_catalog.text[], null, array['id']::pg_catalog.text[]);
end
$function$

CREATE OR REPLACE FUNCTION rowbell_alert.again_1(operation text, relation oid)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return rowbell.one_by_one_sql(1, operation, relation, E'[{"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.amount operator(pg_catalog.>) (10000)) then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "order-too-large", "judged": "null::json as old, row_to_json(new.*) as new", "operation": "INSERT"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.amount operator(pg_catalog.>) (10000)) and (old.amount operator(pg_catalog.>) (10000)) is not true then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "order-too-large", "judged": "row_to_json(old.*) as old, row_to_json(new.*) as new", "operation": "UPDATE"}]', '{id,amount,state}');
end
$function$
