CREATE OR REPLACE FUNCTION rowbell.on_row_1()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
#variable_conflict use_column
-- columns: 23/-1 23/-1 25/-1; a session that has known them by other types is to make its plans anew
declare
  codes pg_catalog.int4[];
  olds pg_catalog.json[];
  news pg_catalog.json[];
  partitions pg_catalog.text[];
  failures pg_catalog.jsonb;
  raised pg_catalog.int4;
begin
  begin
    if ((new.amount operator(pg_catalog.>) (10))
      or (new.state operator(pg_catalog.=) 'paid')) is not true then
      return null;
    end if;
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      codes := pg_catalog.array_remove(array[case when (new.amount operator(pg_catalog.>) (10)) and (old.amount operator(pg_catalog.>) (10)) is not true then 1 end], null);
      olds := array[pg_catalog.row_to_json(old.*)];
      news := array[pg_catalog.row_to_json(new.*)];
      olds := pg_catalog.array_fill(olds[1], array[pg_catalog.cardinality(codes)]);
      news := pg_catalog.array_fill(news[1], array[pg_catalog.cardinality(codes)]);
      if (new.state operator(pg_catalog.=) 'paid') and (old.state operator(pg_catalog.=) 'paid') is not true then
        codes := pg_catalog.array_append(codes, 1000000002);
        olds := pg_catalog.array_append(olds, pg_catalog.json_build_object('count', 1, 'sum', NEW.amount::pg_catalog.numeric, 'keys', array[pg_catalog.concat('{"id":', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, 'null'), '}')]));
        news := pg_catalog.array_append(news, '{}'::pg_catalog.text::pg_catalog.json);
      end if;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      codes := pg_catalog.array_remove(array[case when (new.amount operator(pg_catalog.>) (10)) then 1 end], null);
      news := array[pg_catalog.row_to_json(new.*)];
      olds := pg_catalog.array_fill(olds[1], array[pg_catalog.cardinality(codes)]);
      news := pg_catalog.array_fill(news[1], array[pg_catalog.cardinality(codes)]);
      if (new.state operator(pg_catalog.=) 'paid') then
        codes := pg_catalog.array_append(codes, 1000000002);
        olds := pg_catalog.array_append(olds, pg_catalog.json_build_object('count', 1, 'sum', NEW.amount::pg_catalog.numeric, 'keys', array[pg_catalog.concat('{"id":', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, 'null'), '}')]));
        news := pg_catalog.array_append(news, '{}'::pg_catalog.text::pg_catalog.json);
      end if;
    else
      return null;
    end if;
    if pg_catalog.has_function_privilege('rowbell_alert.raise_1'::pg_catalog.regproc, 'execute') is not true then
      raise exception 'no right to raise alerts';
    end if;
  exception when others or assert_failure then
    begin
      -- OLD of an insert and NEW of a delete have one type before they are set and another after, and a plan is for one type
      if tg_op operator(pg_catalog.=) 'INSERT' then
        execute rowbell_alert.again_1(tg_op, tg_relid) into codes, olds, news, partitions, failures using null, new;
      elsif tg_op operator(pg_catalog.=) 'DELETE' then
        execute rowbell_alert.again_1(tg_op, tg_relid) into codes, olds, news, partitions, failures using old, null;
      else
        execute rowbell_alert.again_1(tg_op, tg_relid) into codes, olds, news, partitions, failures using old, new;
      end if;
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
  raised := rowbell_alert.raise_1(tg_op, tg_relid, codes, olds, news, partitions, failures);
  return null;
end
$function$

CREATE OR REPLACE FUNCTION rowbell.on_statement_1()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
begin
  return null;
end
$function$

CREATE OR REPLACE FUNCTION rowbell_alert.raise_1(operation text, relation oid, codes integer[], olds json[], news json[], partitions text[], failures jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
AS $function$
begin
  if codes[1] operator(pg_catalog.=) any (array[1000000002]::pg_catalog.int4[]) and codes[2] is null and failures is null and relation operator(pg_catalog.=) RELATION
      and operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}') and news[1] is not null and olds[1] is not null then
    insert into rowbell.window_event (feed, rule, key, at, added)
    values (1, codes[1] operator(pg_catalog.-) 1000000000, news[1]::pg_catalog.text, pg_catalog.clock_timestamp(), olds[1]);
    return 0;
  elsif codes operator(pg_catalog.&&) array[1000000002]::pg_catalog.int4[] then
    perform rowbell.append_window_events(1, RELATION, operation, relation, codes, olds, news, array[1000000002]::pg_catalog.int4[]);
    if codes operator(pg_catalog.<@) array[1000000002]::pg_catalog.int4[] and failures is null then
      return 0;
    end if;
  end if;
  if codes[1] operator(pg_catalog.=) any (array[1]::pg_catalog.int4[]) and codes[2] is null and partitions is null and failures is null
      and relation operator(pg_catalog.=) RELATION and operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')
      and coalesce(pg_catalog.pg_column_size(olds), 0) operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(news), 0) operator(pg_catalog.<) 5000
      and pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert') then
    insert into rowbell.feedback (alert) values (pg_catalog.format(
      (array['{"id":"%s","rule":"a","reason":"a","severity":"warning","status":"firing","table":"public.orders","operation":"%s","time":"%s"%s%s,"channel":"channel_1","key":["id"]}']::pg_catalog.text[])[pg_catalog.array_position(array[1]::pg_catalog.int4[], codes[1])],
      rowbell.new_id(), operation, pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      ',"old":' operator(pg_catalog.||) olds[1]::pg_catalog.text, ',"new":' operator(pg_catalog.||) news[1]::pg_catalog.text)::pg_catalog.json);
    return 1;
  end if;
  -- no perform, which is a query
  return rowbell.raise_alerts(1, RELATION, 'public.orders', operation, relation, codes, olds, news, partitions, failures,
    array[1]::pg_catalog.int4[], array['"rule":"a","reason":"a","severity":"warning","status":"firing","table":"public.orders"']::pg_catalog.text[],
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
  return rowbell.one_by_one_sql(1, operation, relation, E'[{"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.amount operator(pg_catalog.>) (10)) then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "a", "judged": "null::json as old, row_to_json(new.*) as new", "operation": "INSERT"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.amount operator(pg_catalog.>) (10)) and (old.amount operator(pg_catalog.>) (10)) is not true then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "a", "judged": "row_to_json(old.*) as old, row_to_json(new.*) as new", "operation": "UPDATE"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.state operator(pg_catalog.=) ''paid'') then 1000000002 end) as judged (code)\\nwhere judged.code is not null", "rule": "turnover", "judged": "pg_catalog.json_build_object(''count'', 1, ''sum'', NEW.amount::pg_catalog.numeric, ''keys'', array[pg_catalog.concat(''{\\"id\\":'', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, ''null''), ''}'')]) as old, ''{}''::pg_catalog.text::pg_catalog.json as new", "operation": "INSERT"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.state operator(pg_catalog.=) ''paid'') and (old.state operator(pg_catalog.=) ''paid'') is not true then 1000000002 end) as judged (code)\\nwhere judged.code is not null", "rule": "turnover", "judged": "pg_catalog.json_build_object(''count'', 1, ''sum'', NEW.amount::pg_catalog.numeric, ''keys'', array[pg_catalog.concat(''{\\"id\\":'', coalesce(pg_catalog.to_json(new.id)::pg_catalog.text, ''null''), ''}'')]) as old, ''{}''::pg_catalog.text::pg_catalog.json as new", "operation": "UPDATE"}]', '{id,amount,state}');
end
$function$
