-- NOTIFY takes a lock at commit that all transactions of the server share: 16 writers that each ring come to a quarter of what they could
-- write. So in a storm of alerts the consumer says that it looks at the table by itself for a while, and nobody rings.

-- Until when a feedback table is looked at without a doorbell. Unlogged: what a crash takes away, the next storm brings back.
create unlogged table rowbell.awake (
  relation oid primary key,
  until timestamptz not null
);

-- Rings the doorbell: "look at the feedback table now". One NOTIFY a transaction, however many statements it has, and none while somebody
-- looks anyway. A transaction that commits long after its statement may so be found by the next poll only.
create or replace function rowbell.ring() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if not exists (select from rowbell.awake a where a.relation = tg_relid and a.until > clock_timestamp()) and rowbell.may_notify() then
    perform pg_notify('rowbell_doorbell', '');
  end if;
  return null;
end
$fn$;

comment on table rowbell.awake is 'Until when a feedback table is looked at without a doorbell';
