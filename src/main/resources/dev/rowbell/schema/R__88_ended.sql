-- Ends of which no alert tells: of rules without "resolved", of rows that were deleted or mended unseen, and of rules that were changed. What fires is looked
-- at now and then, by its key. The writer does not pay for it: a statement that mends a million rows would tell a million ends.

-- What matches the keys of rows or groups as alerts show them, as a=1,b="x, y": dev.rowbell.alert.AlertIdentity writes them, a value with a comma or a quote
-- as a JSON string.
create or replace function rowbell.key_pattern(columns text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $fn$
  select '^' || string_agg(regexp_replace(case when c ~ '[[:cntrl:],"]' then to_json(c)::text else c end, '([^[:alnum:]_])', '\\\1', 'g')
    || '=("(?:[^"\\[:cntrl:]]|\\(?:["\\/bfnrt]|u00(?:0[1-9a-fA-F]|1[0-9a-fA-F]|7[fF])))*"|[^,"]*)', ',' order by n) || '$'
  from unnest(columns) with ordinality as u (c, n)
$fn$;

-- Whether the key of an alert says which row or group it is about. One of 190 characters or more was cut.
create or replace function rowbell.names_one(key text, pattern text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $fn$
  -- of a feed that is one group, neither is there
  select case when pattern is null then key is null else char_length(key) < 190 and key ~ pattern end
$fn$;

-- The rules whose ends can be seen: within, absent and queries, of which Rowbell keeps what they fire for; and plain conditions, where the row can be found and
-- no function of a stranger can be called, as one of a policy, because the owner of the schema asks. columns: of the key.
create or replace function rowbell.rules_with_an_end() returns table (rule rowbell.rule, name text, relation oid, feed text, columns text[], pattern text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select r, r.name, f.relation, rowbell.shown_name(f.relation), c.columns, rowbell.key_pattern(c.columns)
  from rowbell.rule r
  join rowbell.rule_state t on t.rule = r.name
  cross join lateral (select rowbell.find_feed(r.feed) as relation offset 0) f
  cross join lateral (
    select case when r.query is not null then r.key
      when coalesce(r.within, r.absent) is not null then array(select g.name from rowbell.group_columns(r."by") g order by g.n)
      else rowbell.key_of(f.relation) end as columns
    offset 0) c
  where r.enabled and r.delivery = 'durable' and r.fires = 'once' and t.broken is null
    and (r.query is not null or coalesce(r.within, r.absent) is not null
      or cardinality(c.columns) > 0 and regexp_replace(rowbell.plain_condition(r.condition, f.relation), '''(?:[^'']|'''')*''', '', 'g') !~* '\mold\s*[.]'
        and not exists (
          select from pg_attribute a
          join pg_type y on y.oid = a.atttypid
          where a.attrelid = f.relation and a.attname = any (c.columns)
            -- whose values read back what they show
            and not (y.typnamespace = 'pg_catalog'::regnamespace
              and y.typname in ('int2', 'int4', 'int8', 'numeric', 'text', 'varchar', 'bpchar', 'bool', 'uuid', 'date', 'timestamp', 'timestamptz', 'oid')))
        and not exists (
          select from rowbell.tree_of(f.relation) t
          join pg_class p on p.oid = t.relid
          where t.kind = 'f' or p.relrowsecurity or not has_table_privilege(t.relid, 'select')))
$fn$;

-- Which of these things a rule no longer fires for: those whose row does not meet the plain condition now, or is gone.
create or replace function rowbell.rows_that_ended(rule rowbell.rule, relation oid, columns text[], fingerprints text[], keys json[]) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
-- by the primary key, however many there are
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $fn$
#variable_conflict use_variable
declare
  half constant int := cardinality(keys) / 2;
  ended text[];
begin
  execute format($part$
    select array_agg(f.fingerprint)
    from unnest($1, $2) as f (fingerprint, key)
    cross join lateral json_to_record(f.key) as r (%s)
    where not exists (select from %s as new where %s and %s)$part$,
    (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ')
      from pg_attribute a where a.attrelid = relation and a.attname = any (columns)),
    rowbell.sql_name(relation), (select string_agg(format('new.%1$I operator(pg_catalog.=) r.%1$I', c), ' and ') from unnest(columns) c),
    rowbell.plain_condition(rule.condition, relation))
  into ended using fingerprints, keys;
  return ended;
exception when data_exception then
  -- an alert from elsewhere may name a key that no row can have; it keeps no other on the list
  return case when half > 0 then rowbell.rows_that_ended(rule, relation, columns, fingerprints[:half], keys[:half])
    || rowbell.rows_that_ended(rule, relation, columns, fingerprints[half + 1:], keys[half + 1:]) end;
end
$fn$;

-- The same of rules with "within" and "absent", and of queries. None where a group has an object or array: alerts write these in another form.
create or replace function rowbell.groups_that_ended(rule rowbell.rule, columns text[], fingerprints text[], keys json[]) returns text[]
language sql
set search_path = pg_catalog, pg_temp
as $fn$
  with firing as (
    select g.subject
    from rowbell.window_group g
    join rowbell.rule_state s on s.id = g.rule
    where s.rule = rule.name and g.since is not null and rule.query is null
    union all
    select q.subject from rowbell.query_key q where q.rule = rule.name and q.key <> ''),
  -- of a NULL the alert shows null
  firing_values as (select array(select coalesce(f.subject ->> c, 'null') from unnest(columns) with ordinality as u (c, n) order by n) as values from firing f)
  select array_agg(f.fingerprint)
  from unnest(fingerprints, keys) as f (fingerprint, key)
  where array(select coalesce(f.key ->> c, 'null') from unnest(columns) with ordinality as u (c, n) order by n) not in (select v.values from firing_values v)
    and not exists (select from firing g cross join unnest(columns) c where json_typeof(g.subject -> c) in ('object', 'array'))
$fn$;

-- Looks at so many of the things that fire, after one in the order of fingerprints, and takes off the list what has ended. beginning: of the
-- fingerprints of this database; other fingerprints are passed over, since an alert of another source may name a rule, a table and a key that are here too.
-- Returns the last one that it looked at, null where there was none. An end lies just behind the last alert that is known: an alert that is not, of a
-- transaction that has not committed, begins something new. A table that is locked, or rows that cannot be judged, are passed over.
create or replace function rowbell.end_unseen(beginning text, after text, most int) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set lock_timeout = '200ms'
as $fn$
#variable_conflict use_variable
declare
  last text;
  asked record;
  ended text[];
  context text;
begin
  select max(f.fingerprint) into last
  from (select s.fingerprint from rowbell.firing_state s where s.fingerprint collate "C" > after order by s.fingerprint collate "C" limit most) f;
  for asked in
    with rules as materialized (select * from rowbell.rules_with_an_end() where last is not null)
    select (array_agg(r.rule))[1] as rule, r.relation, r.columns, array_agg(s.fingerprint) as fingerprints, array_agg(s.last) as lasts, array_agg(k.key) as keys
    from rowbell.firing_state s
    -- alerts from elsewhere may name any rule
    join rules r on r.name = s.rule and r.feed is not distinct from s.feed
    cross join lateral (
      select json_object(r.columns, coalesce(array_agg(case when p like '"%' then (('[' || p || ']')::json ->> 0) else p end order by n) filter (where n > 0), '{}')) as key
      from unnest(regexp_match(s.key, r.pattern)) with ordinality as u (p, n)
      having count(*) = cardinality(r.columns)) k
    where s.fingerprint collate "C" > after and s.fingerprint collate "C" <= last and s.times > 0 and starts_with(s.fingerprint, beginning)
      and rowbell.names_one(s.key, r.pattern)
    group by r.name, r.relation, r.columns
  loop
    begin
      ended := case
        when (asked.rule).query is not null or coalesce((asked.rule).within, (asked.rule).absent) is not null
          then rowbell.groups_that_ended(asked.rule, asked.columns, asked.fingerprints, asked.keys)
        else rowbell.rows_that_ended(asked.rule, asked.relation, asked.columns, asked.fingerprints, asked.keys) end;
    exception when others or assert_failure then
      get stacked diagnostics context = pg_exception_context;
      if rowbell_alert.is_cancel(sqlstate, context) then
        raise;
      end if;
      continue;
    end;
    update rowbell.firing_state s set times = 0, ended = s.last + interval '1 us'
    where s.fingerprint = any (array(
      select l.fingerprint
      from rowbell.firing_state l
      join unnest(asked.fingerprints, asked.lasts) as a (fingerprint, last) on a.fingerprint = l.fingerprint and a.last = l.last
      where l.fingerprint = any (ended)
      order by l.fingerprint
      for no key update of l skip locked));
  end loop;
  return last;
end
$fn$;
