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

-- Gives channels to this session, to listen to them alone; null where it has them, or else which session has them, for an operator. A role sees when sessions
-- of another role began only where it may read all statistics: then pid and role have to do.
create or replace function rowbell.claim_channels(channels text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_variable
declare
  holder text;
begin
  select format('pid %s (user %s, application %s)', a.pid, a.usename, a.application_name) into holder
  from rowbell.listener l
  join pg_stat_activity a on a.pid = l.pid and a.usesysid = l.role and coalesce(a.backend_start, l.started) = l.started
  where l.channels = channels and l.pid <> pg_backend_pid();
  if found then
    return holder;
  end if;
  insert into rowbell.listener as l (channels, pid, role, started)
  select channels, a.pid, a.usesysid, a.backend_start from pg_stat_activity a where a.pid = pg_backend_pid()
  on conflict on constraint listener_pkey do update set pid = excluded.pid, role = excluded.role, started = excluded.started
  where not exists (
    select from pg_stat_activity a
    where a.pid = l.pid and a.pid <> pg_backend_pid() and a.usesysid = l.role and coalesce(a.backend_start, l.started) = l.started);
  return case when not found then 'another session, since a moment' end;
end
$fn$;
