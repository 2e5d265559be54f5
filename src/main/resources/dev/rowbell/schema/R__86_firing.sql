-- What fires now.

-- Whether each alert of a rule begins something new. Such a rule sends no alert when its condition ends, and fires once until then: so the condition had
-- ended before each further alert about the same row.
create or replace function rowbell.fires_anew(rule rowbell.rule) returns boolean
language sql immutable
as $fn$
  select rule.fires = 'once' and not rule.resolved and (rule.condition is null or coalesce(rule.within, rule.absent) is not null or not rowbell.may_compare(rule.condition))
$fn$;

-- Brings rowbell.firing up to date with what was routed, so many transactions of it, and returns how many there were. The time of alerts decides, not the
-- order in which they were routed: the last end ends all that fired before it, whichever is folded first. Waits for no transaction that routes. Several
-- processes may fold: each writes in the order of the fingerprints.
-- Plans anew: a session that began while a table was empty would go on to read all of it for each row.
create or replace function rowbell.fold_firing(most int) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set lock_timeout = '2s'
as $fn$
#variable_conflict use_column
declare
  anew constant text[] := array(select r.name from rowbell.rule r where rowbell.fires_anew(r));
  folded int;
begin
  with taken as (
    delete from rowbell.firing_event e
    where e.id = any (array(select q.id from rowbell.firing_event q order by q.id limit most for update skip locked))
    returning e.*),
  events as (
    -- the windows below are of one order: all is sorted once
    select u.fingerprint collate "C" as fingerprint, u.alert_id, t.rules[u.kind] as rule, t.feeds[u.kind] as feed, u.key, t.severities[u.kind] as severity,
      t.reasons[u.kind] as reason, u.fires, u.silenced, timestamptz 'epoch' + u.micros * interval '1 us' as at, row_number() over w as place,
      lead(true) over w is null as is_last, u.fires and t.rules[u.kind] = any (anew) as fires_anew
    from taken t
    cross join lateral unnest(t.fingerprints, t.alert_ids, t.keys, t.times, t.fires, t.silenced, t.kinds)
      with ordinality as u (fingerprint, alert_id, key, micros, fires, silenced, kind, n)
    window w as (partition by u.fingerprint collate "C" order by u.micros, t.id, u.n)),
  placed as (
    select *, place > coalesce(max(case when not fires then place when fires_anew then place - 1 end) over w, 0) as counts,
      max(case when not fires then at when fires_anew then at - interval '1 us' end) over w as ended
    from events
    window w as (partition by fingerprint)),
  summed as (
    select *, min(at) filter (where counts) over w as since, count(*) filter (where counts) over w as times,
      count(*) filter (where counts and silenced) over w as silenced_times
    from placed
    window w as (partition by fingerprint)),
  merged as (
    insert into rowbell.firing_state as f (fingerprint, rule, feed, key, severity, reason, since, last, times, silenced, alert_id, ended)
    select s.fingerprint, s.rule, s.feed, s.key, s.severity, s.reason, coalesce(s.since, s.at), s.at, s.times, s.silenced_times, s.alert_id, s.ended
    from summed s
    where s.is_last
    order by s.fingerprint
    on conflict (fingerprint) do update set (id, rule, feed, key, severity, reason, since, last, times, silenced, alert_id, ended) = (
      select case when m.goes_on then f.id else excluded.id end,
        case when m.is_newer then excluded.rule else f.rule end,
        case when m.is_newer then excluded.feed else f.feed end,
        case when m.is_newer then excluded.key else f.key end,
        case when m.is_newer then excluded.severity else f.severity end,
        case when m.is_newer then excluded.reason else f.reason end,
        case when m.stays and m.adds then least(m.since, excluded.since) when m.stays then m.since when m.adds then excluded.since else f.since end,
        greatest(f.last, excluded.last),
        case when m.stays then f.times else 0 end + case when m.adds then excluded.times else 0 end,
        case when m.stays then f.silenced else 0 end + case when m.adds then excluded.silenced else 0 end,
        case when m.is_newer then excluded.alert_id else f.alert_id end,
        greatest(f.ended, excluded.ended)
      from (
        select excluded.last >= f.last as is_newer,
          -- what fired before is not ended by the ends of now, and what fires now is not ended by the end of before
          f.times > 0 and coalesce(f.last > excluded.ended, true) as stays,
          excluded.times > 0 and coalesce(excluded.last >= f.ended, true) as adds,
          f.times > 0 and coalesce(f.since > excluded.ended, true) as goes_on,
          -- an end that was routed late lies within what fired
          case when f.since <= excluded.ended then f.last else f.since end as since) m)
    returning 1)
  select count(*) into folded from taken;
  return folded;
end
$fn$;

