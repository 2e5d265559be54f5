-- The doorbell.

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
