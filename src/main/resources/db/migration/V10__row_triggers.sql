-- A feed that is written a row at a time may be judged by row triggers, which cost such a writer half as much. A write of many rows costs more by
-- them than by statement triggers, and nobody knows before a statement which it will be: so whoever knows the writers says it, by for_each().

-- A table of its own: to change rowbell.feed would wait for writers, whose alerts name their partition by it, and let others wait meanwhile.
create table rowbell.row_feed (
  feed int primary key references rowbell.feed on delete cascade
);

comment on table rowbell.row_feed is 'The feeds that are judged by triggers for each row, chosen by rowbell.for_each(); all others by triggers for each statement';

create function rowbell.is_judged_by_row(feed_id int) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (
    select from rowbell.row_feed r
    join rowbell.feed f on f.id = r.feed
    join pg_class c on c.oid = f.relation
    -- one that was made again as a partitioned table is none any more
    where r.feed = feed_id and c.relkind <> 'p')
$fn$;

-- An id for an alert: a UUID of version 7, by the clock. A row trigger asks for it under the search_path of the writer, so that each name and operator
-- says its schema now.
create or replace function rowbell.new_id() returns uuid
language sql volatile parallel safe
as $fn$
  select pg_catalog.encode(
    pg_catalog.set_bit(pg_catalog.set_bit(
      pg_catalog.overlay(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
        pg_catalog.substring(
          pg_catalog.int8send((pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000)::pg_catalog.int8), 3),
        1, 6),
      52, 1), 53, 1),
    'hex')::pg_catalog.uuid
$fn$;

-- A bound (see bound_of) over NEW or OLD as an SQL condition that no search_path can change.
create function rowbell.bound_sql(bound jsonb, row_name text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('%s.%I operator(pg_catalog.%s%s) (%s)', row_name, bound ->> 'column', bound ->> 'side',
    case when (bound ->> 'open')::boolean then '' else '=' end, bound ->> 'number')
$fn$;

-- The query that says of one change, given as two rows, what it is by a rule: 1 it fires, 2 it has ended, 0 neither.
create function rowbell.moment_sql(operation text, rule jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('select case when %s then 1 when %s then 2 else 0 end from unnest(array[$1]) as new cross join unnest(array[$2]) as old',
    coalesce(m.firing, 'false'), coalesce(m.resolved, 'false'))
  from rowbell.moments_sql(operation, rule) m
$fn$;

-- each_N: the function of a row trigger, which does what judge_N does for statements. Most rows have no hit, and are asked one expression. What fails
-- is judged again, each rule alone. Only storing an alert may fail the writer. Of the two functions the one that is not used does nothing, so that a
-- trigger of before harms nobody that could not be dropped, or that the table's owner gave another name.
--
-- As with judge_N, a function whose rules are all bounds is not pinned: here each name and operator that it comes by says its schema, up to the end, except
-- in what only a failure runs.
create function rowbell.compile_each(feed rowbell.feed, rules jsonb, key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  bounds constant boolean := not exists (
    select from jsonb_array_elements(rules) r where coalesce(jsonb_typeof(r -> 'bound') <> 'object', true) or r ->> 'fires' = 'changed');
  now_sql constant text := $q$pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')$q$;
  -- the row is in the table of the trigger, always; after a dump and restore that has another number until it is compiled again
  place_sql constant text := format($q$
      if tg_relid operator(pg_catalog.=) %s then
        place := '';
      else
        place := coalesce((select '' from rowbell.feed f where f.id operator(pg_catalog.=) %s and f.relation operator(pg_catalog.=) tg_relid),
          ',"partition":' operator(pg_catalog.||) pg_catalog.to_json(rowbell.shown_name(tg_relid))::pg_catalog.text);
      end if;$q$, feed.relation::oid, feed.id);
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
  foreach operation in array array['INSERT', 'UPDATE', 'DELETE'] loop
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
        %2$s := pg_catalog.array_append(%2$s, %3$s);%4$s$part$
            else $part$
        if (%1$s) then
          %2$s := pg_catalog.array_append(%2$s, %3$s);%4$s
        end if;$part$ end,
          m.condition,
          case when rule ->> 'notify' is null then 'durable' else 'notified' end,
          format($doc$'{"id":"' operator(pg_catalog.||) rowbell.new_id()::pg_catalog.text operator(pg_catalog.||) %L operator(pg_catalog.||) place
            operator(pg_catalog.||) %L operator(pg_catalog.||) at operator(pg_catalog.||) '"%s operator(pg_catalog.||) %L$doc$,
            rule ->> m.head,
            format(',"operation":"%s","time":"', operation),
            case operation
              when 'INSERT' then $q$,"new":' operator(pg_catalog.||) pg_catalog.row_to_json(new)::pg_catalog.text$q$
              when 'DELETE' then $q$,"old":' operator(pg_catalog.||) pg_catalog.row_to_json(old)::pg_catalog.text$q$
              else $q$,"old":' operator(pg_catalog.||) pg_catalog.row_to_json(old)::pg_catalog.text
            operator(pg_catalog.||) ',"new":' operator(pg_catalog.||) pg_catalog.row_to_json(new)::pg_catalog.text$q$
            end,
            rule ->> 'tail'),
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
    hit := hit || format(E'\n      if tg_op operator(pg_catalog.=) %L then%s\n      end if;', operation, hits);
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
  durable pg_catalog.text[];
  notified pg_catalog.text[];
  channels pg_catalog.text[];
  alone pg_catalog.record;
  rule pg_catalog.record;
begin
  begin
    if (%1$s) then
      at := %2$s;%3$s%4$s
    else
      return null;
    end if;
  exception when others or assert_failure then%5$s
    begin
      at := %2$s;%3$s
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

  if durable is not null then
    if pg_catalog.has_table_privilege('rowbell.feedback', 'insert') then
      if pg_catalog.cardinality(durable) operator(pg_catalog.=) 1 then
        insert into rowbell.feedback (alert) values (_judge.durable[1]::pg_catalog.json);
      else
        insert into rowbell.feedback (alert) select _d::pg_catalog.json from pg_catalog.unnest(_judge.durable) as _d;
      end if;
    else
      raise warning 'rowbell: %% alerts of %% were not stored: %% may not insert into rowbell.feedback',
        pg_catalog.cardinality(durable), tg_relid::pg_catalog.regclass, current_user;
    end if;
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
      from pg_attribute a where a.attrelid = feed.relation and a.attnum > 0 and not a.attisdropped)) end, not bounds);
