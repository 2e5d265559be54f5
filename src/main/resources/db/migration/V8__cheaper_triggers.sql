-- What a writer pays for rules, made less. Nearly every statement has no hit: such a one is asked once and leaves. Nearly every hit is the one row
-- of its statement: its alerts are made by one query that pairs nothing. The triggers stay as they are; their functions are compiled anew at the end.

-- Whether the server's queue of notifications has room and the transaction lets Rowbell notify. In plpgsql, which keeps its plan: a function in
-- SQL that is not inlined is planned at each call.
create or replace function rowbell.may_notify() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return current_setting('rowbell.notify', true) is distinct from 'off' and pg_notification_queue_usage() < 0.95;
end
$fn$;

-- Rings the doorbell: "look at the feedback table now". One NOTIFY a transaction, however many statements it has, and none while nobody listens or
-- somebody looks anyway. A transaction that commits long after its statement may so be found by the next poll only. What was told before the
-- clock was set back counts for no more than what is told now.
-- Every durable alert comes by here, and to set search_path costs more than to ask: so each name and operator says its schema instead, and
-- nothing here depends on the search_path of whoever writes. That rules out between and is distinct from, whose operators have no schema.
create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
as $fn$
begin
  perform from rowbell.awake a
  where a.relation operator(pg_catalog.=) tg_relid
    and a.listening operator(pg_catalog.>) pg_catalog.clock_timestamp()
    and (a.until operator(pg_catalog.<) pg_catalog.clock_timestamp()
      or a.until operator(pg_catalog.>) (pg_catalog.clock_timestamp() operator(pg_catalog.+) interval '5 s'));
  if found then
    if rowbell.may_notify() then
      perform pg_catalog.pg_notify('rowbell_doorbell', '');
    end if;
  end if;
  -- new is null in a trigger for statements; the word null would be an expression to set up
  return new;
end
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

