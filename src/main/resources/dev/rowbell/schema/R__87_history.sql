-- What became of each alert.

-- Notes the alerts of a transaction that routed them, see rowbell.history_routed. Returns null, or why that failed: it never fails the transaction, and
-- waits for hardly any lock.
create or replace function rowbell.note_routed(path text, ids text[], keys text[], times bigint[], documents text[], silences bigint[], kinds int[],
  rules text[], feeds text[], severities text[], statuses text[], reasons text[], sinks text[]) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $fn$
begin
  insert into rowbell.history_routed (path, ids, keys, times, documents, silences, kinds, rules, feeds, severities, statuses, reasons, sinks)
  values (path, ids, keys, times, documents, silences, kinds, rules, feeds, severities, statuses, reasons, sinks);
  return null;
exception when others then
  return sqlerrm;
end
$fn$;

-- The same for what became of alerts in a sink, see rowbell.history_tried.
create or replace function rowbell.note_tried(sink text, alert_ids text[], tries int[], ago bigint[], outcomes text[], attempts int[], statuses int[],
  answers text[], errors text[]) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $fn$
begin
  insert into rowbell.history_tried (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors)
  values (sink, alert_ids, tries, ago, outcomes, attempts, statuses, answers, errors);
  return null;
exception when others then
  return sqlerrm;
end
$fn$;

-- Makes the partitions of today, of tomorrow, and of the days of what waits to be folded, each a day of UTC. They are attached, which waits for no reader.
create or replace function rowbell.make_history_days() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
set TimeZone = 'UTC'
as $fn$
declare
  parent text;
  day date;
  partition text;
begin
  for parent, day in
    select p, d
    from (
      select current_date + n as d from generate_series(0, 1) n
      union select e.at::date from rowbell.history_routed e
      union select e.at::date from rowbell.history_tried e) days
    cross join unnest('{history_alert,history_try}'::text[]) p
    where not exists (
      select from pg_inherits i
      where i.inhparent = to_regclass('rowbell.' || p) and i.inhrelid = to_regclass(format('rowbell.%s_%s', p, to_char(d, 'YYYYMMDD'))))
    order by p, d
  loop
    -- of two processes, one makes it
    execute format('lock table rowbell.%s in share update exclusive mode', parent);
    partition := format('rowbell.%s_%s', parent, to_char(day, 'YYYYMMDD'));
    if to_regclass(partition) is null then
      execute format('create table %s (like rowbell.%s including storage)', partition, parent);
    end if;
    -- also where it was detached, or what is noted of that day would never be folded
    if not exists (select from pg_inherits i where i.inhrelid = to_regclass(partition)) then
      execute format('alter table rowbell.%s attach partition %s for values from (%L) to (%L)', parent, partition, day, day + 1);
    end if;
  end loop;
end
$fn$;

-- Makes the partitions that are needed next and drops those of which everything is older. keep: 0 drops all. Returns how many were dropped.
create or replace function rowbell.keep_history(keep interval) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
set TimeZone = 'UTC'
as $fn$
declare
  old regclass;
  dropped int := 0;
begin
  if keep > interval '0' then
    perform rowbell.make_history_days();
  else
    delete from rowbell.history_routed;
    delete from rowbell.history_tried;
  end if;
  for old in
    select c.oid::regclass
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('rowbell.history_alert'::regclass, 'rowbell.history_try'::regclass)
      -- as text: PostgreSQL may look at the names of other tables first, which are no days
      and (keep <= interval '0' or right(c.relname, 8) collate "C" <= to_char(clock_timestamp() - least(keep, interval '1000 years') - interval '1 day', 'YYYYMMDD'))
    order by c.relname
  loop
    execute format('drop table %s', old);
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$fn$;

-- Moves so many transactions of what was noted into the history, and as many of what became of alerts. Returns how many there were of the one that had
-- more. Waits for no transaction that routes or acknowledges. Several processes may fold.
create or replace function rowbell.fold_history(most int) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set lock_timeout = '2s'
set TimeZone = 'UTC'
as $fn$
#variable_conflict use_column
declare
  routed int;
  tried int;
begin
  perform rowbell.make_history_days();
  with taken as (
    delete from rowbell.history_routed e
    where e.id = any (array(select q.id from rowbell.history_routed q order by q.id limit most for update skip locked))
    returning e.*),
  added as (
    insert into rowbell.history_alert (at, id, path, rule, feed, key, severity, status, reason, time, silence, sinks, document)
    select t.at, u.id, t.path, t.rules[u.kind], t.feeds[u.kind], u.key, t.severities[u.kind], t.statuses[u.kind], t.reasons[u.kind],
      timestamptz 'epoch' + u.micros * interval '1 us', u.silence, string_to_array(t.sinks[u.kind], ','), u.document
    from taken t
    cross join lateral unnest(t.ids, t.keys, t.times, t.documents, t.silences, t.kinds) as u (id, key, micros, document, silence, kind))
  select count(*) into routed from taken;
  with taken as (
    delete from rowbell.history_tried e
    where e.id = any (array(select q.id from rowbell.history_tried q order by q.id limit most for update skip locked))
    returning e.*),
  added as (
    insert into rowbell.history_try (at, alert_id, sink, outcome, attempt, status, answer, error, who)
    -- within the day, which has its partition
    select greatest(t.at - t.ago[u.try] * interval '1 us', date_trunc('day', t.at)), u.alert_id, t.sink, t.outcomes[u.try], t.attempts[u.try],
      t.statuses[u.try], t.answers[u.try], t.errors[u.try], t.who
    from taken t
    cross join lateral unnest(t.alert_ids, t.tries) as u (alert_id, try))
  select count(*) into tried from taken;
  return greatest(routed, tried);
end
$fn$;

-- Erases from the history the alerts about one row, with what became of them; key: as alerts show it ("id=2"). Returns how many alerts that was. An alert that
-- is being routed meanwhile is not erased, nor one that waits: call it again when there is none.
create or replace function rowbell.erase_history(feed text, key text) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $fn$
#variable_conflict use_column
declare
  -- what comes meanwhile is not waited for: it may never end
  last_routed constant bigint := (select max(e.id) from rowbell.history_routed e);
  last_tried constant bigint := (select max(e.id) from rowbell.history_tried e);
  erased bigint;
begin
  -- waits for those that fold
  perform from rowbell.history_routed e order by e.id for update;
  perform from rowbell.history_tried e order by e.id for update;
  while exists (select from rowbell.history_routed e where e.id <= last_routed) or exists (select from rowbell.history_tried e where e.id <= last_tried) loop
    perform rowbell.fold_history(1000);
  end loop;
  with gone as (
    delete from rowbell.history_alert a where a.feed = $1 and a.key = rowbell.key_cut($2) returning a.id),
  tries as (
    delete from rowbell.history_try t where t.alert_id = any (array(select g.id from gone g)))
  select count(*) into erased from gone;
  return erased;
end
$fn$;