end
$fn$;

-- Gives the triggers that rules ask for to the feed and its children, those that are not there yet. A trigger takes a lock that waits for
-- writers, and writers wait behind it: so it is tried for 20 ms, all at once or not at all, and then again, until patience ends.
create or replace function rowbell.attach(feed rowbell.feed, operations text[], patience interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '20ms'
as $fn$
declare
  give_up constant timestamptz := clock_timestamp() + patience;
  by_row constant boolean := rowbell.is_judged_by_row(feed.id);
  missing record;
begin
  loop
    begin
      for missing in select m.* from rowbell.missing_triggers(feed, operations) m loop
        execute format('create trigger %I after %s on %s %s execute function rowbell.%I()',
          missing.name, missing.operation, rowbell.sql_name(missing.relid),
          case
            when by_row then 'for each row'
            when missing.operation = 'insert' then 'referencing new table as new_rows for each statement'
            when missing.operation = 'update' then 'referencing old table as old_rows new table as new_rows for each statement'
            else 'referencing old table as old_rows for each statement'
          end,
          format(case when by_row then 'each_%s' else 'judge_%s' end, feed.id));
      end loop;
      return;
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > give_up then
        raise exception 'feed %: its triggers could not be made, transactions are writing to it all the time', feed.name
          using errcode = 'RB003', hint = 'Try again when no long transaction is writing to it. Nothing was changed.';
      end if;
    end;
    perform pg_sleep(0.05 + random() * 0.1);
  end loop;
end
$fn$;

-- Compiles all rules of a feed. Replacing functions takes no lock on the feed. Does nothing where nothing differs.
-- Where rowbell.triggers = later, triggers that cannot be made soon are left to refresh(), which tries again.
create or replace function rowbell.compile(feed_name text, patience interval default '10 s') returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  later constant boolean := coalesce(current_setting('rowbell.triggers', true) = 'later', false);
  feed rowbell.feed;
  rules jsonb;
  key text[];
begin
  perform rowbell.lock_compiler();
  select f.* into feed from rowbell.feed f where f.name = feed_name;
  if not found or rowbell.sql_name(feed.relation) is null then
    return;
  end if;
  rules := rowbell.rules_of(feed);
  key := rowbell.key_of(feed.relation);
  perform rowbell.compile_place(feed, key);
  perform rowbell.compile_row(feed, rules);
  if rowbell.is_judged_by_row(feed.id) then
    perform rowbell.compile_judge(feed, '[]', key);
    perform rowbell.compile_each(feed, rules, key);
  else
    perform rowbell.compile_judge(feed, rules, key);
    if to_regproc(format('rowbell.each_%s', feed.id)) is not null then
      perform rowbell.compile_each(feed, '[]', key);
    end if;
  end if;
  perform rowbell.attach(feed, array(
    select distinct operation
    from jsonb_array_elements(rules) r
    cross join jsonb_array_elements_text(r -> 'operations') operation
    order by operation), case when later then '300 ms' else patience end);
exception when sqlstate 'RB003' then
  if not later then
    raise;
  end if;
end
$fn$;

-- Takes the triggers off tables that are no children of the feed any more.
create or replace function rowbell.detach_strangers(feed rowbell.feed) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  stranger record;
begin
  for stranger in
    select g.tgrelid, g.tgname
    from pg_trigger g
    join pg_proc p on p.oid = g.tgfoid
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'rowbell' and p.proname in (format('judge_%s', feed.id), format('each_%s', feed.id))
      and g.tgrelid not in (select t.relid from rowbell.tables_of(feed.relation) t)
      and pg_has_role((select c.relowner from pg_class c where c.oid = g.tgrelid), 'usage')
  loop
    execute format('drop trigger %I on %s', stranger.tgname, rowbell.sql_name(stranger.tgrelid));
  end loop;
end
$fn$;

-- Takes the triggers off a feed and its children, to make others. As with attach, a lock is waited for for 20 ms at a time.
create function rowbell.detach(feed rowbell.feed, patience interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '20ms'
as $fn$
declare
  give_up constant timestamptz := clock_timestamp() + patience;
  gone record;
begin
  loop
    begin
      for gone in
        -- whatever they are called by now
        select g.tgname, g.tgrelid
        from pg_trigger g
        join pg_proc p on p.oid = g.tgfoid
        join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'rowbell' and p.proname in (format('judge_%s', feed.id), format('each_%s', feed.id)) and g.tgparentid = 0
      loop
        if not pg_has_role((select c.relowner from pg_class c where c.oid = gone.tgrelid), 'usage') then
          raise exception '% has not the role of the owner of %, whose triggers are to be dropped', current_user, rowbell.shown_name(gone.tgrelid)
            using errcode = 'RB001', hint = 'Choose before the first rule, or disable the rules and have the owner call rowbell.unwatch() first.';
        end if;
        execute format('drop trigger %I on %s', gone.tgname, rowbell.sql_name(gone.tgrelid));
      end loop;
      return;
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > give_up then
        raise exception 'feed %: its triggers could not be changed, transactions are using it all the time', feed.name
          using errcode = 'RB003', hint = 'Try again when no long transaction is using it. Nothing was changed.';
      end if;
    end;
    perform pg_sleep(0.05 + random() * 0.1);
  end loop;
end
$fn$;

-- Has a feed judged by triggers for each row or for each statement; before its first rule or later, and then by a role that has that of the table's
-- owner, because the triggers of before are dropped. That waits for whoever reads or writes the feed, for 20 ms at a time and 10 seconds in all.
create function rowbell.for_each(feed text, what text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  feed_relation constant oid := rowbell.find_feed(feed);
  feed_name constant text := rowbell.sql_name(feed_relation);
  watched rowbell.feed;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'triggers are changed in transactions of isolation level read committed'
      using errcode = 'RB002', hint = 'Another level would compile a feed without the rules that others have committed since.';
  end if;
  perform rowbell.lock_compiler();
  if what in ('row', 'statement') is not true then
    raise exception 'for_each: %', format('%L is neither row nor statement', what) using errcode = 'RB001';
  elsif feed_relation is null or not exists (
      select from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.oid = feed_relation and c.relkind in ('r', 'p') and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'rowbell')) then
    raise exception 'for_each: there is no table % to watch', feed using errcode = 'RB001';
  elsif what = 'row' and (select c.relkind = 'p' or c.relispartition from pg_class c where c.oid = feed_relation) then
    raise exception 'for_each: the table % is partitioned, or a partition', feed
      using errcode = 'RB001', hint = 'For a row trigger, a row that moves to another partition is deleted in one and inserted into the other.';
  end if;
  insert into rowbell.feed (name, relation) values (feed_name, feed_relation) on conflict do nothing;
  -- a table that was dropped and made again, or renamed, and that nobody has noticed yet
  update rowbell.feed f set relation = feed_relation
  where f.name = feed_name and f.relation <> feed_relation and not exists (select from rowbell.feed other where other.relation = feed_relation);
  select f.* into strict watched from rowbell.feed f where f.relation = feed_relation;
  if exists (select from rowbell.row_feed r where r.feed = watched.id) = (what = 'row') then
    return;
  end if;
  perform rowbell.detach(watched, '10 s');
  if what = 'row' then
    insert into rowbell.row_feed (feed) values (watched.id);
  else
    delete from rowbell.row_feed r where r.feed = watched.id;
  end if;
  -- the feed is locked by now, so that nothing but a child that is new may have to be waited for
  perform rowbell.compile(watched.name, '1 s');
end
$fn$;

-- A feed that is not judged by rows any more, or is gone: so is its function, unless somebody gave it a trigger of another name.
create function rowbell.row_feed_gone() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  execute format('drop function if exists rowbell.each_%s()', old.feed);
  return null;
exception when dependent_objects_still_exist then
  return null;
end
$fn$;

create trigger gone after delete on rowbell.row_feed
  for each row execute function rowbell.row_feed_gone();

revoke all on function rowbell.is_judged_by_row(int), rowbell.bound_sql(jsonb, text), rowbell.compile_each(rowbell.feed, jsonb, text[]), rowbell.for_each(text, text), rowbell.moment_sql(text, jsonb),
  rowbell.detach(rowbell.feed, interval), rowbell.row_feed_gone() from public;

do $do$
begin
  if exists (select from pg_roles where rolname = 'rowbell_admin') then
    grant select on rowbell.row_feed to rowbell_admin;
    grant execute on function rowbell.for_each(text, text) to rowbell_admin;
  end if;
end
$do$;
