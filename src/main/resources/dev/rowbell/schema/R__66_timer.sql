-- Rules with "for": which fire when their condition has held for so long. Triggers append what began and ceased to hold to rowbell.timer_event. Rowbell folds
-- that into rowbell.timer, in a transaction that calls no function of a condition; and looks at a row again when it is due, in a transaction for each rule, from
-- the timer to the alert. One process at a time works on the timers of a feed: it has the row of rowbell.timer_feed locked.

-- The text that stands for the key of a row, as {"id":2}; with question marks for escapes that no text can hold. Null where the document lacks a part of it.
create or replace function rowbell.key_text(document json, key text[]) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return (
    select case when count(document -> k) = count(*) then format('{%s}', string_agg(to_json(k) || ':' || (document -> k), ',' order by n)) end
    from unnest(key) with ordinality as u (k, n));
exception when others then
  return (
    select case when count(*) = cardinality(key) then format('{%s}', string_agg(to_json(u.k) || ':' || m.value, ',' order by u.n)) end
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
  now_key text[];
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
  if array_position(keys, null) > 0 then
    -- not by feed_relation, which is the number of before in a database that was restored
    now_key := nullif(rowbell.key_of((select f.relation from rowbell.feed f where f.id = feed_id)), '{}');
  end if;
  if key <> now_key then
    -- a column was renamed, and refresh() has not compiled the feed yet
    perform rowbell.append_timer_events(feed_id, feed_relation, operation, relation, codes, olds, news, timer_codes, now_key);
    return;
  end if;
  insert into rowbell.timer_event (feed, rule, kind, key, moved_to, whole, at)
  select feed_id, case when h.code < 0 then -h.code else (h.code + 1) / 2 end, case when h.code < 0 then 'm' when h.code % 2 = 1 then 'a' else 'd' end,
    h.key, h.moved_to, operation <> 'UPDATE', now
  from unnest(codes, keys, moved_to) with ordinality as h (code, key, moved_to, n)
  where h.code = any (timer_codes) and h.key is not null
  -- of a statement, what is taken off comes before what is put on: a row may take the key of another
  order by case when h.code < 0 then 1 when h.code % 2 = 1 then 2 else 0 end, h.n;
end
$fn$;

-- The function look_N: rows of the feed as they are now, judged by a rule. keys: those with these keys, with their documents; null: the next so many in
-- the order of the key, without; rule 0: not judged. most: with since. Runs as the role of the feed. Parameters by number: a column of the feed may have any name.
create or replace function rowbell.look_sql(feed rowbell.feed, transitions rowbell.transition[]) returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with key as (
    select * from rowbell.key_columns(feed.relation)),
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
    select k.key, {{condition}} is true, row_to_json(new.*), case when $4 is not null and {{condition}} then ({{since}})::timestamptz end, null, null
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

-- Rows of a feed as they are now, judged by a rule, see look_sql(). Those that the rule cannot judge have the error; so has one whose since it cannot work out.
create or replace function rowbell.look(feed_id int, rule_id int, keys text[], after text default null, most int default null) returns rowbell.looked[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  looked rowbell.looked[];
  judged boolean := false;
  key text;
  context text;
begin
  execute format('select array_agg(l) from rowbell.look_%s($1, $2, $3, $4) l', feed_id) into looked using rule_id, keys, after, most;
  -- PostgreSQL undoes the effects of the functions of conditions; an event that one left for a deferred trigger would run as the role of this session
  judged := true;
  raise exception using errcode = 'RB004';
exception when others or assert_failure or query_canceled then
  if judged and sqlstate = 'RB004' then
    return coalesce(looked, '{}');
  end if;
  get stacked diagnostics context = pg_exception_context;
  if rowbell_alert.is_cancel(sqlstate, context) or keys is null and rule_id = 0 then
    raise;
  elsif cardinality(keys) = 1 and most is null then
    return array[row(keys[1], null, null, null, sqlerrm, sqlstate)::rowbell.looked];
  elsif cardinality(keys) = 1 then
    return array(
      select row(l.key, l.met, l.document, null, coalesce(l.error, sqlerrm), coalesce(l.state, sqlstate))::rowbell.looked
      from unnest(rowbell.look(feed_id, rule_id, keys)) l);
  end if;
  looked := '{}';
  foreach key in array case when keys is null then array(select l.key from unnest(rowbell.look(feed_id, 0, null, after, most)) l) else keys end loop
    looked := looked || rowbell.look(feed_id, rule_id, array[key], null, most);
  end loop;
  return looked;
end
$fn$;

-- Notes that a row is not watched, because the index takes no key as long as its.
create or replace function rowbell.key_too_long(feed rowbell.feed, rule_name text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.rule_failed(rule_name, 'the key of a row has more than 2,600 bytes, so "for" does not watch the row', '54000',
    rowbell.shown_name(feed.relation), 'TIMER', null)
$fn$;

-- Notes the first failure among rows that were looked at, and that a key is too long for the index.
create or replace function rowbell.look_failed(feed rowbell.feed, rule rowbell.rule, looked rowbell.looked[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.rule_failed(rule.name, l.error, l.state, rowbell.shown_name(feed.relation), 'TIMER', l.key::json)
  from unnest(looked) l
  where l.error is not null
  limit 1;
  select rowbell.key_too_long(feed, rule.name) from unnest(looked) l where l.met and octet_length(l.key) > 2600 limit 1
$fn$;

-- While events are folded, a key may have several timers: one that is put where another is puts that aside, and what leaves the key takes the oldest. For what
-- row triggers tell comes row by row, and a row may take a key before the one that had it has left. In ended is 0, or less for one that was put aside, by that
-- event. Those that are left over at the end had rows that ceased to meet the condition unseen, as by truncate.

-- Applies events of the kinds a and d.
create or replace function rowbell.arm_timers(events rowbell.timer_event[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  keys jsonb;
  armed jsonb;
begin
  -- of each key: how many timers are taken off it, and how many of the last that are put there stay
  with steps as (
    select e.*, sum(case e.kind when 'a' then 1 else -1 end) over (partition by e.rule, e.key order by e.id) as level
    from unnest(events) e),
  changed as (
    select s.rule, s.key, array_agg(s.id order by s.id) filter (where s.kind = 'd') as ended, count(*) filter (where s.kind = 'd') as off, max(s.at) filter (where s.kind = 'a') as at,
      sum(case s.kind when 'a' then 1 else -1 end) as total, least(min(s.level), 0) as lowest
    from steps s
    group by s.rule, s.key),
  held as (
    select c.*, count(t.key) as timers, max(t.fired) as fired
    from changed c
    left join rowbell.timer t on t.rule = c.rule and t.key = c.key and t.ended <= 0
    group by c.rule, c.key, c.ended, c.off, c.at, c.total, c.lowest)
  select jsonb_agg(jsonb_build_object('rule', h.rule, 'key', h.key, 'ended', h.ended, 'off', h.off, 'stay', case
      -- an event of before it fired, which the look that armed it has seen
      when h.off = 0 and h.fired >= h.at then 0
      else least(h.timers, h.off) + h.total - least(h.timers + h.lowest, 0) end))
  into keys
  from held h;
  with held as (
    select t.rule, t.key, t.ended, k.ended as ended_by, k.off, row_number() over (partition by t.rule, t.key order by t.ended = 0, t.ended desc) as place
    from jsonb_to_recordset(keys) as k (rule int, key text, ended bigint[], off int)
    join rowbell.timer t on t.rule = k.rule and t.key = k.key and t.ended <= 0
    where k.off > 0),
  gone as (
    delete from rowbell.timer t
    using held h
    where t.rule = h.rule and t.key = h.key and t.ended = h.ended and h.place <= h.off
    returning t.*, h.ended_by[h.place] as ended_by)
  insert into rowbell.timer (feed, rule, key, since, began, fired, ended)
  select g.feed, g.rule, g.key, g.since, g.began, g.fired, g.ended_by from gone g where g.fired is not null
  on conflict do nothing;
  with puts as (
    select e.feed, e.rule, e.key, e.id, e.at, lead(e.id) over w as next, count(*) over (w rows between current row and unbounded following) as place, k.stay
    from unnest(events) e
    join jsonb_to_recordset(keys) as k (rule int, key text, stay int) on k.rule = e.rule and k.key = e.key
    where e.kind = 'a' and k.stay > 0
    window w as (partition by e.rule, e.key order by e.id))
  select jsonb_agg(p) into armed from puts p where p.place <= p.stay;
  update rowbell.timer t
  set ended = -a.id
  from jsonb_to_recordset(armed) as a (rule int, key text, id bigint, place int, stay int)
  where a.place = a.stay and t.rule = a.rule and t.key = a.key and t.ended = 0;
  insert into rowbell.timer (feed, rule, key, since, began, ended)
  select a.feed, a.rule, a.key, a.at, a.at + (
    -- those that were resumed before the event was folded
    select coalesce(sum(upper(p) - greatest(lower(p), a.at)), interval '0')
    from rowbell.rule_state s
    cross join unnest(s.pauses) p
    where s.id = a.rule and upper(p) > a.at), coalesce(-a.next, 0)
  from jsonb_to_recordset(armed) as a (feed int, rule int, key text, at timestamptz, next bigint)
  where octet_length(a.key) <= 2600;
end
$fn$;

-- Applies events of the kind m, of one statement: all rows at the same time.
create or replace function rowbell.move_timers(events rowbell.timer_event[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  moved rowbell.timer[];
begin
  with gone as (
    delete from rowbell.timer t
    using unnest(events) e
    where t.rule = e.rule and t.key = e.key and t.ended = (
      select o.ended from rowbell.timer o where o.rule = e.rule and o.key = e.key and o.ended <= 0 order by o.ended = 0, o.ended desc limit 1)
    returning row(t.feed, t.rule, e.moved_to, t.since, t.began, t.fired, -e.id)::rowbell.timer as t)
  select array_agg(t) into moved from gone;
  update rowbell.timer t set ended = m.ended from unnest(moved) m where t.rule = m.rule and t.key = m.key and t.ended = 0;
  insert into rowbell.timer (feed, rule, key, since, began, fired)
  select m.feed, m.rule, m.key, m.since, m.began, m.fired from unnest(moved) m where octet_length(m.key) <= 2600
  on conflict do nothing;
end
$fn$;

-- Begins to fold the events of a feed, in a transaction of isolation level repeatable read, so that it sees whole transactions. Returns false where another
-- process works on the timers, or where the primary key has changed and refresh() has not seen to it yet.
create or replace function rowbell.begin_fold(feed_id int) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform from rowbell.timer_feed t where t.feed = feed_id and rowbell.has_key_of_timers(t) for update skip locked;
  if not found then
    return false;
  end if;
  -- Events of one row have their ids in the order in which they happened: the lock on the row is held when they are numbered. A transaction that changes the
  -- row again has waited for the one before, so an event is never seen before an earlier one of its row.
  -- A row that its transaction deleted and inserted again goes on, as one does that moves to another partition by row triggers.
  with touched as (
    select e, e.id, e.rule, e.key from rowbell.timer_event e where e.feed = feed_id
    union all
    select e, e.id, e.rule, e.moved_to from rowbell.timer_event e where e.feed = feed_id and e.kind = 'm'),
  neighbours as (select e, id, lag(e) over w as before, lead(e) over w as after from touched window w as (partition by rule, key order by id))
  delete from rowbell.timer_event e
  using neighbours n
  where e.feed = feed_id and e.id = n.id and e.whole and case e.kind
    when 'a' then (n.before).kind = 'd' and (n.before).whole and (n.before).xact = e.xact
    when 'd' then (n.after).kind = 'a' and (n.after).whole and (n.after).xact = e.xact end;
  return true;
exception when serialization_failure then
  return false;
end
$fn$;

-- Folds so many events of a feed, behind one; returns the last of them, null where there are no more. To be called again in the transaction of begin_fold()
-- until there are none. To look for the first one anew would read again all that this transaction has folded.
-- Plans anew: a session that began while a table was empty would go on to read all of it for each row.
drop function if exists rowbell.fold_timers(int, int);
create or replace function rowbell.fold_timers(feed_id int, most int default 5000, after bigint default 0) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $fn$
declare
  part record;
  last constant bigint := (
    select max(n.id) from (select e.id from rowbell.timer_event e where e.feed = feed_id and e.id > after order by e.id limit most) n);
  rules constant int[] := array(
    select s.id
    from rowbell.feed f
    join rowbell.rule r on r.feed = f.name
    join rowbell.rule_state s on s.rule = r.name
    where f.id = feed_id and r.enabled and r."for" is not null);
begin
  for part in
    with taken as (
      delete from rowbell.timer_event e
      where e.feed = feed_id and e.id > after and e.id <= last
      returning e),
    edges as (
      select e, (e).id, (e).kind = 'm' as moves,
        row((e).kind = 'm', case when (e).kind = 'm' then (e).at end) is distinct from
          lag(row((e).kind = 'm', case when (e).kind = 'm' then (e).at end)) over (order by (e).id) as begins
      from taken
      where (e).rule = any (rules)),
    parts as (select e, id, moves, count(*) filter (where begins) over (order by id) as part from edges)
    select p.moves, array_agg(p.e order by p.id) as events from parts p group by p.part, p.moves order by p.part
  loop
    if part.moves then
      perform rowbell.move_timers(part.events);
    else
      perform rowbell.arm_timers(part.events);
    end if;
    perform rowbell.key_too_long(f, s.rule)
    from unnest(part.events) e
    join rowbell.feed f on f.id = feed_id
    join rowbell.rule_state s on s.id = e.rule
    where e.kind <> 'd' and octet_length(coalesce(e.moved_to, e.key)) > 2600
    limit 1;
  end loop;
  if exists (select from rowbell.timer_event e where e.feed = feed_id and e.id > last) then
    return last;
  end if;
  delete from rowbell.timer t where t.rule = any (rules) and t.ended <> 0 and t.ended < 0 and t.fired is null;
  update rowbell.timer t set ended = -t.ended where t.rule = any (rules) and t.ended <> 0 and t.ended < 0;
  update rowbell.timer_feed t set folded = now() where t.feed = feed_id;
  return null;
end
$fn$;

-- The documents of alerts of a rule with "for", into the feedback table, as timer_alert() makes them. looked: the rows; of one that is gone the key is what is
-- left. Many may be due at once: what they share is worked out once, and no plan is made for each.
create or replace function rowbell.raise_timers(feed rowbell.feed, rule rowbell.rule, status text, timers rowbell.timer[], looked rowbell.looked[]) returns void
language sql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = auto
as $fn$
  insert into rowbell.feedback (alert)
  select rowbell.fit(
    format('{"id":"%s",%s,"time":"%s","since":"%s"', rowbell.new_id(), f.opening,
      to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), to_char(t.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
    null, coalesce(l.document, t.key::json), f.closing, f.key, f.most)
  -- offset 0: asked once
  from (
    select k.key, s.opening, s.closing, rowbell.max_alert_size() as most
    from rowbell.key_of(feed.relation) k (key)
    cross join lateral rowbell.timer_alert_frame(raise_timers.rule, rowbell.shown_name(feed.relation), status, k.key) s
    offset 0) f
  cross join unnest(timers) t
  -- one, where rows of two children share the key
  left join (select distinct on (l.key) l.key, l.document from unnest(looked) l order by l.key) l on l.key = t.key
  order by t.began, t.key
$fn$;

-- Raises the alerts that the conditions of timers which have fired have ended; returns how many there were.
create or replace function rowbell.resolve_timers(feed rowbell.feed, rule rowbell.rule, rule_id int, most int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  ended rowbell.timer[];
begin
  with gone as (
    delete from rowbell.timer t
    where t.ctid = any (array(
      select e.ctid from rowbell.timer e where e.rule = rule_id and e.ended <> 0 and e.ended > 0 order by e.ended limit most))
    returning t)
  select array_agg(t) into ended from gone;
  if rule.resolved and ended is not null then
    perform rowbell.raise_timers(feed, rule, 'resolved', ended, rowbell.look(feed.id, 0, array(select e.key from unnest(ended) e)));
  end if;
  return coalesce(cardinality(ended), 0);
end
$fn$;

-- Looks at the rows of a rule that were due until then, and fires for those that still meet the condition; returns how many were due. One that the rule cannot
-- judge is looked at again in a minute.
create or replace function rowbell.fire_timers(feed rowbell.feed, rule rowbell.rule, rule_id int, until timestamptz, most int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_variable
declare
  due constant rowbell.timer[] := array(
    select t from rowbell.timer t
    where t.rule = rule_id and t.fired is null and t.began <= until - rule."for"
    order by t.began
    -- a small batch commits sooner: Rowbell routes it while the database looks at the next one
    limit least(most, 1000));
  looked rowbell.looked[];
begin
  if cardinality(due) = 0 then
    return 0;
  end if;
  looked := rowbell.look(feed.id, rule_id, array(select d.key from unnest(due) d));
  perform rowbell.raise_timers(feed, rule, 'firing', array(select d from unnest(due) d where exists (select from unnest(looked) l where l.key = d.key and l.met)),
    array(select l from unnest(looked) l where l.met));
  -- by the keys in an array: for a join of so many, PostgreSQL would read all timers
  update rowbell.timer t set fired = clock_timestamp()
  where t.rule = rule_id and t.fired is null and t.key = any (array(select l.key from unnest(looked) l where l.met));
  update rowbell.timer t set began = clock_timestamp() - rule."for" + interval '1 minute'
  where t.rule = rule_id and t.fired is null and t.key = any (array(select l.key from unnest(looked) l where l.error is not null));
  delete from rowbell.timer t
  where t.rule = rule_id and t.fired is null and t.key = any (array(
    select d.key from unnest(due) d where not exists (select from unnest(looked) l where l.key = d.key and (l.met or l.error is not null))));
  perform rowbell.look_failed(feed, rule, looked);
  return cardinality(due);
end
$fn$;

-- One step of what is to do once a rule is new, was changed or works again; returns whether there was one. In pass 0, those that have fired resolve if they do
-- not meet the condition. In pass 1, rows that meet it are armed; and again in pass 2, which waits until no older transaction runs: it may have written by
-- triggers of before.
create or replace function rowbell.scan_timers(feed rowbell.feed, rule rowbell.rule, rule_id int, most int) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  state rowbell.rule_state;
  looked rowbell.looked[];
  fired rowbell.timer[];
  ended rowbell.timer[];
  last text;
begin
  select s.* into state
  from rowbell.rule_state s
  where s.id = rule_id and s.scan is not null and (s.scan_pass < 2 or s.scan < pg_snapshot_xmin(pg_current_snapshot()))
  for no key update skip locked;
  if not found then
    return false;
  end if;
  if state.scan_pass = 0 then
    fired := array(
      select t from rowbell.timer t
      where t.rule = rule_id and t.fired is not null and t.ended = 0 and t.key > coalesce(state.scan_after, '')
      order by t.key
      limit most);
    last := fired[most].key;
    looked := case when cardinality(fired) > 0 then rowbell.look(feed.id, rule_id, array(select f.key from unnest(fired) f)) end;
    with gone as (
      delete from rowbell.timer t
      where t.rule = rule_id and t.ended = 0 and t.key = any (array(
        select f.key from unnest(fired) f where not exists (select from unnest(looked) l where l.key = f.key and (l.met or l.error is not null))))
      returning t)
    select array_agg(t) into ended from gone;
    if rule.resolved then
      perform rowbell.raise_timers(feed, rule, 'resolved', ended, looked);
    end if;
  else
    if state.scan_after is null and state.scan < pg_snapshot_xmin(pg_current_snapshot()) then
      state.scan_pass := 2;
    end if;
    looked := rowbell.look(feed.id, rule_id, null, state.scan_after, most);
    last := looked[most].key;
    insert into rowbell.timer (feed, rule, key, since, began)
    select feed.id, rule_id, l.key, t.since, t.since
    from unnest(looked) l
    -- a time that each reader of the alert can read
    cross join lateral (select case when l.since < timestamptz '0001-01-01 00:00:00+00' then timestamptz '0001-01-01 00:00:00+00' else least(l.since, clock_timestamp()) end as since) t
    where l.met and octet_length(l.key) <= 2600
    on conflict do nothing;
  end if;
  perform rowbell.look_failed(feed, rule, looked);
  update rowbell.rule_state s
  set scan = case when last is not null or state.scan_pass < 2 and rule.existing then s.scan end,
    scan_pass = state.scan_pass + case when last is null then 1 else 0 end, scan_after = last
  where s.id = rule_id;
  return true;
end
$fn$;

-- Works on the timers of a rule, one kind of work at a time: resolves, fires, or arms rows of before. Returns whether there may be more to do at once. Does
-- nothing while another process works on timers of the feed. To be called with a statement_timeout: conditions may call functions of strangers.
-- Plans anew: a session that began while a table was empty would go on to read all of it for each row.
create or replace function rowbell.run_timers(rule_id int, most int default 5000) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set standard_conforming_strings = on
set TimeZone = 'UTC'
as $fn$
declare
  timed record;
  context text;
begin
  select r as rule, f as feed, s.paused, least(t.folded, clock_timestamp()) as folded into timed
  from rowbell.rule_state s
  join rowbell.rule r on r.name = s.rule
  join rowbell.feed f on f.name = r.feed
  join rowbell.timer_feed t on t.feed = f.id
  where s.id = rule_id and r.enabled and r."for" is not null and s.broken is null and rowbell.sql_name(f.relation) = f.name and rowbell.has_key_of_timers(t)
  for update of t skip locked;
  if not found then
    return false;
  end if;
  return rowbell.resolve_timers(timed.feed, timed.rule, rule_id, most) > 0
    -- what was committed since may have ended what seems to be due
    or timed.paused is null and rowbell.fire_timers(timed.feed, timed.rule, rule_id, timed.folded, most) > 0
    or rowbell.scan_timers(timed.feed, timed.rule, rule_id, most);
exception when others or assert_failure or query_canceled then
  get stacked diagnostics context = pg_exception_context;
  if rowbell_alert.is_cancel(sqlstate, context) or timed is null then
    raise;
  end if;
  perform rowbell.rule_failed((timed.rule).name, sqlerrm, sqlstate, rowbell.shown_name((timed.feed).relation), 'TIMER', null);
  perform rowbell.postpone_timers(rule_id, null);
  return false;
end
$fn$;

-- Has the rows of a rule that are due first, so many or all, be looked at again in a minute. Returns how many.
create or replace function rowbell.postpone_timers(rule_id int, most int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
declare
  postponed int;
begin
  with due as (
    select t.key, clock_timestamp() - r."for" as by
    from rowbell.rule_state s
    join rowbell.rule r on r.name = s.rule
    join rowbell.timer t on t.rule = s.id and t.fired is null and t.began <= clock_timestamp() - r."for"
    where s.id = rule_id
    order by t.began
    limit most)
  update rowbell.timer t set began = d.by + interval '1 minute' from due d where t.rule = rule_id and t.key = d.key and t.fired is null;
  get diagnostics postponed = row_count;
  return postponed;
end
$fn$;

-- After run_timers(rule_id, 1) took too long: passes over the one row that it looked at.
create or replace function rowbell.pass_over_slow_row(rule_id int, took interval) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  slow record;
begin
  select s.scan_pass, s.scan_after, s.paused, r.name, f.id as feed, f.relation into slow
  from rowbell.rule_state s
  join rowbell.rule r on r.name = s.rule
  join rowbell.feed f on f.name = r.feed
  where s.id = rule_id;
  if slow.paused is not null or rowbell.postpone_timers(rule_id, 1) = 0 then
    update rowbell.rule_state s
    set scan_after = case when slow.scan_pass = 0
      then (select min(t.key) from rowbell.timer t where t.rule = rule_id and t.fired is not null and t.ended = 0 and t.key > coalesce(slow.scan_after, ''))
      else (select l.key from unnest(rowbell.look(slow.feed, 0, null, slow.scan_after, 1)) l) end
    where s.id = rule_id and s.scan is not null;
  end if;
  perform rowbell.rule_failed(slow.name, format('to look at a row took longer than %s', took), '57014', rowbell.shown_name(slow.relation), 'TIMER', null);
end
$fn$;

-- What there is to do for rules with "for", and in how many milliseconds, null where no row is armed: of each feed whether there are events to be folded, with rule
-- null, and of each rule whether there is work for run_timers().
create or replace function rowbell.timer_feeds() returns table (feed int, rule int, name text, due_in double precision)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_column
begin
  return query
  select t.feed, null::int, f.name, case when exists (select from rowbell.timer_event e where e.feed = t.feed) then 0 end::double precision
  from rowbell.timer_feed t
  join rowbell.feed f on f.id = t.feed
  union all
  select t.feed, s.id, r.name, case
    when s.scan is not null and (s.scan_pass < 2 or s.scan < pg_snapshot_xmin(pg_current_snapshot())) then 0
    when exists (select from rowbell.timer e where e.rule = s.id and e.ended <> 0) then 0
    when s.paused is null then (
      select extract(epoch from a.began + r."for" - clock_timestamp()) * 1000
      from rowbell.timer a
      where a.rule = s.id and a.fired is null
      order by a.began
      limit 1) end
  from rowbell.timer_feed t
  join rowbell.feed f on f.id = t.feed
  join rowbell.rule r on r.feed = f.name
  join rowbell.rule_state s on s.rule = r.name
  where r.enabled and r."for" is not null and s.broken is null
  order by 1, 2 nulls first;
end
$fn$;

-- The columns of the primary key, by which timers know their rows.
create or replace function rowbell.timer_key_of(relation oid) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select jsonb_build_object('names', jsonb_agg(a.attname order by a.attnum), 'types', jsonb_agg(format_type(a.atttypid, null) order by a.attnum),
    'columns', jsonb_agg(a.attnum order by a.attnum))
  from pg_attribute a
  where a.attrelid = relation and a.attname = any (rowbell.key_of(relation))
$fn$;

-- Whether timers of the feed are written by the primary key that its table has now. The numbers of columns may be others after a restore.
create or replace function rowbell.has_key_of_timers(timers rowbell.timer_feed) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select (timers.key - 'columns') = (rowbell.timer_key_of(f.relation) - 'columns') from rowbell.feed f where f.id = timers.feed
$fn$;

-- Has timers follow the primary key of their feed. Where columns were renamed, they go on. Else they are of no use: what has fired is resolved, and rows are armed
-- as those of before a rule.
create or replace function rowbell.follow_key(feed rowbell.feed) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  known jsonb;
  now constant jsonb := rowbell.timer_key_of(feed.relation);
begin
  select t.key into known from rowbell.timer_feed t where t.feed = feed.id and t.key <> now and now -> 'names' <> 'null';
  if not found then
    return;
  end if;
  perform from rowbell.timer_feed t where t.feed = feed.id for update;
  update rowbell.timer_feed t set key = now where t.feed = feed.id;
  if known - 'columns' = now - 'columns' then
    return;
  elsif known - 'names' = now - 'names' then
    update rowbell.timer t set key = rowbell.rename_key(t.key, now) where t.feed = feed.id;
    update rowbell.timer_event e set key = rowbell.rename_key(e.key, now), moved_to = rowbell.rename_key(e.moved_to, now) where e.feed = feed.id;
    -- a statement trigger that pairs OLD and NEW by the key has failed meanwhile
    perform rowbell.scan_again(array(select r.name from rowbell.rule r where r.feed = feed.name));
    return;
  end if;
  perform rowbell.rule_failed(r.name, 'the primary key has changed: rows that were waited for are not known any more', '42P16', rowbell.shown_name(feed.relation),
    'TIMER', null)
  from rowbell.rule r
  join rowbell.rule_state s on s.rule = r.name
  where r.feed = feed.name and not r.existing and exists (select from rowbell.timer t where t.rule = s.id and t.fired is null);
  delete from rowbell.timer_event e where e.feed = feed.id;
  delete from rowbell.timer t where t.feed = feed.id and t.fired is null;
  update rowbell.timer t set ended = nextval(pg_get_serial_sequence('rowbell.timer_event', 'id')) where t.feed = feed.id and t.ended = 0;
  perform rowbell.scan_again(array(select r.name from rowbell.rule r where r.feed = feed.name));
end
$fn$;

-- The key of a timer under the names that its columns have now.
create or replace function rowbell.rename_key(key text, now jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('{%s}', string_agg((now -> 'names' -> (v.n - 1)::int)::text || ':' || v.value, ',' order by v.n))
  from json_each(key::json) with ordinality as v (name, value, n)
  having count(*) > 0
$fn$;

-- Has what these rules fire for be looked at again, and the rows that met the condition before be armed, unless existing is false.
create or replace function rowbell.scan_again(names text[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  update rowbell.rule_state s
  set scan = pg_current_xact_id(), scan_pass = 0, scan_after = null
  from rowbell.rule r
  where r.name = s.rule and r.name = any (names) and r.enabled and r."for" is not null
$fn$;

-- After rules saw no writes for a time: the time of the rows and groups that they wait for begins anew.
create or replace function rowbell.restart_timers(names text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform from rowbell.timer_feed t join rowbell.feed f on f.id = t.feed join rowbell.rule r on r.feed = f.name where r.name = any (names) for update of t;
  delete from rowbell.timer_event e using rowbell.rule_state s where s.rule = any (names) and e.rule = s.id;
  delete from rowbell.timer t
  using rowbell.rule_state s
  join rowbell.rule r on r.name = s.rule
  where r.name = any (names) and r.existing and t.rule = s.id and t.fired is null;
  update rowbell.timer t
  set since = clock_timestamp(), began = clock_timestamp()
  from rowbell.rule_state s
  where s.rule = any (names) and t.rule = s.id and t.fired is null;
  perform rowbell.scan_again(names);
  update rowbell.rule_state s
  set counts_since = clock_timestamp(), judges_again = true
  from rowbell.rule r
  where r.name = s.rule and r.name = any (names) and r.absent is not null;
end
$fn$;

-- After rules were changed: of those with "for" that are new, or have another condition, the rows of before are looked at. What was armed for another feed, or
-- before the rule was disabled, is dropped.
create or replace function rowbell.timers_changed(news rowbell.rule[], olds rowbell.rule[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  others int[];
begin
  insert into rowbell.timer_feed (feed, key)
  select distinct f.id, rowbell.timer_key_of(f.relation) from unnest(news) n join rowbell.feed f on f.name = n.feed where n.enabled and n."for" is not null
  on conflict do nothing;
  others := array(
    select s.id
    from unnest(news) n
    join unnest(olds) o on o.name = n.name and o."for" is not null
    join rowbell.rule_state s on s.rule = n.name
    where n."for" is null or not o.enabled
      -- by its number: the table may have been renamed
      or exists (select from rowbell.timer t where t.rule = s.id and t.feed is distinct from (select f.id from rowbell.feed f where f.name = n.feed)));
  if cardinality(others) > 0 then
    -- no process works on them meanwhile
    perform from rowbell.timer_feed t
    where t.feed in (select o.feed from rowbell.timer o where o.rule = any (others) union select f.id from unnest(news) n join rowbell.feed f on f.name = n.feed)
    order by t.feed
    for update;
    delete from rowbell.timer t where t.rule = any (others);
    delete from rowbell.timer_event e where e.rule = any (others);
  end if;
  perform rowbell.scan_again(array(
    select n.name
    from unnest(news) n
    left join unnest(olds) o on o.name = n.name and o.feed = n.feed and o.condition = n.condition and o.enabled and o."for" is not null
      and (o.existing or not n.existing)
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
  where r.name = pause.rule and s.rule = r.name and coalesce(r."for", r.within, r.absent) is not null;
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
  now constant timestamptz := clock_timestamp();
begin
  -- no process works on the timers meanwhile
  perform from rowbell.rule r join rowbell.feed f on f.name = r.feed join rowbell.timer_feed t on t.feed = f.id
  where r.name = resume.rule for update of t;
  select s.* into state from rowbell.rule_state s where s.rule = resume.rule and s.paused is not null for no key update;
  if not found then
    return false;
  end if;
  update rowbell.timer t
  set began = t.began + greatest(now - greatest(state.paused, t.began), interval '0')
  where t.rule = state.id and t.fired is null;
  update rowbell.rule_state s
  set paused = null, judges_since = clock_timestamp(), judges_again = true,
    pauses = array(select p from unnest(s.pauses) p where upper(p) > now - greatest(interval '7 days', 2 * r.absent))
      || case when s.paused < now then tstzrange(s.paused, now) end
  from rowbell.rule r
  where s.rule = resume.rule and r.name = s.rule;
  return true;
end
$fn$;
