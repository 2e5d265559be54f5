-- Rules with "absent": which fire when no write has met their condition for so long. What triggers append, and who works on it, is as for rules that count:
-- R__68_window.sql. A write only moves "last" of its group. A group is judged when it is due: then it is silent, or due later.

-- All that is wrong with a rule about "absent" and its like, as far as it can be told without the feed; no rows where it is right.
create or replace function rowbell.validate_absent(rule rowbell.rule) returns table (field text, problem text, hint text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if rule.absent is null then
    return query
    select f.name, 'goes with absent, and the rule has none', 'write absent: 10m'
    from (values ('groups', rule.groups is not null), ('forget', rule.forget <> interval '7 days')) f (name, given)
    where f.given;
    return;
  end if;
  if rowbell.length_of(rule.absent) <= interval '0' or rowbell.length_of(rule.absent) > interval '10 years' then
    return query select 'absent', 'give a duration above 0 and of at most 10 years', '';
  end if;
  if coalesce(rule.count::text, rule.sum, rule.within::text, rule.over::text) is not null then
    return query select 'absent', 'goes not with count and sum', 'make two rules of it';
  elsif rule."for" is not null then
    return query select 'for', 'goes not with absent, which is about writes: a write does not last', 'make two rules of it';
  end if;
  if rule.fires <> 'once' then
    return query select 'fires', 'a rule with absent fires once there was no write for so long', 'leave fires out';
  end if;
  if rule.delivery = 'notify' then
    return query select 'delivery', 'a rule with absent is durable: there is no writer that could notify', 'leave delivery out';
  end if;
  if rule.groups is not null and coalesce(rule."by", '{}') = '{}' then
    return query select 'groups', 'goes with by, and the rule has none', 'write by: [NEW.sensor]';
  end if;
  if rule.forget is null then
    return query select 'forget', 'give a duration', '';
  elsif rule."by" = '{}' and rule.forget <> interval '7 days' then
    return query select 'forget', 'goes with by: the feed as a whole is not forgotten', 'leave forget out';
  elsif rule."by" <> '{}' and rule.groups is null and rowbell.length_of(rule.forget) <= rowbell.length_of(rule.absent) then
    return query select 'forget', format('is not longer than absent, so that a group would be forgotten before it fires: %s', rule.forget), 'write forget: 30d';
  end if;
  return query select g.* from rowbell.validate_groups(rule) g;
end
$fn$;

-- Why the query for the groups of a rule would be refused; null where it is right. As query_error(), and its columns have to be those of "by": of the same type,
-- since equal values of two types may differ as text, as 7 and 7.00.
create or replace function rowbell.groups_error(rule rowbell.rule, relation oid) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
declare
  query constant text := regexp_replace(rule.groups, '[;[:space:]]+$', '');
  names constant text[] := array(select '_c' || g.n from rowbell.group_columns(rule."by") g order by g.n);
  error text[];
  types text[];
  asked record;
begin
  error := rowbell.query_error(query, names[1:1], names);
  if error[4] = '42P10' and error[2] like 'table "_r" has%' or error is null and rowbell.query_error(query, names[1:1], names || '_c'::text) is null then
    return array['groups', format('has not as many columns as by has expressions: %s', cardinality(names)), 'select id from public.sensor, for by: [NEW.sensor]', 'RB001'];
  elsif error is not null then
    return array['groups'] || error[2:];
  end if;
  for asked in
    select g.n, g.expression, format(E'(%s\n)', g.expression) as member, format(E'(select _g._c%s from (%s\n) as _g (%s))', g.n, query, array_to_string(names, ', ')) as "column"
    from rowbell.group_columns(rule."by") g
    order by g.n
  loop
    -- a function that takes two arrays of one type
    error := rowbell.condition_error(format('pg_catalog.array_larger(array[%s], array[%s]) is not null', asked.member, asked.column), relation, true, true);
    continue when error is null;
    types := regexp_match(error[1], '^function pg_catalog.array_larger\((.*)\[\], (.*)\[\]\) does not exist$');
    if types is null then
      return array['groups'] || error;
    end if;
    -- integers of any size, and texts but those that are filled with blanks, are written alike
    continue when rowbell.condition_error(format('pg_catalog.int8larger(%s, %s) is not null', asked.member, asked.column), relation, true, true) is null
      or 'character' <> all (types)
        and rowbell.condition_error(format('pg_catalog.text_larger(%s, %s) is not null', asked.member, asked.column), relation, true, true) is null;
    return array['groups', format('column %s is of type %s, and %s of type %s', asked.n, types[2], asked.expression, types[1]),
      case when types[1] = 'character' then 'cast it to that, with its length' else format('cast it: select id::%s', types[1]) end, 'RB001'];
  end loop;
  return null;
end
$fn$;

-- When a group is silent for as long as a rule says, that was written last at a time: so long after it, or after the rule began to look, without the time for
-- which the rule was paused.
create or replace function rowbell.silent_at(rule rowbell.rule, state rowbell.rule_state, last timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
  select began.at + rowbell.length_of(rule.absent)
    + coalesce((select sum(upper(p) - greatest(lower(p), began.at)) from unnest(state.pauses) p where upper(p) > began.at), interval '0')
  from (select greatest(silent_at.last, state.counts_since) as at) began
$fn$;

-- An alert about a group.
create or replace function rowbell.absent_alert(rule rowbell.rule, feed_name text, status text, subject json, since timestamptz) returns json
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.timer_alert(rule, feed_name, status, subject, rowbell.subject_columns(subject),
    json_build_object('since', to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
$fn$;

-- Judges groups: fires for one that is silent, resolves one that is not, forgets one that has been silent for "forget". Notes when a group is to be judged next.
-- seen: all that was committed before is folded.
create or replace function rowbell.judge_absent(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state, groups bigint[], seen timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_variable
declare
  feed_name constant text := rowbell.shown_name(feed.relation);
  -- from the time when it fires
  forget constant interval := case when rule.groups is null and rule."by" <> '{}' then rowbell.length_of(rule.forget) - rowbell.length_of(rule.absent) end;
  -- after a stop, groups that are not expected any more do not fire: for a time, in case that it cannot be told
  unknown constant boolean := exists (select from rowbell.query_run q where rule.groups is not null and q.rule = rule.name and q.due < seen - interval '5 s');
  forgotten rowbell.rule := rule;
begin
  forgotten.reason := format('%s: forgotten after %s', coalesce(rule.reason, rule.name), rule.forget);
  -- the clock was set back: it goes on as if it had been written now
  update rowbell.window_group w set last = seen where w.id = any (groups) and (w.last > clock_timestamp()) is not false;
  with judged as materialized (
    select w.*, greatest(w.last, state.counts_since) as began, s.at
    from rowbell.window_group w
    cross join lateral rowbell.silent_at(rule, state, w.last) as s (at)
    where w.id = any (groups)),
  decided as materialized (
    select j.*, case
        when j.at > seen then case when j.since is not null then 'resolved' end
        when j.since is null then case when unknown and (j.due is null or j.due <= j.at) then 'held' else 'firing' end
        when j.at + forget <= seen and (j.due is null or j.due <= seen) then 'forgotten' end as decision
    from judged j),
  gone as (
    delete from rowbell.window_group w using decided d where w.id = d.id and d.decision = 'forgotten'),
  noted as (
    update rowbell.window_group w
    set since = n.since, due = n.due
    from (
      select d.id, case d.decision when 'firing' then d.began when 'resolved' then null else d.since end as since,
        case when d.decision = 'held' then seen + interval '20 s'
          when d.at > seen then d.at
          when forget is null then seen + interval '1 day'
          -- after a long stop, not as soon as it has fired
          when d.decision = 'firing' then greatest(d.at, seen) + forget
          else greatest(d.at + forget, d.due) end as due
      from decided d
      where d.decision is distinct from 'forgotten') n
    where w.id = n.id and (w.since, w.due) is distinct from (n.since, n.due))
  insert into rowbell.feedback (alert)
  select case d.decision
    when 'firing' then rowbell.absent_alert(rule, feed_name, 'firing', d.subject, d.began)
    when 'resolved' then rowbell.absent_alert(rule, feed_name, 'resolved', d.subject, d.since)
    else rowbell.absent_alert(forgotten, feed_name, 'resolved', d.subject, d.since) end
  from decided d
  where d.decision = 'firing' or d.decision in ('resolved', 'forgotten') and rule.resolved
  order by d.at, d.id;
end
$fn$;

-- Ends what groups are watched for: what has fired resolves.
create or replace function rowbell.end_groups(feed rowbell.feed, rule rowbell.rule, ended bigint[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with gone as (
    delete from rowbell.window_group w where w.id = any (ended) returning w.*)
  insert into rowbell.feedback (alert)
  select rowbell.absent_alert(end_groups.rule, rowbell.shown_name((end_groups.feed).relation), 'resolved', g.subject, g.since)
  from gone g
  where g.since is not null and (end_groups.rule).resolved
  order by g.id
$fn$;

-- After a rule was changed or made: groups of before, by other expressions, come to an end; without "by" the feed is a group that is expected from the start.
create or replace function rowbell.begin_absent(feed rowbell.feed, rule rowbell.rule, state rowbell.rule_state) returns void
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select rowbell.end_groups(feed, rule, array(select g.id from rowbell.window_group g where g.rule = state.counted_as));
  insert into rowbell.window_group (rule, key, subject, last)
  select state.id, '{}', '{}', case when isfinite(state.counts_since) then state.counts_since else clock_timestamp() end
  where rule."by" = '{}'
  on conflict do nothing
$fn$;

-- Has a rule watch the groups that its query returned, each from now on, and no other. result: as of query_ran().
create or replace function rowbell.expect_groups(rule rowbell.rule, result text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  names constant text[] := array(select g.name from rowbell.group_columns(rule."by") g order by g.n);
  -- of which some are not known
  crowded constant boolean := cardinality(result) > rule.max_groups;
  watched rowbell.feed;
  state rowbell.rule_state;
  expected text[];
  others bigint;
begin
  select f.* into watched from rowbell.feed f where f.name = rule.feed;
  -- no process judges them meanwhile
  perform from rowbell.window_feed w where w.feed = watched.id for update;
  select s.* into state from rowbell.rule_state s where s.rule = rule.name;
  select array_agg(distinct g.subject), max(g.columns) filter (where g.columns <> cardinality(names)) into expected, others
  from unnest(result) r
  cross join lateral (
    select '{' || string_agg(to_json(names[c.n])::text || ':' || c.value::text, ',' order by c.n) || '}' as subject, count(*) as columns
    from json_each(r::json) with ordinality as c (name, value, n)) g;
  if others is not null then
    raise exception 'the result of groups has % columns, and by has % expressions', others, cardinality(names) using errcode = 'RB001';
  end if;
  perform rowbell.end_groups(watched, rule, array(
    select g.id from rowbell.window_group g
    where not crowded and g.rule = state.id and not exists (select from unnest(expected) e where rowbell.group_key(e) = g.key)));
  insert into rowbell.window_group (rule, key, subject, last)
  select state.id, rowbell.group_key(e), e::json as subject, clock_timestamp()
  from unnest(expected) e
  where not exists (select from rowbell.window_group g where g.rule = state.id and g.key = rowbell.group_key(e))
  order by e
  limit greatest(rule.max_groups - (select count(*) from rowbell.window_group g where g.rule = state.id), 0);
  perform rowbell.note_crowded(watched, rule, state, case when crowded then expected[cardinality(expected)] end);
  -- those that waited for it
  update rowbell.window_group g set due = null where g.rule = state.id and g.since is null and g.due > rowbell.silent_at(rule, state, g.last);
end
$fn$;