-- Ends what rules fired for that were removed, were disabled, send no durable alerts any more, or have become rules of another kind or table: no alert
-- tells the end of what they fired for before. That holds also where the rule of now was made or enabled a moment later. Called now and then.
create or replace function rowbell.end_firing_of_gone_rules() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $fn$
  update rowbell.firing_state f set times = 0, ended = greatest(f.last, clock_timestamp())
  where f.fingerprint = any (array(
    select g.fingerprint
    from rowbell.firing_state g
    where g.times > 0
      -- an alert from elsewhere may name anything: only rules that there were
      and g.rule = any (array(
        select distinct c.rule
        from rowbell.rule_change c
        where c.rule is not null and not exists (select from rowbell.rule r where r.name = c.rule and r.enabled and r.delivery = 'durable')))
    order by g.fingerprint
    for update skip locked));
  -- what the rule of now has fired for is behind the change
  with changed as materialized (
    select c.rule, max(c.at) as at
    from rowbell.rule_change c
    where c.before is not null and (c.after is null or c.after ->> 'enabled' = 'false' or c.after ->> 'delivery' <> 'durable'
      or c.before ? 'feed' and c.after ? 'feed'
      or exists (select from unnest('{for,within,absent,query}'::text[]) kind where (c.before ? kind) <> (c.after ? kind)))
    group by c.rule)
  update rowbell.firing_state f set times = 0, ended = c.at
  from changed c
  where c.rule = f.rule and f.fingerprint = any (array(
    select g.fingerprint
    from changed h
    join rowbell.firing_state g on g.rule = h.rule and g.last <= h.at
    where g.times > 0
    order by g.fingerprint
    for update of g skip locked))
$fn$;

-- Takes what a rule fires for off the list, without an alert; key: as alerts show it ("id=2"), null for all of the rule. Returns how much that was.
create or replace function rowbell.end_firing(rule text, key text default null) returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with ended as (
    update rowbell.firing_state f set times = 0, ended = greatest(f.last, clock_timestamp())
    where f.rule = $1 and f.times > 0 and ($2 is null or f.key = $2)
    returning 1)
  select count(*) from ended
$fn$;

-- Takes care of what a rule fires for: alerts about it are not sent again until it has ended. key: as alerts show it ("id=2"), null for all of the rule.
-- assignee: who does. What was said before stays where nothing is said now. Returns how much it was. Locks no row that Rowbell writes, so that an
-- application can call it in the transaction that mends the row.
create or replace function rowbell.acknowledge(rule text, key text default null, note text default null, assignee text default null) returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with acknowledged as (
    insert into rowbell.acknowledgement as a (fingerprint, firing, assignee, note)
    select f.fingerprint, f.id, $4, $3
    from rowbell.firing_state f
    where f.rule = $1 and f.times > 0 and ($2 is null or f.key = $2)
    order by f.fingerprint
    on conflict (fingerprint) do update set firing = excluded.firing, at = excluded.at, who = excluded.who, application = excluded.application,
      assignee = coalesce(excluded.assignee, case when a.firing = excluded.firing then a.assignee end),
      note = coalesce(excluded.note, case when a.firing = excluded.firing then a.note end)
    returning 1)
  select count(*) from acknowledged
$fn$;

-- Has alerts about it be sent again. Returns how much it was.
create or replace function rowbell.unacknowledge(rule text, key text default null) returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with gone as (
    delete from rowbell.acknowledgement a
    using rowbell.firing_state f
    where f.fingerprint = a.fingerprint and f.rule = $1 and ($2 is null or f.key = $2)
    returning f.id = a.firing and f.times > 0 as counts)
  select count(*) from gone where counts
$fn$;

-- Forgets what has no end that can be seen and did not fire for so long, and ends of which no earlier alert can wait any more. keep: 0 forgets everything. oldest: of the
-- alerts that wait, null where there are none. Returns how many were forgotten, of so many at most.
create or replace function rowbell.forget_firing(keep interval, oldest timestamptz, most int) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  forgotten int;
begin
  with ends as materialized (select r.name, r.feed, r.pattern from rowbell.rules_with_an_end() r)
  delete from rowbell.firing_state d
  where d.fingerprint = any (array(
    select f.fingerprint
    from rowbell.firing_state f
    where case when keep <= interval '0' then true
      when f.times = 0 then f.ended < least(clock_timestamp() - interval '10 min', oldest)
      else f.last < clock_timestamp() - keep and not exists (
        select from rowbell.rule r where r.name = f.rule and r.resolved
        union all
        select from ends r where r.name = f.rule and r.feed is not distinct from f.feed and rowbell.names_one(f.key, r.pattern)) end
    limit most
    for update of f skip locked));
  get diagnostics forgotten = row_count;
  delete from rowbell.acknowledgement d
  where d.fingerprint = any (array(
    select a.fingerprint
    from rowbell.acknowledgement a
    where not exists (select from rowbell.firing_state f where f.fingerprint = a.fingerprint and f.id = a.firing and f.times > 0)
    limit most
    for update skip locked));
  return forgotten;
end
$fn$;
