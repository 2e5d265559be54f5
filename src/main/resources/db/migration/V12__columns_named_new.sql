-- A feed may have a column named new or old. Then row_to_json(new) is that column, and no alert of the feed could be written; new.* is the row in any
-- case. So are the names that pair the rows of an update, _n and _o; there a cast keeps a row whole that a select list would take apart.
create or replace function rowbell.rows_sql(operation text, with_other boolean, key text[] default null) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  select case operation
    when 'INSERT' then 'new_rows as new' || case when with_other then ' left join new_rows as old on false' else '' end
    when 'DELETE' then 'old_rows as old' || case when with_other then ' left join old_rows as new on false' else '' end
    else '(select row_number() over () as rn, (_n.*)::record as r from (select * from new_rows) as _n) as _a '
      || case when key is null
           then 'join (select row_number() over () as rn, (_o.*)::record as r from (select * from old_rows) as _o) as _b on _a.rn = _b.rn '
           else 'left join (select (_o.*)::record as r from (select * from old_rows) as _o) as _b on '
             || coalesce((select string_agg(format('(_a.r).%1$I = (_b.r).%1$I', k), ' and ') from unnest(key) k), 'false') || ' '
         end
      || 'cross join lateral (select (_a.r).*) as new '
      || 'cross join lateral (select (_b.r).*) as old'
  end
$fn$;

-- The other functions are as they were, but for that; and what row_N and place_N are given is called by their names: _old and _row alone would be
-- columns of the feed, where it has such.
do $do$
declare
  definition text;
begin
  for definition in
    select pg_get_functiondef(p.oid)
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'rowbell' and p.proname in ('alerts_sql', 'single_sql', 'changes_sql', 'compile_judge', 'test_rule', 'compile_row', 'compile_place')
  loop
    definition := regexp_replace(definition, 'row_to_json\((new|old|%s)\)', 'row_to_json(\1.*)', 'g');
    definition := regexp_replace(definition, ' (_new|_old)\) as ', ' row_$part$ || feed.id || $part$.\1) as ', 'g');
    execute replace(definition, ' _row) _r on ', ' place_'' || feed.id || ''._row) _r on ');
  end loop;
end
$do$;

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
