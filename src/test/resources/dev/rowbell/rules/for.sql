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
    if tg_op operator(pg_catalog.=) 'UPDATE' then
      if not (exists (select from new_rows as new where (new.state operator(pg_catalog.=) 'placed'))
        or exists (select from old_rows as old where (old.state operator(pg_catalog.=) 'placed'))) then
        return null;
      end if;
      perform from new_rows offset 1 limit 1;
      if not found then
        select pg_catalog.array_remove(array[
        case when (new.state operator(pg_catalog.=) 'placed') and (old.state operator(pg_catalog.=) 'placed') is not true then 1 end,
        case when (old.state operator(pg_catalog.=) 'placed') and (new.state operator(pg_catalog.=) 'placed') is not true then 2 end,
        case when (new.state operator(pg_catalog.=) 'placed') and (old.state operator(pg_catalog.=) 'placed') and (new.id::pg_catalog.text operator(pg_catalog.<>) old.id::pg_catalog.text collate pg_catalog."C") then -1 end], null) as codes,
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
          case when (new.state operator(pg_catalog.=) 'placed') and (old.state operator(pg_catalog.=) 'placed') is not true then 1 end,
          case when (old.state operator(pg_catalog.=) 'placed') and (new.state operator(pg_catalog.=) 'placed') is not true then 2 end,
          case when (new.state operator(pg_catalog.=) 'placed') and (old.state operator(pg_catalog.=) 'placed') and (new.id::pg_catalog.text operator(pg_catalog.<>) old.id::pg_catalog.text collate pg_catalog."C") then -1 end]) as fired (code)
        where fired.code is not null;
      end if;
    elsif tg_op operator(pg_catalog.=) 'INSERT' then
      perform from new_rows as new where (new.state operator(pg_catalog.=) 'placed') limit 1;
      if not found then
        return null;
      end if;
      select pg_catalog.array_agg(fired.code) as codes,
        null::pg_catalog.json[] as olds, pg_catalog.array_agg(pg_catalog.row_to_json(new.*)) as news,
        null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
      into hits from new_rows as new
      cross join lateral pg_catalog.unnest(array[
        case when (new.state operator(pg_catalog.=) 'placed') then 1 end]) as fired (code)
      where fired.code is not null;
    elsif tg_op operator(pg_catalog.=) 'DELETE' then
      if not (exists (select from old_rows as old where (old.state operator(pg_catalog.=) 'placed'))) then
        return null;
      end if;
      select pg_catalog.array_agg(fired.code) as codes,
        pg_catalog.array_agg(pg_catalog.row_to_json(old.*)) as olds, null::pg_catalog.json[] as news,
        null::pg_catalog.text[] as partitions, null::pg_catalog.jsonb as failures
      into hits from old_rows as old
      cross join lateral pg_catalog.unnest(array[
        case when (old.state operator(pg_catalog.=) 'placed') then 2 end]) as fired (code)
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
  if codes operator(pg_catalog.&&) array[-1, 1, 2]::pg_catalog.int4[] then
    perform rowbell.append_timer_events(1, RELATION, operation, relation, codes, olds, news,
      array[-1, 1, 2]::pg_catalog.int4[], array['id']::pg_catalog.text[]);
    if codes operator(pg_catalog.<@) array[-1, 1, 2]::pg_catalog.int4[] and failures is null then
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
  return rowbell.one_by_one_sql(1, operation, relation, E'[{"key": "select row_to_json(k.*) from (select ($1).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (old.state operator(pg_catalog.=) ''placed'') then 2 end) as judged (code)\\nwhere judged.code is not null", "rule": "unpaid", "judged": "row_to_json(old.*) as old, null::json as new", "operation": "DELETE"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.state operator(pg_catalog.=) ''placed'') then 1 end) as judged (code)\\nwhere judged.code is not null", "rule": "unpaid", "judged": "null::json as old, row_to_json(new.*) as new", "operation": "INSERT"}, {"key": "select row_to_json(k.*) from (select ($2).id) as k", "rows": "from (select ($1).* offset 0) as old\\ncross join (select ($2).* offset 0) as new\\ncross join lateral (select case when (new.state operator(pg_catalog.=) ''placed'') and (old.state operator(pg_catalog.=) ''placed'') and (new.id::pg_catalog.text operator(pg_catalog.<>) old.id::pg_catalog.text collate pg_catalog.\\"C\\") then -1 when (new.state operator(pg_catalog.=) ''placed'') and (old.state operator(pg_catalog.=) ''placed'') is not true then 1 when (old.state operator(pg_catalog.=) ''placed'') and (new.state operator(pg_catalog.=) ''placed'') is not true then 2 end) as judged (code)\\nwhere judged.code is not null", "rule": "unpaid", "judged": "row_to_json(old.*) as old, row_to_json(new.*) as new", "operation": "UPDATE"}]', '{id,amount,state}');
