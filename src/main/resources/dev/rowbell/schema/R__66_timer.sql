-- Rules with "for": which fire when their condition has held for so long. Triggers append what began and ceased to hold to rowbell.timer_event. Rowbell folds
-- that into rowbell.timer, and looks at a row again when it is due. One process at a time works on the timers of a feed, in one transaction from the
-- timer to the alert.

-- The text that stands for the key of a row, as {"id":2}; with question marks for escapes that no text can hold.
create or replace function rowbell.key_text(document json, key text[]) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return (select format('{%s}', string_agg(to_json(k) || ':' || (document -> k), ',' order by n)) from unnest(key) with ordinality as u (k, n));
exception when others then
  return (
    select format('{%s}', string_agg(to_json(u.k) || ':' || m.value, ',' order by u.n))
    from unnest(key) with ordinality as u (k, n)
    join rowbell.members_of(document) m on m.name = u.k);
end
$fn$;

-- Appends what a trigger function found for timers. Called by raise_N alone, see rowbell.raise_alerts(). Writes no row that another transaction may write, and
-- so waits for none. timer_codes: the codes of timers, see transitions_of().
create or replace function rowbell.append_timer_events(feed_id int, feed_relation oid, operation text, relation oid, codes int[], olds json[], news json[],
  timer_codes int[], key text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  now constant timestamptz := clock_timestamp();
  opening constant text := '{' || to_json(key[1]) || ':';
  keys text[];
  moved_to text[];
begin
  if (operation = any ('{INSERT,UPDATE,DELETE}')) is not true or relation <> feed_relation and rowbell.partition_part(feed_id, relation) is null then
    return;
  end if;
  -- a row trigger hands over one row and several codes
  if cardinality(codes) > 1 and coalesce(cardinality(olds), cardinality(news)) = 1 then
    olds := array_fill(olds[1], array[cardinality(codes)]);
    news := array_fill(news[1], array[cardinality(codes)]);
  end if;
  begin
    if cardinality(key) = 1 then
      select array_agg(opening || (case when h.code > 0 and h.code % 2 = 1 then h.new else h.old end -> key[1]) || '}' order by h.n),
        array_agg(case when h.code < 0 then opening || (h.new -> key[1]) || '}' end order by h.n)
      into keys, moved_to
      from unnest(codes, olds, news) with ordinality as h (code, old, new, n);
    end if;
  exception when others then
    keys := null;
  end;
  if keys is null then
    select array_agg(rowbell.key_text(case when h.code > 0 and h.code % 2 = 1 then h.new else h.old end, key) order by h.n),
      array_agg(case when h.code < 0 then rowbell.key_text(h.new, key) end order by h.n)
    into keys, moved_to
    from unnest(codes, olds, news) with ordinality as h (code, old, new, n);
  end if;
  insert into rowbell.timer_event (feed, rule, kind, key, moved_to, whole, at)
  select feed_id, case when h.code < 0 then -h.code else (h.code + 1) / 2 end, case when h.code < 0 then 'm' when h.code % 2 = 1 then 'a' else 'd' end,
    h.key, h.moved_to, operation <> 'UPDATE', now
  from unnest(codes, keys, moved_to) with ordinality as h (code, key, moved_to, n)
  where h.code = any (timer_codes) and h.key is not null
  order by h.n;
end
$fn$;

-- The function look_N: rows of the feed as they are now, judged by a rule. keys: those with these keys, with their documents; null: the next so many in
-- the order of the key, without; rule 0: not judged. Runs as the role of the feed. Parameters by number: a column of the feed may have any name.
create or replace function rowbell.look_sql(feed rowbell.feed, transitions rowbell.transition[]) returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with key as (
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, u.n, n.nspname as operators
    from unnest(rowbell.key_of(feed.relation)) with ordinality as u (k, n)
    join pg_attribute a on a.attrelid = feed.relation and a.attname = u.k
    join pg_index i on i.indrelid = feed.relation and i.indisprimary
    join pg_opclass c on c.oid = i.indclass[array_position(i.indkey::int2[], a.attnum)]
    join pg_amop m on m.amopfamily = c.opcfamily and m.amopstrategy = 3 and m.amoplefttype = c.opcintype and m.amoprighttype = c.opcintype
    join pg_operator o on o.oid = m.amopopr
    join pg_namespace n on n.oid = o.oprnamespace),
  parts as (
    select rowbell.sql_name(feed.relation) as feed,
      string_agg(format('%I %s', name, type), ', ' order by n) as columns,
      string_agg(format('new.%1$I operator(%2$I.=) r.%1$I', name, operators), ' and ' order by n) as same,
      string_agg(format('new.%I', name), ', ' order by n) as names,
      -- as one comparison of rows, which can use the index of the key
      case when count(distinct operators) = 1
        then format('row(%s) operator(%I.>) row(%s)', string_agg(format('new.%I', name), ', ' order by n), min(operators),
          string_agg(format('(select r.%I from last_one r)', name), ', ' order by n))
        else (
          select string_agg(format('%s new.%I operator(%I.>) (select r.%2$I from last_one r)', (
            select string_agg(format('new.%1$I operator(%2$I.=) (select r.%1$I from last_one r) and', b.name, b.operators), ' ' order by b.n)
            from key b where b.n < k.n), k.name, k.operators), ' or ' order by k.n) from key k) end as later
    from key),
  rules as (
    select t.code / 2 + 1 as id, t.prefilter as condition, (t.rule).since as since
    from unnest(transitions) t
    where t.status = 'armed' and t.operation = 'UPDATE'
    union all
    select 0, 'null::bool', null)
  select format(E'\n#variable_conflict use_column\nbegin\n%s\n  raise exception ''the rule is not known'';\nend\n', string_agg(rowbell.fill($part$
  if $1 = {{rule}} and $2 is not null then
    return query
    select k.key, {{condition}} is true, row_to_json(new.*), null::timestamptz, null, null
    from unnest($2) as k (key)
    cross join lateral json_to_record(k.key::json) as r ({{columns}})
    join {{feed}} as new on {{same}};
    return;
  elsif $1 = {{rule}} then
    return query
    with last_one as (select * from json_to_record($3::json) as r ({{columns}}))
    select (select row_to_json(k.*)::text from (select {{names}}) as k), {{condition}} is true, null::json,
      case when {{condition}} then ({{since}})::timestamptz end, null, null
    from {{feed}} as new
    where $3 is null or {{later}}
    order by {{names}}
    limit $4;
    return;
  end if;$part$, jsonb_build_object('rule', r.id, 'condition', r.condition, 'columns', p.columns, 'feed', p.feed, 'same', p.same, 'names', p.names, 'later', p.later,
    'since', coalesce(rowbell.rows_by_name(r.since, feed.relation) || E'\n', 'null'))), E'\n' order by r.id))
  from rules r
  cross join parts p
$fn$;

-- Rows of a feed as they are now, judged by a rule, see look_sql(). Those that the rule cannot judge have the error.
create or replace function rowbell.look(feed_id int, rule_id int, keys text[], after text default null, most int default null) returns rowbell.looked[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  looked rowbell.looked[];
  key text;
  context text;
begin
  execute format('select array_agg(l) from rowbell.look_%s($1, $2, $3, $4) l', feed_id) into looked using rule_id, keys, after, most;
  return coalesce(looked, '{}');
exception when others or assert_failure or query_canceled then
  get stacked diagnostics context = pg_exception_context;
  if rowbell_alert.is_cancel(sqlstate, context) or sqlstate in ('55P03', '40P01', '40001') then
    raise;
  elsif cardinality(keys) = 1 then
    return array[row(keys[1], null, null, null, sqlerrm, sqlstate)::rowbell.looked];
  elsif rule_id = 0 then
    raise;
  end if;
  looked := '{}';
  foreach key in array case when keys is null then array(select l.key from unnest(rowbell.look(feed_id, 0, null, after, most)) l) else keys end loop
    looked := looked || rowbell.look(feed_id, rule_id, array[key]);
  end loop;
  return looked;
end
$fn$;

-- Applies events of the kinds a and d to the timers, and returns the timers that have fired and ended. What counts is the last event of each row.
create or replace function rowbell.apply_timer_events(feed_id int, events rowbell.timer_event[]) returns rowbell.timer[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  net jsonb;
  ended rowbell.timer[];
begin
  with netted as (
    select distinct on (e.rule, e.key) e.rule, e.key, e.kind, e.at, bool_or(e.kind = 'd') over (partition by e.rule, e.key) as broken
    from unnest(events) e
    order by e.rule, e.key, e.id desc)
  select jsonb_agg(n) into net from netted n;
  with gone as (
    delete from rowbell.timer t
    using jsonb_to_recordset(net) as n (rule int, key text, kind text, at timestamptz, broken bool)
    -- one that is armed after it has fired has ended unseen, as by truncate
    where (n.broken or n.kind = 'a' and t.fired < n.at) and t.rule = n.rule and t.key = n.key
    returning t)
  select array_agg(t) into ended from gone where (t).fired is not null;
  insert into rowbell.timer as t (feed, rule, key, since, began)
  select feed_id, n.rule, n.key, n.at, n.at
  from jsonb_to_recordset(net) as n (rule int, key text, kind text, at timestamptz)
  where n.kind = 'a'
  on conflict (rule, key) do update set since = excluded.since, began = excluded.began where t.fired is null;
  return ended;
end
$fn$;

-- Applies events of the kind m, of one statement: all rows at the same time, since one may take the key that another had. A row trigger has events of one row at
-- a time. So a timer whose key another one takes is put aside until its own event comes: displaced are those put aside before, returned are those put aside now.
create or replace function rowbell.move_timers(events rowbell.timer_event[], displaced rowbell.timer[]) returns rowbell.timer[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  moved rowbell.timer[];
  aside rowbell.timer[];
begin
  with gone as (
    delete from rowbell.timer t
    using unnest(events) e
    where t.rule = e.rule and t.key = e.key and not exists (select from unnest(displaced) d where d.rule = e.rule and d.key = e.key)
    returning row(t.feed, t.rule, e.moved_to, t.since, t.began, t.fired)::rowbell.timer as t)
  select array_agg(g.t) into moved
  from (
    select t from gone
    union all
    select row(d.feed, d.rule, e.moved_to, d.since, d.began, d.fired)::rowbell.timer
    from unnest(displaced) d
    join unnest(events) e on e.rule = d.rule and e.key = d.key) g;
  with gone as (
    delete from rowbell.timer t using unnest(moved) m where t.rule = m.rule and t.key = m.key returning t)
  select array_agg(t) into aside from gone;
  insert into rowbell.timer select m.* from unnest(moved) m;
  return array(
    select d from unnest(displaced) d where not exists (select from unnest(events) e where e.rule = d.rule and e.key = d.key)
    union all
    select a from unnest(aside) a);
end
$fn$;

-- The documents of alerts of a rule with "for", into the feedback table. looked: the rows; of one that is gone the key is what is left.
create or replace function rowbell.raise_timers(feed rowbell.feed, rule rowbell.rule, status text, timers rowbell.timer[], looked rowbell.looked[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  insert into rowbell.feedback (alert)
  select rowbell.timer_alert(raise_timers.rule, f.name, status, coalesce(l.document, t.key::json), f.key,
    json_build_object('since', to_char(t.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
  -- offset 0: asked once
  from (select rowbell.shown_name(feed.relation) as name, rowbell.key_of(feed.relation) as key offset 0) f
  cross join unnest(timers) t
  -- one, where rows of two children share the key
  left join lateral (select l.document from unnest(looked) l where l.key = t.key limit 1) l on true
  order by t.began
$fn$;

-- Raises the alerts that the conditions of these timers, which have fired, have ended.
create or replace function rowbell.resolve_timers(feed rowbell.feed, ended rowbell.timer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  of_rule record;
begin
  for of_rule in
    select r as rule, s.id, array_agg(t) as timers, array_agg(t.key) as keys
    from unnest(ended) t
    join rowbell.rule_state s on s.id = t.rule
    join rowbell.rule r on r.name = s.rule and r.resolved and r.enabled and r."for" is not null
    group by r, s.id
  loop
    perform rowbell.raise_timers(feed, of_rule.rule, 'resolved', of_rule.timers, rowbell.look(feed.id, of_rule.id, of_rule.keys));
  end loop;
end
$fn$;

-- Takes so many events and applies them; returns how many there were.
create or replace function rowbell.fold_timer_events(feed rowbell.feed, most int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  part record;
  ended rowbell.timer[] := '{}';
  displaced rowbell.timer[] := '{}';
  taken int := 0;
begin
  -- Events of one row have their ids in the order in which they happened: the lock on the row is held when they are numbered. A transaction that changes the
  -- row again has waited for the one before, so an event is never seen before an earlier one of its row.
  for part in
    with taken as (
      delete from rowbell.timer_event e
      where e.feed = feed.id and e.id = any (array(select f.id from rowbell.timer_event f where f.feed = feed.id order by f.id limit most))
      returning e),
    -- A row that its transaction deleted and inserted again goes on, as one does that moves to another partition by row triggers.
    touched as (
      select e, (e).id, (e).rule, (e).key from taken
      union all
      select e, (e).id, (e).rule, (e).moved_to from taken where (e).kind = 'm'),
    neighbours as (select e, id, lag(e) over w as before, lead(e) over w as after from touched window w as (partition by rule, key order by id)),
    replaced as (
      select n.id
      from neighbours n
      where (n.e).whole and case (n.e).kind
        when 'a' then (n.before).kind = 'd' and (n.before).whole and (n.before).xact = (n.e).xact
        when 'd' then (n.after).kind = 'a' and (n.after).whole and (n.after).xact = (n.e).xact end),
    edges as (
      select e, (e).id, (e).kind = 'm' as moves,
        row((e).kind = 'm', case when (e).kind = 'm' then (e).at end) is distinct from
          lag(row((e).kind = 'm', case when (e).kind = 'm' then (e).at end)) over (order by (e).id) as begins
      from taken
      where (e).id not in (select r.id from replaced r)),
    parts as (select e, id, moves, count(*) filter (where begins) over (order by id) as part from edges)
    select p.moves, array_agg(p.e order by p.id) as events from parts p group by p.part, p.moves order by p.part
  loop
    taken := taken + cardinality(part.events);
    -- of rules that are gone, or have no "for" any more
    part.events := array(
      select e from unnest(part.events) e
      where e.rule in (
          select s.id from rowbell.rule r join rowbell.rule_state s on s.rule = r.name where r.feed = feed.name and r.enabled and r."for" is not null)
        -- the index takes no more
        and octet_length(e.key) <= 2600 and coalesce(octet_length(e.moved_to), 0) <= 2600
      order by e.id);
    if part.moves then
      displaced := rowbell.move_timers(part.events, displaced);
    else
      displaced := '{}';
      ended := ended || rowbell.apply_timer_events(feed.id, part.events);
    end if;
  end loop;
  if cardinality(ended) > 0 then
    perform rowbell.resolve_timers(feed, ended);
  end if;
  return taken;
end
$fn$;

-- Looks at the rows of a rule that are due, and fires for those that still meet the condition; returns how many were due. One that the rule cannot judge is
-- looked at again in a minute.
create or replace function rowbell.fire_timers(feed rowbell.feed, rule rowbell.rule, rule_id int, most int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_variable
declare
  due constant rowbell.timer[] := array(
    select t from rowbell.timer t
    where t.rule = rule_id and t.fired is null and t.began <= clock_timestamp() - rule."for"
    order by t.began
    limit most);
  looked rowbell.looked[];
  failed rowbell.looked;
begin
  if cardinality(due) = 0 then
    return 0;
  end if;
  looked := rowbell.look(feed.id, rule_id, array(select d.key from unnest(due) d));
  perform rowbell.raise_timers(feed, rule, 'firing', array(select d from unnest(due) d where exists (select from unnest(looked) l where l.key = d.key and l.met)),
    array(select l from unnest(looked) l where l.met));
  update rowbell.timer t
  set fired = case when l.met then clock_timestamp() end,
    began = case when l.met then t.began else clock_timestamp() - rule."for" + interval '1 minute' end
  from unnest(looked) l
  where t.rule = rule_id and t.key = l.key and (l.met or l.error is not null);
  delete from rowbell.timer t
  where t.rule = rule_id and t.key = any (array(
    select d.key from unnest(due) d where not exists (select from unnest(looked) l where l.key = d.key and (l.met or l.error is not null))));
  select l.* into failed from unnest(looked) l where l.error is not null limit 1;
  if found then
    perform rowbell.rule_failed(rule.name, failed.error, failed.state, rowbell.shown_name(feed.relation), 'TIMER', failed.key::json);
  end if;
  return cardinality(due);
end
$fn$;

-- One step of arming the rows that met the condition of a rule before it existed, or while it was left out. Returns whether there was one to do.
create or replace function rowbell.scan_timers(feed rowbell.feed, rule rowbell.rule, rule_id int, most int) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  state rowbell.rule_state;
  looked rowbell.looked[];
  failed rowbell.looked;
  fired rowbell.timer[];
  ended rowbell.timer[];
begin
  select s.* into state
  from rowbell.rule_state s
  where s.id = rule_id and s.scan is not null and (s.scan_pass = 0 or s.scan < pg_snapshot_xmin(pg_current_snapshot()))
  for no key update skip locked;
  if not found then
    return false;
  elsif state.scan_after is null and state.scan < pg_snapshot_xmin(pg_current_snapshot()) then
    state.scan_pass := 1;
  end if;
  looked := rowbell.look(feed.id, rule_id, null, state.scan_after, most);
  insert into rowbell.timer (feed, rule, key, since, began)
  select feed.id, rule_id, l.key, t.since, t.since
  from unnest(looked) l
  cross join lateral (select least(l.since, clock_timestamp()) as since) t
  where l.met and octet_length(l.key) <= 2600
  on conflict do nothing;
  select l.* into failed from unnest(looked) l where l.error is not null limit 1;
  if found then
    perform rowbell.rule_failed(rule.name, failed.error, failed.state, rowbell.shown_name(feed.relation), 'TIMER', failed.key::json);
  end if;
  if cardinality(looked) = most then
    update rowbell.rule_state s set scan_pass = state.scan_pass, scan_after = looked[most].key where s.id = rule_id;
    return true;
  end if;
  update rowbell.rule_state s set scan = case when state.scan_pass = 0 then s.scan end, scan_pass = 1, scan_after = null where s.id = rule_id;
  -- the condition may have changed since they fired
  fired := array(select t from rowbell.timer t where t.rule = rule_id and t.fired is not null);
  if cardinality(fired) > 0 then
    looked := rowbell.look(feed.id, rule_id, array(select f.key from unnest(fired) f));
    with gone as (
      delete from rowbell.timer t
      where t.rule = rule_id and t.fired is not null
        and not exists (select from unnest(looked) l where l.key = t.key and (l.met or l.error is not null))
      returning t)
    select array_agg(t) into ended from gone;
    perform rowbell.resolve_timers(feed, ended);
  end if;
  return true;
end
$fn$;

-- Works on the timers of a feed: folds events, arms rows of before, fires. Returns whether there is more to do at once. Does nothing while another process works
-- on them. To be called with a statement_timeout: conditions may call functions of strangers.
create or replace function rowbell.run_timers(feed_id int, most int default 5000) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
declare
  watched rowbell.feed;
  timed record;
  more boolean;
begin
  perform from rowbell.timer_feed t where t.feed = feed_id for update skip locked;
  if not found then
    return false;
  end if;
  select f.* into watched from rowbell.feed f where f.id = feed_id and rowbell.sql_name(f.relation) = f.name;
  if not found then
    return false;
  end if;
  more := rowbell.fold_timer_events(watched, most) = most;
  -- what has ended comes before what is due
  if more then
    return true;
  end if;
  for timed in
    select r as rule, s.id, s.paused
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = watched.name and r.enabled and r."for" is not null and s.broken is null
    order by r.name
  loop
    more := more or rowbell.scan_timers(watched, timed.rule, timed.id, most);
    if timed.paused is null then
      more := more or rowbell.fire_timers(watched, timed.rule, timed.id, most) = most;
    end if;
  end loop;
  return more;
end
$fn$;

-- The feeds with rules with "for", and in how many milliseconds there is work on their timers; null where no row is armed.
create or replace function rowbell.timer_feeds() returns table (feed int, name text, due_in double precision)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
  select f.id, f.name, case when exists (select from rowbell.timer_event e where e.feed = f.id) then 0 else (
    select min(case when s.scan is not null and (s.scan_pass = 0 or s.scan < pg_snapshot_xmin(pg_current_snapshot())) then 0
      when s.paused is null then (
        select extract(epoch from t.began + r."for" - clock_timestamp()) * 1000
        from rowbell.timer t
        where t.rule = s.id and t.fired is null
        order by t.began
        limit 1) end)
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = f.name and r.enabled and r."for" is not null and s.broken is null) end
  from rowbell.timer_feed t
  join rowbell.feed f on f.id = t.feed
$fn$;

-- Has the rows of these rules be looked at that met the condition before, unless existing is false.
create or replace function rowbell.scan_again(names text[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  update rowbell.rule_state s
  set scan = pg_current_xact_id(), scan_pass = 0, scan_after = null
  from rowbell.rule r
  where r.name = s.rule and r.name = any (names) and r.enabled and r."for" is not null and r.existing
$fn$;

-- After rules were changed: of those with "for" that are new, or have another condition, the rows of before are looked at. What was armed for another feed, or
-- before the rule was disabled, is dropped.
create or replace function rowbell.timers_changed(news rowbell.rule[], olds rowbell.rule[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  insert into rowbell.timer_feed (feed)
  select distinct f.id from unnest(news) n join rowbell.feed f on f.name = n.feed where n.enabled and n."for" is not null
  on conflict do nothing;
  delete from rowbell.timer t
  using unnest(news) n
  join unnest(olds) o on o.name = n.name
  join rowbell.rule_state s on s.rule = n.name
  where t.rule = s.id and (n.feed <> o.feed or o."for" is null or not o.enabled);
  perform rowbell.scan_again(array(
    select n.name
    from unnest(news) n
    left join unnest(olds) o on o.name = n.name and o.feed = n.feed and o.condition = n.condition and o.enabled and o."for" is not null and o.existing
    where o.name is null));
end
$fn$;

-- Drops timers of rules that are gone, disabled or without "for", so many at a time.
create or replace function rowbell.forget_timers(most int default 10000) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive known (rule) as (
    (select min(t.rule) from rowbell.timer t)
    union all
    select (select min(t.rule) from rowbell.timer t where t.rule > k.rule) from known k where k.rule is not null)
  delete from rowbell.timer t
  where t.ctid = any (array(
    select g.ctid
    from known k
    join rowbell.timer g on g.rule = k.rule
    where not exists (
      select from rowbell.rule_state s join rowbell.rule r on r.name = s.rule where s.id = k.rule and r.enabled and r."for" is not null)
    limit most
    for update of g skip locked));
  delete from rowbell.timer_event e where not exists (select from rowbell.timer_feed f where f.feed = e.feed)
$fn$;

-- Stops the time of the rows that a rule waits for, until resume(). Rows are armed and disarmed meanwhile. False where there is no such rule.
create or replace function rowbell.pause(rule text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  update rowbell.rule_state s
  set paused = coalesce(s.paused, clock_timestamp())
  from rowbell.rule r
  where r.name = pause.rule and s.rule = r.name and (r."for" is not null or r.within is not null);
  return found;
end
$fn$;

-- Has the time go on where pause() stopped it. False where the rule was not paused.
create or replace function rowbell.resume(rule text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  state rowbell.rule_state;
begin
  -- no process works on the timers meanwhile
  perform from rowbell.rule r join rowbell.feed f on f.name = r.feed join rowbell.timer_feed t on t.feed = f.id
  where r.name = resume.rule for update of t;
  select s.* into state from rowbell.rule_state s where s.rule = resume.rule and s.paused is not null for no key update;
  if not found then
    return false;
  end if;
  update rowbell.timer t
  set began = t.began + greatest(clock_timestamp() - greatest(state.paused, t.began), interval '0')
  where t.rule = state.id and t.fired is null;
  update rowbell.rule_state s set paused = null, judges_since = clock_timestamp(), judges_again = true where s.rule = resume.rule;
  return true;
end
$fn$;
