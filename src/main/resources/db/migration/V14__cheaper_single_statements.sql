-- An alert by a statement trigger, made for less where the statement wrote one row: by V13's one call of format(), with its id from PostgreSQL where it
-- has one. And a function whose rules are all bounds no longer sets search_path for it, twice an alert.

-- As it was in V13, but for a feed that has a column named new or old, which is now called as it is in queries too.
create or replace function rowbell.document_sql(operation text, head text, tail text, place text, at text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('pg_catalog.format(%L, %s, %s, %s%s)',
    '{"id":"%s' || replace(head, '%', '%%') || '%s,"operation":"' || operation || '","time":"%s"'
      || case when operation <> 'INSERT' then ',"old":%s' else '' end
      || case when operation <> 'DELETE' then ',"new":%s' else '' end
      || replace(tail, '%', '%%'),
    rowbell.id_sql(), place, at,
    case when operation <> 'INSERT' then ', pg_catalog.row_to_json(old.*)' else '' end
      || case when operation <> 'DELETE' then ', pg_catalog.row_to_json(new.*)' else '' end)
$fn$;

-- moments_sql of a rule that is a bound (see bound_of), in words that no search_path can change. Not for one that fires when columns have changed.
create function rowbell.bound_moments_sql(operation text, rule jsonb, out firing text, out resolved text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  met constant text := rowbell.bound_sql(rule -> 'bound', 'new');
  met_before constant text := rowbell.bound_sql(rule -> 'bound', 'old');
  moments record;
begin
  moments := rowbell.moments_sql(operation, rule);
  if moments.firing is not null then
    firing := met || case when rule ->> 'fires' = 'once' and operation = 'UPDATE' then format(' and (%s) is not true', met_before) else '' end;
  end if;
  if moments.resolved is not null then
    resolved := met_before || case when operation = 'UPDATE' then format(' and (%s) is not true', met) else '' end;
  end if;
end
$fn$;

-- The query that makes the alerts of a statement that wrote one row and was asked already: of one rule its document, null where it does not fire; of
-- several an array, null where none does. No rows where the statement wrote more rows or the condition is not met. Null where a rule notifies or
-- compares. qualified: whether all rules are bounds, of which none fires when columns have changed; then no search_path can change the query, if it
-- cannot change place and condition.
drop function rowbell.single_sql(text, jsonb, text, text, text);
create function rowbell.single_sql(operation text, rules jsonb, qualified boolean, place text, condition text) returns text
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

-- each_N, where it is pinned: of one that was not when a statement began, PostgreSQL takes the new body for the rows that are left, and still the
-- search_path of the writer. Such a row is judged as one that failed, which sets search_path by itself.
do $do$
declare
  definition text := pg_get_functiondef('rowbell.compile_each(rowbell.feed, jsonb, text[])'::regprocedure);
  change record;
begin
  for change in
    select * from (values
      (E'\n  begin\n    if (%1$s) then', E'\n  begin%13$s\n    if (%1$s) then'),
      ($old$case when bounds then $q$
    path := $old$, $new$$q$
    path := $new$),
      ($old$true);$q$ else '' end,
    rules,$old$, $new$true);$q$,
    rules,$new$),
      ($old$case when bounds then $q$
    place := $old$, $new$$q$
    place := $new$),
      ($old$path, true);$q$ else '' end,
$old$, $new$path, true);$q$,
$new$),
      ($old$case when one then '' else format(E'\n      at := %s;', now_sql) end) end, not bounds);$old$,
        $new$case when one then '' else format(E'\n      at := %s;', now_sql) end,
    case when bounds then '' else $q$
    if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp' then
      raise exception 'the rules have changed';
    end if;$q$ end) end, not bounds);$new$)) changes (old, new)
  loop
    if position(change.old in definition) = 0 then
      raise exception 'compile_each is not as V13 left it: %', change.old;
    end if;
    definition := replace(definition, change.old, change.new);
  end loop;
  execute definition;
end
$do$;

revoke all on function rowbell.bound_moments_sql(text, jsonb), rowbell.single_sql(text, jsonb, boolean, text, text) from public;

-- Functions of feeds that are there already. Takes no lock on them; a feed that cannot be compiled is left to refresh(), which says why.
do $do$
declare
  feed_name text;
begin
  perform set_config('rowbell.triggers', 'later', true);
  for feed_name in select f.name from rowbell.feed f order by f.id loop
    begin
      perform rowbell.compile(feed_name);
    exception when others then
      raise warning 'rowbell: the feed % could not be compiled: %', feed_name, sqlerrm;
    end;
  end loop;
  perform set_config('rowbell.triggers', '', true);
end
$do$;