end
$function$

CREATE OR REPLACE FUNCTION rowbell.look_1(rule integer, keys text[], after text, most integer)
 RETURNS SETOF rowbell.looked
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "DateStyle" TO 'ISO, MDY'
 SET "IntervalStyle" TO 'postgres'
 SET "TimeZone" TO 'UTC'
 SET array_nulls TO 'on'
 SET backslash_quote TO 'safe_encoding'
 SET bytea_output TO 'hex'
 SET exit_on_error TO 'off'
 SET extra_float_digits TO '1'
 SET gin_fuzzy_search_limit TO '0'
 SET "plpgsql.check_asserts" TO 'on'
 SET quote_all_identifiers TO 'off'
 SET row_security TO 'on'
 SET standard_conforming_strings TO 'on'
 SET transform_null_equals TO 'off'
 SET xmlbinary TO 'base64'
 SET xmloption TO 'content'
 SET default_text_search_config TO …
 SET lc_monetary TO …
 SET lc_numeric TO …
 SET lc_time TO …
 SET restrict_nonsystem_relation_kind TO ''
 SET timezone_abbreviations TO 'Default'
AS $function$
#variable_conflict use_column
begin

  if $1 = 0 and $2 is not null then
    return query
    select k.key, null::bool is true, row_to_json(new.*), case when $4 is not null and null::bool then (null)::timestamptz end, null, null
    from unnest($2) as k (key)
    cross join lateral json_to_record(k.key::json) as r (id integer)
    join public.orders as new on new.id operator(pg_catalog.=) r.id;
    return;
  elsif $1 = 0 then
    return query
    with last_one as (select * from json_to_record($3::json) as r (id integer))
    select (select row_to_json(k.*)::text from (select new.id) as k), null::bool is true, null::json,
      case when null::bool then (null)::timestamptz end, null, null
    from public.orders as new
    where $3 is null or row(new.id) operator(pg_catalog.>) row((select r.id from last_one r))
    order by new.id
    limit $4;
    return;
  end if;

  if $1 = 1 and $2 is not null then
    return query
    select k.key, (new.state operator(pg_catalog.=) 'placed') is true, row_to_json(new.*), case when $4 is not null and (new.state operator(pg_catalog.=) 'placed') then (null)::timestamptz end, null, null
    from unnest($2) as k (key)
    cross join lateral json_to_record(k.key::json) as r (id integer)
    join public.orders as new on new.id operator(pg_catalog.=) r.id;
    return;
  elsif $1 = 1 then
    return query
    with last_one as (select * from json_to_record($3::json) as r (id integer))
    select (select row_to_json(k.*)::text from (select new.id) as k), (new.state operator(pg_catalog.=) 'placed') is true, null::json,
      case when (new.state operator(pg_catalog.=) 'placed') then (null)::timestamptz end, null, null
    from public.orders as new
    where $3 is null or row(new.id) operator(pg_catalog.>) row((select r.id from last_one r))
    order by new.id
    limit $4;
    return;
  end if;
  raise exception 'the rule is not known';
end
$function$
