-- An alert by a row trigger, made for less: a writer whose every row rings waits for it.

-- The call that makes an id for an alert: PostgreSQL's own where it has one (18), which takes 3 µs less of a transaction that has just begun.
create function rowbell.id_sql() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when to_regprocedure('pg_catalog.uuidv7()') is null then 'rowbell.new_id()' else 'pg_catalog.uuidv7()' end
$fn$;

-- The document of an alert of one change, given as the rows new and old, as an SQL expression that no search_path can change. head and tail are what the
-- rule says of it, place and at expressions; a place that is null is none. It is one call, since each node of an expression is set up anew in each
-- transaction.
create function rowbell.document_sql(operation text, head text, tail text, place text, at text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('pg_catalog.format(%L, %s, %s, %s%s)',
    '{"id":"%s' || replace(head, '%', '%%') || '%s,"operation":"' || operation || '","time":"%s"'
      || case when operation <> 'INSERT' then ',"old":%s' else '' end
      || case when operation <> 'DELETE' then ',"new":%s' else '' end
      || replace(tail, '%', '%%'),
    rowbell.id_sql(), place, at,
    case when operation <> 'INSERT' then ', pg_catalog.row_to_json(old)' else '' end
      || case when operation <> 'DELETE' then ', pg_catalog.row_to_json(new)' else '' end)
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
  begin
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
    case when bounds then $q$
    path := pg_catalog.current_setting('search_path');
    place := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);$q$ else '' end,
    rules, feed.id, key,
    case when bounds then $q$
    place := set_config('search_path', path, true);$q$ else '' end,
    case when exists (select from jsonb_array_elements(rules) r where r ->> 'notify' is not null) then format($q$
  if notified is not null then
    perform rowbell.send(notified, channels, %L::pg_catalog.text[]);
  end if;$q$, key) else '' end,
    (select string_agg(format('%s/%s', a.atttypid::oid, a.atttypmod), ' ' order by a.attnum)
      from pg_attribute a where a.attrelid = feed.relation and a.attnum > 0 and not a.attisdropped),
    case when one then '' else format(E'\n      at := %s;', now_sql) end) end, not bounds);
end
$fn$;

revoke all on function rowbell.id_sql(), rowbell.document_sql(text, text, text, text, text) from public;

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
