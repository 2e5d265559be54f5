-- The doorbell, and who listens.

-- Rings the doorbell: "look at the feedback table now". One NOTIFY a transaction, however many statements it has, and none while no process
-- listens or polls follow each other anyway. So a transaction that commits long after its statement may be found by the next poll only. A lease
-- that ends later than any can, because the clock was set back, does not suppress the doorbell.
-- Every durable alert comes by here, and to set search_path costs more than to ask: so each name and operator says its schema instead, and
-- nothing here depends on the search_path of the writer. That rules out between and is distinct from, whose operators have no schema.
create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
as $fn$
begin
  perform from rowbell.doorbell_lease a
  where a.relation operator(pg_catalog.=) tg_relid
    and a.listening_until operator(pg_catalog.>) pg_catalog.clock_timestamp()
    and (a.suppressed_until operator(pg_catalog.<) pg_catalog.clock_timestamp()
      or a.suppressed_until operator(pg_catalog.>) (pg_catalog.clock_timestamp() operator(pg_catalog.+) interval '5 s'));
  if found then
    if rowbell.may_notify() then
      perform pg_catalog.pg_notify('rowbell_doorbell', '');
    end if;
  end if;
  -- new is null in a trigger for statements; the word null would be an expression to set up
  return new;
end
$fn$;

do $do$
begin
  if not exists (select from pg_trigger t where t.tgrelid = 'rowbell.feedback'::regclass and t.tgname = 'ring') then
    create trigger ring after insert on rowbell.feedback
      for each statement execute function rowbell.ring();
  end if;
end
$do$;

-- The session that a row of rowbell.listener names, for an operator; null where that session has gone, or no process uses it any more. A role sees
-- when sessions of another role began only where it may read all statistics: then pid, role and lock have to do.
create or replace function rowbell.listening_session(l rowbell.listener) returns text
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  select format('pid %s (user %s, application %s)', a.pid, a.usename, a.application_name)
  from pg_stat_activity a
  join pg_locks k on k.pid = a.pid
  where a.pid = l.pid and a.usesysid = l.role and coalesce(a.backend_start, l.started) = l.started
    and k.locktype = 'advisory' and k.database = a.datid and k.classid::bigint << 32 | k.objid::bigint = l.key and k.objsubid = 1 and k.granted
$fn$;

-- Gives channels to this session, to listen to them alone; null where it has them, or else which session has them, for an operator.
create or replace function rowbell.claim_channels(channels text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  holder text;
  own boolean;
  key bigint;
begin
  select rowbell.listening_session(l), l.pid = pg_backend_pid() into holder, own from rowbell.listener l where l.channels = channels;
  if holder is not null then
    return case when not own then holder end;
  end if;
  -- a stranger may have the lock of one key, and cannot know the next
  loop
    key := hashtextextended(gen_random_uuid()::text, 0);
    exit when pg_try_advisory_lock(key);
  end loop;
  insert into rowbell.listener as l (channels, pid, role, started, key)
  select channels, a.pid, a.usesysid, a.backend_start, key from pg_stat_activity a where a.pid = pg_backend_pid()
  on conflict on constraint listener_pkey do update set pid = excluded.pid, role = excluded.role, started = excluded.started, key = excluded.key
  where rowbell.listening_session(l) is null;
  if not found then
    perform pg_advisory_unlock(key);
    return 'another session, since a moment';
  end if;
  return null;
end
$fn$;

-- Gives up channels that this session has: its pooler may keep the session.
create or replace function rowbell.release_channels(channels text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  key bigint;
begin
  delete from rowbell.listener l where l.channels = channels and l.pid = pg_backend_pid() returning l.key into key;
  perform pg_advisory_unlock(key);
end
$fn$;