-- The rules of a feed as one SQL condition over NEW that no search_path can change, where each of them is a bound (see bound_of): of a column's
-- bounds on one side the weakest. Null where a rule is anything else.
create function rowbell.bounds_sql(rules jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  -- a number in parentheses is a constant with its sign; without them the minus would be an operator
  select case when bool_and(side is not null) then
    string_agg(format('new.%I operator(pg_catalog.%s%s) (%s)', "column", side, case when open then '' else '=' end, number), ' or ' order by n)
      filter (where weakest and side is not null) end
  from (
    select b.*, n,
      row_number() over (
        partition by b."column", b.side
        order by case b.side when '>' then b.number else - b.number end, b.open, n) = 1 as weakest
    from jsonb_array_elements(rules) with ordinality as e(r, n)
    cross join lateral jsonb_to_record(case when jsonb_typeof(r -> 'bound') = 'object' then r -> 'bound' else '{}' end)
      as b("column" text, side text, number numeric, open boolean)) bounds
$fn$;

-- The query that makes the alerts of a statement that wrote one row: an array of durable documents, null where no rule fires. No rows where the
-- statement wrote more rows or the condition is not met. Null where a rule notifies or compares. at and place as in alerts_sql.
create function rowbell.single_sql(operation text, rules jsonb, at text, place text, condition text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  rule jsonb;
  moments record;
  cases text[] := '{}';
  heads text[] := '{}';
  tails text[] := '{}';
  -- of one rule, constants; of several, by the number of the case that is met
  head text := '%L';
  tail text := '%L';
  documents text := 'case when %2$s then array[%1$s] end';
begin
  if operation = 'DELETE' or exists (
      select from jsonb_array_elements(rules) r where r ->> 'notify' is not null or (r ->> 'compares')::boolean) then
    return null;
  end if;
  for rule in select value from jsonb_array_elements(rules) loop
    moments := rowbell.moments_sql(operation, rule);
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
  if cardinality(cases) > 1 then
    head := '(%L::text[])[_fired.code]';
    tail := '(%L::text[])[_fired.code]';
    documents := 'nullif(array(select %s from unnest(array[%s]) as _fired(code) where _fired.code is not null), ''{}'')';
    cases := array(select format('case when %s then %s end', c.condition, n) from unnest(cases) with ordinality c(condition, n));
  end if;
  return format($query$select %s
      from %s
      where not exists (select from new_rows offset 1) and %s$query$,
    format(documents,
      format($doc$'{"id":"' || rowbell.new_id() || %s || %s || %L || %s || '"%s,"new":' || row_to_json(new) || %s$doc$,
        case when cardinality(cases) > 1 then format(head, heads) else format(head, heads[1]) end,
        place,
        format(',"operation":"%s","time":"', operation),
        at,
        case operation when 'UPDATE' then $q$,"old":' || row_to_json(old) || '$q$ else '' end,
        case when cardinality(cases) > 1 then format(tail, tails) else format(tail, tails[1]) end),
      array_to_string(cases, E',\n        ')),
    case operation when 'UPDATE' then 'new_rows as new cross join old_rows as old' else 'new_rows as new' end,
    condition);
end
$fn$;

-- Makes a function or changes it; leaves one alone that is as it should be. pinned: whether it sets search_path for itself; one that does not must
-- not depend on it anywhere.
drop function rowbell.make_function(text, text, text, text, text);
create function rowbell.make_function(name text, signature text, returned text, kind text, body text, pinned boolean default true) returns void
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

-- judge_N: the trigger function. Asks first whether any rule is met by any row, all in one pass; a statement without a hit costs no more.
-- What fails there is judged again, each rule alone, and where that fails too, each row alone. Only storing an alert may fail the writer.
--
-- It runs with the rights of its owner, so that nothing in it may be looked up by the search_path of the writer, who could have put an operator, a
-- type or a table of his own there. Where all rules are bounds, to ask them needs no search_path, since each name and operator says its schema:
-- then the function is not pinned, sets search_path by itself once there is a hit or a failure, and sets it back at its end. Everything before
-- that (types of variables, the query, the branches) is written with its schema or has no name that could be looked up: new_rows is the transition
-- table before it is anything else. Whatever fails the query so early, a hostile search_path or a column that is gone, only has each rule judged
-- alone, with search_path set.
create or replace function rowbell.compile_judge(feed rowbell.feed, rules jsonb, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = feed.relation);
  has_children constant boolean := exists (select from pg_inherits i where i.inhparent = feed.relation);
  compares constant boolean := exists (select from jsonb_array_elements(rules) r where (r ->> 'compares')::boolean);
  now_sql constant text := $q$to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')$q$;
  find_place constant text := format('rowbell.place(%s, tg_relid)', feed.id);
  -- inserts and updates are asked the same, so that which it was matters only once there is a hit
  alike constant boolean := rowbell.any_hit_sql('DELETE', rules) is null
    and coalesce(rowbell.any_hit_sql('INSERT', rules) = rowbell.any_hit_sql('UPDATE', rules), false);
  bounds constant text := case when alike then rowbell.bounds_sql(rules) end;
  -- by assignments, since perform would be a query; place is not in use yet
  set_path constant text := case when bounds is not null then $q$
    path := pg_catalog.current_setting('search_path');
    place := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);$q$ else '' end;
  reset_path constant text := case when bounds is not null then $q$
  place := set_config('search_path', path, true);$q$ else '' end;
  pairs constant text := $q$
      if (select count(*) from new_rows) <> (select count(*) from old_rows) then
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
      when has_children and (partitioned or operation <> 'INSERT') then format('coalesce(%%s, rowbell.place_%s(row_to_json(%s)))', feed.id,
        case operation when 'DELETE' then 'old' else 'new' end)
      else $q$coalesce(%s, '')$q$
    end;
    hit := format($part$
      at := %s;
      place := %s;
      %s$part$,
      now_sql, find_place,
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
      end);
    single := case
      when has_children then rowbell.single_sql(operation, rules, now_sql, format(place, find_place), 'true')
      -- what is written to the feed itself is in no partition or child
      else rowbell.single_sql(operation, rules, now_sql, $q$''$q$, format('tg_relid = %s', feed.relation::oid))
    end;
    if single is not null then
      hit := format($part$
      %s
      into durable;
      if not found then%s
      end if;$part$, single, hit);
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
      when alike and operation = 'INSERT' then ask || set_path || E'\n    if tg_op = ''INSERT'' then' || hit || E'\n    else'
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
    slow_places := format($q$coalesce($2, rowbell.place_%s(row_to_json(%s)))$q$, feed.id, '%s');
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
  durable pg_catalog.text[];
  notified pg_catalog.text[];
  channels pg_catalog.text[];
  hits pg_catalog.int8[];
  alone pg_catalog.record;
  rule pg_catalog.record;
  change pg_catalog.record;
begin
  begin%1$s
  exception when others or assert_failure then%9$s
    begin
      at := %6$s;
      place := %8$s;
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
    end;
  end;

  if (cardinality(durable) = 1) is true and has_table_privilege('rowbell.feedback', 'insert') then
    insert into rowbell.feedback (alert) values (_judge.durable[1]::json);
  elsif durable is not null then
    if has_table_privilege('rowbell.feedback', 'insert') then
      insert into rowbell.feedback (alert) select _d::json from unnest(_judge.durable) as _d;
    else
      raise warning 'rowbell: %% alerts of %% were not stored: %% may not insert into rowbell.feedback',
        cardinality(durable), tg_relid::regclass, current_user;
    end if;
  end if;%11$s%10$s
  return new;
end
$body$, fast, rules, key, feed.id, format(slow_places, 'old'), now_sql, format(slow_places, 'new'), written_place, set_path, reset_path,
      case when exists (select from jsonb_array_elements(rules) r where r ->> 'notify' is not null) then format($q$
  if notified is not null then
    perform rowbell.send(notified, channels, %L::text[]);
  end if;$q$, key) end);
  end if;
  perform rowbell.make_function(format('judge_%s', feed.id), '', 'trigger', 'security definer', body, bounds is null);
end
$fn$;

revoke all on function rowbell.bounds_sql(jsonb), rowbell.single_sql(text, jsonb, text, text, text),
  rowbell.make_function(text, text, text, text, text, boolean) from public;

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
