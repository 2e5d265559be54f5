-- Rules with "count" or "sum": which fire when so much was written within a time. Triggers append to rowbell.window_event what a statement added to each
-- group. Rowbell folds that into rowbell.window_count, and decides. One process at a time works on the windows of a feed, in one transaction from the events
-- to the alert. No function of a stranger runs here: the trigger has evaluated all that a rule names. Rules with "absent" go the same way: R__69_absent.sql.

-- Appends what a trigger function counted. Called by raise_N alone, see rowbell.raise_alerts(). Writes no row that another transaction may write, and so waits
-- for none. window_codes: the codes of rules that count, see transitions_of(); of these, subjects has the groups, and added what is added to each. Runs under the
-- search_path of the writer: each name says its schema.
create or replace function rowbell.append_window_events(feed_id int, feed_relation oid, operation text, relation oid, codes int[], added json[], subjects json[],
  window_codes int[]) returns void
language plpgsql
as $fn$
#variable_conflict use_variable
declare
  now constant pg_catalog.timestamptz := pg_catalog.clock_timestamp();
begin
  if (operation operator(pg_catalog.=) any ('{INSERT,UPDATE,DELETE}')) is not true
      or relation operator(pg_catalog.<>) feed_relation and rowbell.partition_part(feed_id, relation) is null then
    return;
  end if;
  insert into rowbell.window_event (feed, rule, key, at, added)
  select feed_id, h.code operator(pg_catalog.-) 1000000000, h.subject::pg_catalog.text, now, h.added
  from unnest(codes, added, subjects) as h (code, added, subject)
  where h.code operator(pg_catalog.=) any (window_codes) and h.subject is not null and h.added is not null;
end
$fn$;

