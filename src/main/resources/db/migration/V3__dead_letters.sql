-- What operators do with what was given up: look at it, send it again, throw it away.

create index dead_letter_died on rowbell.dead_letter (died);

-- Dead letters of one sink, of one rule, or that died at least so long ago; null asks for any. Oldest first. The sink is null where routing failed.
create function rowbell.dead_letters(sink text default null, rule text default null, older_than interval default null)
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
create function rowbell.retry(sink text default null, rule text default null, older_than interval default null) returns bigint
language sql
as $fn$
  select count(*) filter (where rowbell.replay(d.id)) from rowbell.dead_letters($1, $2, $3) d
$fn$;

-- Throws those away.
create function rowbell.discard(sink text default null, rule text default null, older_than interval default null) returns bigint
language sql
as $fn$
  with gone as (
    delete from rowbell.dead_letter where id in (select d.id from rowbell.dead_letters($1, $2, $3) d) returning 1)
  select count(*) from gone
$fn$;
