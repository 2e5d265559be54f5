-- Of a table that ever had a column dropped, PostgreSQL (seen with 15 and 18) hands out the rows of a transition table as a whole with the place of
-- that column still in them: (row).* reads the columns after it one place off, as null or as what stands beside. Where OLD and NEW were paired, alerts
-- were lost by that, without a word. Rows that were selected are without it.
create or replace function rowbell.rows_sql(operation text, with_other boolean, key text[] default null) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case operation
    when 'INSERT' then 'new_rows as new' || case when with_other then ' left join new_rows as old on false' else '' end
    when 'DELETE' then 'old_rows as old' || case when with_other then ' left join old_rows as new on false' else '' end
    else '(select row_number() over () as rn, _n as r from (select * from new_rows) as _n) as _a '
      || case when key is null
           then 'join (select row_number() over () as rn, _o as r from (select * from old_rows) as _o) as _b on _a.rn = _b.rn '
           else 'left join (select _o as r from (select * from old_rows) as _o) as _b on '
             || coalesce((select string_agg(format('(_a.r).%1$I = (_b.r).%1$I', k), ' and ') from unnest(key) k), 'false') || ' '
         end
      || 'cross join lateral (select (_a.r).*) as new '
      || 'cross join lateral (select (_b.r).*) as old'
  end
$fn$;

-- Functions of feeds that are there already. Takes no lock on them; a feed that cannot be compiled is left to refresh(), which says why.
do $do$
declare
  feed_name text;
begin
  perform set_config('rowbell.triggers', 'later', true);
  for feed_name in select f.name from rowbell.feed f order by f.id loop
    begin
      perform rowbell.compile(feed_name);
    exception when others then
      raise warning 'rowbell: the feed % could not be compiled: %', feed_name, sqlerrm;
    end;
  end loop;
  perform set_config('rowbell.triggers', '', true);
end
$do$;
