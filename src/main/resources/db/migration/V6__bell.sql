-- Nobody rings where nobody sleeps: a NOTIFY takes a lock at commit that all transactions of the server share, also when nobody hears it.

-- Until when somebody wants to be rung for a feedback table; said again every few seconds by who looks at it.
alter table rowbell.awake add column listening timestamptz not null default '-infinity';
alter table rowbell.awake alter column until set default '-infinity';

comment on table rowbell.awake is 'Until when somebody wants to hear the doorbell of a feedback table, and until when it is looked at without';

-- Rings the doorbell: "look at the feedback table now". One NOTIFY a transaction, however many statements it has, and none while nobody listens or
-- somebody looks anyway. A transaction that commits long after its statement may so be found by the next poll only. What was told before the
-- clock was set back counts for no more than what is told now.
create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if exists (
      select from rowbell.awake a
      where a.relation = tg_relid
        and a.listening > clock_timestamp()
        and a.until not between clock_timestamp() and clock_timestamp() + interval '5 s')
      and rowbell.may_notify() then
    perform pg_notify('rowbell_doorbell', '');
  end if;
  return null;
end
$fn$;
