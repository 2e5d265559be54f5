-- From the rules of a feed to its trigger functions.

-- The query that makes the alerts of a statement: an array of durable documents, one of documents to notify, and their channels.
-- at and place are SQL for the time and for the partition, source for the rows NEW and OLD.
create or replace function rowbell.alerts_sql(operation text, rules jsonb, at text, place text, source text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  rule jsonb;
  moments record;
  cases text[] := '{}';
  heads text[] := '{}';
  tails text[] := '{}';
  channels text[] := '{}';
begin
  for rule in select value from jsonb_array_elements(rules) loop
    moments := rowbell.moments_sql(operation, rule);
    if moments.firing is not null then
      cases := cases || format('case when %s then %s end', moments.firing, cardinality(cases) + 1);
      heads := heads || (rule ->> 'head_firing');
      tails := tails || (rule ->> 'tail');
      channels := channels || (rule ->> 'notify');
    end if;
    if moments.resolved is not null then
      cases := cases || format('case when %s then %s end', moments.resolved, cardinality(cases) + 1);
      heads := heads || (rule ->> 'head_resolved');
      tails := tails || (rule ->> 'tail');
      channels := channels || (rule ->> 'notify');
    end if;
  end loop;
  if cardinality(cases) = 0 then
    return null;
  end if;
  return format(
    $query$select array_agg(_hit.doc%1$s) filter (where _hit.channel is null),
      array_agg(_hit.doc%1$s) filter (where _hit.channel is not null),
      array_agg(_hit.channel%1$s) filter (where _hit.channel is not null)
    from (
      select (%2$L::text[])[_fired.code] as channel,
        '{"id":"' || rowbell.new_id() || (%3$L::text[])[_fired.code] || %4$s || %5$L || %6$s || '"' || %7$s
          || (%8$L::text[])[_fired.code] as doc%9$s
      from %10$s
      cross join lateral unnest(array[%11$s]) as _fired(code)
      where _fired.code is not null) as _hit$query$,
    case when operation = 'UPDATE' then ' order by _hit.rn' else '' end,
    channels,
    heads,
    place,
    format(',"operation":"%s","time":"', operation),
    at,
    case operation
      when 'INSERT' then $q$ ',"new":' || row_to_json(new.*)$q$
      when 'DELETE' then $q$ ',"old":' || row_to_json(old.*)$q$
      else $q$ ',"old":' || coalesce(row_to_json(old.*)::text, '{}') || ',"new":' || row_to_json(new.*)$q$
    end,
    tails,
    case when operation = 'UPDATE' then ', _a.rn' else '' end,
    source,
    array_to_string(cases, E',\n        '));
end
$fn$;

-- The query that makes the alerts of a statement that wrote one row and was asked already: of one rule its document, null where it does not fire; of
-- several an array, null where none does. No rows where the statement wrote more rows or the condition is not met. Null where a rule notifies or
-- compares. qualified: whether all rules are bounds, of which none fires when columns have changed; then no search_path can change the query, if it
-- cannot change place and condition.
create or replace function rowbell.single_sql(operation text, rules jsonb, qualified boolean, place text, condition text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  one constant boolean := jsonb_array_length(rules) = 1;
  now_sql constant text := $q$pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')$q$;
  rule jsonb;
  moments record;
  met text;
  cases text[] := '{}';
  heads text[] := '{}';
  tails text[] := '{}';
  alerts text;
begin
  if operation = 'DELETE' or exists (
      select from jsonb_array_elements(rules) r where r ->> 'notify' is not null or (r ->> 'compares')::boolean) then
    return null;
  end if;
  for rule in select value from jsonb_array_elements(rules) loop
    if qualified then
      moments := rowbell.bound_moments_sql(operation, rule);
    else
      moments := rowbell.moments_sql(operation, rule);
    end if;
    if moments.firing is not null then
      cases := cases || moments.firing;
      heads := heads || (rule ->> 'head_firing');
      tails := tails || (rule ->> 'tail');
    end if;
    if moments.resolved is not null then
      cases := cases || moments.resolved;
      heads := heads || (rule ->> 'head_resolved');
      tails := tails || (rule ->> 'tail');
    end if;
  end loop;
  if one then
    met := case when qualified then rowbell.bound_sql(rules -> 0 -> 'bound', 'new') else format(E'(%s\n)', rules -> 0 ->> 'condition') end;
    select case
      -- all that was asked
      when cases = array[met] then min(c.document)
      else format(E'case\n        %s end', string_agg(format('when %s then %s', c.condition, c.document), E'\n        ' order by c.n)) end
    into alerts
    from (
      select u.condition, u.n, rowbell.document_sql(operation, u.head, u.tail, place, now_sql) as document
      from unnest(cases, heads, tails) with ordinality u(condition, head, tail, n)) c;
  else
    alerts := format('(select pg_catalog.array_agg(%s operator(pg_catalog.||) (%L::pg_catalog.text[])[_fired.code]) '
        || E'from pg_catalog.unnest(array[\n        %s]) as _fired(code) where _fired.code is not null)',
      rowbell.document_sql(operation, '', '', format('pg_catalog.concat((%L::pg_catalog.text[])[_fired.code], %s)', heads, place), now_sql),
      tails,
      (select string_agg(format('case when %s then %s end', c.condition, c.n), E',\n        ' order by c.n)
        from unnest(cases) with ordinality c(condition, n)));
  end if;
  return format(E'select %s\n      from %s\n      where not exists (select from new_rows offset 1) and %s',
    alerts,
    case operation when 'UPDATE' then 'new_rows as new cross join old_rows as old' else 'new_rows as new' end,
    condition);
end
$fn$;

-- One change as pairs of JSON, for judging them one at a time.
create or replace function rowbell.changes_sql(operation text, key text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'select row_to_json(new.*) as new, row_to_json(old.*) as old from ' || rowbell.rows_sql(operation, true, key)
$fn$;

-- The query that says of one change, given as two rows, what it is by a rule: 1 it fires, 2 it has ended, 0 neither.
create or replace function rowbell.moment_sql(operation text, rule jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('select case when %s then 1 when %s then 2 else 0 end from unnest(array[$1]) as new cross join unnest(array[$2]) as old',
    coalesce(m.firing, 'false'), coalesce(m.resolved, 'false'))
  from rowbell.moments_sql(operation, rule) m
$fn$;

-- The alert of one row: what alerts_sql makes of many.
create or replace function rowbell.alert_of(rule jsonb, moment int, operation text, at text, place text, old json, new json) returns text
language sql volatile
set search_path = pg_catalog, pg_temp
as $fn$
  select '{"id":"' || rowbell.new_id() || (rule ->> case moment when 1 then 'head_firing' else 'head_resolved' end) || place
    || ',"operation":"' || operation || '","time":"' || at || '"'
    || case when operation <> 'INSERT' then ',"old":' || old else '' end
    || case when operation <> 'DELETE' then ',"new":' || new else '' end
    || (rule ->> 'tail')
$fn$;

-- Makes a function or changes it; leaves one alone that is as it should be. pinned: whether it sets search_path for itself; one that does not must
-- not depend on it anywhere.
create or replace function rowbell.make_function(name text, signature text, returned text, kind text, body text, pinned boolean default true) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if not exists (
      select from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'rowbell' and p.proname = name and p.prosrc = body and (p.proconfig is not null) = pinned) then
    execute format('create or replace function rowbell.%I(%s) returns %s language plpgsql %s %s as %L',
      name, signature, returned, kind, case when pinned then 'set search_path = pg_catalog, pg_temp' else '' end, body);
    execute format('revoke all on function rowbell.%I from public', name);
  end if;
end
$fn$;

-- place_N: which partition or child a row of the feed is in, as the part of an alert that says so. Of a partitioned table by the bounds of
-- its partitions; of a table with children by the key of the row, where it has one and is still there.
create or replace function rowbell.compile_place(feed rowbell.feed, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  table_name constant text := rowbell.sql_name(feed.relation);
  found_by text;
begin
  if (select c.relkind = 'p' from pg_class c where c.oid = feed.relation) then
    select format('(select case %s end from json_populate_record(null::%s, _row) as _r)',
      string_agg(format(E'\n      when %s then %L', pg_get_partition_constraintdef(t.relid), rowbell.shown_name(t.relid)), '' order by t.relid),
      table_name)
    into found_by
    from rowbell.tables_of(feed.relation) t
    join pg_class c on c.oid = t.relid
    where c.relkind = 'r' and pg_get_partition_constraintdef(t.relid) is not null;
  elsif cardinality(key) > 0 and exists (select from pg_inherits i where i.inhparent = feed.relation) then
    -- keys are unique in each of the tables alone: where two have it, nobody can say which row it was
    found_by := format(
      '(select case when count(*) = 1 then nullif(min(rowbell.shown_name(_f.tableoid)), %3$L) end from %1$s _f join json_populate_record(null::%1$s, place_' || feed.id || '._row) _r on %2$s)',
      table_name,
      (select string_agg(format('_f.%1$I = _r.%1$I', k), ' and ') from unnest(key) k),
      rowbell.shown_name(feed.relation));
  end if;
  perform rowbell.make_function(format('place_%s', feed.id), '_row json', 'text', 'stable', format($body$
#variable_conflict use_column
begin
  return coalesce(',"partition":' || to_json(%s), '');
exception when others or assert_failure then
  return '';
end
$body$, coalesce(found_by, 'null::text')));
end
$fn$;

-- row_N: judges one row by one rule: 1 it fires, 2 it has ended, 0 neither.
create or replace function rowbell.compile_row(feed rowbell.feed, rules jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  parts text;
begin
  select string_agg(format($part$
  if _rule = %L and _operation = %L then
    return (select case when %s then 1 when %s then 2 else 0 end
      from json_populate_record(null::%s, row_$part$ || feed.id || $part$._new) as new, json_populate_record(null::%5$s, row_$part$ || feed.id || $part$._old) as old);
  end if;$part$,
    r ->> 'name', operation, coalesce(m.firing, 'false'), coalesce(m.resolved, 'false'), rowbell.sql_name(feed.relation)), '' order by n)
  into parts
  from jsonb_array_elements(rules) with ordinality as e(r, n)
  cross join unnest(array['INSERT', 'UPDATE', 'DELETE']) operation
  cross join lateral rowbell.moments_sql(operation, r) m
  where m.firing is not null or m.resolved is not null;
  perform rowbell.make_function(format('row_%s', feed.id), '_rule text, _operation text, _new json, _old json', 'int', '', format($body$
#variable_conflict use_column
begin%s
  return 0;
end
$body$, parts));
end
$fn$;

-- judge_N: the trigger function. Asks first whether any rule is met by any row, all in one pass; a statement without a hit costs no more.
-- What fails there is judged again, each rule alone, and where that fails too, each row alone. Only storing an alert may fail the writer.
--
-- It runs with the rights of its owner, so that nothing in it may be looked up by the search_path of the writer, who could have put an operator, a
-- type or a table of his own there. Where all rules are bounds, to ask them needs no search_path, since each name and operator says its schema:
-- then the function is not pinned, sets search_path by itself for what a statement of many rows rings and after a failure, and sets it back.
-- Everything else (types of variables, the queries, the branches) is written with its schema or has no name that could be looked up: new_rows is the
-- transition table before it is anything else, where there is one. Whatever fails a query so early, a hostile search_path or a column that is gone,
-- only has each rule judged alone, with search_path set.
create or replace function rowbell.compile_judge(feed rowbell.feed, rules jsonb, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = feed.relation);
  has_children constant boolean := exists (select from pg_inherits i where i.inhparent = feed.relation);
  compares constant boolean := exists (select from jsonb_array_elements(rules) r where (r ->> 'compares')::boolean);
  now_sql constant text := $q$pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')$q$;
  find_place constant text := format('rowbell.place(%s, tg_relid)', feed.id);
  -- inserts and updates are asked the same, so that which it was matters only once there is a hit
  alike constant boolean := rowbell.any_hit_sql('DELETE', rules) is null
    and coalesce(rowbell.any_hit_sql('INSERT', rules) = rowbell.any_hit_sql('UPDATE', rules), false);
  bounds constant text := case when alike then rowbell.bounds_sql(rules) end;
  -- what has changed is compared by operators that are looked up
  qualified constant boolean := bounds is not null and not exists (select from jsonb_array_elements(rules) r where r ->> 'fires' = 'changed');
  -- by assignments, since perform would be a query; place is not in use there
  set_path constant text := case when bounds is not null then $q$
    path := pg_catalog.current_setting('search_path');
    place := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);$q$ else '' end;
  reset_path constant text := case when bounds is not null then $q$
    place := set_config('search_path', path, true);$q$ else '' end;
  -- one row then has one alert at most, which needs no array
  one constant boolean := jsonb_array_length(rules) = 1;
  pairs constant text := $q$
      if (select pg_catalog.count(*) from new_rows) operator(pg_catalog.<>) (select pg_catalog.count(*) from old_rows) then
        raise exception 'OLD and NEW are no pairs';
      end if;$q$;
  operation text;
  any_hit text;
  met text;
  ask text;
  hit text;
  place text;
  single text;
  fast text := '';
  slow_places text;
  written_place text;
  body text;
begin
  foreach operation in array array['INSERT', 'UPDATE', 'DELETE'] loop
    any_hit := rowbell.any_hit_sql(operation, rules);
    continue when any_hit is null;
    met := rowbell.met_sql(operation, rules, 'firing');
    ask := case
      -- cheaper than exists, which is a query in a query
      when any_hit = format('exists (select from new_rows as new where %s)', met)
        then format($q$
    perform from new_rows as new where %s limit 1;
    if not found then$q$, coalesce(bounds, met))
      else format($q$
    if not (%s) then$q$, any_hit)
    end || $q$
      return new;
    end if;$q$;
    place := case
      -- an insert into a table with children stays there, where it is not partitioned
      when has_children and (partitioned or operation <> 'INSERT') then format('coalesce(%%s, rowbell.place_%s(pg_catalog.row_to_json(%s.*)))', feed.id,
        case operation when 'DELETE' then 'old' else 'new' end)
      else $q$coalesce(%s, '')$q$
    end;
    hit := format($part$%s
      at := %s;
      place := %s;
      %s%s$part$,
      case when qualified then set_path else '' end, now_sql, find_place,
      case when operation = 'UPDATE' and not compares
        -- a few hits among many rows: fetching them by their place is cheaper than pairing all
        then format($part$hits := %s;
      if cardinality(hits) <= 4 then
        %s
        into durable, notified, channels;
      else
        %s
        into durable, notified, channels;
      end if;$part$,
          rowbell.hits_sql(rules),
          rowbell.alerts_sql(operation, rules, '_judge.at', format(place, '_judge.place'), 'unnest(_judge.hits) as _a(rn) '
            || 'cross join lateral (select * from new_rows offset _a.rn - 1 limit 1) as new '
            || 'cross join lateral (select * from old_rows offset _a.rn - 1 limit 1) as old'),
          rowbell.alerts_sql(operation, rules, '_judge.at', format(place, '_judge.place'), rowbell.rows_sql(operation, false)))
        else rowbell.alerts_sql(operation, rules, '_judge.at', format(place, '_judge.place'), rowbell.rows_sql(operation, compares))
          || E'\n      into durable, notified, channels;'
      end,
      case when qualified then reset_path else '' end);
    single := case
      when has_children then rowbell.single_sql(operation, rules, qualified, format(place, find_place), 'true')
      -- what is written to the feed itself is in no partition or child
      else rowbell.single_sql(operation, rules, qualified, $q$''$q$, format('tg_relid operator(pg_catalog.=) %s', feed.relation::oid))
    end;
    if single is not null then
      hit := format($part$
      %s
      into %s;
      if not found then%s
      end if;$part$, single, case when one then 'doc' else 'durable' end, hit);
    end if;
    if not qualified then
      hit := set_path || hit || reset_path;
    end if;
    -- a row that moves to another partition and is refused there leaves an OLD without a NEW
    if partitioned and operation = 'UPDATE' then
      if compares then
        ask := pairs || ask;
      else
        hit := pairs || hit;
      end if;
    end if;
    fast := fast || case
      -- a trigger for deletes is there where a rule or an earlier one names them; it has no new_rows, so that the writer's own would be taken for it
      when alike and operation = 'INSERT' then $q$
    if tg_op operator(pg_catalog.=) 'DELETE' then
      return new;
    end if;$q$ || ask || E'\n    if tg_op operator(pg_catalog.=) ''INSERT'' then' || hit || E'\n    else'
      when alike then hit || E'\n    end if;'
      else format(E'\n    if tg_op = %L then', operation) || ask || hit || E'\n    end if;'
    end;
  end loop;
  if fast = '' then
    body := $body$
begin
  return null;
end
$body$;
  else
    slow_places := format($q$coalesce($2, rowbell.place_%s(row_to_json(%s.*)))$q$, feed.id, '%s');
    written_place := case when partitioned then '%s' else $q$coalesce(%s, case tg_op when 'INSERT' then '' end)$q$ end;
    written_place := format(written_place, find_place);
    -- Each call copies all variables, so they are few: what only a failure needs are the fields of one record. Nor has one a default, which would
    -- be an expression to set up, as null is: new is null in a trigger for statements.
    body := format($body$
#variable_conflict use_column
<<_judge>>
declare
  at pg_catalog.text;
  place pg_catalog.text;
  path pg_catalog.text;
  doc pg_catalog.text;
  stored pg_catalog.bool;
  durable pg_catalog.text[];
  notified pg_catalog.text[];
  channels pg_catalog.text[];
  hits pg_catalog.int8[];
  alone pg_catalog.record;
  rule pg_catalog.record;
  change pg_catalog.record;
begin
  begin%1$s
    -- here, where asking may fail
    stored := pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert');
  exception when others or assert_failure then%9$s
    begin
      at := %6$s;
      -- before the rules, so that what one of them rings is stored though nothing could be done about another
      stored := has_table_privilege('rowbell.feedback', 'insert');
      place := %8$s;
      doc := null;
      durable := null;
      notified := null;
      channels := null;
      select null::text[] as pairing, null::text as error, null::text as state, null::json as key, 0 as moment,
        null::text[] as durable, null::text[] as notified, null::text[] as channels
      into alone;
      if tg_op = 'UPDATE' then
        execute 'select case when (select count(*) from new_rows) <> (select count(*) from old_rows) then $1 end'
        into alone.pairing using %3$L::text[];
      end if;
      for rule in select value from jsonb_array_elements(%2$L::jsonb) loop
        alone.error := null;
        alone.key := null;
        begin
          execute coalesce(rowbell.alerts_sql(tg_op, jsonb_build_array(rule.value), '$1',
            case tg_op when 'DELETE' then %5$L else %7$L end, rowbell.rows_sql(tg_op, true, alone.pairing)), 'select null, null, null')
          into alone.durable, alone.notified, alone.channels using at, place;
          durable := durable || alone.durable;
          notified := notified || alone.notified;
          channels := channels || alone.channels;
        exception when others or assert_failure then
          get stacked diagnostics alone.error = message_text, alone.state = returned_sqlstate;
        end;
        continue when alone.error is null;
        if rowbell.condition_error(rule.value ->> 'condition', rowbell.relation_of(%4$s), true, true) is null then
          for change in execute rowbell.changes_sql(tg_op, alone.pairing) loop
            begin
              alone.moment := rowbell.row_%4$s(rule.value ->> 'name', tg_op, change.new, change.old);
              if alone.moment > 0 then
                alone.durable := array[rowbell.alert_of(rule.value, alone.moment, tg_op, at,
                  coalesce(place, rowbell.place_%4$s(coalesce(change.new, change.old))), change.old, change.new)];
                if rule.value ->> 'notify' is null then
                  durable := durable || alone.durable;
                else
                  notified := notified || alone.durable;
                  channels := channels || (rule.value ->> 'notify');
                end if;
              end if;
            exception when others or assert_failure then
              if alone.key is null then
                get stacked diagnostics alone.error = message_text, alone.state = returned_sqlstate;
                alone.key := coalesce(rowbell.key_values(%3$L::text[], coalesce(change.new, change.old)), '{}');
              end if;
            end;
          end loop;
        end if;
        perform rowbell.rule_failed(rule.value ->> 'name', alone.error, alone.state, rowbell.shown_name(rowbell.relation_of(%4$s)), tg_op, alone.key);
      end loop;
    exception when others or assert_failure then
      raise warning 'rowbell: not all rules of %% were judged: %%', tg_relid::regclass, sqlerrm;
    end;%10$s
  end;

  if stored then
    if doc is not null then
      insert into rowbell.feedback (alert) values (_judge.doc::pg_catalog.json);
    elsif durable is not null then
      insert into rowbell.feedback (alert) select _d::pg_catalog.json from pg_catalog.unnest(_judge.durable) as _d;
    end if;
  elsif doc is not null or durable is not null then
    raise warning 'rowbell: %% alerts of %% were not stored: %% may not insert into rowbell.feedback',
      coalesce(pg_catalog.cardinality(durable), 1), tg_relid::pg_catalog.regclass, current_user;
  end if;%11$s
  return new;
end
$body$, fast, rules, key, feed.id, format(slow_places, 'old'), now_sql, format(slow_places, 'new'), written_place, set_path, reset_path,
      case when exists (select from jsonb_array_elements(rules) r where r ->> 'notify' is not null) then format($q$
  if notified is not null then
    perform rowbell.send(notified, channels, %L::pg_catalog.text[]);
  end if;$q$, key) end);
  end if;
  perform rowbell.make_function(format('judge_%s', feed.id), '', 'trigger', 'security definer', body, bounds is null);
end
$fn$;

-- each_N: the function of a row trigger, which does what judge_N does for statements. Most rows have no hit, and are asked one expression. What fails
-- is judged again, each rule alone. Only storing an alert may fail the writer. Of the two functions the one that is not used does nothing, so that a
-- trigger of before harms nobody that could not be dropped, or that the table's owner gave another name.
--
-- As with judge_N, a function whose rules are all bounds is not pinned: here each name and operator that it comes by says its schema, up to the end, except
-- in what only a failure runs.
create or replace function rowbell.compile_each(feed rowbell.feed, rules jsonb, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  bounds constant boolean := not exists (
    select from jsonb_array_elements(rules) r where coalesce(jsonb_typeof(r -> 'bound') <> 'object', true) or r ->> 'fires' = 'changed');
  now_sql constant text := $q$pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')$q$;
  -- the row is in the table of the trigger, always; after a dump and restore that has another number until it is compiled again
  place_sql constant text := format($q$
      if tg_relid operator(pg_catalog.<>) %s then
        place := coalesce((select '' from rowbell.feed f where f.id operator(pg_catalog.=) %s and f.relation operator(pg_catalog.=) tg_relid),
          ',"partition":' operator(pg_catalog.||) pg_catalog.to_json(rowbell.shown_name(tg_relid))::pg_catalog.text);
      end if;$q$, feed.relation::oid, feed.id);
  -- a row then has one alert at most, which needs no array
  one constant boolean := jsonb_array_length(rules) = 1 and rules -> 0 ->> 'notify' is null;
  operation text;
  rule jsonb;
  firing text;
  resolved text;
  asked text[];
  hits text;
  conditions text[] := '{}';
  quick text := '';
  hit text := '';
begin
  foreach operation in array array['UPDATE', 'INSERT', 'DELETE'] loop
    asked := '{}';
    hits := '';
    for rule in select value from jsonb_array_elements(rules) loop
      select * into firing, resolved from rowbell.moments_sql(operation, rule);
      if bounds then
        firing := case when firing is not null then rowbell.bound_sql(rule -> 'bound', 'new')
          || case when rule ->> 'fires' = 'once' and operation = 'UPDATE' then format(' and (%s) is not true', rowbell.bound_sql(rule -> 'bound', 'old'))
             else '' end end;
        resolved := case when resolved is not null then rowbell.bound_sql(rule -> 'bound', 'old')
          || case when operation = 'UPDATE' then format(' and (%s) is not true', rowbell.bound_sql(rule -> 'bound', 'new')) else '' end end;
        asked := asked || case when resolved is not null then rowbell.bound_sql(rule -> 'bound', 'old') end;
      end if;
      hits := hits || coalesce((
        select string_agg(format(case
            -- all that was asked
            when jsonb_array_length(rules) = 1 and m.condition = rowbell.bounds_sql(rules) and resolved is null then $part$
        %2$s;%3$s$part$
            else $part$
        if (%1$s) then
          %2$s;%3$s
        end if;$part$ end,
          m.condition,
          format(case when one then 'doc := %2$s' else '%1$s := pg_catalog.array_append(%1$s, %2$s)' end,
            case when rule ->> 'notify' is null then 'durable' else 'notified' end,
            rowbell.document_sql(operation, rule ->> m.head, rule ->> 'tail', 'place', case when one then now_sql else 'at' end)),
          case when rule ->> 'notify' is null then '' else format(E'\n          channels := pg_catalog.array_append(channels, %L);', rule ->> 'notify') end),
          '' order by m.head)
        from (values (firing, 'head_firing'), (resolved, 'head_resolved')) m(condition, head)
        where m.condition is not null), '');
    end loop;
    continue when hits = '';
    asked := case
      when not bounds then array[
        rowbell.met_sql(operation, rules, 'firing'),
        rowbell.met_sql(operation, rules, 'compares'),
        '(select ' || rowbell.met_sql(operation, rules, 'resolved') || ' from (select old.*) as new)']
      when operation = 'DELETE' then asked
      else array[rowbell.bounds_sql(rules)] || asked
    end;
    conditions := conditions || array_to_string(asked, ' or ');
    quick := quick || format(E'\n      when tg_op operator(pg_catalog.=) %L then %s', operation, array_to_string(asked, ' or '));
    hit := hit || format(E'\n      %s tg_op operator(pg_catalog.=) %L then%s', case when hit = '' then 'if' else 'elsif' end, operation, hits);
  end loop;
  quick := case
    -- which operation it is matters only once there is a hit
    when conditions[1] = all (conditions) then conditions[1]
    when quick <> '' then format('case%s end', quick)
  end;
  perform rowbell.make_function(format('each_%s', feed.id), '', 'trigger', 'security definer', case when quick is null then $body$
begin
  return null;
end
$body$ else format($body$
#variable_conflict use_column
-- columns: %11$s; a session that has known them by other types is to make its plans anew
<<_judge>>
declare
  at pg_catalog.text;
  place pg_catalog.text;
  path pg_catalog.text;
  doc pg_catalog.text;
  stored pg_catalog.bool;
  durable pg_catalog.text[];
  notified pg_catalog.text[];
  channels pg_catalog.text[];
  alone pg_catalog.record;
  rule pg_catalog.record;
begin
  begin%13$s
    if (%1$s) then%12$s%3$s%4$s
      end if;
      -- here, where asking may fail
      stored := pg_catalog.has_table_privilege('rowbell.feedback'::pg_catalog.regclass, 'insert');
    else
      return null;
    end if;
  exception when others or assert_failure then%5$s
    begin
      at := %2$s;
      -- before the rules, so that what one of them rings is stored though nothing could be done about another
      stored := has_table_privilege('rowbell.feedback', 'insert');
      place := '';%3$s
      doc := null;
      durable := null;
      notified := null;
      channels := null;
      select row_to_json(new) as new, row_to_json(old) as old, null::text as error, null::text as state, 0 as moment, null::text as doc
      into alone;
      for rule in select value from jsonb_array_elements(%6$L::jsonb) loop
        alone.error := null;
        begin
          execute rowbell.moment_sql(tg_op, rule.value) into alone.moment using new, old;
          if alone.moment > 0 then
            alone.doc := rowbell.alert_of(rule.value, alone.moment, tg_op, at, place, alone.old, alone.new);
            if rule.value ->> 'notify' is null then
              durable := durable || alone.doc;
            else
              notified := notified || alone.doc;
              channels := channels || (rule.value ->> 'notify');
            end if;
          end if;
        exception when others or assert_failure then
          get stacked diagnostics alone.error = message_text, alone.state = returned_sqlstate;
        end;
        if alone.error is not null then
          perform rowbell.rule_failed(rule.value ->> 'name', alone.error, alone.state, rowbell.shown_name(rowbell.relation_of(%7$s)), tg_op,
            coalesce(rowbell.key_values(%8$L::text[], coalesce(alone.new, alone.old)), '{}'));
        end if;
      end loop;
    exception when others or assert_failure then
      raise warning 'rowbell: not all rules of %% were judged: %%', tg_relid::regclass, sqlerrm;
    end;%9$s
  end;

  if stored then
    if doc is not null then
      insert into rowbell.feedback (alert) values (_judge.doc::pg_catalog.json);
    elsif durable is not null then
      insert into rowbell.feedback (alert) select _d::pg_catalog.json from pg_catalog.unnest(_judge.durable) as _d;
    end if;
  elsif doc is not null or durable is not null then
    raise warning 'rowbell: %% alerts of %% were not stored: %% may not insert into rowbell.feedback',
      coalesce(pg_catalog.cardinality(durable), 1), tg_relid::pg_catalog.regclass, current_user;
  end if;%10$s
  return null;
end
$body$, quick, now_sql, place_sql, hit,
    $q$
    path := pg_catalog.current_setting('search_path');
    place := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);$q$,
    rules, feed.id, key,
    $q$
    place := set_config('search_path', path, true);$q$,
    case when exists (select from jsonb_array_elements(rules) r where r ->> 'notify' is not null) then format($q$
  if notified is not null then
    perform rowbell.send(notified, channels, %L::pg_catalog.text[]);
  end if;$q$, key) else '' end,
    (select string_agg(format('%s/%s', a.atttypid::oid, a.atttypmod), ' ' order by a.attnum)
      from pg_attribute a where a.attrelid = feed.relation and a.attnum > 0 and not a.attisdropped),
    case when one then '' else format(E'\n      at := %s;', now_sql) end,
    case when bounds then '' else $q$
    if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp' then
      raise exception 'the rules have changed';
    end if;$q$ end) end, not bounds);
end
$fn$;

-- One compiler at a time, until the end of the transaction: two would overwrite each other's functions.
create or replace function rowbell.lock_compiler() returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select pg_advisory_xact_lock(hashtext('rowbell'), hashtext('compiler'))
$fn$;
