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
    perform from new_rows as new where (new.state operator(pg_catalog.=) 'stuck') limit 1;
    if not found then
      return null;
    end if;
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      perform from new_rows offset 1 limit 1;
      if not found then
        select array[1000000001] as codes, array[pg_catalog.json_build_object('count', 1, 'keys', array[pg_catalog.concat('{"id":', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, 'null'), '}')])] as olds, array[pg_catalog.concat('{"amount":', coalesce(pg_catalog.to_json(NEW.amount)::pg_catalog.text, 'null'), '}')::pg_catalog.json] as news,
          null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from new_rows as new cross join old_rows as old where case when (new.state operator(pg_catalog.=) 'stuck') and (old.state operator(pg_catalog.=) 'stuck') is not true then true end;
      else
        select pg_catalog.array_agg(counted.code) as codes, pg_catalog.array_agg(counted.added) as olds, pg_catalog.array_agg(counted.subject::pg_catalog.json) as news,
        null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from (
        select 1000000001 as code, pg_catalog.concat('{"amount":', coalesce(pg_catalog.to_json(counted.g1)::pg_catalog.text, 'null'), '}') as subject, pg_catalog.json_build_object('count', pg_catalog.count(*),
          'keys', array(select pg_catalog.concat('{"id":', pg_catalog.to_json(k), '}') from pg_catalog.unnest((pg_catalog.array_agg(counted.key))[1:10]) as k)) as added
        from (
          select NEW.amount as g1, new.id as key
          from (
          select _new.r as new_row, _old.r as old_row
          from (select pg_catalog.row_number() over () as n, (_n.*)::pg_catalog.record as r from (select * from new_rows) as _n) as _new
          join (select pg_catalog.row_number() over () as n, (_o.*)::pg_catalog.record as r from (select * from old_rows) as _o) as _old
            on _old.n operator(pg_catalog.=) _new.n
          order by _new.n) as _pair
        cross join lateral (select (_pair.new_row).*) as new
        cross join lateral (select (_pair.old_row).*) as old
          where (new.state operator(pg_catalog.=) 'stuck') and (old.state operator(pg_catalog.=) 'stuck') is not true
          offset 0) as counted
        group by counted.g1) as counted;
      end if;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      perform from new_rows offset 1 limit 1;
      if not found then
        select array[1000000001] as codes, array[pg_catalog.json_build_object('count', 1, 'keys', array[pg_catalog.concat('{"id":', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, 'null'), '}')])] as olds, array[pg_catalog.concat('{"amount":', coalesce(pg_catalog.to_json(NEW.amount)::pg_catalog.text, 'null'), '}')::pg_catalog.json] as news,
          null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from new_rows as new where case when (new.state operator(pg_catalog.=) 'stuck') then true end;
      else
        select pg_catalog.array_agg(counted.code) as codes, pg_catalog.array_agg(counted.added) as olds, pg_catalog.array_agg(counted.subject::pg_catalog.json) as news,
        null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
        into hits from (
        select 1000000001 as code, pg_catalog.concat('{"amount":', coalesce(pg_catalog.to_json(counted.g1)::pg_catalog.text, 'null'), '}') as subject, pg_catalog.json_build_object('count', pg_catalog.count(*),
          'keys', array(select pg_catalog.concat('{"id":', pg_catalog.to_json(k), '}') from pg_catalog.unnest((pg_catalog.array_agg(counted.key))[1:10]) as k)) as added
        from (
          select NEW.amount as g1, new.id as key
          from new_rows as new
          where (new.state operator(pg_catalog.=) 'stuck')
          offset 0) as counted
        group by counted.g1) as counted;
      end if;
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
  if codes[1] operator(pg_catalog.=) any (array[1000000001]::pg_catalog.int4[]) and codes[2] is null and failures is null and relation operator(pg_catalog.=) RELATION
      and operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}') and news[1] is not null and olds[1] is not null then
    insert into rowbell.window_event (feed, rule, key, at, added)
    values (1, codes[1] operator(pg_catalog.-) 1000000000, news[1]::pg_catalog.text, pg_catalog.clock_timestamp(), olds[1]);
    return 0;
  elsif codes operator(pg_catalog.&&) array[1000000001]::pg_catalog.int4[] then
    perform rowbell.append_window_events(1, RELATION, operation, relation, codes, olds, news, array[1000000001]::pg_catalog.int4[]);
    if codes operator(pg_catalog.<@) array[1000000001]::pg_catalog.int4[] and failures is null then
      return 0;
    end if;
  end if;
  -- no perform, which is a query
  return rowbell.raise_alerts(1, RELATION, 'public.orders', operation, relation, codes, olds, news, partitions, failures,
    array[]::pg_catalog.int4[], array[]::pg_catalog.text[],
    array[]::pg_catalog.text[], null, array['id']::pg_catalog.text[]);
end
$function$

CREATE OR REPLACE FUNCTION rowbell_alert.again_1(operation text, relation oid)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return rowbell.one_by_one_sql(1, operation, relation, E'[{"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.state operator(pg_catalog.=) ''stuck'') then 1000000001 end) as judged (code)\\nwhere judged.code is not null", "rule": "piling-up", "judged": "pg_catalog.json_build_object(''count'', 1, ''keys'', array[pg_catalog.concat(''{\\"id\\":'', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, ''null''), ''}'')]) as old, pg_catalog.concat(''{\\"amount\\":'', coalesce(pg_catalog.to_json(NEW.amount)::pg_catalog.text, ''null''), ''}'')::pg_catalog.json as new", "operation": "INSERT"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.state operator(pg_catalog.=) ''stuck'') and (old.state operator(pg_catalog.=) ''stuck'') is not true then 1000000001 end) as judged (code)\\nwhere judged.code is not null", "rule": "piling-up", "judged": "pg_catalog.json_build_object(''count'', 1, ''keys'', array[pg_catalog.concat(''{\\"id\\":'', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, ''null''), ''}'')]) as old, pg_catalog.concat(''{\\"amount\\":'', coalesce(pg_catalog.to_json(NEW.amount)::pg_catalog.text, ''null''), ''}'')::pg_catalog.json as new", "operation": "UPDATE"}]', '{id,amount,state}');
end
$function$
