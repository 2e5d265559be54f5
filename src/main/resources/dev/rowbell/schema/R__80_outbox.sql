-- Dead letters.

-- Sends a dead letter again, with its id and only to the sink that failed; one that could not be routed is routed again.
-- In one transaction: it is waiting or it is dead, never both. False where there is no such dead letter.
create or replace function rowbell.replay(dead_letter bigint) returns boolean
language plpgsql
as $fn$
declare
  dead rowbell.dead_letter;
begin
  delete from rowbell.dead_letter d
  where d.id = dead_letter
  returning d.* into dead;
  if not found then
    return false;
  elsif dead.sink is null then
    insert into rowbell.feedback (alert) values (dead.alert);
  else
    insert into rowbell.delivery (sink, documents) values (dead.sink, array[dead.alert::text]);
  end if;
  return true;
end
$fn$;

-- Dead letters of one sink, of one rule, or that died at least so long ago; null asks for any. Oldest first. The sink is null where routing failed.
create or replace function rowbell.dead_letters(sink text default null, rule text default null, older_than interval default null)
returns setof rowbell.dead_letter
language sql stable
as $fn$
  select d.*
  from rowbell.dead_letter d
  where ($1 is null or d.sink = $1)
    and ($2 is null or d.alert ->> 'rule' = $2)
    and ($3 is null or d.died <= clock_timestamp() - $3)
  order by d.died, d.id
$fn$;

-- Sends those again, with their ids and each only to the sink that failed. In one transaction: they are waiting or dead, never both.
create or replace function rowbell.retry(sink text default null, rule text default null, older_than interval default null) returns bigint
language sql
as $fn$
  select count(*) filter (where rowbell.replay(d.id)) from rowbell.dead_letters($1, $2, $3) d
$fn$;

-- Deletes those, and returns how many.
create or replace function rowbell.discard(sink text default null, rule text default null, older_than interval default null) returns bigint
language sql
as $fn$
  with gone as (
    delete from rowbell.dead_letter where id in (select d.id from rowbell.dead_letters($1, $2, $3) d) returning 1)
  select count(*) from gone
$fn$;