-- Reads events. The role of a feed may have passed anything: what is no event is left out.
create or replace function rowbell.read_window_events(events rowbell.window_event[]) returns rowbell.window_added[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
begin
  return array(
    select row(e.rule, e.key, e.at, (e.added ->> 'count')::int, case when a.amount - a.amount = 0 then a.amount end,
      array(select k from json_array_elements_text(e.added -> 'keys') k where octet_length(k) <= 1000 limit 10))::rowbell.window_added
    from unnest(events) e
    cross join lateral (select (e.added ->> 'sum')::numeric as amount) a
    where e.added ->> 'count' is not null);
exception when others then
  return case when cardinality(events) > 1 then (
    select array_agg(r) from unnest(events) e cross join lateral unnest(rowbell.read_window_events(array[e])) r) end;
end
$fn$;

-- By which a group is found: its text, or a hash of one that is too long for an index.
create or replace function rowbell.group_key(subject text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when octet_length(subject) > 1000 then encode(sha256(convert_to(subject, 'UTF8')), 'hex') else subject end
$fn$;

-- The names of a group's members, which are those of the rule when it was counted first. The role of the feed may have passed anything as its subject.
create or replace function rowbell.subject_columns(subject json) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select array(select json_object_keys(case when json_typeof(subject) = 'object' then subject else '{}' end))
$fn$;

-- For how long a rule counts, always as long: a month has 30 days.
create or replace function rowbell.length_of(within interval) returns interval
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select make_interval(secs => extract(epoch from within)::float8)
$fn$;

-- How many seconds a part of a window has. An event belongs to one of so many parts: a busy group has no more rows than that.
create or replace function rowbell.part_of(within interval) returns float8
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select greatest(extract(epoch from within)::float8 / 1000, 0.001)
$fn$;

-- Until when windows can be judged where events are folded until then: of the last part there may be more.
create or replace function rowbell.judgeable(folded timestamptz, within interval) returns timestamptz
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select to_timestamp(floor(extract(epoch from folded)::float8 / p) * p) - interval '1 us' from rowbell.part_of(within) p
$fn$;

-- Whether so much is over the line of a rule.
create or replace function rowbell.crosses(rule rowbell.rule, counted numeric, summed numeric) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when rule.sum is null then counted >= rule.count else coalesce(summed, 0) > rule.over end
$fn$;

-- Notes that a rule has more groups than it may have, or no more. left_out: one of those that are not watched; null: there is none.
create or replace function rowbell.note_crowded(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, left_out text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if (left_out is not null) = state.crowded then
    return;
  elsif left_out is not null then
    perform rowbell.rule_failed(rule.name, format('there are more than %s groups; others are not counted', rule.max_groups), '54000',
      rowbell.shown_name(feed.relation), 'TIMER', left_out::json);
  end if;
  -- not where an administrator changes the rule
  update rowbell.rule_state s set crowded = left_out is not null
  where s.id = any (array(select l.id from rowbell.rule_state l where l.id = state.id for no key update skip locked));
end
$fn$;

-- Adds events to the groups of a rule, and returns the groups that are to be judged. judged: until when windows were judged before.
create or replace function rowbell.fold_window_events(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, events rowbell.window_added[],
  judged timestamptz) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  part constant float8 := rowbell.part_of(rule.within);
  left_out text;
  groups bigint[];
begin
  with keys as (
    select e.key, min(e.at) as first
    from unnest(events) e
    -- a query says which there are
    where rule.groups is null and not exists (select from rowbell.window_group g where g.rule = state.id and g.key = rowbell.group_key(e.key))
    group by e.key),
  numbered as (select k.*, row_number() over (order by k.first, k.key) as n from keys k),
  room as (select rule.max_groups - count(*) as room from rowbell.window_group g where g.rule = state.id and exists (select from keys)),
  added as (
    insert into rowbell.window_group (rule, key, subject)
    select state.id, rowbell.group_key(n.key), n.key::json from numbered n, room r where n.n <= r.room)
  select min(n.key) into left_out from numbered n, room r where n.n > r.room;
  if rule.groups is null then
    perform rowbell.note_crowded(feed, rule, state, left_out);
  end if;
  if rule.absent is not null then
    with written as (
      select g.id, max(e.at) as at
      from unnest(events) e
      join rowbell.window_group g on g.rule = state.id and g.key = rowbell.group_key(e.key)
      group by g.id),
    changed as (
      update rowbell.window_group g set last = greatest(g.last, w.at) from written w where g.id = w.id
      returning g.id, g.since is not null or g.due is null as judge)
    -- of all others, due is moved when it comes
    select array_agg(c.id) into groups from changed c where c.judge;
    return groups;
  end if;
  with counted as (
    select g.id, greatest(to_timestamp(floor(extract(epoch from e.at)::float8 / part) * part), state.counts_since) as at, e.count, e.sum, e.keys, e.n
    from unnest(events) with ordinality as e (rule, key, at, count, sum, keys, n)
    join rowbell.window_group g on g.rule = state.id and g.key = rowbell.group_key(e.key)),
  keys as (
    -- a row may have been written several times
    select k.id, k.at, (array_agg(k.key order by k.n))[1:10] as keys
    from (
      select c.id, c.at, u.key, min(array[c.n, u.place]) as n from counted c cross join unnest(c.keys) with ordinality as u (key, place)
      group by c.id, c.at, u.key) k
    group by k.id, k.at),
  changed as (
    insert into rowbell.window_count as w (group_id, at, count, sum, keys)
    select c.id, c.at, c.count, c.sum, coalesce(k.keys, '{}')
    from (select c.id, c.at, sum(c.count) as count, sum(c.sum) as sum from counted c group by c.id, c.at) c
    left join keys k on k.id = c.id and k.at = c.at
    on conflict (group_id, at) do update set count = w.count + excluded.count,
      sum = case when w.sum is null or excluded.sum is null then coalesce(w.sum, excluded.sum) else w.sum + excluded.sum end,
      keys = array(select u.key from unnest(excluded.keys || w.keys) with ordinality as u (key, n) group by u.key order by min(u.n) limit 10)
    returning w.group_id)
  select array_agg(distinct c.group_id) into groups from changed c;
  return groups;
end
$fn$;

-- Judges the windows of groups: fires for one that has crossed the line, in a window that ended since it was judged before, or less than "within" before that;
-- resolves one that has fallen below. Notes when a group is to be judged next, if nothing more is written. folded: until when all is folded, where that is not
-- until now. Then only windows that ended by then are judged, and nothing resolves: what is still to be folded may have kept a group over the line.
drop function if exists rowbell.judge_windows(rowbell.feed, rowbell.rule, rowbell.rule_state, bigint[], timestamptz);
create or replace function rowbell.judge_windows(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, groups bigint[], judged timestamptz,
  folded timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
set IntervalStyle = 'iso_8601'
as $fn$
#variable_conflict use_variable
declare
  clock constant timestamptz := clock_timestamp();
  now constant timestamptz := least(rowbell.judgeable(folded, rule.within), clock);
  within constant interval := rowbell.length_of(rule.within);
  feed_name constant text := rowbell.shown_name(feed.relation);
  shifted rowbell.window_count[];
  g record;
begin
  -- the clock was set back: all goes on as it was at the last write
  select array_agg(c order by c.at) into shifted
  from rowbell.window_count c
  where c.group_id in (select a.group_id from rowbell.window_count a where a.group_id = any (groups) and a.at > clock);
  if shifted is not null then
    delete from rowbell.window_count c where c.group_id in (select s.group_id from unnest(shifted) s);
    insert into rowbell.window_count (group_id, at, count, sum, keys)
    select s.group_id, s.at - (max(s.at) over (partition by s.group_id) - clock), s.count, s.sum, s.keys from unnest(shifted) s;
  end if;
  delete from rowbell.window_count c where c.group_id = any (groups) and (c.at <= judged - 2 * within or c.at < state.counts_since);
  for g in
    with known as (
      select w.id, w.subject, w.since, w.due, greatest(case when w.until < clock then w.until when w.until is not null then clock end, judged - within, state.judges_since) as before
      from rowbell.window_group w
      where w.id = any (groups)),
    running as (
      select c.group_id, c.at, sum(c.count) over w as count, sum(c.sum) over w as sum
      from rowbell.window_count c
      where c.group_id = any (groups)
      window w as (partition by c.group_id order by c.at range between within preceding and current row)),
    -- as parts that take away from the sum have left the window, which grows
    left_by as (
      select c.group_id as id, c.at + within as at, sum(c.count) over w - c.count as count, sum(c.sum) over w - c.sum as sum, c.sum < 0 as grew
      from rowbell.window_count c
      where rule.sum is not null and c.group_id in (select n.group_id from rowbell.window_count n where n.group_id = any (groups) and n.sum < 0)
      window w as (partition by c.group_id order by c.at range between current row and within following)),
    -- as time goes on and nothing more is written: what is left when this part has left the window
    leaving as materialized (
      select c.group_id, c.at + within as at, coalesce(sum(c.count) over w, 0) as count, sum(c.sum) over w as sum
      from rowbell.window_count c
      where c.group_id = any (groups) and c.at > now - within
      window w as (partition by c.group_id order by c.at rows between 1 following and unbounded following)),
    current as (
      select k.id, coalesce(sum(c.count), 0) as count, sum(c.sum) as sum
      from known k
      left join rowbell.window_count c on c.group_id = k.id and c.at > now - within
      group by k.id),
    ends as (
      select r.group_id as id, r.at, r.count, r.sum from running r join known k on k.id = r.group_id and r.at > k.before and r.at <= now
      union all
      select l.id, l.at, l.count, l.sum from left_by l join known k on k.id = l.id and l.at > k.before and l.at <= now where l.grew
      union all
      select c.id, now, c.count, c.sum from current c where folded is null),
    crossed as (
      select e.id, min(e.at) as first, max(e.at) as last, (array_agg(e.count order by e.at desc))[1] as count, (array_agg(e.sum order by e.at desc))[1] as sum
      from ends e
      where rowbell.crosses(rule, e.count, e.sum)
      group by e.id),
    turns as (
      select l.group_id, min(l.at) as at
      from leaving l
      join current c on c.id = l.group_id
      where rowbell.crosses(rule, l.count, l.sum) <> rowbell.crosses(rule, c.count, c.sum)
      group by l.group_id),
    ages as (select c.group_id, max(c.at) + 2 * within as at from rowbell.window_count c where c.group_id = any (groups) group by c.group_id)
    select k.*, c.count, c.sum, x.first, x.last, x.count as crossed_count, x.sum as crossed_sum,
      rowbell.crosses(rule, c.count, c.sum) as over,
      -- while more groups are due than a call judges, one that is too old for two looks keeps its counts: it must not be due again at once
      coalesce(t.at, case when k.due > a.at and a.at < clock then clock + interval '1 min' else a.at end) as next
    from known k
    join current c on c.id = k.id
    left join crossed x on x.id = k.id
    left join turns t on t.group_id = k.id
    left join ages a on a.group_id = k.id
    order by x.first, k.id
  loop
    if g.since is null and g.first is not null then
      g.since := g.first;
      insert into rowbell.feedback (alert) values (rowbell.timer_alert(rule, feed_name, 'firing', g.subject, rowbell.subject_columns(g.subject), json_build_object(
        'since', to_char(g.since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'within', rule.within::text, 'count', g.crossed_count,
        'sum', case when rule.sum is not null then coalesce(g.crossed_sum, 0) end,
        'keys', (
          select ('[' || string_agg(k.key, ',') || ']')::json
          from (
            select u.key
            from rowbell.window_count c
            cross join unnest(c.keys) with ordinality as u (key, n)
            where c.group_id = g.id and c.at between g.last - within and g.last
            -- a row may have been written several times
            group by u.key
            order by max(c.at) desc, min(u.n)
            limit 10) k))));
      update rowbell.window_group w set since = g.since where w.id = g.id;
    end if;
    if g.since is not null and not g.over and folded is null then
      if rule.resolved then
        insert into rowbell.feedback (alert) values (rowbell.timer_alert(rule, feed_name, 'resolved', g.subject, rowbell.subject_columns(g.subject), json_build_object(
          'since', to_char(g.since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'within', rule.within::text, 'count', g.count,
          'sum', case when rule.sum is not null then coalesce(g.sum, 0) end)));
      end if;
      update rowbell.window_group w set since = null, until = now where w.id = g.id;
    end if;
    if folded is not null then
      -- not null, which is to be judged as of before
      update rowbell.window_group w set due = clock where w.id = g.id;
    elsif g.next is null then
      delete from rowbell.window_group w where w.id = g.id;
    elsif g.due is null or g.due <= now or g.next < g.due or g.due > now + 2 * within then
      update rowbell.window_group w set due = greatest(g.next, now + interval '10 ms') where w.id = g.id;
    end if;
  end loop;
end
$fn$;

-- Folds events as fold_window_events() does. Those that cannot be added up, as a sum beyond all numbers, are a failure of the rule, and do not count.
create or replace function rowbell.fold_what_can_be(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, events rowbell.window_added[],
  judged timestamptz) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  half constant int := cardinality(events) / 2;
begin
  return rowbell.fold_window_events(feed, rule, state, events, judged);
exception when data_exception or program_limit_exceeded then
  if half > 0 then
    return rowbell.fold_what_can_be(feed, rule, state, events[:half], judged) || rowbell.fold_what_can_be(feed, rule, state, events[half + 1:], judged);
  end if;
  perform rowbell.rule_failed(rule.name, sqlerrm, sqlstate, rowbell.shown_name(feed.relation), 'TIMER', null);
  return '{}';
end
$fn$;

-- Judges groups as judge_windows() or judge_absent() does. One whose counts cannot be added up is a failure of the rule, and begins at zero.
drop function if exists rowbell.judge_what_can_be(rowbell.feed, rowbell.rule, rowbell.rule_state, bigint[], timestamptz);
create or replace function rowbell.judge_what_can_be(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, groups bigint[], judged timestamptz,
  folded timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  half constant int := cardinality(groups) / 2;
begin
  if rule.absent is not null then
    perform rowbell.judge_absent(feed, rule, state, groups, judged);
  else
    perform rowbell.judge_windows(feed, rule, state, groups, judged, folded);
  end if;
exception when data_exception or program_limit_exceeded then
  if half > 0 then
    perform rowbell.judge_what_can_be(feed, rule, state, groups[:half], judged, folded);
    perform rowbell.judge_what_can_be(feed, rule, state, groups[half + 1:], judged, folded);
  else
    perform rowbell.rule_failed(rule.name, sqlerrm, sqlstate, rowbell.shown_name(feed.relation), 'TIMER', null);
    delete from rowbell.window_group w where w.id = groups[1];
  end if;
end
$fn$;

-- Works on the windows of a feed: folds events, fires, resolves. Returns whether there is more to do at once. Does nothing while another process works on them.
-- Alerts do not depend on how many events a call takes. They are taken in the order of their time, and until all are, windows count as judged up to the last
-- event at most. A rule whose alerts cannot be stored is tried again every ten seconds, with all of its events; the others go on.
-- Plans anew: a session that began while a table was empty would go on to read all of it for each row.
create or replace function rowbell.run_windows(feed_id int, most int default 50000) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set standard_conforming_strings = on
as $fn$
#variable_conflict use_variable
declare
  watched rowbell.feed;
  found_feed rowbell.window_feed;
  until timestamptz;
  now timestamptz;
  -- rules that are not tried now, and those that fail in this call
  waiting int[] := '{}';
  failed int[] := '{}';
  failing int[];
  -- until when the windows of a rule were judged
  judged timestamptz;
  -- what was committed before is in the events
  seen timestamptz;
  set_back boolean;
  backlog boolean;
  folded timestamptz;
  -- until when all windows are judged after this call
  judged_now timestamptz;
  taken rowbell.window_event[];
  events rowbell.window_added[];
  counting record;
  state rowbell.rule_state;
  groups bigint[];
  due bigint[];
  more boolean;
  context text;
begin
  select w.* into found_feed from rowbell.window_feed w where w.feed = feed_id for update skip locked;
  if not found then
    return false;
  end if;
  until := found_feed.judged;
  select f.* into watched from rowbell.feed f where f.id = feed_id and rowbell.sql_name(f.relation) = f.name;
  if not found then
    return false;
  end if;
  seen := clock_timestamp();
  if found_feed.retry between seen and seen + interval '10 s' then
    waiting := found_feed.failing;
  end if;
  with gone as (
    delete from rowbell.window_event e
    where e.feed = feed_id and e.ctid = any (array(
      select f.ctid from rowbell.window_event f where f.feed = feed_id and f.rule <> all (waiting) order by f.at limit most for update skip locked))
    returning e)
  select array_agg(e) into taken from gone;
  events := rowbell.read_window_events(taken);
  now := clock_timestamp();
  set_back := until > now;
  until := least(until, now);
  backlog := coalesce(cardinality(taken), 0) = most;
  more := backlog;
  judged_now := now;
  if backlog then
    folded := (select max(t.at) from unnest(taken) t);
    select case
        -- sums that may grow as time goes on, and groups that are to be judged as of before, are judged when all is folded
        when bool_or(r.sum is not null or s.judges_again or exists (select from rowbell.window_group g where g.rule = s.id and g.due is null)) then until
        else least(greatest(until, min(rowbell.judgeable(folded, r.within))), now) end
    into judged_now
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = watched.name and r.enabled and r.within is not null and s.paused is null and s.id <> all (found_feed.failing);
  end if;
  for counting in
    select r as rule, s as state, s.id, s.paused is not null as paused
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = watched.name and r.enabled and (r.within is not null or r.absent is not null and s.broken is null) and s.id <> all (waiting)
    order by r.name
  loop
    state := counting.state;
    judged := case when counting.id = any (found_feed.failing) then least(until, found_feed.failing_judged) else until end;
    -- the clock was set back since
    state.counts_since := case when state.counts_since > now then '-infinity' else state.counts_since end;
    state.judges_since := case when state.judges_since > now then '-infinity' else state.judges_since end;
    begin
      -- a change of the rule is under way where its state is locked
      perform from rowbell.rule_state s where s.id = counting.id and state.judges_again for no key update skip locked;
      if found then
        update rowbell.rule_state s set judges_again = false, counted_as = null where s.id = counting.id;
        if (counting.rule).absent is not null then
          perform rowbell.begin_absent(watched, counting.rule, state);
        end if;
        -- those of before come to an end; one that was counted under the new id already stays
        delete from rowbell.window_count c using rowbell.window_group w where w.id = c.group_id and w.rule = state.counted_as;
        update rowbell.window_group w set rule = counting.id
        where w.rule = state.counted_as and not exists (select from rowbell.window_group g where g.rule = counting.id and g.key = w.key);
        update rowbell.window_group w set due = null where w.rule = counting.id;
      elsif set_back then
        update rowbell.window_group w set due = null where w.rule = counting.id;
      end if;
      groups := rowbell.fold_what_can_be(watched, counting.rule, state, array(
        select e from unnest(events) e
        where e.rule = counting.id and e.at >= state.counts_since
          and ((counting.rule).within is null or e.at > judged - 2 * rowbell.length_of((counting.rule).within))), judged);
      if backlog and (counting.rule).absent is not null then
        -- a write that is not folded yet may have met the condition
        update rowbell.window_group w set due = null where w.id = any (groups);
      elsif counting.paused then
        delete from rowbell.window_count c where c.group_id = any (groups) and c.at <= judged - 2 * rowbell.length_of((counting.rule).within);
      else
        if not backlog then
          due := array(select g.id from rowbell.window_group g where g.rule = counting.id and g.due is null limit most)
            || array(select g.id from rowbell.window_group g where g.rule = counting.id and g.due <= now order by g.due limit most);
          if cardinality(due) >= most then
            more := true;
            judged_now := until;
          end if;
        elsif judged_now > until then
          -- of the part that the call before left out
          due := array(
            select g.id from rowbell.window_group g
            where g.rule = counting.id and g.due <= now and exists (select from rowbell.window_count c where c.group_id = g.id and c.at > judged));
        else
          due := '{}';
        end if;
        groups := array(select g from unnest(groups) g union select d from unnest(due) d);
        if cardinality(groups) > 0 then
          perform rowbell.judge_what_can_be(watched, counting.rule, state, groups, case when (counting.rule).absent is null then judged else seen end, folded);
        end if;
      end if;
    exception when others or assert_failure then
      get stacked diagnostics context = pg_exception_context;
      if rowbell_alert.is_cancel(sqlstate, context) then
        raise;
      end if;
      failed := failed || counting.id;
      insert into rowbell.window_event select t.* from unnest(taken) t where t.rule = counting.id;
      perform rowbell.rule_failed((counting.rule).name, sqlerrm, sqlstate, rowbell.shown_name(watched.relation), 'TIMER', null);
    end;
  end loop;
  -- one that is well again is judged as of before until all is folded
  failing := failed || case when backlog then array(select i from unnest(found_feed.failing) i where i <> all (failed)) else waiting end;
  update rowbell.window_feed w
  set judged = coalesce(judged_now, until), failing = failing,
    failing_judged = case when cardinality(failing) > 0 then least(found_feed.failing_judged, until) end,
    retry = case when cardinality(failed) > 0 then now + interval '10 s' when cardinality(waiting) > 0 then found_feed.retry end
  where w.feed = feed_id;
  return more;
end
$fn$;

-- The feeds with rules that count, and in how many milliseconds there is work on their windows; null where nothing is counted.
create or replace function rowbell.window_feeds() returns table (feed int, name text, due_in double precision)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
begin
  return query
  select f.id, f.name, (case when w.judged > clock_timestamp() or exists (select from rowbell.window_event e where e.feed = f.id and e.rule <> all (a.waiting)) then 0 else (
    select min(case when s.paused is null then case when s.judges_again and (r.absent is not null or exists (select from rowbell.window_group g where g.rule = s.id)) then 0 else (
      select case when exists (select from rowbell.window_group n where n.rule = s.id and n.due is null) then 0
        else extract(epoch from min(g.due) - clock_timestamp()) * 1000 end
      from (select g.due from rowbell.window_group g where g.rule = s.id order by g.due limit 1) g) end end)
    from rowbell.rule r
    join rowbell.rule_state s on s.rule = r.name
    where r.feed = f.name and r.enabled and (r.within is not null or r.absent is not null and s.broken is null) and s.id <> all (a.waiting)) end)::double precision
  from rowbell.window_feed w
  cross join lateral (
    select case when w.retry between clock_timestamp() and clock_timestamp() + interval '10 s' then w.failing else '{}' end as waiting) a
  join rowbell.feed f on f.id = w.feed;
end
$fn$;

-- After rules were changed: of those that count, one that is new or counts something else begins at zero, and one with another line is judged again. One with
-- "absent" keeps its groups where it is about the same ones, and their time begins anew.
create or replace function rowbell.windows_changed(news rowbell.rule[], olds rowbell.rule[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  insert into rowbell.window_feed (feed)
  select distinct f.id from unnest(news) n join rowbell.feed f on f.name = n.feed where n.enabled and coalesce(n.within, n.absent) is not null
  on conflict do nothing;
  update rowbell.rule_state s
  set judges_again = true,
    counts_since = case when exists (
      select from unnest(olds) o
      -- one that is no more may have had another name
      where (o.name = n.name or o.name not in (select r.name from unnest(news) r)) and o.enabled and coalesce(o.within, o.absent) is not null
        and (o.feed, o.condition, o.fires, o.operations, o.by, o.sum, o.absent is null)
          is not distinct from (n.feed, n.condition, n.fires, n.operations, n.by, n.sum, n.absent is null))
      then s.counts_since else clock_timestamp() end
  from unnest(news) n
  where n.name = s.rule and n.enabled and coalesce(n.within, n.absent) is not null;
  -- one that begins at zero does so under another id, since writers go on to call the functions of before until this is committed
  update rowbell.rule_state s
  set id = default, counted_as = coalesce(s.counted_as, s.id)
  from unnest(news) n
  where n.name = s.rule and n.enabled and coalesce(n.within, n.absent) is not null and cardinality(olds) > 0 and s.counts_since >= now()
    and not exists (
      select from unnest(olds) o
      where (o.name = n.name or o.name not in (select r.name from unnest(news) r)) and o.enabled and o.absent is not null and n.absent is not null
        and (o.feed, o.by) is not distinct from (n.feed, n.by))
$fn$;

-- Drops the groups of rules that are gone, disabled or count no more, so many at a time; and notes until when windows were judged, so that after a stop those
-- are judged that ended since. To be called every few seconds.
create or replace function rowbell.forget_windows(most int default 10000) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive known (rule) as (
    (select min(g.rule) from rowbell.window_group g)
    union all
    select (select min(g.rule) from rowbell.window_group g where g.rule > k.rule) from known k where k.rule is not null)
  delete from rowbell.window_group w
  where w.ctid = any (array(
    select g.ctid
    from known k
    join rowbell.window_group g on g.rule = k.rule
    where not exists (
      select from rowbell.rule_state s join rowbell.rule r on r.name = s.rule where k.rule in (s.id, s.counted_as) and r.enabled and coalesce(r.within, r.absent) is not null)
    limit most
    for update of g skip locked));
  delete from rowbell.window_event e where not exists (select from rowbell.window_feed f where f.feed = e.feed);
  update rowbell.window_feed w
  set judged = clock_timestamp()
  where w.feed in (
      select l.feed from rowbell.window_feed l
      where l.judged < clock_timestamp() and not exists (select from rowbell.window_feeds() d where d.feed = l.feed and d.due_in <= 0)
      for update skip locked)
    and exists (
      select from rowbell.feed f join rowbell.rule r on r.feed = f.name where f.id = w.feed and r.enabled and coalesce(r.within, r.absent) is not null)
$fn$;
